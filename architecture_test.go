package emdiff

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mayImport is the direction of dependencies inside the module (docs/architecture.md): a folder, and all that it may
// import. Tests and bench may import anything.
var mayImport = map[string][]string{
	"kernels":              {},
	"kernels/ref":          {"kernels"},
	"kernels/host":         {"kernels"},
	"kernels/kerneltest":   {"kernels", "kernels/ref"},
	"kernels/cuda":         {"kernels", "gpu"},
	"gpu":                  {},
	"gpu/ptx":              {},
	"gpu/emu":              {"gpu", "gpu/ptx"},
	"gpu/cudrv":            {"gpu"},
	"gpu/gputest":          {"gpu"},
	"nn":                   {"kernels"},
	"emdiff/data":          {},
	"emdiff/physics":       {"kernels"},
	"emdiff/metric":        {"kernels", "nn"},
	"emdiff/diffusion":     {"nn", "kernels"},
	"emdiff/posterior":     {"emdiff/diffusion", "emdiff/physics", "kernels"},
	"emdiff/learn":         {"emdiff/posterior", "emdiff/diffusion", "emdiff/physics", "nn", "emdiff/data", "emdiff/metric", "kernels"},
	"emdiff/run":           {"emdiff/learn", "emdiff/posterior", "emdiff/diffusion", "emdiff/physics", "nn", "emdiff/data", "emdiff/metric", "kernels"},
	"kernels/cuda/inspect": {"kernels", "kernels/cuda", "kernels/kerneltest", "gpu", "gpu/emu", "gpu/gputest", "gpu/ptx"},
	"cmd":                  {}, // tests of the commands as processes
	"cmd/internal/cli":     {"emdiff/run", "kernels"},
	"cmd/internal/device":  {"kernels", "kernels/ref", "kernels/host", "kernels/cuda", "gpu", "gpu/cudrv", "gpu/emu"},
	"docs/tutorial":        {"emdiff/data", "emdiff/metric"},
	"cmd/emdiff-train":     {"cmd/internal/cli", "emdiff/run", "cmd/internal/device"},
	"cmd/emdiff-ptx":       {"cmd/internal/cli", "cmd/internal/device", "gpu", "kernels", "kernels/cuda/inspect", "kernels/kerneltest", "nn", "emdiff/run"},
	"cmd/emdiff-sample":    {"cmd/internal/cli", "emdiff/run", "cmd/internal/device"},
	"cmd/emdiff-restore":   {"cmd/internal/cli", "emdiff/run", "cmd/internal/device"},
}

func TestImportsPointOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		folder := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, "emdiff"), "/")
		if folder == "" || folder == "bench" || strings.HasPrefix(folder, "bench/") {
			continue
		}
		seen++
		allowed, known := mayImport[folder]
		assert.True(t, known, "%s is not in the table of docs/architecture.md", folder)
		for _, i := range pkg.Imports {
			if to, ours := strings.CutPrefix(i, "emdiff/"); ours {
				assert.Contains(t, allowed, to, "%s must not import %s", folder, to)
			}
		}
	}
	assert.Greater(t, seen, 10, "go list found too few folders for this test to mean anything")
}
