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

// Tensors of a network are reused step after step: an op must not feed the garbage collector.
func TestVectorOpsDoNotAllocateAfterTheFirstCall(t *testing.T) {
	checked, err := New("portable", kernels.Options{Threads: 2})
	require.NoError(t, err)
	defer checked.Close()
	s := kernels.Unwrap(checked)
	const n, c, side = 2, 16, 8
	const length = side * side * c
	alloc := func() kernels.Buffer { return s.Alloc(kernels.F32, 4*n*length) }
	y, x, z, a, b, m, v := alloc(), alloc(), alloc(), alloc(), alloc(), alloc(), alloc()
	half := s.Alloc(kernels.BF16, n*length)
	flat := kernels.Elementwise{Len: n * length}
	images := kernels.PerImage{N: n, Len: length}
	norm := kernels.GroupNorm{N: n, HW: side * side, C: c, Groups: 4, Eps: 1e-5, SiLU: true}
	gain := kernels.Gain{N: n, HW: side * side, C: c, GainN: 1, GainC: 1}
	for name, op := range map[string]func(){
		"SiLU":              func() { s.SiLU(y, x, flat) },
		"SiLUGrad":          func() { s.SiLUGrad(y, x, z, kernels.Elementwise{Len: length, Accumulate: true}) },
		"Axpy":              func() { s.Axpy(y, x, 0.5, flat) },
		"Fill":              func() { s.Fill(x, 0.5, flat) },
		"Clamp":             func() { s.Clamp(y, x, kernels.Clamp{Len: length, Lo: -1, Hi: 1}) },
		"Cast":              func() { s.Cast(half, x, flat) },
		"ScaleImages":       func() { s.ScaleImages(y, a, x, nil, nil, images) },
		"Dot":               func() { s.Dot(a, x, z, images) },
		"SquaredError":      func() { s.SquaredError(a, y, x, z, b, images) },
		"SumRows":           func() { s.SumRows(a, x, kernels.SumRows{Groups: n, Rows: side * side, C: c}) },
		"Upsample2x":        func() { s.Upsample2x(y, x, kernels.Resize{N: n, H: side, W: side, C: c}) },
		"Upsample2xGrad":    func() { s.Upsample2xGrad(x, y, kernels.Resize{N: n, H: side, W: side, C: c}) },
		"PixelShuffle":      func() { s.PixelShuffle(y, x, kernels.Shuffle{N: n, H: side, W: side, C: c, R: 2}) },
		"CopyChannels":      func() { s.CopyChannels(y, x, kernels.Channels{Rows: side, C: c}) },
		"TimeEmbedding":     func() { s.TimeEmbedding(y, a, kernels.TimeEmbedding{N: n, Dim: 8, MaxPeriod: 100}) },
		"Dropout":           func() { s.Dropout(y, x, nil, kernels.Dropout{N: n, Len: length, Rate: 0.5}) },
		"Normal":            func() { s.Normal(y, nil, kernels.Draw{N: n, Len: length}) },
		"Update":            func() { s.Update(y, x, z, nil, nil, nil, kernels.Update{N: n, Len: length, A: 1, Noise: 1}) },
		"GradNorm":          func() { s.GradNorm(a, x, kernels.GradNorm{Len: n * length}) },
		"AdamW":             func() { s.AdamW(y, m, v, z, x, a, kernels.AdamW{Len: length, Step: 1, Eps: 1}) },
		"Gain":              func() { s.Gain(y, x, b, gain) },
		"GaussianPosterior": func() { s.GaussianPosterior(y, x, z, b, nil, kernels.GaussianPosterior{Gain: gain, SigmaY: 1, R: 1}) },
		"BlurAdjoint":       func() { s.BlurAdjoint(y, x, b, kernels.Blur{N: n, H: side, W: side, C: c, K: 3}) },
		"GroupNorm":         func() { s.GroupNorm(y, x, a, b, nil, m, v, norm) },
		"GroupNormGrad":     func() { s.GroupNormGrad(y, a, b, nil, x, z, a, b, nil, m, v, norm) },
	} {
		op() // grow the scratch memory of the caller; the other worker grows its own during the runs
		assert.LessOrEqual(t, testing.AllocsPerRun(50, op), 0.1, name)
	}
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
