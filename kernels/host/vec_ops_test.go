package host

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

// largeCases cross the boundaries of parts, strips, chunks and row chunks, which the conformance suite is too small for.
func largeCases() []kerneltest.Case {
	r := kernels.Random{Seed: 5, Stream: 1, Step: 2, FirstImage: 7}
	flat := kernels.Elementwise{Len: 2*grain + strip + 5}
	more := kernels.Elementwise{Len: grain + strip + 5, Accumulate: true}
	images := kernels.PerImage{N: 2, Len: grain + chunk + 7}
	norm := kernels.GroupNorm{N: 2, HW: 2*rowChunk + 9, C: 24, Groups: 4, Eps: 1e-5, SiLU: true}
	gain := kernels.Gain{N: 2, HW: grain/2 + 3, C: 3, GainN: 1, GainC: 1}
	normGrad := norm
	normGrad.Accumulate, normGrad.XStride = true, 40
	cases := []kerneltest.Case{
		{Op: "SiLU", Params: flat}, {Op: "SiLUGrad", Params: more}, {Op: "Add", Params: flat}, {Op: "Copy", Params: more},
		{Op: "Axpy", Params: kerneltest.Axpy{Elementwise: flat, Alpha: 0.3}},
		{Op: "Fill", Params: kerneltest.Fill{Elementwise: flat, Value: 2.5}},
		{Op: "Cast", Params: kerneltest.Cast{Elementwise: flat, Through: kernels.F16}},
		{Op: "Clamp", Params: kernels.Clamp{Len: flat.Len, Lo: -1, Hi: 0.5}},
		{Op: "ClampGrad", Params: kernels.Clamp{Len: flat.Len, Lo: -1, Hi: 0.5}},
		{Op: "ScaleImages", Params: images}, {Op: "Dot", Params: images}, {Op: "Sum", Params: images}, {Op: "SquaredError", Params: images},
		{Op: "SumRows", Params: kernels.SumRows{Groups: 2, Rows: 3*rowChunk + 1, C: 20}},
		{Op: "Gather", Params: kerneltest.Gather{PerImage: images, Rows: 3}},
		{Op: "CopyChannels", Params: kernels.Channels{Rows: grain / 8, C: 12, XStride: 20, XOffset: 3}},
		{Op: "Upsample2x", Params: kernels.Resize{N: 2, H: 9, W: 8, C: 70}},
		{Op: "Upsample2xGrad", Params: kernels.Resize{N: 2, H: 9, W: 8, C: 70, Accumulate: true}},
		{Op: "GroupNorm", Params: norm}, {Op: "GroupNorm", Params: norm, Data: kerneltest.Offset}, {Op: "GroupNormGrad", Params: normGrad},
		{Op: "GradNorm", Params: kernels.GradNorm{Len: flat.Len, MaxNorm: 1}},
		{Op: "AdamW", Params: kernels.AdamW{Len: flat.Len, LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, EMADecay: 0.99, Step: 4}},
		{Op: "Normal", Params: kernels.Draw{N: 2, Len: grain + strip + 37, Random: r}},
		{Op: "Uniform", Params: kernels.Draw{N: 2, Len: grain + strip + 37, Random: r}},
		{Op: "Dropout", Params: kernels.Dropout{N: 2, Len: grain + strip + 37, Rate: 0.1, Random: r}},
		{Op: "Update", Params: kernels.Update{N: 2, Len: grain + strip + 37, A: 0.9, B: 0.2, C: -0.3, Noise: 0.1, Random: r}},
		{Op: "Gain", Params: gain},
		{Op: "GaussianPosterior", Params: kernels.GaussianPosterior{Gain: gain, SigmaY: 0.2, R: 0.3, Temperature: 1, Random: r}},
		{Op: "Blur", Params: kernels.Blur{N: 3, H: 21, W: 33, C: 3, K: 9}},
		{Op: "BlurAdjoint", Params: kernels.Blur{N: 3, H: 21, W: 33, C: 3, K: 9}},
	}
	return cases
}

func TestLargeShapesKeepTheBudgetAndDoNotDependOnThreads(t *testing.T) {
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) {
		one, three := open(1), open(3)
		defer one.Close()
		defer three.Close()
		for _, c := range largeCases() {
			assert.NoError(t, kerneltest.Check(three, c))
			assert.NoError(t, kerneltest.CheckSame(one, three, c))
			assert.NoError(t, kerneltest.CheckBatch(three, c))
		}
	})
}

// The staged path of group norm, taken when there are fewer images than workers, must not change a bit.
func TestGroupNormIsTheSameForFewAndManyImagesPerWorker(t *testing.T) {
	p := kernels.GroupNorm{N: 2, HW: 3 * rowChunk, C: 32, Groups: 8, Eps: 1e-5, SiLU: true}
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) {
		few, many := open(2), open(3)
		defer few.Close()
		defer many.Close()
		for _, op := range []string{"GroupNorm", "GroupNormGrad"} {
			require.NoError(t, kerneltest.CheckSame(few, many, kerneltest.Case{Op: op, Params: p}))
		}
	})
}

// Ops on arrays beyond the caches write past them, by kernels of their own, which small shapes never reach.
func TestWritingPastTheCachesChangesNoBit(t *testing.T) {
	r := kernels.Random{Seed: 5}
	flat := kernels.Elementwise{Len: grain + 32*3}
	images := kernels.PerImage{N: 2, Len: grain + 32*3}
	norm := kernels.GroupNorm{N: 3, HW: rowChunk + 3, C: 96, Groups: 4, Eps: 1e-5}
	silu := norm
	silu.SiLU = true
	gain := kernels.Gain{N: 2, HW: 1024, C: 3, GainN: 1, GainC: 1}
	cases := append(largeCases(), []kerneltest.Case{
		{Op: "SiLU", Params: flat}, {Op: "SiLUGrad", Params: flat}, {Op: "Add", Params: flat}, {Op: "Copy", Params: flat},
		{Op: "Fill", Params: kerneltest.Fill{Elementwise: flat, Value: 2.5}},
		{Op: "Axpy", Params: kerneltest.Axpy{Elementwise: flat, Alpha: 0.3}},
		{Op: "Clamp", Params: kernels.Clamp{Len: flat.Len, Lo: -1, Hi: 0.5}},
		{Op: "ClampGrad", Params: kernels.Clamp{Len: flat.Len, Lo: -1, Hi: 0.5}},
		{Op: "ScaleImages", Params: images}, {Op: "SquaredError", Params: images},
		{Op: "Gather", Params: kerneltest.Gather{PerImage: images, Rows: 3}},
		{Op: "CopyChannels", Params: kernels.Channels{Rows: grain / 8, C: 32, YStride: 96, YOffset: 32}},
		{Op: "CopyChannels", Params: kernels.Channels{Rows: grain / 8, C: 32, YStride: 96, YOffset: 3}},
		{Op: "Upsample2x", Params: kernels.Resize{N: 2, H: 9, W: 8, C: 64}},
		{Op: "Upsample2xGrad", Params: kernels.Resize{N: 2, H: 9, W: 8, C: 64}},
		{Op: "GroupNorm", Params: norm}, {Op: "GroupNorm", Params: silu}, {Op: "GroupNormGrad", Params: norm}, {Op: "GroupNormGrad", Params: silu},
		{Op: "Normal", Params: kernels.Draw{N: 2, Len: 3072, Random: r}}, {Op: "Uniform", Params: kernels.Draw{N: 2, Len: 3072, Random: r}},
		{Op: "Dropout", Params: kernels.Dropout{N: 2, Len: 3072, Rate: 0.1, Random: r}},
		{Op: "Update", Params: kernels.Update{N: 2, Len: 3072, A: 0.9, B: 0.2, C: -0.3, Noise: 0.1, Random: r}},
		{Op: "Update", Params: kernels.Update{N: 2, Len: 3072, A: 0.9, B: 0.2, C: -0.3}},
		{Op: "Gain", Params: gain},
		{Op: "GaussianPosterior", Params: kernels.GaussianPosterior{Gain: gain, SigmaY: 0.2, R: 0.3, Temperature: 1, Random: r}},
	}...)
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) {
		through, past := open(1), open(3)
		defer through.Close()
		defer past.Close()
		kernels.Unwrap(past).(*Set).lastLevel = 0
		for _, c := range cases {
			assert.NoError(t, kerneltest.Check(past, c))
			assert.NoError(t, kerneltest.CheckSame(through, past, c))
		}
	})
}

// Tensors of a network are reused step after step: an op must not feed the garbage collector, at any level, in whatever way
// it stores.
func TestNoOpAllocatesAfterTheFirstCall(t *testing.T) {
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) {
		checked := open(2)
		defer checked.Close()
		s := kernels.Unwrap(checked)
		for _, size := range []int{lastLevel, 0} {
			s.(*Set).lastLevel = size
			for _, op := range kerneltest.Ops() {
				cases := kerneltest.Cases(op)
				for _, c := range []kerneltest.Case{cases[0], cases[len(cases)/2], cases[len(cases)-1]} {
					call, err := kerneltest.NewCall(s, c)
					require.NoError(t, err)
					call.Queue() // grow the scratch memory of the caller; the other worker grows its own during the runs
					assert.LessOrEqual(t, testing.AllocsPerRun(20, call.Queue), 0.2, "%v", c)
					call.Free()
				}
			}
		}
	})
}

// <A x, y> = <x, A' y>, on shapes where taps reach over both edges.
func TestBlurAdjointIsTheTransposeOfBlur(t *testing.T) {
	shapes := []kernels.Blur{{N: 2, H: 5, W: 7, C: 3, K: 9}, {N: 1, H: 32, W: 32, C: 3, K: 9}, {N: 1, H: 2, W: 3, C: 1, K: 3}, {N: 1, H: 1, W: 1, C: 5, K: 1}}
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) {
		s := open(1)
		defer s.Close()
		for _, p := range shapes {
			n := p.N * p.H * p.W * p.C
			buffer := func(values []float32) kernels.Buffer {
				b := s.Alloc(kernels.F32, len(values))
				s.Upload(b, values)
				return b
			}
			x, y, taps := buffer(randoms(1, n)), buffer(randoms(2, n)), buffer(randoms(3, p.K))
			ax, aty, out := buffer(make([]float32, n)), buffer(make([]float32, n)), buffer(make([]float32, 3))
			s.Blur(ax, x, taps, p)
			s.BlurAdjoint(aty, y, taps, p)
			all := kernels.PerImage{N: 1, Len: n}
			s.Dot(out, ax, y, all)
			got := make([]float32, 1)
			s.Download(got, out)
			left := got[0]
			s.Dot(out, x, aty, all)
			s.Download(got, out)
			s.Dot(out, ax, ax, all)
			size := make([]float32, 1)
			s.Download(size, out)
			// Each side rounds sums of K^2 products of the size of |Ax|.
			assert.InDelta(t, left, got[0], 0x1p-23*float64(p.K*p.K)*(1+float64(size[0])), "%+v", p)
		}
	})
}
