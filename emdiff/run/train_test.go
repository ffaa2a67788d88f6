package run

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/learn"
	"emdiff/kernels"
	_ "emdiff/kernels/host"
	"emdiff/nn"
)

// openHost opens the best usable level of the host.
func openHost(t *testing.T) kernels.Set {
	t.Helper()
	for _, i := range kernels.Implementations() {
		if i.Usable() == nil {
			set, err := i.Open(kernels.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { set.Close() })
			return set
		}
	}
	t.Fatal("no implementation of the kernels works here")
	return nil
}

// small is the preset quick cut down to a second.
func small(t *testing.T, sets ...string) Settings {
	t.Helper()
	s, err := Resolve("quick", "", append([]string{
		"network.block_out_channels=[8, 16]", "network.norm_num_groups=4", "data.limit=40", "init.clean=10", "init.steps=10",
		"em.rounds=1", "em.subset=20", "em.steps=10", "train.batch=8", "estep.steps=3", "estep.batch=16",
		"eval.held_out=6", "eval.draws=2", "eval.generated=4", "eval.shown=3", "prior.sample_steps=3"}, sets...))
	require.NoError(t, err)
	return s
}

func options(t *testing.T, out string, log *bytes.Buffer) TrainOptions {
	set := openHost(t)
	return TrainOptions{Settings: small(t), Name: "quick", Out: out, Set: set,
		Device: Device{Name: "host", Level: set.Name(), Why: set.Name()}, Log: log, Progress: Silent}
}

func TestTrainLeavesEverythingInTheRunFolder(t *testing.T) {
	out := t.TempDir()
	var log bytes.Buffer
	o := options(t, out, &log)
	require.NoError(t, Train(context.Background(), o))
	dir := filepath.Join(out, "00001-quick")
	for _, name := range []string{"config.toml", "manifest.json", "stats.jsonl", "reconstructions.png", "generated.png",
		"generated-rounds.png", "loss.png", "psnr.png", "weights.safetensors", "state/state.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if assert.NoError(t, err) {
			assert.Positive(t, info.Size(), name)
		}
	}
	assert.Contains(t, log.String(), "mean of  2 draws")

	records, err := ReadStats(filepath.Join(dir, "stats.jsonl"))
	require.NoError(t, err)
	done := records[len(records)-1]
	assert.Equal(t, "done", done.Event)
	for _, key := range []string{"psnr_measurements", "psnr_init_prior", "psnr_final", "psnr_final_mean", "seconds"} {
		_, ok := done.Float(key)
		assert.True(t, ok, "the last line lacks %s", key)
	}

	resolved, err := readSettings(filepath.Join(dir, "config.toml"))
	require.NoError(t, err)
	want := o.Settings
	want.Network.InChannels, want.Network.OutChannels, want.Network.ImageSize = 1, 1, 28
	assert.Equal(t, want, resolved, "the settings in the folder are those of the run")

	require.NoError(t, nn.ReadFile(filepath.Join(dir, "weights.safetensors"), func(f *nn.Safetensors) error {
		c, err := nn.StoredConfig(f)
		require.NoError(t, err)
		u, err := nn.NewUNet(o.Set, c)
		require.NoError(t, err)
		defer u.Close()
		return u.ReadWeights(f)
	}))
}

// interruptAt ends the context when a task whose label holds the text has advanced.
type interruptAt struct {
	text   string
	cancel func()
}

func (p interruptAt) Start(label string, total int) Task { return &interruptTask{p, label} }

type interruptTask struct {
	interruptAt
	label string
}

func (p *interruptTask) Add(n int) {
	if n > 0 && p.label == p.text {
		p.cancel()
	}
}
func (p *interruptTask) Note(string) {}
func (p *interruptTask) Done()       {}

func TestAContinuedRunEndsWithTheSameWeights(t *testing.T) {
	var log bytes.Buffer
	whole := t.TempDir()
	require.NoError(t, Train(context.Background(), options(t, whole, &log)))
	want, err := os.ReadFile(filepath.Join(whole, "00001-quick", "weights.safetensors"))
	require.NoError(t, err)

	out := t.TempDir()
	dir := filepath.Join(out, "00001-quick")
	for i, at := range []string{"init", "round 1 e-step", "round 1 m-step", "round 1 evaluate", "final"} {
		log.Reset()
		ctx, cancel := context.WithCancel(context.Background())
		o := options(t, out, &log)
		o.Progress = interruptAt{at, cancel}
		if i > 0 {
			o.Resume = dir
		}
		require.ErrorIs(t, Train(ctx, o), learn.ErrInterrupted, at)
		assert.Contains(t, log.String(), "emdiff-train --resume "+dir)
		cancel()
	}
	o := options(t, out, &log)
	o.Resume = dir
	require.NoError(t, Train(context.Background(), o))
	got, err := os.ReadFile(filepath.Join(dir, "weights.safetensors"))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got), "weights of the continued run differ")

	events := map[string]int{}
	records, err := ReadStats(filepath.Join(dir, "stats.jsonl"))
	require.NoError(t, err)
	for _, r := range records {
		events[r.Event]++
	}
	assert.Equal(t, map[string]int{"start": 1, "loss": 2, "round": 2, "done": 1}, events, "no record is lost or repeated")
}

func TestARunFolderInUseIsRefused(t *testing.T) {
	out := t.TempDir()
	var log bytes.Buffer
	o := options(t, out, &log)
	require.NoError(t, Train(context.Background(), o))
	dir := filepath.Join(out, "00001-quick")
	holder, err := Open(dir)
	require.NoError(t, err)
	require.NoError(t, holder.Lock())
	o.Resume = dir
	require.ErrorContains(t, Train(context.Background(), o), "in use")
	require.NoError(t, holder.Unlock())
}

func TestAnotherLevelMustBeAllowed(t *testing.T) {
	out := t.TempDir()
	var log bytes.Buffer
	o := options(t, out, &log)
	require.NoError(t, Train(context.Background(), o))
	o.Resume = filepath.Join(out, "00001-quick")
	o.Device.Level = "host/other"
	require.ErrorContains(t, Train(context.Background(), o), "--other-level")
	o.OtherLevel = true
	require.NoError(t, Train(context.Background(), o))
}

func TestImpossibleRunsLeaveNoFolder(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"task.sigma=-1", "task.sigma"},
		{"eval.held_out=10000", "eval.held_out"},
		{"network.unshuffle=8", "multiples of"},
		{"estep.sampler=gibbs", "estep.sampler"},
		{"train.ema=nan", "train.ema = NaN must be a finite number"},
		{"network.block_out_channels=[9223372036854775807]", "network.block_out_channels[0] = 9223372036854775807 is too large"},
		{"train.batch=2147483647", "train.batch = 2147483647 takes about"},
		{"estep.sampler=split-gibbs estep.rho_decay=2", "decay"}, // found when the sampler is built
		{"data.path=/no/such/file", "/no/such/file"},
	} {
		out := t.TempDir()
		var log bytes.Buffer
		o := options(t, out, &log)
		for _, kv := range strings.Fields(c.set) {
			require.NoError(t, o.Settings.Set(kv))
		}
		require.ErrorContains(t, Train(context.Background(), o), c.want)
		entries, err := os.ReadDir(out)
		require.NoError(t, err)
		assert.Empty(t, entries, c.set)
	}
}

func TestDryRunSaysWhatARunCosts(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, DryRun(&out, openHost(t), small(t)))
	for _, word := range []string{"parameters", "GFLOP", "MiB", "E-step", "in all about"} {
		assert.Contains(t, out.String(), word)
	}
}

func TestSettingsOverrideEachOtherInOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.toml")
	require.NoError(t, os.WriteFile(file, []byte("[train]\nlr = 1e-4\nbatch = 7\n[task]\nname = \"inpaint\"\nmasked = 0.5\n"), 0o666))
	s, err := Resolve("quick", file, []string{"train.batch=9", "task.name=deblur"})
	require.NoError(t, err)
	assert.Equal(t, 1e-4, s.Train.LR)
	assert.Equal(t, 9, s.Train.Batch)
	assert.Equal(t, "deblur", s.Task.Name)
	assert.Equal(t, 0.5, s.Task.Masked)
}

func TestMistakenSettingsAreOneSentence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.toml")
	require.NoError(t, os.WriteFile(file, []byte("[train]\nlearning_rate = 1\n"), 0o666))
	for _, c := range []struct {
		preset, file string
		set          []string
		want         string
	}{
		{"fast", "", nil, "choose one of"},
		{"quick", "/no/such.toml", nil, "/no/such.toml"},
		{"quick", file, nil, `no setting "train.learning_rate"`},
		{"quick", "", []string{"train.speed=1"}, `no setting "train.speed"`},
		{"quick", "", []string{"train.lr"}, "key=value"},
		{"quick", "", []string{"train.lr=quickly"}, "--set train.lr=quickly"},
	} {
		_, err := Resolve(c.preset, c.file, c.set)
		if assert.ErrorContains(t, err, c.want) {
			assert.NotContains(t, err.Error(), "\n")
		}
	}
}

func TestEveryPresetIsPossible(t *testing.T) {
	for _, name := range Presets() {
		s, err := Resolve(name, "", nil)
		require.NoError(t, err, name)
		s.Network.InChannels, s.Network.OutChannels, s.Network.ImageSize = 3, 3, 32
		assert.NoError(t, s.Validate(learn.Camera{}), name)
	}
}

func TestSettingsSurviveTheirFile(t *testing.T) {
	s := small(t)
	text, err := s.TOML()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(path, text, 0o666))
	got, err := readSettings(path)
	require.NoError(t, err)
	assert.Equal(t, s, got)
}

func TestCheckpointsAreKeptWholly(t *testing.T) {
	folder := &Folder{Dir: t.TempDir()}
	stats, err := OpenStats(folder.Path("stats.jsonl"))
	require.NoError(t, err)
	defer stats.Close()
	c := checkpoint{folder: folder, stats: stats}
	_, ok, err := c.Load()
	require.NoError(t, err)
	assert.False(t, ok)

	write := func(name, text string) learn.File {
		return learn.File{Name: name, Write: func(w io.Writer) error {
			_, err := w.Write([]byte(text))
			return err
		}}
	}
	require.NoError(t, c.Save(learn.State{Round: 1}, []learn.File{write("a", "one"), write("b", "two")}))
	time.Sleep(5 * time.Millisecond)
	before, err := os.Stat(c.path("b"))
	require.NoError(t, err)
	require.NoError(t, c.Save(learn.State{Round: 2}, []learn.File{write("b", "never written again"), write("c", "three")}))
	after, err := os.Stat(c.path("b"))
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime(), "a file the checkpoint has is not rewritten")
	assert.NoFileExists(t, c.path("a"))

	state, ok, err := c.Load()
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, 2, state.Round)
	require.NoError(t, os.WriteFile(c.path("state.json"), []byte("{"), 0o666))
	_, _, err = c.Load()
	assert.ErrorContains(t, err, "damaged")
}

func TestTrainReadsAFolderOfPictures(t *testing.T) {
	dir := t.TempDir()
	for i := range 60 {
		picture := image.NewGray(image.Rect(0, 0, 30, 32))
		for j := range picture.Pix {
			picture.Pix[j] = uint8(i*7 + j)
		}
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%02d.png", i)))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, picture))
		require.NoError(t, f.Close())
	}
	var log bytes.Buffer
	o := options(t, t.TempDir(), &log)
	o.Settings = small(t, "data.path="+dir, "data.size=16", "init.steps=2", "em.steps=2")
	require.NoError(t, Train(context.Background(), o))
	assert.Contains(t, log.String(), "16x16x1: 40 to measure, 10 clean, 6 held out")
}

func TestAnotherTuningTableMustBeAllowed(t *testing.T) {
	out := t.TempDir()
	var log bytes.Buffer
	o := options(t, out, &log)
	require.NoError(t, Train(context.Background(), o))
	o.Resume = filepath.Join(out, "00001-quick")
	o.Device.Tuning = "abababababababab"
	require.ErrorContains(t, Train(context.Background(), o), "the run began with no tuning table and this is tuning table abababababab: set EMDIFF_CUDA_TUNING")
	o.OtherLevel = true
	require.NoError(t, Train(context.Background(), o))
}

func TestAFolderThatIsNoRunIsLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, ".somebody.tmp") // Lock would sweep it
	require.NoError(t, os.WriteFile(foreign, nil, 0o666))
	var log bytes.Buffer
	o := options(t, t.TempDir(), &log)
	o.Resume = dir
	require.ErrorContains(t, Train(context.Background(), o), filepath.Join(dir, "config.toml")+" does not exist: give the folder of a run")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.FileExists(t, foreign)
}
