package cuda_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"emdiff/kernels/kerneltest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// header is the first line of a PTX file.
type header struct {
	sources []string
	clang   string // "clang 19.1.7"
	flags   string
	hashed  string // the line up to the hash
	hash    string
}

func parseHeader(t *testing.T, file string, text []byte) header {
	line, _, _ := strings.Cut(string(text), "\n")
	parts := strings.Split(strings.TrimPrefix(line, "// "), " | ")
	require.Len(t, parts, 4, "first line of %s: %s", file, line)
	hash := strings.TrimPrefix(parts[3], "sha256 ")
	return header{strings.Fields(parts[0]), parts[1], parts[2], strings.TrimSuffix(line, hash), hash}
}

func TestThePTXIsThatOfTheSources(t *testing.T) {
	make, err := os.ReadFile("ptx.mk")
	require.NoError(t, err)
	makefile := strings.ReplaceAll(string(make), "\\\n\t", "")
	sources, err := filepath.Glob("*.cu")
	require.NoError(t, err)
	headers, err := filepath.Glob("*.cuh")
	require.NoError(t, err)
	compiled := []string{}
	for file, text := range ptxFiles(t) {
		h := parseHeader(t, file, text)
		compiled = append(compiled, h.sources[0])
		assert.Equal(t, headers, h.sources[1:], "headers of %s", file)
		sum := sha256.New()
		sum.Write([]byte(h.hashed))
		for _, name := range h.sources {
			source, err := os.ReadFile(name)
			require.NoError(t, err)
			sum.Write(source)
		}
		assert.Equal(t, hex.EncodeToString(sum.Sum(nil)), h.hash, "%s is older than its sources: run make ptx", file)
		version := strings.TrimPrefix(h.clang, "clang ")
		assert.Contains(t, makefile, "PTX_CLANG_VERSION := "+version, "%s was built by %s: run make ptx", file, h.clang)
		common, target, _ := strings.Cut(h.flags, " --cuda-gpu-arch")
		assert.Contains(t, makefile, "PTX_FLAGS := "+common+"\n", "%s was built with other flags: run make ptx", file)
		assert.Contains(t, makefile, " := --cuda-gpu-arch"+target+"\n", "%s was built for another target: run make ptx", file)
	}
	for _, source := range sources {
		assert.Contains(t, compiled, source, "%s has no PTX: add it to ptx.mk", source)
	}
}

func TestRebuildingThePTXChangesNoByte(t *testing.T) {
	out, err := exec.Command("clang-19", "-dumpversion").Output()
	kerneltest.Required(t, "clang", err)
	for file, text := range ptxFiles(t) {
		h := parseHeader(t, file, text)
		if version := strings.TrimSpace(string(out)); "clang "+version != h.clang {
			kerneltest.Required(t, "clang", fmt.Errorf("clang-19 is version %s, %s is from %s", version, file, h.clang))
		}
		built, err := exec.Command("clang-19", slices.Concat(strings.Fields(h.flags), []string{h.sources[0], "-o", "-"})...).Output()
		require.NoError(t, err)
		_, committed, _ := strings.Cut(string(text), "\n")
		assert.True(t, string(built) == committed, "%s: run make ptx", file)
	}
}
