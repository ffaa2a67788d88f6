package main

import (
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/tiff"
)

// frame is a 16-bit grey TIFF of 30 by 28 pixels.
func frame(t *testing.T, path string) {
	t.Helper()
	m := image.NewGray16(image.Rect(0, 0, 30, 28))
	for y := range 28 {
		for x := range 30 {
			m.SetGray16(x, y, color.Gray16{Y: uint16(1000 + 70*x + 40*y)})
		}
	}
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, tiff.Encode(f, m, nil))
	require.NoError(t, f.Close())
}

func TestTheFlagsReachTheRestoration(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "emdiff-restore")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	text, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(text))
	train := []string{"run", "../emdiff-train", "--out", dir, "--set", "network.block_out_channels=[8, 16]",
		"--set", "network.norm_num_groups=4", "--set", "data.limit=20", "--set", "init.clean=5", "--set", "init.steps=2", "--set", "em.rounds=0",
		"--set", "eval.held_out=2", "--set", "eval.draws=1", "--set", "eval.generated=2", "--set", "eval.shown=2", "--set", "prior.sample_steps=2"}
	text, err = exec.Command("go", train...).CombinedOutput()
	require.NoError(t, err, string(text))
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(in, 0o777))
	frame(t, filepath.Join(in, "frame.tif"))

	args := []string{filepath.Join(dir, "00001-quick"), in, "--out", out, "--sigma", "0.3", "--draws", "3", "--save-draws", "--sampler", "pmc-pnp",
		"--steps", "2", "--seed", "7", "--batch", "5", "--threads", "1", "--range", "0,8000"}
	text, err = exec.Command(program, append(args, "--dry-run")...).CombinedOutput()
	require.NoError(t, err, string(text))
	assert.Contains(t, string(text), "18 denoiser calls", "3 draws of 2 patches, 2 steps and a last call")
	assert.NoDirExists(t, out)

	text, err = exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, string(text))
	for _, part := range []string{"noise sigma 0.3", "pmc-pnp, 3 draws of each image, seed 7", "restored    1 images"} {
		assert.Contains(t, string(text), part)
	}
	files, err := filepath.Glob(filepath.Join(out, "*"))
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	assert.Equal(t, "frame-draw-1.tif frame-draw-2.tif frame-draw-3.tif frame-std.npy frame-std.png frame.tif restore.json", strings.Join(names, " "))
	f, err := os.Open(filepath.Join(out, "frame.tif"))
	require.NoError(t, err)
	defer f.Close()
	m, err := tiff.Decode(f)
	require.NoError(t, err)
	assert.IsType(t, &image.Gray16{}, m)

	text, err = exec.Command(program, args...).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(text), "--overwrite")
}
