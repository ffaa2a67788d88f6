package gputest

import (
	_ "embed"
	"math"
	"strings"
	"testing"
	"unsafe"

	"emdiff/gpu"

	"github.com/stretchr/testify/require"
)

//go:embed suite.ptx
var suite []byte

// PTX returns the suite's module.
func PTX() []byte { return suite }

// tests are the suite.
var tests = []struct {
	name string
	run  func(*device)
}{
	{"PropertiesMakeSense", propertiesMakeSense},
	{"CopiesRoundTrip", copiesRoundTrip},
	{"CopiesOfSlicesTouchNothingElse", copiesOfSlices},
	{"CopyLengthsMustAgree", copyLengths},
	{"AsyncCopiesArriveAfterSync", asyncCopies},
	{"AsyncCopiesNeedPinnedMemory", asyncNeedsPinned},
	{"FillSetsEveryByte", fill},
	{"LaunchComputes", launchComputes},
	{"ArgumentsArriveBitForBit", arguments},
	{"GeometryReachesTheKernel", geometry},
	{"DynamicSharedMemory", dynamicShared},
	{"StreamsRunInOrder", streamsInOrder},
	{"EventsOrderStreams", eventsOrderStreams},
	{"EventsMeasureTime", eventsMeasure},
	{"BadLaunchesAreRefused", badLaunches},
	{"UnknownNamesAreErrors", unknownNames},
	{"BadPTXIsRefused", badPTX},
	{"OutOfMemoryNamesTheSize", outOfMemory},
	{"DoubleFreeIsAnError", doubleFree},
	{"PoolReusesBlocks", poolReuses},
	{"FaultIsSticky", faultIsSticky},
	{"ClosedDriverRefuses", closedDriver},
}

const closes = "ClosedDriverRefuses" // the test that closes its device itself

// RunAll runs the suite. open returns a fresh device each time; the suite closes it.
func RunAll(t *testing.T, open func() gpu.Driver) {
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			d := &device{tester: t, Driver: open()}
			if c.name != closes {
				t.Cleanup(func() { require.NoError(t, d.Close()) })
			}
			c.run(d)
		})
	}
}

// device is an open driver with helpers that fail the test on errors.
type device struct {
	tester
	gpu.Driver
	suite gpu.Module
}

// tester is what the suite needs of a *testing.T.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	FailNow()
}

func must[V any](t tester) func(V, error) V {
	return func(v V, err error) V {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

func (d *device) alloc(n int) gpu.Buffer {
	d.Helper()
	return must[gpu.Buffer](d.tester)(d.Alloc(int64(n)))
}
func (d *device) stream() gpu.Stream { d.Helper(); return must[gpu.Stream](d.tester)(d.NewStream()) }
func (d *device) event() gpu.Event   { d.Helper(); return must[gpu.Event](d.tester)(d.NewEvent()) }
func (d *device) pinned(n int) []byte {
	d.Helper()
	return must[[]byte](d.tester)(d.AllocPinned(n))
}

func (d *device) kernel(name string) gpu.Function {
	d.Helper()
	if d.suite == nil {
		d.suite = must[gpu.Module](d.tester)(d.LoadModule("suite", suite))
	}
	return must[gpu.Function](d.tester)(d.suite.Function(name))
}

func bytesOf[V any](v []V) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

func upload[V any](d *device, v []V) gpu.Buffer {
	d.Helper()
	b := d.alloc(len(bytesOf(v)))
	require.NoError(d, d.CopyHtoD(b, bytesOf(v)))
	return b
}

func download[V any](d *device, b gpu.Buffer) []V {
	d.Helper()
	var zero V
	out := make([]V, int(b.Size)/int(unsafe.Sizeof(zero)))
	require.NoError(d, d.CopyDtoH(bytesOf(out), b))
	return out
}

func config(s gpu.Stream, grid, block int, args ...gpu.Arg) gpu.LaunchConfig {
	return gpu.LaunchConfig{Grid: [3]int{grid, 1, 1}, Block: [3]int{block, 1, 1}, Stream: s, Args: args}
}

func ramp(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i)
	}
	return v
}

func propertiesMakeSense(d *device) {
	p := d.Properties()
	require.NotEmpty(d, p.Name)
	require.NotEmpty(d, p.Driver)
	require.Equal(d, 32, p.WarpSize)
	require.GreaterOrEqual(d, p.SM(), 70)
	require.Positive(d, p.SMs)
	require.GreaterOrEqual(d, p.MaxThreadsPerBlock, 1024)
	require.GreaterOrEqual(d, p.MaxSharedPerBlock, 48<<10)
	require.GreaterOrEqual(d, p.MaxSharedOptIn, p.MaxSharedPerBlock)
	require.Positive(d, p.TotalMemory)
}

func copiesRoundTrip(d *device) {
	a := upload(d, ramp(1000))
	require.Zero(d, a.Ptr%256, "allocations are aligned to 256 bytes")
	b := d.alloc(4000)
	require.NoError(d, d.CopyDtoD(b, a))
	require.Equal(d, ramp(1000), download[float32](d, b))
}

func copiesOfSlices(d *device) {
	a := upload(d, make([]byte, 64))
	require.NoError(d, d.CopyHtoD(a.Slice(8, 4), []byte{1, 2, 3, 4}))
	require.NoError(d, d.CopyDtoD(a.Slice(32, 2), a.Slice(10, 2)))
	want := make([]byte, 64)
	copy(want[8:], []byte{1, 2, 3, 4})
	copy(want[32:], []byte{3, 4})
	require.Equal(d, want, download[byte](d, a))
	require.Panics(d, func() { a.Slice(60, 5) })
}

func copyLengths(d *device) {
	a := upload(d, make([]byte, 16))
	require.Error(d, d.CopyHtoD(a, make([]byte, 17)))
	require.Error(d, d.CopyDtoH(make([]byte, 15), a))
	require.Error(d, d.CopyDtoD(a, a.Slice(0, 8)))
}

func asyncCopies(d *device) {
	s := d.stream()
	in, out := d.pinned(4*256), d.pinned(4*256)
	copy(in, bytesOf(ramp(256)))
	a, b := d.alloc(4*256), d.alloc(4*256)
	require.NoError(d, d.CopyHtoDAsync(a, in, s))
	require.NoError(d, d.CopyDtoDAsync(b, a, s))
	require.NoError(d, d.CopyDtoHAsync(out, b, s))
	require.NoError(d, s.Sync())
	require.Equal(d, in, out)
	part := d.pinned(64)
	require.NoError(d, d.CopyDtoHAsync(part[16:32], a.Slice(0, 16), s), "a part of pinned memory is pinned")
	require.NoError(d, d.Sync())
	require.Equal(d, in[:16], part[16:32])
	require.NoError(d, d.FreePinned(in))
	require.NoError(d, d.FreePinned(out))
	require.NoError(d, d.FreePinned(part))
}

func asyncNeedsPinned(d *device) {
	s, a := d.stream(), upload(d, make([]byte, 64))
	require.ErrorIs(d, d.CopyHtoDAsync(a, make([]byte, 64), s), gpu.ErrNotPinned)
	require.ErrorIs(d, d.CopyDtoHAsync(make([]byte, 64), a, s), gpu.ErrNotPinned)
	require.NoError(d, d.Sync(), "a refused copy harms nothing")
}

func fill(d *device) {
	s, a := d.stream(), upload(d, make([]byte, 100))
	require.NoError(d, d.FillAsync(a.Slice(10, 50), 0xAB, s))
	require.NoError(d, s.Sync())
	got := download[byte](d, a)
	require.Equal(d, strings.Repeat("\x00", 10)+strings.Repeat("\xAB", 50)+strings.Repeat("\x00", 40), string(got))
}

func launchComputes(d *device) {
	const n = 1000
	f, s := d.kernel("affine_f32"), d.stream()
	require.Equal(d, "affine_f32", f.Name())
	if sizes := f.Attributes().ParamBytes; sizes != nil {
		require.Equal(d, []int{8, 8, 4, 4, 4}, sizes)
	}
	y := d.alloc(4 * n)
	require.NoError(d, f.Launch(config(s, 4, 256, gpu.Ptr(y), gpu.Ptr(upload(d, ramp(n))), gpu.F32(2), gpu.F32(-1), gpu.I32(n))))
	require.NoError(d, s.Sync())
	for i, v := range download[float32](d, y) {
		require.Equal(d, float32(2*i-1), v)
	}
}

func arguments(d *device) {
	s, out := d.stream(), d.alloc(48)
	require.NoError(d, d.kernel("arguments").Launch(config(s, 1, 1, gpu.Ptr(out), gpu.I32(-5), gpu.U32(math.MaxUint32), gpu.I64(math.MinInt64),
		gpu.U64(math.MaxUint64), gpu.F32(-1.5), gpu.F64(math.Pi))))
	require.NoError(d, s.Sync())
	var minusFive int64 = -5
	require.Equal(d, []uint64{uint64(minusFive), math.MaxUint32, 1 << 63, math.MaxUint64, uint64(math.Float32bits(-1.5)), math.Float64bits(math.Pi)},
		download[uint64](d, out))
}

func geometry(d *device) {
	s, out := d.stream(), upload(d, make([]uint32, 12))
	require.NoError(d, d.kernel("geometry").Launch(gpu.LaunchConfig{Grid: [3]int{2, 3, 4}, Block: [3]int{5, 3, 2}, Stream: s, Args: []gpu.Arg{gpu.Ptr(out)}}))
	require.NoError(d, s.Sync())
	const blocks, threads = 24, 30
	all := uint32(blocks * threads)
	// Sums over all threads of a coordinate that runs over 0..k-1 equally often.
	sum := func(k uint32) uint32 { return all * (k - 1) / 2 }
	require.Equal(d, []uint32{2 * all, 3 * all, 4 * all, 5 * all, 3 * all, 2 * all, sum(2), sum(3), sum(4), sum(5), sum(3), sum(2)}, download[uint32](d, out))
}

func dynamicShared(d *device) {
	const n = 128
	f, s := d.kernel("reverse_f32"), d.stream()
	y, x := d.alloc(4*n), upload(d, ramp(n))
	cfg := config(s, 1, n, gpu.Ptr(y), gpu.Ptr(x))
	cfg.SharedBytes = 4 * n
	require.NoError(d, f.Launch(cfg))
	require.NoError(d, s.Sync())
	for i, v := range download[float32](d, y) {
		require.Equal(d, float32(n-1-i), v)
	}
	p := d.Properties()
	cfg.SharedBytes = p.MaxSharedPerBlock + 4
	require.Error(d, f.Launch(cfg), "more than the default needs to be asked for")
	if p.MaxSharedOptIn > p.MaxSharedPerBlock {
		require.NoError(d, f.SetMaxDynamicShared(p.MaxSharedOptIn))
		require.NoError(d, f.Launch(cfg))
	}
	require.Error(d, f.SetMaxDynamicShared(p.MaxSharedOptIn+4))
	require.NoError(d, s.Sync())
}

func streamsInOrder(d *device) {
	s, f, x := d.stream(), d.kernel("affine_f32"), upload(d, ramp(64))
	for range 3 {
		require.NoError(d, f.Launch(config(s, 1, 64, gpu.Ptr(x), gpu.Ptr(x), gpu.F32(2), gpu.F32(1), gpu.I32(64))))
	}
	require.NoError(d, s.Sync())
	require.Equal(d, float32(8*5+7), download[float32](d, x)[5])
	require.NoError(d, s.Close())
	require.ErrorIs(d, f.Launch(config(s, 1, 64, gpu.Ptr(x), gpu.Ptr(x), gpu.F32(2), gpu.F32(1), gpu.I32(64))), gpu.ErrClosed)
}

func eventsOrderStreams(d *device) {
	a, b, ev := d.stream(), d.stream(), d.event()
	f, x := d.kernel("affine_f32"), upload(d, ramp(64))
	require.NoError(d, f.Launch(config(a, 1, 64, gpu.Ptr(x), gpu.Ptr(x), gpu.F32(2), gpu.F32(0), gpu.I32(64))))
	require.NoError(d, ev.Record(a))
	require.NoError(d, b.Wait(ev))
	require.NoError(d, f.Launch(config(b, 1, 64, gpu.Ptr(x), gpu.Ptr(x), gpu.F32(1), gpu.F32(1), gpu.I32(64))))
	require.NoError(d, ev.Record(b), "an event may be recorded again")
	require.NoError(d, ev.Sync())
	require.Equal(d, float32(2*9+1), download[float32](d, x)[9])
	require.NoError(d, ev.Close())
}

func eventsMeasure(d *device) {
	s, e0, e1 := d.stream(), d.event(), d.event()
	_, err := e1.Elapsed(e0)
	require.Error(d, err, "nothing was recorded")
	require.NoError(d, e0.Record(s))
	x := upload(d, ramp(64))
	require.NoError(d, d.kernel("affine_f32").Launch(config(s, 1, 64, gpu.Ptr(x), gpu.Ptr(x), gpu.F32(2), gpu.F32(0), gpu.I32(64))))
	require.NoError(d, e1.Record(s))
	require.NoError(d, e1.Sync())
	ms, err := e1.Elapsed(e0)
	require.NoError(d, err)
	require.GreaterOrEqual(d, ms, 0.0)
}

func badLaunches(d *device) {
	s, f, x := d.stream(), d.kernel("affine_f32"), upload(d, ramp(64))
	good := config(s, 1, 64, gpu.Ptr(x), gpu.Ptr(x), gpu.F32(2), gpu.F32(0), gpu.I32(64))
	for name, spoil := range map[string]func(*gpu.LaunchConfig){
		"empty grid":         func(c *gpu.LaunchConfig) { c.Grid[1] = 0 },
		"huge block":         func(c *gpu.LaunchConfig) { c.Block = [3]int{1024, 2, 1} },
		"negative shared":    func(c *gpu.LaunchConfig) { c.SharedBytes = -1 },
		"no stream":          func(c *gpu.LaunchConfig) { c.Stream = nil },
		"too few arguments":  func(c *gpu.LaunchConfig) { c.Args = c.Args[:4] },
		"too many arguments": func(c *gpu.LaunchConfig) { c.Args = append(c.Args[:5:5], gpu.I32(1)) },
		"wrong width":        func(c *gpu.LaunchConfig) { c.Args = append(c.Args[:4:4], gpu.I64(64)) },
	} {
		c := good
		spoil(&c)
		var e *gpu.Error
		require.ErrorAs(d, f.Launch(c), &e, name)
		require.Equal(d, "affine_f32", e.Kernel, name)
		require.NotEmpty(d, e.Remedy, name)
	}
	b := d.kernel("bounded")
	require.Equal(d, 64, b.Attributes().MaxThreads)
	require.Error(d, b.Launch(config(s, 1, 65, gpu.Ptr(d.alloc(4*65)))))
	require.NoError(d, f.Launch(good), "refused launches harm nothing")
	require.NoError(d, d.Sync())
}

func unknownNames(d *device) {
	d.kernel("affine_f32")
	_, err := d.suite.Function("no_such_kernel")
	require.ErrorIs(d, err, gpu.ErrNotFound)
	require.ErrorContains(d, err, "no_such_kernel")
	require.NoError(d, d.suite.Unload())
}

func badPTX(d *device) {
	for name, edit := range map[string][2]string{
		"unknown opcode": {"fma.rn.f32", "frobnicate.rn.f32"},
		"syntax":         {"ret;", "ret"},
		"PTX version":    {".version 7.0", ".version 77.0"},
	} {
		src := strings.Replace(string(suite), edit[0], edit[1], 1)
		require.NotEqual(d, string(suite), src, name)
		_, err := d.LoadModule("broken", []byte(src))
		var e *gpu.Error
		require.ErrorAs(d, err, &e, name)
	}
	_, err := d.LoadModule("too new", []byte(strings.Replace(strings.Replace(string(suite), "sm_70", "sm_90", 1), ".version 7.0", ".version 7.8", 1)))
	if d.Properties().SM() < 90 {
		require.ErrorIs(d, err, gpu.ErrPTXTooNew)
	} else {
		require.NoError(d, err)
	}
}

func outOfMemory(d *device) {
	keep := d.alloc(1 << 20)
	_, err := d.Alloc(d.Properties().TotalMemory + 1)
	require.ErrorIs(d, err, gpu.ErrOutOfMemory)
	pool := gpu.NewPool(d.Driver)
	_, perr := pool.Alloc(1000, "weights")
	require.NoError(d, perr)
	_, err = pool.Alloc(d.Properties().TotalMemory, "activations")
	require.ErrorIs(d, err, gpu.ErrOutOfMemory)
	require.ErrorContains(d, err, "weights")
	require.NoError(d, d.Free(keep))
	_, err = d.Alloc(0)
	require.Error(d, err)
}

func doubleFree(d *device) {
	a := d.alloc(16)
	require.NoError(d, d.Free(a))
	require.Error(d, d.Free(a))
}

func poolReuses(d *device) {
	pool := gpu.NewPool(d.Driver)
	a := must[gpu.Buffer](d.tester)(pool.Alloc(1000, "a"))
	require.Equal(d, int64(1000), a.Size)
	require.NoError(d, pool.Free(a))
	b := must[gpu.Buffer](d.tester)(pool.Alloc(900, "b"))
	require.Equal(d, a.Ptr, b.Ptr)
	require.NoError(d, d.CopyHtoD(b, make([]byte, 900)))
	require.Equal(d, gpu.PoolStats{Live: 1, LiveBytes: 900, PeakBytes: 1000, Hits: 1, Misses: 1}, pool.Stats())
	require.NoError(d, pool.Free(b))
	require.NoError(d, pool.Trim())
}

func faultIsSticky(d *device) {
	s := d.stream()
	err := d.kernel("fault").Launch(config(s, 1, 1))
	if err == nil {
		err = s.Sync()
	}
	require.Error(d, err)
	require.ErrorIs(d, d.Sync(), gpu.ErrContextDead)
	_, err = d.Alloc(16)
	require.ErrorIs(d, err, gpu.ErrContextDead)
}

func closedDriver(d *device) {
	s := d.stream()
	require.NoError(d, d.Close())
	_, err := d.Alloc(16)
	require.ErrorIs(d, err, gpu.ErrClosed)
	require.ErrorIs(d, s.Sync(), gpu.ErrClosed)
	require.ErrorIs(d, d.Close(), gpu.ErrClosed)
}
