//go:build !cuda

package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWithoutACardTheCheckGivesTheReasonAndWritesNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "gpu-check.json")
	err := gpuCheckCommand{networks{Images: 1}, true, out}.Run()
	assert.EqualError(t, err, "no CUDA device: this build has no CUDA driver: make cuda puts one that has it into bin/cuda")
	assert.NoFileExists(t, out)
}
