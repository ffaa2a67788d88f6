package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tiny cuts the preset quick down to a second or two.
var tiny = []string{
	"--set", "network.block_out_channels=[8, 16]", "--set", "network.norm_num_groups=4", "--set", "data.limit=40",
	"--set", "init.clean=10", "--set", "init.steps=10", "--set", "em.rounds=1", "--set", "em.subset=20", "--set", "em.steps=10",
	"--set", "train.batch=8", "--set", "estep.steps=3", "--set", "eval.held_out=6", "--set", "eval.draws=2",
	"--set", "eval.generated=4", "--set", "eval.shown=3", "--set", "prior.sample_steps=3",
}

// binary builds the command once per test run.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "emdiff-train")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

func TestTheCommandLearnsAndContinues(t *testing.T) {
	program, runs := binary(t), filepath.Join(t.TempDir(), "runs")

	long := exec.Command(program, append([]string{"--out", runs, "--set", "init.steps=100000"}, tiny[6:]...)...)
	var log bytes.Buffer
	long.Stdout, long.Stderr = &log, &log
	require.NoError(t, long.Start())
	dir := filepath.Join(runs, "00001-quick")
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "stats.jsonl"))
		return bytes.Contains(text, []byte(`"event":"loss"`))
	}, time.Minute, 20*time.Millisecond, "the run never reported a loss")

	second := exec.Command(program, "--resume", dir)
	out, err := second.CombinedOutput()
	require.Error(t, err, "two processes shared a run folder")
	assert.Contains(t, string(out), "in use by process")

	require.NoError(t, long.Process.Signal(syscall.SIGINT))
	require.Error(t, long.Wait())
	assert.Contains(t, log.String(), "emdiff-train --resume "+dir)
	assert.FileExists(t, filepath.Join(dir, "state", "state.json"))

	out, err = exec.Command(program, append([]string{"--out", runs}, tiny...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "mean of  2 draws")
	assert.FileExists(t, filepath.Join(runs, "00002-quick", "weights.safetensors"))
}

func TestMistakesAreOneSentence(t *testing.T) {
	program := binary(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--preset", "slow"}, "choose one of"},
		{[]string{"--set", "train.speed=1"}, "train.speed"},
		{[]string{"--device", "tpu"}, "--device tpu"},
		{[]string{"--fast"}, "unknown flag --fast"},
		{[]string{"--threads", "-1"}, "--threads"},
		{[]string{"--data", "missing.idx"}, "missing.idx"},
		{[]string{"--resume", "missing"}, "missing"},
		{[]string{"--config", "missing.toml"}, "missing.toml"},
	} {
		runs := filepath.Join(t.TempDir(), "runs")
		cmd := exec.Command(program, append(c.args, "--out", runs)...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, c.args)
		assert.Contains(t, []int{1, 2}, cmd.ProcessState.ExitCode())
		text := strings.TrimSpace(string(out))
		assert.Contains(t, text, c.want)
		assert.NotContains(t, text, "\n", "more than one line")
		assert.NotContains(t, text, "goroutine")
		assert.NoDirExists(t, runs)
	}
}

func TestDryRunAndVersion(t *testing.T) {
	program := binary(t)
	out, err := exec.Command(program, append([]string{"--dry-run"}, tiny...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "in all about")
	out, err = exec.Command(program, "--version").CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(out), runtime.Version())
}
