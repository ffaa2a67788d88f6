package cuda_test

import (
	"testing"

	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"

	"github.com/stretchr/testify/require"
)

// open returns the op set on an emulated device with all checks on.
func open(t testing.TB, o cuda.Options) kernels.Set {
	s, err := cuda.New(emu.New(emu.Options{Checks: emu.AllChecks()}), o)
	require.NoError(t, err)
	return s
}

func TestTheEmulatedGPUFulfilsTheContract(t *testing.T) {
	kerneltest.RunAll(t, func(t *testing.T) kernels.Set { return open(t, cuda.Options{}) })
}
