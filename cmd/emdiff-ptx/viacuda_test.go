//go:build cuda

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/gpu"
	"emdiff/gpu/cudrv"
	"emdiff/gpu/emu"
	"emdiff/kernels/cuda/inspect"
)

func TestTheCheckOfACardRunsThroughTheCUDADriver(t *testing.T) {
	cudrv.Emulate(func() (gpu.Driver, error) { return emu.New(emu.Options{}), nil })
	out := filepath.Join(t.TempDir(), "gpu-check.json")
	require.NoError(t, gpuCheckCommand{networks{Images: 1, Precisions: []string{"f32"}}, true, out}.Run())
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	var r inspect.Report
	require.NoError(t, json.Unmarshal(text, &r))
	assert.Contains(t, r.Card.Driver, "cuda ", "not the emulator directly")
	require.NoError(t, r.Err())
	assert.Len(t, r.Parts, 4)
	assert.NotEmpty(t, r.Driver)
	assert.NotEmpty(t, r.Kernels)
	assert.NotEmpty(t, r.Timings)
	assert.Equal(t, "ms", r.Table.Unit)
	assert.NotEmpty(t, r.Table.Rungs)
}
