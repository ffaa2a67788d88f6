package run

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// userFolder holds n noisy files and, in masks, a mask for each, whose first row is measured up to column i.
func userFolder(t *testing.T, n, h, w int) string {
	dir := t.TempDir()
	for i := range n {
		greyFile(t, filepath.Join(dir, "y", fmt.Sprintf("%02d.png", i)), h, w, 16)
		mask := image.NewGray(image.Rect(0, 0, w, h))
		for j := range mask.Pix {
			if j >= w || j <= i {
				mask.Pix[j] = 255
			}
		}
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, mask))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "masks"), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "masks", fmt.Sprintf("%02d.png", i)), b.Bytes(), 0o666))
	}
	return dir
}

// userSettings learn from that folder.
func userSettings(t *testing.T, dir string, sets ...string) Settings {
	s := small(t, append([]string{"task.sigma=nan", "data.limit=0", "eval.held_out=250", "init.rank=4", "init.iterations=2"}, sets...)...)
	s.Data.Measurements = filepath.Join(dir, "y")
	return s
}

func TestMasksFollowTheirImagesThroughTheSplit(t *testing.T) {
	s := userSettings(t, userFolder(t, 20, 8, 12))
	s.Task.Name, s.Data.Masks = "inpaint", filepath.Join(filepath.Dir(s.Data.Measurements), "masks")
	_, images, err := loadImages(s)
	require.NoError(t, err)
	assert.Equal(t, 18, images.Train.Len())
	assert.Equal(t, 2, images.Held.Len(), "a tenth")
	require.Len(t, images.Masks, 20*8*12)
	for i := range 20 {
		set, k := images.Train, i
		if i >= 18 {
			set, k = images.Held, i-18
		}
		measured := 0
		for _, v := range images.Masks[i*96 : i*96+12] {
			measured += int(v)
		}
		number := 0
		fmt.Sscanf(set.Origin(k).Path, "%d.png", &number)
		assert.Equal(t, min(number+1, 12), measured)
	}
}

func TestPatchesAreCutAfterTheSplitAndKeepTheirMasks(t *testing.T) {
	s := userSettings(t, userFolder(t, 20, 8, 12))
	s.Data.Patch, s.Data.Masks, s.Task.Name = 4, filepath.Join(filepath.Dir(s.Data.Measurements), "masks"), "inpaint"
	whole, images, err := loadImages(s)
	require.NoError(t, err)
	assert.Equal(t, 12, whole.W)
	assert.Equal(t, 18*15, images.Train.Len(), "3 by 5 places, two pixels apart")
	assert.Equal(t, 2*15, images.Held.Len())
	assert.Equal(t, 4, images.Train.W)
	require.Len(t, images.Masks, 20*15*16)
	assert.Contains(t, describeImages(whole, images), "in patches of 4x4")

	s.Data.Limit, s.Eval.HeldOut = 50, 7
	_, images, err = loadImages(s)
	require.NoError(t, err)
	assert.Equal(t, 50, images.Train.Len())
	assert.Equal(t, 7, images.Held.Len())
	assert.Len(t, images.Masks, 57*16)
}

func TestNoiseThatIsNotStatedIsEstimatedAndKept(t *testing.T) {
	dir := userFolder(t, 60, 28, 28)
	out := t.TempDir()
	var log bytes.Buffer
	o := options(t, out, &log)
	o.Settings = userSettings(t, dir)
	require.NoError(t, Train(context.Background(), o))
	assert.Contains(t, log.String(), "was estimated from the measurements")
	assert.Contains(t, log.String(), "PSNR cannot be known")
	assert.NotContains(t, log.String(), "PSNR on")
	folder := filepath.Join(out, "00001-quick")
	s, err := readSettings(filepath.Join(folder, "config.toml"))
	require.NoError(t, err)
	assert.InDelta(t, 0.2/math.Sqrt2, s.Task.Sigma, 0.03, "of 0.2 sin")
	assert.Equal(t, 6, s.Eval.HeldOut)
	assert.FileExists(t, filepath.Join(folder, "misfit.png"))

	// A finished run can be continued from what it keeps: nothing is estimated again.
	log.Reset()
	o.Resume = folder
	require.NoError(t, Train(context.Background(), o))
	assert.NotContains(t, log.String(), "was estimated")

	// Other masks or clean images are other data.
	greyFile(t, filepath.Join(dir, "clean", "00.png"), 28, 28, 8)
	text, err := os.ReadFile(filepath.Join(folder, "config.toml"))
	require.NoError(t, err)
	text = bytes.Replace(text, []byte("clean = ''"), []byte("clean = '"+filepath.Join(dir, "clean")+"'"), 1)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "config.toml"), text, 0o666))
	assert.ErrorContains(t, Train(context.Background(), o), "are not those the run began with")
}

func TestAFewCleanImagesMayStartWhatMeasurementsGoOnWith(t *testing.T) {
	dir, out := userFolder(t, 30, 28, 28), t.TempDir()
	for i := range 3 {
		greyFile(t, filepath.Join(dir, "clean", fmt.Sprintf("%d.png", i)), 28, 28, 8)
	}
	var log bytes.Buffer
	o := options(t, out, &log)
	o.Settings = userSettings(t, dir)
	o.Settings.Data.Clean = filepath.Join(dir, "clean")
	require.NoError(t, Train(context.Background(), o))
	assert.Contains(t, log.String(), "27 to learn from, 3 clean, 3 held out")
	assert.NotContains(t, log.String(), "a Gaussian of rank")
}

func TestLimitedDataAreTakenFromTheStartOrFromEverywhere(t *testing.T) {
	dir := userFolder(t, 40, 8, 8)
	s := userSettings(t, dir, "data.limit=10", "eval.held_out=2")
	_, images, err := loadImages(s)
	require.NoError(t, err)
	first := images.Train
	assert.Equal(t, 10, first.Len())
	s.Data.Shuffle = true
	_, images, err = loadImages(s)
	require.NoError(t, err)
	highest := func(n int, path func(i int) string) (most int) {
		for i := range n {
			number := 0
			fmt.Sscanf(path(i), "%d.png", &number)
			most = max(most, number)
		}
		return most
	}
	assert.Less(t, highest(10, func(i int) string { return first.Origin(i).Path }), 13)
	assert.Greater(t, highest(10, func(i int) string { return images.Train.Origin(i).Path }), 20)
}

func TestAPriorIsLearnedBehindAKernelOfTheUser(t *testing.T) {
	dir, out := userFolder(t, 30, 28, 28), t.TempDir()
	kernel := filepath.Join(dir, "psf.txt")
	require.NoError(t, os.WriteFile(kernel, []byte("0 1 2\n1 4 1\n3 1 0\n"), 0o666))
	var log bytes.Buffer
	o := options(t, out, &log)
	o.Settings = userSettings(t, dir, "task.name=deblur", "train.ambient=false", "estep.sampler=split-gibbs")
	o.Settings.Data.Kernel = kernel
	require.NoError(t, Train(context.Background(), o))
	assert.Contains(t, log.String(), "deblur, kernel in "+kernel)
	records, err := ReadStats(filepath.Join(out, "00001-quick", "stats.jsonl"))
	require.NoError(t, err)
	likelihood, ok := historyOf(records).last().Float("loglik_measurements")
	assert.True(t, ok)
	assert.Less(t, math.Abs(likelihood), 10.0)
}
