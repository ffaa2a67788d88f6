package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/gpu"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

func TestACheckOfACardReportsAllItsParts(t *testing.T) {
	var out bytes.Buffer
	r, err := GPUCheck(&out, card, GPUCheckOptions{Program: "v1", Cases: layers[:1], Images: 1, Quick: true})
	require.NoError(t, err)
	require.NoError(t, r.Err(), out.String())
	assert.Equal(t, "PTX emulator", r.Card.Name)
	assert.Len(t, r.Parts, 4)
	assert.Len(t, r.Kernels, len(cuda.Kernels()))
	reached := 0
	for _, k := range r.Kernels {
		assert.Empty(t, k.Error, k.Kernel)
		assert.LessOrEqual(t, k.Budget, 1.0)
		if k.OK {
			reached++
		}
	}
	assert.Greater(t, reached, len(r.Kernels)/2, "the small cases reach most kernels")
	assert.Len(t, r.Timings, len(kerneltest.Ops()))
	assert.Len(t, r.Table.Rungs, 1)
	assert.Contains(t, out.String(), "PTX emulator, compute capability 8.0, 108 SMs, 2.00 GiB, driver emu")

	var file bytes.Buffer
	require.NoError(t, WriteJSON(&file, r))
	var fields map[string]any
	require.NoError(t, json.Unmarshal(file.Bytes(), &fields))
	assert.Equal(t, []string{"card", "driver", "format", "kernels", "parts", "program", "ptx", "quick", "seconds", "started", "table", "timings"},
		slices.Sorted(maps.Keys(fields)))
}

func TestAPartThatFailsLeavesTheOthersToRun(t *testing.T) {
	var out bytes.Buffer
	r, err := GPUCheck(&out, missing("silu_forward_f32_vec4"), GPUCheckOptions{Cases: layers[:1], Images: 1, Quick: true})
	require.NoError(t, err)
	assert.EqualError(t, r.Err(), "failed on PTX emulator: kernels, timings")
	assert.Len(t, r.Timings, len(kerneltest.Ops())-1)
	assert.Len(t, r.Table.Rungs, 1)
	i := slices.IndexFunc(r.Kernels, func(k KernelVerdict) bool { return k.Kernel == "silu_forward_f32_vec4" })
	assert.False(t, r.Kernels[i].OK)
	assert.Contains(t, r.Kernels[i].Error, "spoiled")
	assert.Contains(t, out.String(), "FAIL  silu_forward_f32_vec4")
	assert.Contains(t, out.String(), "FAIL  SiLU: ")
}

func TestWithoutACardThereIsNothingToCheck(t *testing.T) {
	_, err := GPUCheck(nil, func() (gpu.Driver, error) { return nil, errors.New("no card") }, GPUCheckOptions{})
	assert.EqualError(t, err, "no card")
}

func TestAPanicOfAPartIsItsFailure(t *testing.T) {
	var r Report
	var out bytes.Buffer
	r.run(&out, "tune", func() error { panic("lost") })
	assert.Equal(t, "panics: lost", r.Parts[0].Error)
	assert.EqualError(t, r.Err(), "failed on : tune")
}
