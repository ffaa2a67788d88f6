package bench

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"emdiff/kernels"
	"emdiff/kernels/host"
	"emdiff/kernels/kerneltest"
)

// vectorOp is an op of kernels.Set that memory or vector arithmetic bounds, on n images of vectorImage values each.
type vectorOp struct {
	name   string
	params func(n int) any                 // of the case that is checked
	floats float64                         // read and written at the least, per value
	call   func(s kernels.Set, a operands) // the timed call
}

// vectorImage is the largest activation of the CIFAR-10 network: 32 x 32 x 128.
const vectorImage = 32 * 32 * 128

// operands are five arrays of n images, and small ones that hold one value per image, channel or group.
type operands struct {
	n             int
	y, x, z, u, v kernels.Buffer
	a, b, c       kernels.Buffer
}

func newOperands(s kernels.Set, n int) operands {
	values := make([]float32, n*vectorImage)
	for i := range values {
		values[i] = float32(i%257)/128 - 1
	}
	buffer := func(length int) kernels.Buffer {
		b := s.Alloc(kernels.F32, length)
		s.Upload(b, values[:length])
		return b
	}
	ones := func() kernels.Buffer {
		b := s.Alloc(kernels.F32, 64*n+1024)
		s.Fill(b, 1, kernels.Elementwise{Len: b.Len()})
		return b
	}
	array := func() kernels.Buffer { return buffer(n * vectorImage) }
	return operands{n, array(), array(), array(), array(), array(), ones(), ones(), ones()}
}

var vectorRandom = kernels.Random{Seed: 1, Stream: 2}

func flat(n int) kernels.Elementwise { return kernels.Elementwise{Len: n * vectorImage} }
func perImage(n int) kernels.PerImage {
	return kernels.PerImage{N: n, Len: vectorImage}
}
func draws(n int) kernels.Draw {
	return kernels.Draw{N: n, Len: vectorImage, Random: vectorRandom}
}
func normShape(silu bool) func(n int) kernels.GroupNorm {
	return func(n int) kernels.GroupNorm {
		return kernels.GroupNorm{N: n, HW: 1024, C: 128, Groups: 32, Eps: 1e-6, SiLU: silu}
	}
}
func adamStep(n int) kernels.AdamW {
	return kernels.AdamW{Len: n * vectorImage, LR: 2e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, EMADecay: 0.999, Step: 3}
}
func samplerStep(n int) kernels.Update {
	return kernels.Update{N: n, Len: vectorImage, A: 0.9, B: 0.1, C: -0.1, Noise: 0.1, Random: vectorRandom}
}

// pictures are the RGB images that fit into n activations.
func pictures(n int) (count int) { return n * vectorImage / (32 * 32 * 3) }
func maskShape(n int) kernels.Gain {
	return kernels.Gain{N: pictures(n), HW: 1024, C: 3, GainN: pictures(n), GainC: 1}
}
func posteriorShape(n int) kernels.GaussianPosterior {
	return kernels.GaussianPosterior{Gain: maskShape(n), SigmaY: 0.2, R: 0.3, Temperature: 1, Random: vectorRandom}
}

// concatShape writes the first half of the channels of a concatenation.
func concatShape(n int) kernels.Channels {
	return kernels.Channels{Rows: n * 1024, C: 64, YStride: 128}
}
func resizeShape(n int) kernels.Resize { return kernels.Resize{N: n, H: 16, W: 16, C: 128} }
func shuffleShape(n int) kernels.Shuffle {
	return kernels.Shuffle{N: pictures(n), H: 32, W: 32, C: 3, R: 2}
}
func blurShape(n int) kernels.Blur { return kernels.Blur{N: pictures(n), H: 32, W: 32, C: 3, K: 9} }

// anyOf hides the type of a parameter struct.
func anyOf[P any](f func(n int) P) func(n int) any { return func(n int) any { return f(n) } }

var vectorOps = []vectorOp{
	{"Copy", anyOf(flat), 2, func(s kernels.Set, a operands) { s.Copy(a.y, a.x, flat(a.n)) }},
	{"Add", anyOf(flat), 3, func(s kernels.Set, a operands) { s.Add(a.y, a.x, a.z, flat(a.n)) }},
	{"SiLU", anyOf(flat), 2, func(s kernels.Set, a operands) { s.SiLU(a.y, a.x, flat(a.n)) }},
	{"SiLUGrad", anyOf(flat), 3, func(s kernels.Set, a operands) { s.SiLUGrad(a.y, a.x, a.z, flat(a.n)) }},
	{"ScaleImages", anyOf(perImage), 3, func(s kernels.Set, a operands) { s.ScaleImages(a.y, a.a, a.x, a.b, a.z, perImage(a.n)) }},
	{"Dot", anyOf(perImage), 2, func(s kernels.Set, a operands) { s.Dot(a.c, a.x, a.z, perImage(a.n)) }},
	{"SquaredError", anyOf(perImage), 3, func(s kernels.Set, a operands) { s.SquaredError(a.c, a.y, a.x, a.z, a.a, perImage(a.n)) }},
	{"GroupNorm", anyOf(normShape(false)), 2, func(s kernels.Set, a operands) {
		s.GroupNorm(a.y, a.x, a.a, a.a, nil, a.b, a.c, normShape(false)(a.n))
	}},
	{"GroupNorm", anyOf(normShape(true)), 2, func(s kernels.Set, a operands) {
		s.GroupNorm(a.y, a.x, a.a, a.a, nil, a.b, a.c, normShape(true)(a.n))
	}},
	{"GroupNormGrad", anyOf(normShape(false)), 3, func(s kernels.Set, a operands) {
		s.GroupNormGrad(a.y, a.u, a.v, nil, a.x, a.z, a.a, a.a, nil, a.b, a.c, normShape(false)(a.n))
	}},
	{"GroupNormGrad", anyOf(normShape(true)), 3, func(s kernels.Set, a operands) {
		s.GroupNormGrad(a.y, a.u, a.v, nil, a.x, a.z, a.a, a.a, nil, a.b, a.c, normShape(true)(a.n))
	}},
	{"Normal", anyOf(draws), 1, func(s kernels.Set, a operands) { s.Normal(a.y, nil, draws(a.n)) }},
	{"Uniform", anyOf(draws), 1, func(s kernels.Set, a operands) { s.Uniform(a.y, nil, draws(a.n)) }},
	{"Update", anyOf(samplerStep), 4, func(s kernels.Set, a operands) {
		s.Update(a.y, a.x, a.z, a.u, a.a, nil, samplerStep(a.n))
	}},
	{"GradNorm", anyOf(func(n int) kernels.GradNorm { return kernels.GradNorm{Len: n * vectorImage} }), 1, func(s kernels.Set, a operands) {
		s.GradNorm(a.c, a.x, kernels.GradNorm{Len: a.n * vectorImage})
	}},
	{"AdamW", anyOf(adamStep), 9, func(s kernels.Set, a operands) { s.AdamW(a.y, a.x, a.z, a.u, a.v, a.a, adamStep(a.n)) }},
	{"Gain", anyOf(maskShape), 2 + 1.0/3, func(s kernels.Set, a operands) { s.Gain(a.y, a.x, a.z, maskShape(a.n)) }},
	{"GaussianPosterior", anyOf(posteriorShape), 3 + 1.0/3, func(s kernels.Set, a operands) {
		s.GaussianPosterior(a.y, a.x, a.z, a.u, nil, posteriorShape(a.n))
	}},
	{"Fill", anyOf(func(n int) kerneltest.Fill { return kerneltest.Fill{Elementwise: flat(n)} }), 1, func(s kernels.Set, a operands) {
		s.Fill(a.y, 0, flat(a.n))
	}},
	{"Axpy", anyOf(func(n int) kerneltest.Axpy { return kerneltest.Axpy{Elementwise: flat(n), Alpha: 0.5} }), 3, func(s kernels.Set, a operands) {
		s.Axpy(a.y, a.x, 0.5, flat(a.n))
	}},
	{"CopyChannels", anyOf(concatShape), 2 * 0.5, func(s kernels.Set, a operands) { s.CopyChannels(a.y, a.x, concatShape(a.n)) }},
	{"Upsample2x", anyOf(resizeShape), 1.25, func(s kernels.Set, a operands) { s.Upsample2x(a.y, a.x, resizeShape(a.n)) }},
	{"Upsample2xGrad", anyOf(resizeShape), 1.25, func(s kernels.Set, a operands) { s.Upsample2xGrad(a.y, a.x, resizeShape(a.n)) }},
	{"PixelUnshuffle", anyOf(shuffleShape), 2, func(s kernels.Set, a operands) { s.PixelUnshuffle(a.y, a.x, shuffleShape(a.n)) }},
	{"PixelShuffle", anyOf(shuffleShape), 2, func(s kernels.Set, a operands) { s.PixelShuffle(a.y, a.x, shuffleShape(a.n)) }},
	{"Blur", anyOf(blurShape), 2, func(s kernels.Set, a operands) { s.Blur(a.y, a.x, a.a, blurShape(a.n)) }},
	{"BlurAdjoint", anyOf(blurShape), 2, func(s kernels.Set, a operands) { s.BlurAdjoint(a.y, a.x, a.a, blurShape(a.n)) }},
}

// label tells apart ops of one name.
func (o vectorOp) label() string {
	if p, ok := o.params(1).(kernels.GroupNorm); ok {
		return fmt.Sprintf("%s/silu=%t", o.name, p.SiLU)
	}
	return o.name
}

// BenchmarkVector times the ops that are not products, in the level 2 cache and in memory. Each is checked on one image
// first: the result for an image does not depend on how many there are. %copy compares the bytes per second with the best
// of copies of such arrays between the calls (host.CopyProbe), medians of both.
func BenchmarkVector(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"l2", 1}, {"layer", 16}, {"memory", 128}} {
		for _, i := range kernels.Implementations() {
			if !strings.HasPrefix(i.Name, "host/") || i.Usable() != nil {
				continue
			}
			for _, threads := range slices.Compact([]int{1, runtime.GOMAXPROCS(0)}) {
				name := fmt.Sprintf("size=%s/level=%s/threads=%d", size.name, strings.TrimPrefix(i.Name, "host/"), threads)
				b.Run(name, func(b *testing.B) {
					s, err := i.Open(kernels.Options{Threads: threads})
					if err != nil {
						b.Fatal(err)
					}
					defer s.Close()
					benchmarkVectorOps(b, s, size.n, threads)
				})
			}
		}
	}
}

func benchmarkVectorOps(b *testing.B, s kernels.Set, n, threads int) {
	a := newOperands(s, n)
	for _, o := range vectorOps {
		b.Run("op="+o.label(), func(b *testing.B) {
			if err := kerneltest.Check(s, kerneltest.Case{Op: o.name, Params: o.params(1)}); err != nil {
				b.Fatal(err)
			}
			o.call(s, a)
			var times []float64
			probe := host.NewCopyProbe(4*n*vectorImage, threads)
			defer probe.Close()
			calls := max(1, 16/n) // at least so many that waking the workers does not count
			for b.Loop() {
				start := time.Now()
				for range calls {
					o.call(s, a)
				}
				times = append(times, time.Since(start).Seconds()/float64(calls))
				b.StopTimer()
				probe.Turn()
				b.StartTimer()
			}
			values := float64(n*vectorImage) / median(times) * 1e-9
			b.ReportMetric(values, "G/s")
			b.ReportMetric(values*o.floats*4, "GB/s")
			b.ReportMetric(100*values*o.floats*4/probe.Median(), "%copy")
		})
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
