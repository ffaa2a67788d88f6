package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels/cuda"
)

func TestTheCommandRuns(t *testing.T) {
	program := filepath.Join(t.TempDir(), "emdiff-ptx")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	profile := filepath.Join(t.TempDir(), "cpu.pprof")
	table := filepath.Join(t.TempDir(), "table.json")
	ptx := filepath.Join("..", "..", "kernels", "cuda", "ptx", "layout.sm70.ptx")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"list"}, "silu_forward_f32_vec4"},
		{[]string{"check", "Fill", "--cpuprofile", profile}, "fill_forward_f32_vec4"},
		{[]string{"count", "Fill:Len=64", "Copy:Len=8,Accumulate=true"}, "Copy:Len=8,Accumulate=true  (at least"},
		{[]string{"count", "--json", "Fill:Len=64"}, `"shape": "Fill:Len=64"`},
		{[]string{"count", "--net", "emu-tiny", "--images", "1", "--pass", "forward,pmc"}, "emu-tiny, pmc, f32, 1 images"},
		{[]string{"count", "--net", "emu-tiny", "--images", "1", "--pass", "forward", "--precision", "bf16", "--markdown"}, "| emu-tiny | forward | bf16 |"},
		{[]string{"run", "Fill", "--shape", "Len=64"}, "Fill:Len=64 on PTX emulator: correct"},
		{[]string{"run", "--json", "fill_forward_f32_naive"}, `"unit": "thread instructions"`},
		{[]string{"tune", "--preset", "emu-tiny", "--images", "1", "--out", table}, "shapes in " + table},
		{[]string{"diff", ptx, ptx}, "unchanged"},
	} {
		out, err := exec.Command(program, c.args...).CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Contains(t, string(out), c.want, c.args)
	}
	assert.FileExists(t, profile)
	_, err = cuda.ReadTable(table)
	assert.NoError(t, err, "the table is one that the kernels take")

	interrupted := filepath.Join(t.TempDir(), "cpu.pprof")
	long := exec.Command(program, "check", "--cpuprofile", interrupted)
	require.NoError(t, long.Start())
	require.Eventually(t, func() bool {
		begun, _ := filepath.Glob(filepath.Join(filepath.Dir(interrupted), ".cpu*.tmp"))
		return len(begun) > 0
	}, time.Minute, time.Millisecond)
	time.Sleep(100 * time.Millisecond) // until the signal is caught, and something was recorded
	require.NoError(t, long.Process.Signal(os.Interrupt))
	require.Error(t, long.Wait())
	assert.Equal(t, 1, long.ProcessState.ExitCode())
	assert.FileExists(t, interrupted)

	for want, args := range map[string][]string{
		"missing.ptx":                   {"diff", ptx, "missing.ptx"},
		"there is no op":                {"check", "Fold"},
		"no parameter":                  {"count", "Fill:Width=64"},
		`preset "huge" does not exist`:  {"count", "--net", "huge"},
		"--precision f64: want":         {"count", "--net", "emu-tiny", "--precision", "f64"},
		"--images 0 must be at least 1": {"count", "--net", "emu-tiny", "--images", "0"},
		"leave out Fill:Len=64":         {"count", "--net", "emu-tiny", "Fill:Len=64"},
		"add --net NAME":                {"count", "--by-shape"},
		"need hours":                    {"tune"},
		"--samples 0":                   {"tune", "--preset", "emu-tiny", "--samples", "0"},
		"neither an op":                 {"run", "Fold"},
		"--memprofile: missing/mem cannot be created": {"list", "--memprofile", "missing/mem"},
	} {
		out, err := exec.Command(program, args...).CombinedOutput()
		require.Error(t, err, args)
		text := strings.TrimSpace(string(out))
		assert.True(t, strings.HasPrefix(text, "emdiff-ptx: "), text)
		assert.Contains(t, text, want)
		assert.NotContains(t, text, "\n", "more than one line")
	}
}
