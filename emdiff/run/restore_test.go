package run

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/tiff"

	"emdiff/emdiff/data"
)

// greyFile is a file of a corrupted image: bright stripes with noise that depends on the name.
func greyFile(t *testing.T, path string, h, w, bits int) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	pixels := make([]float32, h*w)
	for i := range pixels {
		pixels[i] = float32(0.6*math.Sin(float64(i%w)/5) + 0.2*math.Sin(float64(i*i+len(path))))
	}
	origin := data.Origin{Format: data.Format(filepath.Ext(path)[1:]), BitDepth: bits, Affine: data.Affine{Scale: float64(uint(1)<<bits-1) / 2, Offset: float64(uint(1)<<bits-1) / 2}}
	var b bytes.Buffer
	require.NoError(t, data.Export(&b, pixels, h, w, 1, origin))
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
}

// smallPrior trains a prior of a second and returns its run folder.
func smallPrior(t *testing.T, sets ...string) string {
	t.Helper()
	out := t.TempDir()
	o := options(t, out, &bytes.Buffer{})
	o.Settings = small(t, sets...)
	require.NoError(t, Train(context.Background(), o))
	return filepath.Join(out, "00001-quick")
}

func restoreOptions(t *testing.T, prior, in string) RestoreOptions {
	return RestoreOptions{From: prior, Path: in, Out: filepath.Join(t.TempDir(), "restored"), Draws: 3, Batch: 64, Seed: 1, Set: openHost(t),
		Device: Device{Why: "why host"}, Log: io.Discard, Progress: Silent}
}

// tree reads all files below a folder.
func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	}))
	return files
}

func TestEveryFileIsRestoredInItsOwnFormatAndSize(t *testing.T) {
	prior, in := smallPrior(t), t.TempDir()
	greyFile(t, filepath.Join(in, "a.png"), 28, 28, 8)
	greyFile(t, filepath.Join(in, "sub", "b.tiff"), 40, 33, 16)
	o := restoreOptions(t, prior, in)
	o.SaveDraws = true
	require.NoError(t, Restore(context.Background(), o))
	files := tree(t, o.Out)
	for _, name := range []string{"a.png", "a-std.png", "a-std.npy", "a-draw-1.png", "a-draw-3.png", "sub/b.tiff", "sub/b-std.png",
		"sub/b-std.npy", "sub/b-draw-2.tiff", "restore.json"} {
		assert.Contains(t, files, name)
	}
	assert.Len(t, files, 2*6+1)

	small, err := png.Decode(bytes.NewReader(files["a.png"]))
	require.NoError(t, err)
	assert.IsType(t, &image.Gray{}, small)
	large, err := tiff.Decode(bytes.NewReader(files["sub/b.tiff"]))
	require.NoError(t, err)
	assert.Equal(t, color.Gray16Model, large.ColorModel())
	assert.Equal(t, image.Rect(0, 0, 33, 40), large.Bounds())

	var record restoreRecord
	require.NoError(t, json.Unmarshal(files["restore.json"], &record))
	require.Len(t, record.Files, 2)
	assert.Equal(t, "sub/b.tiff", record.Files[1].Input)
	assert.Positive(t, record.Files[0].Misfit)

	// Mean and standard deviation are those of the draws, in the units of the file.
	std, err := data.OpenOptions{Range: "0,65535"}.Open(filepath.Join(o.Out, "sub", "b-std.npy"))
	require.NoError(t, err)
	pixel := image.Pt(20, 30)
	var draws []float64
	for _, k := range []string{"1", "2", "3"} {
		m, err := tiff.Decode(bytes.NewReader(files["sub/b-draw-"+k+".tiff"]))
		require.NoError(t, err)
		draws = append(draws, float64(m.(*image.Gray16).Gray16At(pixel.X, pixel.Y).Y))
	}
	mean := (draws[0] + draws[1] + draws[2]) / 3
	variance := 0.0
	for _, d := range draws {
		variance += (d - mean) * (d - mean) / 2
	}
	assert.InDelta(t, mean, float64(large.(*image.Gray16).Gray16At(pixel.X, pixel.Y).Y), 1)
	assert.InDelta(t, math.Sqrt(variance), 65535*(float64(std.Pixels[pixel.Y*33+pixel.X])+1)/2, 2)
}

func TestRestorationDoesNotDependOnTheBatch(t *testing.T) {
	prior, in := smallPrior(t), t.TempDir()
	greyFile(t, filepath.Join(in, "a.png"), 28, 28, 8)
	greyFile(t, filepath.Join(in, "b.png"), 30, 44, 8)
	o := restoreOptions(t, prior, in)
	require.NoError(t, Restore(context.Background(), o))
	again := o
	again.Batch, again.Out = 2, filepath.Join(t.TempDir(), "again")
	require.NoError(t, Restore(context.Background(), again))
	one, two := tree(t, o.Out), tree(t, again.Out)
	for name, content := range one {
		if name != "restore.json" {
			assert.True(t, bytes.Equal(content, two[name]), name)
		}
	}
}

// Across the borders of patches neighbouring pixels differ as much as they do elsewhere.
func TestALargeImageHasNoSeams(t *testing.T) {
	prior, in := smallPrior(t), t.TempDir()
	const side = 140
	greyFile(t, filepath.Join(in, "a.tiff"), side, side, 16)
	o := restoreOptions(t, prior, in)
	o.Draws = 2
	require.NoError(t, Restore(context.Background(), o))
	s, err := data.Open(filepath.Join(o.Out, "a.tiff"))
	require.NoError(t, err)
	var border, inside float64
	var borders, insides int
	for y := 1; y < side; y++ {
		for x := range side {
			d := math.Abs(float64(s.Pixels[y*side+x] - s.Pixels[(y-1)*side+x]))
			if y%14 == 0 {
				border, borders = border+d, borders+1
			} else {
				inside, insides = inside+d, insides+1
			}
		}
	}
	assert.InDelta(t, 1, border/float64(borders)/(inside/float64(insides)), 0.1)
}

func TestEveryTaskCanBeRestoredUnderOnePrior(t *testing.T) {
	prior, in := smallPrior(t), t.TempDir()
	greyFile(t, filepath.Join(in, "y", "a.png"), 28, 28, 8)
	mask := image.NewGray(image.Rect(0, 0, 28, 28))
	for i := range mask.Pix {
		mask.Pix[i] = uint8(255 * (i % 2))
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, mask))
	require.NoError(t, os.MkdirAll(filepath.Join(in, "m"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(in, "m", "a.png"), b.Bytes(), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(in, "psf.txt"), []byte("0 1 2\n1 4 1\n3 1 0\n"), 0o666))
	for name, change := range map[string]func(o *RestoreOptions){
		"split-gibbs": func(o *RestoreOptions) { o.Masks = filepath.Join(in, "m") }, // the run's own sampler is for noise alone
		"dps":         func(o *RestoreOptions) { o.Sampler, o.Steps = "dps", 4 },
		"pmc-red":     func(o *RestoreOptions) { o.Sampler, o.Steps, o.Masks = "pmc-red", 4, filepath.Join(in, "m") },
	} {
		o := restoreOptions(t, prior, filepath.Join(in, "y"))
		var log bytes.Buffer
		o.Log = &log
		change(&o)
		require.NoError(t, Restore(context.Background(), o), name)
		assert.Contains(t, log.String(), "sampler     "+name)
		assert.FileExists(t, filepath.Join(o.Out, "a.png"))
	}
}

func TestRestoreRefusesWhatCannotBe(t *testing.T) {
	prior, in := smallPrior(t), t.TempDir()
	greyFile(t, filepath.Join(in, "ok", "a.png"), 28, 28, 8)
	greyFile(t, filepath.Join(in, "small", "a.png"), 20, 28, 8)
	greyFile(t, filepath.Join(in, "twins", "a.png"), 28, 28, 8)
	greyFile(t, filepath.Join(in, "twins", "a.webp.png"), 28, 28, 8)
	greyFile(t, filepath.Join(in, "mask", "a.png"), 28, 28, 8) // many values
	greyFile(t, filepath.Join(in, "pair", "a.tiff"), 28, 28, 8)
	greyFile(t, filepath.Join(in, "pair", "a.tif.png"), 28, 28, 8)
	colour := image.NewNRGBA(image.Rect(0, 0, 28, 28))
	for i := range colour.Pix {
		colour.Pix[i] = uint8(i*i | 255*(i&3/3))
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, colour))
	require.NoError(t, os.WriteFile(filepath.Join(in, "colour.png"), b.Bytes(), 0o666))
	sigma := -1.0
	for _, c := range []struct {
		change func(o *RestoreOptions)
		want   string
	}{
		{func(o *RestoreOptions) { o.Path = filepath.Join(in, "none") }, "none: cannot be opened"},
		{func(o *RestoreOptions) { o.Path = filepath.Join(in, "small") }, "20 x 28 pixels (height x width) is smaller than the 28 x 28"},
		{func(o *RestoreOptions) { o.Path = filepath.Join(in, "colour.png") }, "--grey"},
		{func(o *RestoreOptions) { o.Masks = filepath.Join(in, "mask") }, "a.png"},
		{func(o *RestoreOptions) { o.Masks, o.Kernel = "m", "k" }, "give one"},
		{func(o *RestoreOptions) { o.Draws = 0 }, "--draws 0"},
		{func(o *RestoreOptions) { o.Sigma = &sigma }, "--sigma -1"},
		{func(o *RestoreOptions) { o.Sampler = "magic" }, `"magic"`},
		{func(o *RestoreOptions) { o.Out = "" }, "--out"},
		{func(o *RestoreOptions) { o.From = in }, "weights.safetensors"},
	} {
		o := restoreOptions(t, prior, filepath.Join(in, "ok"))
		c.change(&o)
		assert.ErrorContains(t, Restore(context.Background(), o), c.want)
		if o.Out != "" {
			assert.Empty(t, leftovers(o.Out), c.want)
		}
	}

	o := restoreOptions(t, prior, filepath.Join(in, "ok"))
	require.NoError(t, Restore(context.Background(), o))
	assert.ErrorContains(t, Restore(context.Background(), o), "--overwrite")
	o.Overwrite = true
	assert.NoError(t, Restore(context.Background(), o))
}

// leftovers lists the files below a folder that may not exist.
func leftovers(dir string) (names []string) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return nil
	})
	return names
}

func TestADryRunOfRestoringCountsAndWritesNothing(t *testing.T) {
	prior, in := smallPrior(t), t.TempDir()
	greyFile(t, filepath.Join(in, "a.png"), 28, 28, 8)
	greyFile(t, filepath.Join(in, "b.png"), 56, 28, 8)
	o := restoreOptions(t, prior, in)
	var log bytes.Buffer
	o.Log, o.DryRun = &log, true
	require.NoError(t, Restore(context.Background(), o))
	assert.Contains(t, log.String(), "device      why host\n")
	assert.Contains(t, log.String(), "images      2")
	assert.Contains(t, log.String(), "36 denoiser calls", "3 draws of 3 steps: one patch, and three")
	assert.NoDirExists(t, o.Out)

	o.Kernel = filepath.Join(t.TempDir(), "psf.txt")
	require.NoError(t, os.WriteFile(o.Kernel, []byte("0 1 2\n1 4 1\n3 1 0\n"), 0o666))
	assert.NoError(t, Restore(context.Background(), o))
}

func TestAnInterruptedRestorationKeepsWhatIsFinished(t *testing.T) {
	prior, in := smallPrior(t), t.TempDir()
	greyFile(t, filepath.Join(in, "a.png"), 28, 28, 8)
	greyFile(t, filepath.Join(in, "b.png"), 28, 28, 8)
	o := restoreOptions(t, prior, in)
	ctx, stop := context.WithCancel(context.Background())
	o.Progress = stopAfter{stop}
	assert.ErrorContains(t, Restore(ctx, o), "b.png: stopped here")
	assert.FileExists(t, filepath.Join(o.Out, "a.png"))
	assert.FileExists(t, filepath.Join(o.Out, "restore.json"))
	assert.NoFileExists(t, filepath.Join(o.Out, "b-std.png"))
}

// stopAfter ends a context at the first progress.
type stopAfter struct{ stop func() }

func (s stopAfter) Start(string, int) Task { return s }
func (s stopAfter) Add(int)                { s.stop() }
func (s stopAfter) Note(string)            {}
func (s stopAfter) Done()                  {}
