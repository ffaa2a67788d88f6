package main

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// binary builds the command once per test.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "emdiff-sample")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

func TestMistakesAreOneSentence(t *testing.T) {
	program, dir := binary(t), t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "run|file"},
		{[]string{dir, "--speed", "1"}, "--speed"},
		{[]string{dir}, "give --out or --grid"},
		{[]string{dir, "--grid", filepath.Join(dir, "a.png")}, "first round"},
		{[]string{"missing", "--grid", filepath.Join(dir, "a.png")}, "missing cannot be opened"},
		{[]string{dir, "--count", "0"}, "--count 0"},
		{[]string{dir, "--device", "tpu"}, "--device tpu"},
	} {
		out, err := exec.Command(program, c.args...).CombinedOutput()
		require.Error(t, err, c.args)
		text := strings.TrimSpace(string(out))
		assert.Contains(t, text, c.want)
		assert.NotContains(t, text, "\n", "more than one line")
		assert.NoFileExists(t, filepath.Join(dir, "a.png"))
	}
}

func TestTheFlagsReachTheSampler(t *testing.T) {
	program, dir := binary(t), t.TempDir()
	train := []string{"run", "../emdiff-train", "--out", dir, "--set", "network.block_out_channels=[8, 16]",
		"--set", "network.norm_num_groups=4", "--set", "data.limit=20", "--set", "init.clean=5", "--set", "init.steps=2", "--set", "em.rounds=0",
		"--set", "eval.held_out=2", "--set", "eval.draws=1", "--set", "eval.generated=2", "--set", "eval.shown=2", "--set", "prior.sample_steps=2"}
	out, err := exec.Command("go", train...).CombinedOutput()
	require.NoError(t, err, string(out))

	images, grid := filepath.Join(dir, "images"), filepath.Join(dir, "grid.png")
	out, err = exec.Command(program, filepath.Join(dir, "00001-quick"), "--count", "3", "--seed", "7", "--sampler", "ddim", "--steps", "3",
		"--batch", "2", "--threads", "1", "--out", images, "--grid", grid).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "ddim, 3 noise levels, seed 7")
	assert.FileExists(t, grid)
	files, err := filepath.Glob(filepath.Join(images, "*.png"))
	require.NoError(t, err)
	assert.Len(t, files, 3)
}
