package emu

import (
	"testing"

	"emdiff/gpu"
	"emdiff/gpu/gputest"

	"github.com/stretchr/testify/require"
)

func TestDriverConformance(t *testing.T) {
	gputest.RunAll(t, func() gpu.Driver { return New(Options{Checks: AllChecks(), Memory: 64 << 20}) })
}

func TestProbeFindsTheEmulator(t *testing.T) {
	for _, c := range gpu.Probe() {
		if c.Name == "emu" {
			require.True(t, c.Usable())
			require.Contains(t, c.String(), "emu: PTX emulator, compute capability 8.0")
			return
		}
	}
	require.Fail(t, "not registered")
}

func TestAsyncCopyIsInvisibleBeforeSync(t *testing.T) {
	r := newRig(t, "bugs.ptx", checked())
	y := upload(r, []float32{1})
	host, err := r.d.AllocPinned(4)
	require.NoError(t, err)
	require.NoError(t, r.d.CopyDtoHAsync(host, y, r.s))
	require.Equal(t, make([]byte, 4), host)
	require.NoError(t, r.s.Sync())
	require.Equal(t, raw([]float32{1}), host)
}

func TestDownloadOfUnwrittenMemoryIsRefused(t *testing.T) {
	r := newRig(t, "bugs.ptx", checked())
	err := r.d.CopyDtoH(make([]byte, 64), r.empty(64))
	var f *Fault
	require.ErrorAs(t, err, &f)
	require.Equal(t, Uninitialised, f.Kind)
	require.NoError(t, r.d.Sync(), "a refused copy kills nothing")
}
