package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"emdiff/kernels"
	"emdiff/kernels/host"
)

// convShapes are layers of U-Nets: the sizes that the presets run, the first and last layers, a pointwise one.
var convShapes = []kernels.Conv{
	square(16, 32, 128, 128, 3),
	square(64, 14, 32, 32, 3),
	square(64, 14, 64, 64, 3),
	square(64, 7, 64, 64, 3),
	square(64, 7, 128, 128, 3),
	square(64, 16, 64, 64, 3),
	square(64, 8, 128, 128, 3),
	square(16, 16, 512, 256, 3),
	square(16, 8, 256, 256, 3),
	square(16, 4, 512, 256, 3),
	square(16, 32, 3, 128, 3),
	square(16, 32, 128, 3, 3),
	square(16, 16, 256, 256, 1),
}

// square is a convolution of stride 1 on square images that keeps the size.
func square(n, size, cin, cout, k int) kernels.Conv {
	pad := k / 2
	return kernels.Conv{N: n, H: size, W: size, Cin: cin, Cout: cout, KH: k, KW: k, Stride: 1, PadTop: pad, PadBottom: pad, PadLeft: pad, PadRight: pad}
}

// convOp is one direction of a convolution on its three arrays.
type convOp struct {
	run func(s kernels.Set, x, w, y kernels.Buffer, p kernels.Conv)
	// terms calls f with the factors of every product of element i of the result, and returns which array holds it.
	terms func(p kernels.Conv, x, w, y []float32, i int, f func(a, b float32))
	// result picks the result of x, w, y.
	result func(x, w, y kernels.Buffer) kernels.Buffer
}

func BenchmarkConv2D(b *testing.B) {
	benchmarkConv(b, convOp{
		run: func(s kernels.Set, x, w, y kernels.Buffer, p kernels.Conv) { s.Conv2D(y, x, w, kernels.Epilogue{}, p) },
		terms: func(p kernels.Conv, x, w, _ []float32, i int, f func(a, b float32)) {
			o, pixel := i%p.Cout, i/p.Cout
			eachTap(p, func(from, to, tap int) {
				if to == pixel {
					for c := range p.Cin {
						f(x[from*p.Cin+c], w[(tap*p.Cin+c)*p.Cout+o])
					}
				}
			})
		},
		result: func(_, _, y kernels.Buffer) kernels.Buffer { return y },
	})
}

func BenchmarkConv2DInputGrad(b *testing.B) {
	benchmarkConv(b, convOp{
		run: func(s kernels.Set, x, w, y kernels.Buffer, p kernels.Conv) { s.Conv2DInputGrad(x, y, w, p) },
		terms: func(p kernels.Conv, _, w, y []float32, i int, f func(a, b float32)) {
			c, pixel := i%p.Cin, i/p.Cin
			eachTap(p, func(from, to, tap int) {
				if from == pixel {
					for o := range p.Cout {
						f(y[to*p.Cout+o], w[(tap*p.Cin+c)*p.Cout+o])
					}
				}
			})
		},
		result: func(x, _, _ kernels.Buffer) kernels.Buffer { return x },
	})
}

func BenchmarkConv2DWeightGrad(b *testing.B) {
	benchmarkConv(b, convOp{
		run: func(s kernels.Set, x, w, y kernels.Buffer, p kernels.Conv) { s.Conv2DWeightGrad(w, x, y, p) },
		terms: func(p kernels.Conv, x, _, y []float32, i int, f func(a, b float32)) {
			o, c, weight := i%p.Cout, i/p.Cout%p.Cin, i/p.Cout/p.Cin
			eachTap(p, func(from, to, tap int) {
				if tap == weight {
					f(x[from*p.Cin+c], y[to*p.Cout+o])
				}
			})
		},
		result: func(_, w, _ kernels.Buffer) kernels.Buffer { return w },
	})
}

// eachTap calls f with the pixel of x, the pixel of y and the tap of every product of the convolution.
func eachTap(p kernels.Conv, f func(from, to, tap int)) {
	for n := range p.N {
		for i := range p.OutH() {
			for j := range p.OutW() {
				for a := range p.KH {
					for b := range p.KW {
						r, c := i*p.Stride+a-p.PadTop, j*p.Stride+b-p.PadLeft
						if r >= 0 && r < p.H && c >= 0 && c < p.W {
							f((n*p.H+r)*p.W+c, (n*p.OutH()+i)*p.OutW()+j, a*p.KW+b)
						}
					}
				}
			}
		}
	}
}

func benchmarkConv(b *testing.B, op convOp) {
	for _, level := range hostLevels() {
		for _, p := range convShapes {
			threads := runtime.GOMAXPROCS(0)
			name := fmt.Sprintf("impl=host/level=%s/threads=%d/n=%d/hw=%d/cin=%d/cout=%d/k=%d", level, threads, p.N, p.H, p.Cin, p.Cout, p.KH)
			b.Run(name, func(b *testing.B) {
				s, err := host.New(level, kernels.Options{Threads: threads})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				r := rand.New(rand.NewPCG(1, 2))
				x, xs := upload(s, r, p.XLen())
				w, ws := upload(s, r, p.WLen())
				y, ys := upload(s, r, p.YLen())
				run := func() { op.run(s, x, w, y, p) }
				run()
				checkSamples(b, s, r, op, p, op.result(x, w, y), xs, ws, ys)
				reportFLOPs(b, level, threads, p.Cost().FLOPs, run)
			})
		}
	}
}

// checkSamples compares elements of the result with their sums in float64. A float32 sum of n products in any order is
// off by at most n 2^-24 times the sum of their magnitudes (Higham 2002, section 3.1).
func checkSamples(b *testing.B, s kernels.Set, r *rand.Rand, op convOp, p kernels.Conv, result kernels.Buffer, x, w, y []float32) {
	got := make([]float32, result.Len())
	s.Download(got, result)
	for range 4 {
		i := r.IntN(len(got))
		var sum, magnitude, n float64
		op.terms(p, x, w, y, i, func(a, b float32) {
			sum += float64(a) * float64(b)
			magnitude += math.Abs(float64(a) * float64(b))
			n++
		})
		if !(math.Abs(float64(got[i])-sum) <= (n+1)*0x1p-24*magnitude) {
			b.Fatalf("element %d is %g, want %g", i, got[i], sum)
		}
	}
}

// reportFLOPs times run and reports it beside the ceiling measured just before and just after.
func reportFLOPs(b *testing.B, level string, threads int, flops float64, run func()) {
	before := host.PeakFMA(level, threads)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		run()
	}
	b.StopTimer()
	gflops := flops * float64(b.N) / b.Elapsed().Seconds() / 1e9
	b.ReportMetric(gflops, "GFLOP/s")
	b.ReportMetric(100*gflops/((before+host.PeakFMA(level, threads))/2), "%roof")
}

// hostLevels lists the CPU levels that can be used here, best first.
func hostLevels() []string {
	levels := []string{}
	for _, i := range kernels.Implementations() {
		if level, ok := strings.CutPrefix(i.Name, "host/"); ok && i.Usable() == nil {
			levels = append(levels, level)
		}
	}
	return levels
}

func upload(s kernels.Set, r *rand.Rand, n int) (kernels.Buffer, []float32) {
	values := make([]float32, n)
	for i := range values {
		values[i] = 2*r.Float32() - 1
	}
	b := s.Alloc(kernels.F32, n)
	s.Upload(b, values)
	return b, values
}
