//go:build cuda

package cudrv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"emdiff/gpu"

	"github.com/stretchr/testify/require"
)

// The library is chosen before Go starts, so these tests start the test binary again, with probeOnly to print what Probe finds.
const probeOnly = "EMDIFF_TEST_PROBE_ONLY"

func TestMain(m *testing.M) {
	if os.Getenv(probeOnly) == "" {
		os.Exit(m.Run())
	}
	for _, c := range gpu.Probe() {
		if c.Name == "cuda" {
			fmt.Println(c)
		}
	}
}

// probe returns Probe's line about this driver in a fresh process. Nothing but that line may be printed: cu prints, and exits, when
// its cuInit fails.
func probe(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, probeOnly+"=1")...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	line := strings.TrimSuffix(string(out), "\n")
	require.NotContains(t, line, "\n")
	return line
}

// fakeLibrary compiles testdata/fakecuda.c.
func fakeLibrary(t *testing.T) string {
	t.Helper()
	so := filepath.Join(t.TempDir(), "libcuda.so.1")
	out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", so, "testdata/fakecuda.c").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return so
}

func TestProgramStartsWithoutADriverAndSaysWhatIsMissing(t *testing.T) {
	line := probe(t, "EMDIFF_LIBCUDA=/nowhere/libcuda.so.1")
	require.Contains(t, line, "cuda: not usable")
	require.Contains(t, line, "/nowhere/libcuda.so.1: cannot open shared object file")
	require.Contains(t, line, "install the NVIDIA driver, or use the host")
}

func TestDriversThatCannotServeAreRefusedWithTheRemedy(t *testing.T) {
	so := "EMDIFF_LIBCUDA=" + fakeLibrary(t)
	for _, c := range []struct {
		name string
		env  []string
		want []string
	}{
		{"no device", []string{"FAKE_INIT=100"}, []string{"CUDA error 100", "nvidia-smi"}},
		{"all devices hidden", []string{"FAKE_VERSION=12040", "FAKE_COUNT=0"}, []string{"CUDA error 100", "CUDA_VISIBLE_DEVICES"}},
		{"driver too old", []string{"FAKE_VERSION=10020", "FAKE_COUNT=1"}, []string{"CUDA 10.2, 11.0 is needed", "update the NVIDIA driver"}},
		{"library and kernel module differ", []string{"FAKE_INIT=803"}, []string{"CUDA error 803", "restart"}},
		{"symbols missing", []string{"FAKE_VERSION=12040", "FAKE_COUNT=1"}, []string{"CUDA error 100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := probe(t, append(c.env, so)...)
			require.Contains(t, line, "cuda: not usable")
			for _, want := range c.want {
				require.Contains(t, line, want)
			}
		})
	}
}

func TestEnvironmentPointsTheDriverAtTheEmulator(t *testing.T) {
	require.Equal(t, "cuda: PTX emulator, compute capability 8.0, 2.00 GiB", probe(t, "EMDIFF_LIBCUDA=emu"))
}
