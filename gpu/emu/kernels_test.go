package emu

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"emdiff/gpu"

	"github.com/stretchr/testify/require"
)

// rig is a device with a module and a stream, for tests.
type rig struct {
	t       testing.TB
	d       *Driver
	m       gpu.Module
	s       gpu.Stream
	reports []Report
}

func newRig(t testing.TB, file string, o Options) *rig {
	t.Helper()
	src, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	return newRigSource(t, src, o)
}

func newRigSource(t testing.TB, src []byte, o Options) *rig {
	t.Helper()
	r := &rig{t: t}
	o.OnLaunch = func(rep Report) { r.reports = append(r.reports, rep) }
	r.d = New(o)
	var err error
	r.m, err = r.d.LoadModule("test", src)
	require.NoError(t, err)
	r.s, err = r.d.NewStream()
	require.NoError(t, err)
	return r
}

func checked() Options { return Options{Checks: AllChecks()} }

// raw views a slice as bytes.
func raw[T any](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

func upload[T any](r *rig, v []T) gpu.Buffer {
	r.t.Helper()
	b := r.empty(len(raw(v)))
	require.NoError(r.t, r.d.CopyHtoD(b, raw(v)))
	return b
}

func (r *rig) empty(bytes int) gpu.Buffer {
	r.t.Helper()
	b, err := r.d.Alloc(int64(bytes))
	require.NoError(r.t, err)
	return b
}

func download[T any](r *rig, b gpu.Buffer) []T {
	r.t.Helper()
	var zero T
	out := make([]T, int(b.Size)/int(unsafe.Sizeof(zero)))
	require.NoError(r.t, r.d.CopyDtoH(raw(out), b))
	return out
}

func (r *rig) launch(kernel string, grid, block [3]int, shared int, args ...gpu.Arg) error {
	r.t.Helper()
	f, err := r.m.Function(kernel)
	require.NoError(r.t, err)
	return f.Launch(gpu.LaunchConfig{Grid: grid, Block: block, SharedBytes: shared, Stream: r.s, Args: args})
}

func (r *rig) run(kernel string, grid, block int, args ...gpu.Arg) Counters {
	r.t.Helper()
	require.NoError(r.t, r.launch(kernel, [3]int{grid, 1, 1}, [3]int{block, 1, 1}, 0, args...))
	return r.reports[len(r.reports)-1].Counters
}

func normals(seed uint64, n int) []float32 {
	g := rand.New(rand.NewPCG(seed, 1))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(g.NormFloat64())
	}
	return v
}

// fma32 is an independent fused multiply-add: exact in big arithmetic.
func fma32(a, b, c float32) float32 { return float32From(exactFMA(a, b, c)) }

func TestVectorAxpyIsExact(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	const n = 1000
	x, z := normals(1, n), normals(2, n)
	y := r.empty(4 * n)
	r.run("vector_axpy_f32", 4, 256, gpu.Ptr(y), gpu.Ptr(upload(r, x)), gpu.Ptr(upload(r, z)), gpu.F32(1.1), gpu.I32(n))
	for i, v := range download[float32](r, y) {
		require.Equal(t, fma32(1.1, x[i], z[i]), v, i)
	}
}

// gemm runs the tiled product of random matrices.
func (r *rig) gemm(m, n, k int) (a, b []float32, c gpu.Buffer, launch func() error) {
	a, b = normals(3, m*k), normals(4, k*n)
	c = r.empty(4 * m * n)
	da, db := upload(r, a), upload(r, b)
	return a, b, c, func() error {
		return r.launch("sgemm_f32_tiled", [3]int{n / 64, m / 64, 1}, [3]int{256, 1, 1}, 0,
			gpu.Ptr(c), gpu.Ptr(da), gpu.Ptr(db), gpu.I32(int32(m)), gpu.I32(int32(n)), gpu.I32(int32(k)))
	}
}

func TestTiledGEMMIsExact(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	const m, n, k = 128, 192, 48
	a, b, c, launch := r.gemm(m, n, k)
	require.NoError(t, launch())
	got := download[float32](r, c)
	for i := 0; i < m; i += 7 {
		for j := 0; j < n; j += 5 {
			var s float32
			for l := range k {
				s = fma32(a[i*k+l], b[l*n+j], s)
			}
			require.Equal(t, s, got[i*n+j])
		}
	}
}

func TestReduction(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	x := make([]float32, 5000)
	want := float32(0)
	for i := range x {
		x[i] = float32(i % 17) // small integers: the sum is exact in any order
		want += x[i]
	}
	out := r.empty(4 * 3)
	r.run("reduce_sum_f32", 3, 256, gpu.Ptr(out), gpu.Ptr(upload(r, x)), gpu.I32(5000))
	got := download[float32](r, out)
	require.Equal(t, want, got[0]+got[1]+got[2])
}

func TestSoftmax(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	const rows, cols = 3, 77
	x := normals(5, rows*cols)
	y := r.empty(4 * rows * cols)
	r.run("softmax_f32_rows", rows, 32, gpu.Ptr(y), gpu.Ptr(upload(r, x)), gpu.I32(cols))
	got := download[float32](r, y)
	for i := range rows {
		sum := 0.0
		for _, v := range x[i*cols : (i+1)*cols] {
			sum += math.Exp(float64(v))
		}
		for j, v := range x[i*cols : (i+1)*cols] {
			require.InEpsilon(t, math.Exp(float64(v))/sum, got[i*cols+j], 2e-6)
		}
	}
}

func TestHistogramWithAtomics(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	x := make([]uint32, 3000)
	var want [16]uint32
	for i := range x {
		x[i] = uint32(i * i)
		want[x[i]%16]++
	}
	h := upload(r, make([]uint32, 16))
	r.run("histogram_u32_atomic", 4, 128, gpu.Ptr(h), gpu.Ptr(upload(r, x)), gpu.I32(3000))
	require.Equal(t, want[:], download[uint32](r, h))
}

func TestCpAsyncDoubleBuffering(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	const n = 512 * 5
	x := normals(6, n)
	y := r.empty(4 * n)
	r.run("stream_f32_cpasync", 1, 128, gpu.Ptr(y), gpu.Ptr(upload(r, x)), gpu.I32(n))
	for i, v := range download[float32](r, y) {
		require.Equal(t, x[i]+1, v)
	}
}

func TestTensorCoreTiles(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	a, b := normals(7, 16*16), normals(8, 16*8)
	half := func(f smallFloat, v []float32) (bits []uint16, value []float64) {
		for _, x := range v {
			e := f.encode(float64(x), toNearest)
			bits = append(bits, uint16(e))
			value = append(value, f.decode(e))
		}
		return bits, value
	}
	tf32 := func(v []float32) (out []float64) {
		for _, x := range v {
			m, e := math.Frexp(float64(x))
			out = append(out, math.Ldexp(math.Round(math.Ldexp(m, 11)), e-11))
		}
		return out
	}
	check := func(name string, k int, av, bv []float64, d gpu.Buffer) {
		got := download[float32](r, d)
		for i := range 16 {
			for j := range 8 {
				s := 0.0
				for l := range k {
					s += av[i*k+l] * bv[l*8+j]
				}
				require.Equal(t, float32(s), got[i*8+j], "%s element %d,%d", name, i, j)
			}
		}
	}
	d := r.empty(4 * 128)
	r.run("mma_tf32_tile", 1, 32, gpu.Ptr(d), gpu.Ptr(upload(r, a[:128])), gpu.Ptr(upload(r, b[:64])))
	check("tf32", 8, tf32(a[:128]), tf32(b[:64]), d)
	for name, f := range map[string]smallFloat{"bf16": formatBF16, "f16": formatF16} {
		ab, av := half(f, a)
		bb, bv := half(f, b)
		r.run("mma_"+name+"_tile", 1, 32, gpu.Ptr(d), gpu.Ptr(upload(r, ab)), gpu.Ptr(upload(r, bb)))
		check(name, 16, av, bv, d)
	}
}

func TestMixedOps(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	g := rand.New(rand.NewPCG(9, 9))
	in := make([]uint32, 32)
	for i := range in {
		in[i] = g.Uint32()
	}
	const k = 0x123456789ABCDEF
	out := r.empty(4 * 32)
	r.run("mixed_ops", 1, 32, gpu.Ptr(out), gpu.Ptr(upload(r, in)), gpu.U64(k))
	ballot := uint32(0)
	for i, x := range in {
		ballot |= x & 1 << i
	}
	for i, got := range download[uint32](r, out) {
		x, y := in[i], in[i^1]
		w := uint64(x)*uint64(y) + k
		s := int32(x) >> 3
		v := uint32(w>>32) ^ uint32(w)
		v += bits.RotateLeft32(x, 5)
		v ^= uint32(bits.OnesCount32(y)) + uint32(bits.LeadingZeros32(x|1))*3
		v += x/(y|1) + x%(y|1)
		v ^= uint32(s / 7)
		v += uint32(w / (k | 1))
		v ^= bits.ReverseBytes32(x)
		v += bits.Reverse32(y)
		f := float32(x) * 0.5
		v ^= uint32(f)
		v += uint32(int64(math.FMA(float64(f), 3.25, float64(y))))
		v ^= ballot
		if x > y && s&2 != 0 {
			v += 17
		} else {
			v += 4
		}
		v += in[(uint32(i)+x&7)&31]
		require.Equal(t, v, got, "lane %d", i)
	}
}

func TestDivergentLoopsReconverge(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	x := make([]uint32, 96)
	for i := range x {
		x[i] = uint32(i + 1)
	}
	out := r.empty(4 * 96)
	c := r.run("collatz_u32", 2, 48, gpu.Ptr(out), gpu.Ptr(upload(r, x)))
	for i, got := range download[uint32](r, out) {
		steps := uint32(0)
		for n := x[i]; n != 1; steps++ {
			if n%2 == 1 {
				n = 3*n + 1
			} else {
				n /= 2
			}
		}
		require.Equal(t, steps, got, "start %d", x[i])
	}
	require.Positive(t, c.DivergentBranches)
}

func TestDynamicSharedMemory(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	const n = 96
	x := normals(10, 2*n)
	y := r.empty(4 * 2 * n)
	args := []gpu.Arg{gpu.Ptr(y), gpu.Ptr(upload(r, x))}
	require.NoError(t, r.launch("reverse_f32_dynamic", [3]int{2, 1, 1}, [3]int{n, 1, 1}, 4*n, args...))
	for i, v := range download[float32](r, y) {
		require.Equal(t, x[i/n*n+n-1-i%n], v)
	}
	err := r.launch("reverse_f32_dynamic", [3]int{2, 1, 1}, [3]int{n, 1, 1}, 4*n-4, args...)
	var f *Fault
	require.ErrorAs(t, err, &f, "one float too few of dynamic shared memory")
	require.Equal(t, OutOfBounds, f.Kind)
}

func TestResultsDoNotDependOnWorkersOrChecks(t *testing.T) {
	var want []float32
	for _, o := range []Options{checked(), {Workers: 1}, {Workers: 7}, {Checks: AllChecks(), Workers: 3}} {
		r := newRig(t, "kernels.ptx", o)
		_, _, c, launch := r.gemm(128, 64, 32)
		require.NoError(t, launch())
		got := download[float32](r, c)
		if want == nil {
			want = got
		}
		require.Equal(t, want, got)
	}
}

func benchGEMM(b *testing.B, o Options, m, n, k int) {
	r := newRig(b, "kernels.ptx", o)
	_, _, _, launch := r.gemm(m, n, k)
	require.NoError(b, launch())
	insts := r.reports[0].Counters.ThreadInstructions
	for b.Loop() {
		require.NoError(b, launch())
	}
	b.ReportMetric(float64(insts)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Minst/s")
}

// BenchmarkEmulator measures thread-instructions per second on the tiled SGEMM, with the exact counters always on.
//
// On an Intel Xeon with AVX2, November 2026, by processor time (the machine was shared): 500 M per core and second with checks off,
// 290 M with all checks on; 230 M and 145 M with the portable fma.
func BenchmarkEmulator(b *testing.B) {
	b.Run("kernel=sgemm/checks=off", func(b *testing.B) { benchGEMM(b, Options{}, 256, 256, 256) })
	b.Run("kernel=sgemm/checks=all", func(b *testing.B) { benchGEMM(b, checked(), 256, 256, 256) })
}

// BenchmarkMMA measures one matrix product of a warp, operand conversion included.
func BenchmarkMMA(b *testing.B) {
	for _, name := range []string{"mma_tf32_tile", "mma_bf16_tile", "mma_f16_tile"} {
		b.Run("kernel="+name, func(b *testing.B) {
			r := newRig(b, "kernels.ptx", Options{})
			f, err := r.m.Function(name)
			require.NoError(b, err)
			p := f.(*function).prog
			wk := newWorker(p)
			wk.prepare(&launch{prog: p, cfg: gpu.LaunchConfig{Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}}, args: make([]uint64, 3)})
			for pc := range p.code {
				if in := &p.code[pc]; in.kind == kMMA {
					for b.Loop() {
						wk.warps[0].multiplyMatrices(in, ^uint32(0))
					}
				}
			}
		})
	}
}
