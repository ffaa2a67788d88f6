//go:build cuda

package device

import (
	"emdiff/gpu"
	"emdiff/gpu/cudrv"
)

// openDriver opens the NVIDIA card.
func openDriver() (gpu.Driver, error) { return cudrv.Open() }
