//go:build !cuda

package device

import (
	"errors"

	"emdiff/gpu"
)

// openDriver says that there is nothing to open: the CUDA driver takes the build tag cuda.
func openDriver() (gpu.Driver, error) {
	return nil, errors.New("this build has no CUDA driver: make cuda puts one that has it into bin/cuda")
}
