package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The CUDA build alone needs a C compiler, and says so before anything else fails.
func TestTheCUDABuildWithoutGccSaysWhatToInstall(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the CUDA build is made by make and sh")
	}
	tools := t.TempDir()
	for _, name := range []string{"make", "sh", "cat", "cksum", "cut", "mkdir"} {
		path, err := exec.LookPath(name)
		require.NoError(t, err, "the build needs it")
		require.NoError(t, os.Symlink(path, filepath.Join(tools, name)))
	}
	cmd := exec.Command(filepath.Join(tools, "make"), "--no-print-directory", "-s", "cuda", "GO=false")
	cmd.Dir, cmd.Env = "..", []string{"PATH=" + tools}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Regexp(t, `^the CUDA build needs gcc: install it \(Debian: apt install gcc libc6-dev\), or use the build without CUDA: make build\nmake: .*\n$`, string(out))
}
