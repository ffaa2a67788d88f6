package emu

import (
	"os"
	"strings"
	"testing"

	"emdiff/gpu"
	"emdiff/gpu/ptx"

	"github.com/stretchr/testify/require"
)

// bugRig runs blocks in order, so that the same access is blamed every time.
func bugRig(t *testing.T) *rig {
	o := checked()
	o.Workers = 1
	return newRig(t, "bugs.ptx", o)
}

// refused launches a kernel that must fail with the kind, and returns the fault.
func (r *rig) refused(kind FaultKind, kernel string, grid, block int, args ...gpu.Arg) *Fault {
	r.t.Helper()
	err := r.launch(kernel, [3]int{grid, 1, 1}, [3]int{block, 1, 1}, 0, args...)
	var f *Fault
	require.ErrorAs(r.t, err, &f)
	require.Equal(r.t, kind, f.Kind, "%v", err)
	require.Equal(r.t, kernel, f.Kernel)
	require.Positive(r.t, f.Line)
	return f
}

func TestPlantedOffByOneGlobalWrite(t *testing.T) {
	r := bugRig(t)
	y := r.empty(4 * 100)
	f := r.refused(OutOfBounds, "bug_global_off_by_one", 2, 64, gpu.Ptr(y), gpu.I32(100))
	require.Equal(t, [3]int{1, 0, 0}, f.Block)
	require.Equal(t, [3]int{36, 0, 0}, f.Thread)
	require.Equal(t, uint64(y.Ptr)+400, f.Address)
	require.Contains(t, f.Opcode, "st.global")
	require.Contains(t, f.Error(), "0 bytes past the end of buffer #1 (400 bytes")
}

func TestPlantedMissingBarrier(t *testing.T) {
	r := bugRig(t)
	f := r.refused(SharedRace, "bug_missing_barrier", 1, 64, gpu.Ptr(r.empty(256)), gpu.Ptr(upload(r, normals(1, 64))))
	require.Contains(t, f.Error(), "which thread [31 0 0] read since the last barrier; __syncthreads is missing")
}

func TestPlantedMissingSyncwarp(t *testing.T) {
	r := bugRig(t)
	y, x := r.empty(128), upload(r, normals(1, 32))
	r.run("fixed_syncwarp", 1, 32, gpu.Ptr(y), gpu.Ptr(x))
	f := r.refused(SharedRace, "bug_missing_syncwarp", 1, 32, gpu.Ptr(y), gpu.Ptr(x))
	require.Contains(t, f.Error(), "__syncwarp")
}

func TestPlantedMissingCpAsyncWait(t *testing.T) {
	r := bugRig(t)
	r.refused(AsyncCopy, "bug_missing_cpasync_wait", 1, 32, gpu.Ptr(r.empty(128)), gpu.Ptr(upload(r, normals(1, 128))))
}

func TestPlantedTwoBlocksWriteOneAddress(t *testing.T) {
	r := bugRig(t)
	f := r.refused(GlobalRace, "bug_two_blocks_write", 2, 32, gpu.Ptr(r.empty(4)))
	require.Equal(t, [3]int{1, 0, 0}, f.Block)
	require.Contains(t, f.Error(), "written by block [0 0 0]")
}

func TestPlantedUninitialisedSharedRead(t *testing.T) {
	r := bugRig(t)
	f := r.refused(Uninitialised, "bug_uninitialised_shared", 1, 64, gpu.Ptr(r.empty(256)))
	require.Equal(t, [3]int{32, 0, 0}, f.Thread)
	require.Equal(t, uint64(128), f.Address)
}

func TestPlantedUninitialisedGlobalRead(t *testing.T) {
	r := bugRig(t)
	y := r.empty(256)
	require.NoError(t, r.d.CopyHtoD(y.Slice(0, 100), make([]byte, 100)))
	f := r.refused(Uninitialised, "scale_f32", 1, 64, gpu.Ptr(y), gpu.F32(2))
	require.Equal(t, [3]int{25, 0, 0}, f.Thread)
}

func TestPlantedMisalignedVectorLoad(t *testing.T) {
	r := bugRig(t)
	f := r.refused(Misaligned, "bug_misaligned_vector", 1, 32, gpu.Ptr(r.empty(512)), gpu.Ptr(upload(r, normals(1, 200))))
	require.Contains(t, f.Opcode, "v4")
}

func TestPlantedBarrierInDivergentCode(t *testing.T) {
	r := bugRig(t)
	f := r.refused(BarrierDivergence, "bug_divergent_barrier", 1, 32, gpu.Ptr(r.empty(128)))
	require.Equal(t, [3]int{16, 0, 0}, f.Thread)
}

func TestPlantedBarrierThatOneWarpMisses(t *testing.T) {
	r := newRigSource(t, []byte(kernelK(`.reg .pred %p<2>; .reg .b32 %r<2>;
		mov.u32 %r1, %tid.x; setp.ge.u32 %p1, %r1, 32; @%p1 bra $end; bar.sync 0; $end: ret;`)), checked())
	r.refused(BarrierDivergence, "k", 1, 64)
}

func TestPlantedUseAfterFree(t *testing.T) {
	r := bugRig(t)
	y := r.empty(128)
	r.run("fill_f32", 1, 32, gpu.Ptr(y), gpu.F32(1))
	require.NoError(t, r.d.Free(y))
	f := r.refused(UseAfterFree, "fill_f32", 1, 32, gpu.Ptr(y), gpu.F32(1))
	require.Contains(t, f.Error(), "in freed buffer #1")
}

func TestPlantedUseAfterFreeThroughAPool(t *testing.T) {
	r := bugRig(t)
	pool := gpu.NewPool(r.d)
	y, err := pool.Alloc(128, "activations")
	require.NoError(t, err)
	r.run("fill_f32", 1, 32, gpu.Ptr(y), gpu.F32(1))
	require.NoError(t, pool.Free(y))
	f := r.refused(UseAfterFree, "fill_f32", 1, 32, gpu.Ptr(y), gpu.F32(1))
	require.Contains(t, f.Error(), "given back to its pool")
}

func TestPoolRoundingHidesNoOverrun(t *testing.T) {
	r := bugRig(t)
	y, err := gpu.NewPool(r.d).Alloc(4*100, "y")
	require.NoError(t, err)
	r.refused(OutOfBounds, "bug_global_off_by_one", 2, 64, gpu.Ptr(y), gpu.I32(100))
}

func TestPlantedMissingEventBetweenStreams(t *testing.T) {
	for _, synced := range []bool{true, false} {
		r := bugRig(t)
		y := upload(r, normals(1, 32))
		other, err := r.d.NewStream()
		require.NoError(t, err)
		ev, err := r.d.NewEvent()
		require.NoError(t, err)
		r.run("fill_f32", 1, 32, gpu.Ptr(y), gpu.F32(3))
		if synced {
			require.NoError(t, ev.Record(r.s))
			require.NoError(t, other.Wait(ev))
		}
		fn, err := r.m.Function("scale_f32")
		require.NoError(t, err)
		err = fn.Launch(gpu.LaunchConfig{Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, Stream: other, Args: []gpu.Arg{gpu.Ptr(y), gpu.F32(2)}})
		if synced {
			require.NoError(t, err)
			require.Equal(t, float32(6), download[float32](r, y)[7])
			continue
		}
		var f *Fault
		require.ErrorAs(t, err, &f)
		require.Equal(t, StreamOrder, f.Kind)
		require.Contains(t, f.Error(), "scale_f32")
		require.Contains(t, f.Error(), "fill_f32")
	}
}

func TestHostMayNotTouchPinnedSourceInFlight(t *testing.T) {
	r := bugRig(t)
	y := r.empty(64)
	host, err := r.d.AllocPinned(64)
	require.NoError(t, err)
	require.NoError(t, r.d.CopyHtoDAsync(y, host, r.s))
	host[5] = 1
	var f *Fault
	require.ErrorAs(t, r.s.Sync(), &f)
	require.Equal(t, HostMemory, f.Kind)
}

func TestFaultKillsTheContext(t *testing.T) {
	r := bugRig(t)
	r.refused(GlobalRace, "bug_two_blocks_write", 2, 32, gpu.Ptr(r.empty(4)))
	for _, err := range []error{r.d.Sync(), r.s.Sync(), r.launch("fill_f32", [3]int{1, 1, 1}, [3]int{1, 1, 1}, 0, gpu.Ptr(gpu.Buffer{}), gpu.F32(0))} {
		require.ErrorIs(t, err, gpu.ErrContextDead)
		require.ErrorContains(t, err, "bug_two_blocks_write", "the first fault is named")
	}
	_, err := r.d.Alloc(4)
	require.ErrorIs(t, err, gpu.ErrContextDead)
}

func TestChecksCanBeSwitchedOff(t *testing.T) {
	r := newRig(t, "bugs.ptx", Options{Workers: 1})
	y, x := upload(r, make([]float32, 64)), upload(r, normals(1, 128))
	r.run("bug_missing_barrier", 1, 64, gpu.Ptr(y), gpu.Ptr(x))
	r.run("bug_two_blocks_write", 2, 32, gpu.Ptr(y))
	r.run("bug_uninitialised_shared", 1, 64, gpu.Ptr(y))
	r.run("bug_divergent_barrier", 1, 32, gpu.Ptr(y))
	r.run("bug_missing_cpasync_wait", 1, 32, gpu.Ptr(y), gpu.Ptr(x))
}

// kernelK wraps the body of a kernel k without parameters.
func kernelK(body string) string {
	return ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\n" + body + "\nret;\n}\n"
}

func loadError(t *testing.T, src string) error {
	_, err := New(checked()).LoadModule("broken", []byte(src))
	require.Error(t, err)
	return err
}

func TestUnknownInstructionsAreRefusedAtLoad(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{".reg .f32 %f<3>;\nfrobnicate.rn.f32 %f1, %f2;", "PTX line 7: frobnicate.rn.f32: unknown opcode"},
		{".reg .f32 %f<3>;\nfma.rm.f32.f32 %f1, %f2, %f2, %f2;\nbar.arrive 0, 32;", "PTX line 8: bar.arrive: unknown modifier .arrive"},
		{".reg .f64 %fd<3>;\nfma.rz.f64 %fd1, %fd2, %fd2, %fd2;", "PTX line 7: fma.rz.f64: this form is not implemented"},
		{".reg .f64 %fd<3>;\nrsqrt.approx.f64 %fd1, %fd2;", "rsqrt.approx.f64: this form is not implemented"},
		{".reg .b32 %r<3>;\nbar.sync 0, 64;", "bar.sync: only barriers of the whole block"},
		{".reg .b32 %r<3>;\nmov.u32 %r1, %clock;", "mov.u32: special register %clock is not supported"},
		{".reg .b32 %r<3>;\ncvt.rn.relu.tf32.f32 %r1, 0f00000000;", "cvt.rn.relu.tf32.f32: only cvt.rna.tf32.f32 is implemented"},
	} {
		require.ErrorContains(t, loadError(t, kernelK(c.body)), c.want)
	}
	var e *ptx.Error
	require.ErrorAs(t, loadError(t, kernelK(".reg .b32 %r<3>;\nbar.sync 0, 64;")), &e)
	require.Equal(t, 7, e.Line)
}

func TestWrongVersionsAreRefusedAtLoad(t *testing.T) {
	src := kernelK("")
	require.ErrorContains(t, loadError(t, strings.Replace(src, "7.0", "9.9", 1)), ".version 9.9 is not supported")
	newer := strings.Replace(strings.Replace(src, "7.0", "7.8", 1), "sm_80", "sm_90", 1)
	err := loadError(t, newer)
	require.ErrorIs(t, err, gpu.ErrPTXTooNew)
	require.ErrorContains(t, err, "compiled for sm_90, the device is sm_80")
	_, err = New(Options{SM: 90}).LoadModule("fits", []byte(newer))
	require.NoError(t, err)
}

func TestEndlessLoopTimesOut(t *testing.T) {
	o := checked()
	o.Checks.MaxTurns = 2
	r := newRigSource(t, []byte(kernelK("$l: bra.uni $l;")), o)
	r.refused(Timeout, "k", 1, 32)
}

func TestEndlessLoopAroundABarrierTimesOut(t *testing.T) {
	o := checked()
	o.Checks.MaxTurns = 1
	r := newRigSource(t, []byte(kernelK("$l: bar.sync 0; bra.uni $l;")), o)
	r.refused(Timeout, "k", 1, 64)
}

func TestTooMuchStaticSharedMemoryIsRefusedAtLoad(t *testing.T) {
	require.ErrorContains(t, loadError(t, kernelK(".shared .align 4 .b8 s[49156];")), "declares 49156 bytes of shared memory, 49152 is the most")
}

func TestCollectiveWithoutItsLanesIsRefused(t *testing.T) {
	r := newRigSource(t, []byte(kernelK(`.reg .pred %p<2>; .reg .b32 %r<4>;
		mov.u32 %r1, %tid.x; setp.ge.u32 %p1, %r1, 16; @%p1 bra $end;
		shfl.sync.bfly.b32 %r2, %r1, 1, 31, -1;
		$end: ret;`)), checked())
	// Lanes 16 to 31 are still alive when the others shuffle with a full mask: they wait at $end.
	r.refused(LaneDivergence, "k", 1, 32)
}

func TestEveryPlantedBugHasATest(t *testing.T) {
	src, err := os.ReadFile("testdata/bugs.ptx")
	require.NoError(t, err)
	m, err := ptx.Parse(src)
	require.NoError(t, err)
	tests, err := os.ReadFile("bugs_test.go")
	require.NoError(t, err)
	for _, f := range m.Functions {
		if strings.HasPrefix(f.Name, "bug_") {
			require.Contains(t, string(tests), `"`+f.Name+`"`, "a planted bug without a test")
		}
	}
}
