//go:build cuda

package cudrv

import (
	"testing"

	"emdiff/gpu"
	"emdiff/gpu/emu"
	"emdiff/gpu/gputest"

	"github.com/stretchr/testify/require"
)

// onEmulator opens this driver with cu's calls sent to an emulated device.
func onEmulator(t *testing.T) gpu.Driver {
	t.Helper()
	Emulate(func() (gpu.Driver, error) { return emu.New(emu.Options{Checks: emu.AllChecks(), Memory: 64 << 20}), nil })
	d, err := Open()
	require.NoError(t, err)
	return d
}

func TestDriverConformanceThroughCu(t *testing.T) {
	gputest.RunAll(t, func() gpu.Driver { return onEmulator(t) })
}
