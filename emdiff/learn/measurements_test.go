package learn

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emdiff/emdiff/data"
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
