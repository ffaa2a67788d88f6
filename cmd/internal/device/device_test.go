package device

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/run"
	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/nn"
)

func TestAutoSaysWhyItDidNotTakeTheOthers(t *testing.T) {
	driver, why := openDriver()
	if why == nil {
		require.NoError(t, driver.Close())
		t.Skip("this machine has an NVIDIA card")
	}
	c, err := Open("auto", 1)
	require.NoError(t, err)
	defer c.Set.Close()
	assert.Equal(t, "host", c.Device)
	assert.Contains(t, c.String(), "cuda: "+why.Error())
	assert.Contains(t, c.String(), "emu: emulates a GPU")
	_, err = Open("cuda", 1)
	assert.EqualError(t, err, "--device cuda: "+why.Error(), "never replaced by another")
}

// named is a Set that has only a name.
type named struct {
	kernels.Set
	name string
}

func (n named) Name() string { return n.name }

func TestAMachineLeftWithThePortableLevelIsTold(t *testing.T) {
	t.Setenv("EMDIFF_CPU", "")
	lacks := "host/avx2: this processor has no AVX2 and FMA"
	left := Choice{Set: named{name: "host/portable"}, Refused: []string{lacks}}
	assert.Equal(t, "host/portable: portable level, no vector kernels for this CPU (needs AVX2 and FMA, AVX-512, or 64-bit Arm), "+
		"several times slower (refused "+lacks+")", left.String())
	left.Set = named{name: "host/avx2"}
	assert.Equal(t, "host/avx2 (refused "+lacks+")", left.String())
}

func TestAMachineHeldDownToThePortableLevelKnows(t *testing.T) {
	t.Setenv("EMDIFF_CPU", "portable")
	c, err := Open("host", 1)
	require.NoError(t, err)
	defer c.Set.Close()
	assert.NotContains(t, c.String(), "no vector kernels")
	assert.Regexp(t, `^host/portable \(refused (host/\w+ is held down by EMDIFF_CPU=portable(; )?)+\)$`, c.String())
}

func TestAMistakenLevelIsOneSentence(t *testing.T) {
	t.Setenv("EMDIFF_CPU", "sse")
	_, err := Open("host", 1)
	require.ErrorContains(t, err, "no level of the host works here: EMDIFF_CPU=sse names no level")
	assert.Equal(t, 1, strings.Count(err.Error(), "sse"), err.Error())
}

func TestUnknownDevicesAndNegativeThreadsAreRefused(t *testing.T) {
	_, err := Open("tpu", 0)
	assert.EqualError(t, err, "--device tpu is unknown: use auto, host, cuda, emu")
	_, err = Open("emu", -1)
	assert.ErrorContains(t, err, "--threads -1")
}

func TestTheEmulatorChecksOnlyWhereAsked(t *testing.T) {
	t.Setenv("EMDIFF_EMU_CHECKS", "")
	assert.Equal(t, emu.Options{Workers: 3}, emulatorOptions(3))
	t.Setenv("EMDIFF_EMU_CHECKS", "1")
	assert.Equal(t, emu.AllChecks(), emulatorOptions(3).Checks)
}

// stopAt interrupts a run when it first gets on with the labelled task.
type stopAt struct {
	label string
	stop  func()
}

func (p stopAt) Start(label string, total int) run.Task {
	if label != p.label {
		return run.Silent.Start(label, total)
	}
	return stopTask{p}
}

type stopTask struct{ stopAt }

func (t stopTask) Add(n int) {
	if n > 0 {
		t.stop()
	}
}
func (stopTask) Note(string) {}
func (stopTask) Done()       {}

// outcome is what a run of emu-tiny leaves: the averaged weights, by tensor, and the reconstructions of its round.
type outcome struct {
	weights map[string][]float32
	draws   []float32
}

// learnTiny runs the preset emu-tiny on a device, stopped in the M-step of its round, where the reconstructions are on disk, and
// continued to the end.
func learnTiny(t *testing.T, name string) outcome {
	settings, err := run.Resolve("emu-tiny", "", nil)
	require.NoError(t, err)
	c, err := Open(name, 0)
	require.NoError(t, err)
	defer c.Set.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	o := run.TrainOptions{Settings: settings, Name: name, Out: t.TempDir(), Set: c.Set, Log: io.Discard,
		Device: run.Device{Name: c.Device, Level: c.Set.Name(), Why: c.String()}, Progress: stopAt{"round 1 m-step", stop}}
	require.ErrorIs(t, run.Train(ctx, o), run.ErrInterrupted)
	o.Resume, o.Progress = filepath.Join(o.Out, "00001-"+name), run.Silent
	file, err := os.Open(filepath.Join(o.Resume, "state", "draws-001-8.f32"))
	require.NoError(t, err)
	defer file.Close()
	out := outcome{weights: map[string][]float32{}, draws: make([]float32, 8*8*8)}
	require.NoError(t, binary.Read(file, binary.LittleEndian, out.draws))

	require.NoError(t, run.Train(context.Background(), o))
	require.NoError(t, nn.ReadFile(filepath.Join(o.Resume, "weights.safetensors"), func(f *nn.Safetensors) error {
		for _, tensor := range f.Tensors {
			values, err := f.Read(tensor)
			require.NoError(t, err)
			out.weights[tensor.Name] = values
		}
		return nil
	}))
	return out
}

// distance is |got - want| / |want|, both summed over all arrays.
func distance(got, want map[string][]float32) float64 {
	var difference, norm float64
	for name, w := range want {
		for i, v := range w {
			d := float64(got[name][i]) - float64(v)
			difference += d * d
			norm += float64(v) * float64(v)
		}
	}
	return math.Sqrt(difference / norm)
}

func TestARoundOfEMOnTheEmulatorIsThatOfTheHost(t *testing.T) {
	host, emulated := learnTiny(t, "host"), learnTiny(t, "emu")
	require.NotEmpty(t, host.weights)
	require.Len(t, emulated.weights, len(host.weights))
	weights := distance(emulated.weights, host.weights)
	draws := distance(map[string][]float32{"": emulated.draws}, map[string][]float32{"": host.draws})
	t.Logf("relative distance of the weights %.2g, of the reconstructions %.2g", weights, draws)
	assert.LessOrEqual(t, weights, 1e-4)
	assert.LessOrEqual(t, draws, 1e-3)
	assert.Positive(t, weights, "the devices round differently: this compares a run with itself")
}
