//go:build cuda

package cudrv

import (
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"emdiff/gpu"
	"emdiff/gpu/emu"
	"emdiff/gpu/gputest"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"

	"github.com/stretchr/testify/require"
	"gorgonia.org/cu"
)

func emulator() (gpu.Driver, error) {
	return emu.New(emu.Options{Checks: emu.AllChecks(), Memory: 64 << 20}), nil
}

// onEmulator opens this driver with cu's calls sent to an emulated device.
func onEmulator(t *testing.T) gpu.Driver {
	t.Helper()
	Emulate(emulator)
	d, err := Open()
	require.NoError(t, err)
	return d
}

// opened is onEmulator, closed when the test ends.
func opened(t *testing.T) gpu.Driver {
	t.Helper()
	d := onEmulator(t)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestDriverConformanceThroughCu(t *testing.T) {
	gputest.RunAll(t, func() gpu.Driver { return onEmulator(t) })
}

func TestOnlyTheOwningThreadMayCall(t *testing.T) {
	d := opened(t)
	require.Equal(t, cu.InvalidContext, cu.Synchronize(), "this thread has no context")
	require.NoError(t, d.Sync())
}

func TestManyGoroutinesShareADriver(t *testing.T) {
	d := opened(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				b, err := d.Alloc(256)
				if err == nil {
					err = d.CopyHtoD(b, []byte(strings.Repeat(string(rune('a'+i)), 256)))
				}
				got := make([]byte, 256)
				if err == nil {
					err = d.CopyDtoH(got, b)
				}
				if err == nil {
					err = d.Free(b)
				}
				if err != nil || got[0] != byte('a'+i) || got[255] != byte('a'+i) {
					t.Errorf("goroutine %d: %q, %v", i, got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestDriversAreIndependentDevices(t *testing.T) {
	a, b := opened(t), opened(t)
	m, err := a.LoadModule("suite", gputest.PTX())
	require.NoError(t, err)
	f, err := m.Function("fault")
	require.NoError(t, err)
	s, err := a.NewStream()
	require.NoError(t, err)
	_ = f.Launch(gpu.LaunchConfig{Grid: [3]int{1, 1, 1}, Block: [3]int{1, 1, 1}, Stream: s})
	require.ErrorIs(t, a.Sync(), gpu.ErrContextDead)
	require.NoError(t, b.Sync(), "a fault kills one context only")
	other, err := b.NewStream()
	require.NoError(t, err)
	require.ErrorContains(t, a.CopyDtoDAsync(gpu.Buffer{}, gpu.Buffer{}, other), "dead")
	require.ErrorContains(t, b.FillAsync(gpu.Buffer{Size: 1}, 0, s), "the stream belongs to another driver")
}

func TestFaultTextReachesTheCaller(t *testing.T) {
	d := opened(t)
	m, err := d.LoadModule("suite", gputest.PTX())
	require.NoError(t, err)
	f, err := m.Function("fault")
	require.NoError(t, err)
	s, err := d.NewStream()
	require.NoError(t, err)
	require.NoError(t, f.Launch(gpu.LaunchConfig{Grid: [3]int{1, 1, 1}, Block: [3]int{1, 1, 1}, Stream: s}), "it is queued")
	err = s.Sync()
	require.ErrorIs(t, err, gpu.ErrContextDead)
	require.ErrorContains(t, err, "gpu launch fault: ", "the launch at fault is named")
	require.ErrorContains(t, err, "CUDA error 719")
	require.ErrorContains(t, err, "kernel fault, PTX line")
	require.ErrorContains(t, err, "open the driver anew")
}

func TestCompilerLogReachesTheCaller(t *testing.T) {
	d := opened(t)
	_, err := d.LoadModule("broken", []byte(strings.Replace(string(gputest.PTX()), "fma.rn.f32", "frobnicate.rn.f32", 1)))
	require.ErrorContains(t, err, "frobnicate.rn.f32")
	require.ErrorContains(t, err, "CUDA error 218")
	require.ErrorContains(t, err, "make ptx")
}

func TestPTXForANewerCardIsRefusedWithTheRemedy(t *testing.T) {
	d := opened(t)
	_, err := d.LoadModule("new", []byte(strings.Replace(string(gputest.PTX()), "sm_70", "sm_90", 1)))
	require.ErrorIs(t, err, gpu.ErrPTXTooNew)
	require.ErrorContains(t, err, "compiled for sm_90, the device is sm_80: PTX is newer than the device (load the file compiled for an older target)")
}

// The driver's own verdict, for what target does not see.
func TestResultsOfTooNewPTXAreRecognised(t *testing.T) {
	for _, r := range []result{noBinaryForGPU, unsupportedPTX} {
		err := explain("load", "k", r)
		require.ErrorIs(t, err, gpu.ErrPTXTooNew)
		require.ErrorContains(t, err, remedies[r])
	}
}

// Every entry of the shipped PTX has the parameters that the parser of the emulator finds.
func TestParametersAreReadFromThePTX(t *testing.T) {
	texts := map[string][]byte{"suite": gputest.PTX()}
	files, err := fs.Glob(cuda.PTX(), "*.ptx")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		texts[file], err = fs.ReadFile(cuda.PTX(), file)
		require.NoError(t, err)
	}
	d, err := emulator()
	require.NoError(t, err)
	for file, text := range texts {
		m, err := d.LoadModule(file, text)
		require.NoError(t, err)
		entries := entryParams(text)
		require.Len(t, entries, strings.Count(string(text), ".entry "))
		for name, sizes := range entries {
			f, err := m.Function(name)
			require.NoError(t, err)
			require.Equal(t, f.Attributes().ParamBytes, sizes, name)
		}
	}
}

func TestParametersOfAllKinds(t *testing.T) {
	text := `.visible .entry k(
	.param .u64 .ptr .global .align 16 k_param_0,
	.param .b8 k_param_1,
	.param .align 8 .b8 k_param_2[24],
	.param .f32 k_param_3
) .maxntid 64, 1, 1 {`
	require.Equal(t, map[string][]int{"k": {8, 1, 24, 4}}, entryParams([]byte(text)))
}

// The op set on this driver keeps the contract, so every kernel's launch goes through cu; the small cases suffice for that.
func TestOpsFulfilTheContractThroughCu(t *testing.T) {
	kerneltest.RunAll(t, func(t *testing.T) kernels.Set {
		s, err := cuda.New(onEmulator(t), cuda.Options{})
		require.NoError(t, err)
		return s
	}, kerneltest.Limit(1e6))
}

// convolve runs a convolution of the project on a device.
func convolve(t *testing.T, d gpu.Driver) []float32 {
	t.Helper()
	s, err := cuda.New(d, cuda.Options{})
	require.NoError(t, err)
	p := kernels.Conv{N: 1, H: 8, W: 8, Cin: 32, Cout: 32, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}
	r := rand.New(rand.NewPCG(1, 2))
	fill := func(n int) kernels.Buffer {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		b := s.Alloc(kernels.F32, n)
		s.Upload(b, v)
		return b
	}
	x, w, y := fill(8*8*32), fill(3*3*32*32), s.Alloc(kernels.F32, 8*8*32)
	s.Conv2D(y, x, w, kernels.Epilogue{}, p)
	out := make([]float32, 8*8*32)
	s.Download(out, y)
	require.NoError(t, s.Sync())
	return out
}

func TestKernelsGiveTheEmulatorsBitsThroughCu(t *testing.T) {
	direct, err := emulator()
	require.NoError(t, err)
	want := convolve(t, direct)
	require.Equal(t, want, convolve(t, opened(t)))
	require.NotEqual(t, make([]float32, len(want)), want)
}

// What cuCtxSynchronize can return after a kernel went wrong loses the context; a refused call does not.
func TestFaultsAreToldFromRefusals(t *testing.T) {
	for _, fault := range []error{cu.IllegalAddress, cu.MisalignedAddress, cu.IllegalInstruction, cu.InvalidPc, cu.Assert, cu.LaunchFailed,
		cu.LaunchTimeout, cu.HardwareStackError, cu.InvalidAddressSpace, cu.EccUncorrectable, cu.NvlinkUncorrectable} {
		r, ok := resultOf(fault)
		require.True(t, ok)
		require.True(t, r.sticky(), fault)
	}
	for _, refusal := range []error{cu.OutOfMemory, cu.InvalidValue, cu.NotFound, cu.LaunchOutOfResources, cu.InvalidPtx} {
		r, ok := resultOf(refusal)
		require.True(t, ok)
		require.False(t, r.sticky(), refusal)
	}
	_, ok := resultOf(gpu.ErrClosed)
	require.False(t, ok)
}
