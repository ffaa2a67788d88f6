package learn

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emdiff/emdiff/data"
	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

func TestAKernelFromOutsideReplacesTheGaussianBlur(t *testing.T) {
	task := tiny().Task
	task.Name = "deblur"
	set := openHost(t, 0)
	for name, camera := range map[string]Camera{
		"blur": {},
		"psf":  {Kernel: &data.Kernel{H: 1, W: 3, Values: []float32{.5, .3, .2}}},
	} {
		op, err := task.Operator(set, 8, 8, 1, 4, 1, camera)
		require.NoError(t, err)
		require.Equal(t, name, op.Name())
		op.Close()
	}
	_, err := task.Operator(set, 8, 8, 1, 4, 1, Camera{Kernel: &data.Kernel{H: 1, W: 17, Values: make([]float32, 17)}})
	require.ErrorContains(t, err, "crop it")
}

// The user's kernel is the picture of a point: so a point must be pictured.
func TestABrightPixelBehindAKernelLooksLikeTheKernel(t *testing.T) {
	task := tiny().Task
	task.Name = "deblur"
	set := openHost(t, 0)
	kernel := &data.Kernel{H: 3, W: 3, Values: []float32{0, .1, .2, .1, .3, .1, .15, .05, 0}}
	op, err := task.Operator(set, 8, 8, 1, 1, 1, Camera{Kernel: kernel})
	require.NoError(t, err)
	defer op.Close()
	point := make([]float32, 64)
	point[4*8+3] = 1
	x, y := set.Alloc(kernels.F32, 64), set.Alloc(kernels.F32, 64)
	set.Upload(x, point)
	op.Select(physics.Batch{N: 1})
	op.Apply(y, x)
	set.Download(point, y)
	for i := range 3 {
		for j := range 3 {
			require.InDelta(t, kernel.Values[i*3+j], point[(3+i)*8+2+j], 1e-6, "row %d, column %d", i, j)
		}
	}
}
