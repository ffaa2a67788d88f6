package nn

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

// The process grows by what was planned, and by what no plan counts: packed weights (two copies at most) and scratch of the
// kernels, garbage of starting up (first weights, scratch that was too small), and the runtime's own tables. That is about
// 20 MiB here, whatever the batch and the checkpoints; 32 are allowed.
func TestTheProcessGrowsByWhatWasPlanned(t *testing.T) {
	const mebi, n = 1 << 20, 160
	cfg := quick()
	if choice := os.Getenv("EMDIFF_TEST_GROWTH"); choice != "" { // in a process of its own
		checkpoint, _ := ParseCheckpoint(choice)
		fmt.Printf("growth %d\n", growthOfTraining(t, cfg, n, checkpoint))
		return
	}
	cost, err := cfg.Cost(n)
	require.NoError(t, err)
	for c := CheckpointNone; c <= CheckpointBlocks; c++ {
		m, err := cfg.Memory(n, cfg.ImageSize, cfg.ImageSize, MemoryOptions{Mode: Training, Checkpoint: c})
		require.NoError(t, err)
		images := 4 * int64(n*(2*cfg.ImageSize*cfg.ImageSize+1))
		planned := cost.ParamBytes + NormBytes + m.Bytes + images
		child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		child.Env = append(os.Environ(), "EMDIFF_TEST_GROWTH="+c.String())
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		_, after, _ := strings.Cut(string(out), "growth ")
		number, _, _ := strings.Cut(after, "\n")
		grown, err := strconv.ParseInt(number, 10, 64)
		require.NoError(t, err, string(out))
		t.Logf("%s: planned %.1f MiB, the process grew by %.1f MiB", c, float64(planned)/mebi, float64(grown)/mebi)
		assert.Greater(t, float64(grown), 0.97*float64(planned), c)
		assert.Less(t, float64(grown), 1.02*float64(planned)+32*mebi, c)
	}
}

// growthOfTraining returns by how many bytes a step raised the resident memory at its peak.
func growthOfTraining(t *testing.T, cfg UNetConfig, n int, c Checkpoint) int64 {
	var set kernels.Set
	for _, i := range kernels.Implementations() {
		if strings.HasPrefix(i.Name, "host/") && i.Usable() == nil {
			var err error
			set, err = i.Open(kernels.Options{Threads: 1})
			require.NoError(t, err)
			break
		}
	}
	defer set.Close()
	runtime.GC()
	debug.FreeOSMemory()
	before := resident(t)
	u, err := NewUNet(set, cfg)
	require.NoError(t, err)
	u.Init(1)
	s := cfg.ImageSize
	x, dy := Wrap(set.Alloc(kernels.F32, n*s*s*cfg.InChannels), n, s, s, cfg.InChannels), Wrap(set.Alloc(kernels.F32, n*s*s*cfg.OutChannels), n, s, s, cfg.OutChannels)
	time := WrapVector(set.Alloc(kernels.F32, n), n)
	for _, b := range []*Tensor{x, dy, time} {
		set.Fill(b.Buf, 0.5, kernels.Elementwise{Len: b.Len()})
	}
	tape := NewTape(set, Training)
	tape.Checkpoint = c
	step(tape, u, x, time, dy)
	DefaultAdamW().Step(u.Params, 1, 0.99)
	return resident(t) - before
}

// resident is the highest resident memory of this process so far.
func resident(t *testing.T) int64 {
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[0] == "VmHWM:" {
			kibi, err := strconv.ParseInt(fields[1], 10, 64)
			require.NoError(t, err)
			return kibi << 10
		}
	}
	t.Fatal("/proc/self/status has no VmHWM")
	return 0
}
