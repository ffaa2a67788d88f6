package cmd_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tags is what go tool pprof says of the labels of a profile.
func tags(t *testing.T, profile string) string {
	t.Helper()
	out, err := exec.Command("go", "tool", "pprof", "-tags", profile).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// requireTrace reads an execution trace as go tool trace does.
func requireTrace(t *testing.T, path string) {
	t.Helper()
	out, err := exec.Command("go", "tool", "trace", "-d=parsed", path).CombinedOutput()
	require.NoError(t, err)
	for _, want := range []string{"RegionBegin", "down_blocks.0.resnets.0.conv1 Conv2D"} {
		assert.True(t, bytes.Contains(out, []byte(want)), "the trace lacks %s", want)
	}
}

func TestEveryCommandCanBeProfiled(t *testing.T) {
	home := filepath.Join(workplace(t), "home")
	require.NoError(t, os.Mkdir(home, 0o777))
	at := func(name string) string { return filepath.Join(home, name) }
	o := command(t, home, "emdiff-train", append([]string{"--cpuprofile", "cpu.pprof", "--memprofile", "mem.pprof", "--trace", "out.trace"}, second...)...)
	require.Zero(t, o.code, o.stderr)
	for _, want := range []string{" layer: Total", " op: Total", "down_blocks.0.resnets.0.", ": Conv2D"} {
		assert.Contains(t, tags(t, at("cpu.pprof")), want)
	}
	requireTrace(t, at("out.trace"))
	out, err := exec.Command("go", "tool", "pprof", "-sample_index=alloc_space", "-top", at("mem.pprof")).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "emdiff/")
	requireSame(t, at(filepath.Join("runs", "00001-emu-tiny"))) // not changed by being watched

	run := filepath.Join("runs", "00001-emu-tiny")
	writeImages(t, at("frame.npy"), 1, 8, 8)
	for name, args := range map[string][]string{
		"emdiff-sample":  {run, "--count", "64", "--out", "samples.npy"},
		"emdiff-restore": {run, "frame.npy", "--out", "restored"},
	} {
		o := command(t, home, name, append(args, "--device", "host", "--cpuprofile", name+".pprof", "--trace", name+".trace")...)
		require.Zero(t, o.code, o.stderr)
		assert.FileExists(t, at(name+".pprof"))
		requireTrace(t, at(name+".trace"))
	}
}

func TestAnInterruptedRunLeavesItsProfile(t *testing.T) {
	home := filepath.Join(workplace(t), "home")
	require.NoError(t, os.Mkdir(home, 0o777))
	cmd := exec.CommandContext(t.Context(), program("emdiff-train"), append([]string{"--cpuprofile", "cpu.pprof", "--set", "init.steps=1000000"}, second[:len(second)-8]...)...)
	var log bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, &log, &log
	require.NoError(t, cmd.Start())
	stats := filepath.Join(home, "runs", "00001-emu-tiny", "stats.jsonl")
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(stats)
		return bytes.Contains(text, []byte(`"event":"loss"`))
	}, time.Minute, 20*time.Millisecond, "the run never reported a loss")
	assert.NoFileExists(t, filepath.Join(home, "cpu.pprof"), "a file that is not whole yet")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Error(t, cmd.Wait())
	assert.Contains(t, log.String(), "emdiff-train --resume")
	assert.Contains(t, tags(t, filepath.Join(home, "cpu.pprof")), " layer: Total")
}

func TestAFailedCommandLeavesItsProfile(t *testing.T) {
	dir := t.TempDir()
	o := command(t, dir, "emdiff-sample", "missing", "--out", "out", "--cpuprofile", "cpu.pprof")
	assert.Equal(t, 1, o.code)
	assert.Contains(t, o.sentence(t, "emdiff-sample"), "missing cannot be opened")
	tags(t, filepath.Join(dir, "cpu.pprof"))
}

func TestProfilesThatCannotBeWrittenAreRefusedBeforeTheWork(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--cpuprofile", "missing/cpu"}, "--cpuprofile: missing/cpu cannot be created: no such file or directory: check that its folder exists"},
		{[]string{"--trace", "a", "--memprofile", "missing/b"}, "--memprofile: missing/b cannot be created"},
		{[]string{"--trace", "a", "--memprofile", "./a"}, "--trace and --memprofile both name ./a: give each a file of its own"},
	} {
		dir := t.TempDir()
		for name, first := range map[string][]string{"emdiff-train": nil, "emdiff-sample": {"run"}, "emdiff-restore": {"run", "images"}} {
			refused(t, dir, name, c.want, append(first, c.args...)...)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, left, strings.Join(c.args, " "))
		}
	}
}
