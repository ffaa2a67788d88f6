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
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/data"
	"emdiff/nn"
)

// trained makes a small run, with settings that sets change, and returns its folder.
func trained(t *testing.T, sets ...string) string {
	t.Helper()
	out := t.TempDir()
	o := options(t, out, &bytes.Buffer{})
	o.Settings = small(t, append([]string{"em.rounds=0", "init.steps=2", "eval.draws=1", "prior.samples_clip=true"}, sets...)...)
	require.NoError(t, Train(context.Background(), o))
	return filepath.Join(out, "00001-quick")
}

// sampling are options for a few images.
func sampling(t *testing.T, from string) SampleOptions {
	return SampleOptions{From: from, Count: 5, Seed: 3, Batch: 5, Steps: 3, Set: openHost(t), Device: Device{Why: "why host"}, Log: &bytes.Buffer{}, Progress: Silent}
}

// array samples into a .npy file and reads it back.
func array(t *testing.T, o SampleOptions) *data.Set {
	t.Helper()
	o.Out = filepath.Join(t.TempDir(), "samples.npy")
	require.NoError(t, Sample(context.Background(), o))
	images, err := data.OpenOptions{Range: "-1,1"}.Open(o.Out)
	require.NoError(t, err)
	return images
}

func TestSamplesDoNotDependOnTheBatchOrTheCount(t *testing.T) {
	dir := trained(t)
	for _, sampler := range []string{"heun", "ddim", "ddpm"} {
		o := sampling(t, dir)
		o.Sampler = sampler
		want := array(t, o)
		require.Equal(t, []int{5, 28, 28, 1}, []int{want.Len(), want.H, want.W, want.C})
		for _, batch := range []int{1, 2, 64} {
			o.Batch = batch
			assert.Equal(t, want.Pixels, array(t, o).Pixels, "%s, batches of %d", sampler, batch)
		}
		o.Count = 2
		assert.Equal(t, want.Pixels[:2*want.ImageLen()], array(t, o).Pixels, "%s, the first of fewer", sampler)
		o.Seed = 4
		assert.NotEqual(t, want.Pixels[:2*want.ImageLen()], array(t, o).Pixels, "%s, another seed", sampler)
	}
}

func TestSamplesComeFromTheFolderOrItsWeightsAlone(t *testing.T) {
	dir := trained(t)
	moved := filepath.Join(t.TempDir(), "prior.safetensors")
	weights, err := os.ReadFile(filepath.Join(dir, weightsName))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(moved, weights, 0o666))
	assert.Equal(t, array(t, sampling(t, dir)).Pixels, array(t, sampling(t, moved)).Pixels)
}

func TestSamplesAreWrittenAsPicturesToo(t *testing.T) {
	dir := trained(t)
	o := sampling(t, dir)
	values := array(t, o)
	o.Out, o.Grid = filepath.Join(t.TempDir(), "a", "b"), filepath.Join(t.TempDir(), "grid.png")
	require.NoError(t, Sample(context.Background(), o))
	assert.Contains(t, o.Log.(*bytes.Buffer).String(), "device      why host\n")
	for i := range o.Count {
		assert.Equal(t, data.ToBytes(values.Image(i)), readPNG(t, filepath.Join(o.Out, fmt.Sprintf("%05d.png", i))).(*image.Gray).Pix)
	}
	assert.Greater(t, readPNG(t, o.Grid).Bounds().Dx(), 2*28)
	assert.ErrorContains(t, Sample(context.Background(), o), "already holds files")
}

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	picture, err := png.Decode(f)
	require.NoError(t, err)
	return picture
}

func TestSamplesOfOblongImagesKeepTheirShape(t *testing.T) {
	pictures := t.TempDir()
	for i := range 30 {
		require.NoError(t, WriteFile(filepath.Join(pictures, fmt.Sprintf("%02d.png", i)), func(w io.Writer) error {
			return png.Encode(w, image.NewGray(image.Rect(0, 0, 24, 16)))
		}))
	}
	images := array(t, sampling(t, trained(t, "data.path="+pictures)))
	assert.Equal(t, []int{16, 24}, []int{images.H, images.W})
}

func TestAnInterruptedSamplerWritesNothing(t *testing.T) {
	o := sampling(t, trained(t))
	ctx, cancel := context.WithCancel(context.Background())
	o.Batch, o.Progress = 1, interruptAt{"sample", cancel}
	o.Out, o.Grid = filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "grid.png")
	assert.ErrorContains(t, Sample(ctx, o), "stopped after 1 of 5 images")
	assert.NoFileExists(t, o.Grid)
	assert.NoDirExists(t, o.Out)
}

func TestSamplingMistakesAreOneSentence(t *testing.T) {
	dir := trained(t)
	empty, here := t.TempDir(), t.TempDir()
	p, err := openPrior(openHost(t), dir)
	require.NoError(t, err)
	defer p.close()
	file := func(name string, metadata map[string]string) string {
		path := filepath.Join(here, name)
		require.NoError(t, WriteFile(path, func(w io.Writer) error { return p.network.UNet.WriteWeights(w, nn.EMA, metadata) }))
		return path
	}
	text, err := p.settings.TOML()
	require.NoError(t, err)
	foreign := file("foreign", nil)
	newer := file("newer", map[string]string{settingsKey: "speed = 1"})
	impossible := file("impossible", map[string]string{settingsKey: "seed = 1"})
	unsized := file("unsized", map[string]string{settingsKey: string(text), sizeKey: "large"})
	odd := file("odd", map[string]string{settingsKey: string(text), sizeKey: "27x28"})
	garbage := filepath.Join(here, "garbage")
	require.NoError(t, os.WriteFile(garbage, []byte("weights"), 0o666))

	for _, c := range []struct {
		change func(*SampleOptions)
		says   string
	}{
		{func(o *SampleOptions) { o.From = "missing" }, "missing cannot be opened"},
		{func(o *SampleOptions) { o.From = empty }, "first round"},
		{func(o *SampleOptions) { o.From = foreign }, "foreign: the file has no settings"},
		{func(o *SampleOptions) { o.From = newer }, `newer: its settings: there is no setting "speed"`},
		{func(o *SampleOptions) { o.From = impossible }, "impossible: its settings: task.name"},
		{func(o *SampleOptions) { o.From = unsized }, "unsized: its metadata has"},
		{func(o *SampleOptions) { o.From = odd }, "odd: "},
		{func(o *SampleOptions) { o.From = garbage }, "garbage: "},
		{func(o *SampleOptions) { o.Count = 0 }, "--count 0"},
		{func(o *SampleOptions) { o.Batch = -1 }, "--batch -1"},
		{func(o *SampleOptions) { o.Steps = -1 }, "--steps -1"},
		{func(o *SampleOptions) { o.Sampler = "euler" }, "--sampler euler"},
		{func(o *SampleOptions) { o.Out, o.Grid = "", "" }, "give --out or --grid"},
		{func(o *SampleOptions) { o.Grid = "grid.jpg" }, "ends in .png"},
		{func(o *SampleOptions) { o.Grid = filepath.Join(empty, "none", "grid.png") }, "its folder does not exist"},
		{func(o *SampleOptions) { o.Out = filepath.Join(garbage, "a.npy") }, "its folder does not exist"},
		{func(o *SampleOptions) { o.Out = here }, "already holds files"},
		{func(o *SampleOptions) { o.Out = garbage }, "cannot be a folder"},
	} {
		o := sampling(t, dir)
		o.Grid = filepath.Join(empty, "grid.png")
		c.change(&o)
		err := Sample(context.Background(), o)
		if assert.ErrorContains(t, err, c.says) {
			assert.NotContains(t, err.Error(), "\n")
		}
		assert.NoFileExists(t, filepath.Join(empty, "grid.png"))
	}
}
