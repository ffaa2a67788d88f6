package ref

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

// upload returns a buffer of s that holds v.
func upload(s kernels.Set, v ...float32) kernels.Buffer {
	b := s.Alloc(kernels.F32, len(v))
	s.Upload(b, v)
	return b
}

func download(s kernels.Set, b kernels.Buffer) []float32 {
	v := make([]float32, b.Len())
	s.Download(v, b)
	return v
}

// Worked by hand: the gradients are held to the forward pass by finite differences, the forward pass to these.
func TestForwardOpsMatchWorkedExamples(t *testing.T) {
	s := New()
	y := s.Alloc(kernels.F32, 4)

	// A 2x2 kernel on a 2x3 ramp with padding only at the top: the first row of y sees zeros above it.
	s.Conv2D(y, upload(s, 0, 1, 2, 3, 4, 5), upload(s, 1, 2, 10, 20), kernels.Epilogue{Bias: upload(s, 100)},
		kernels.Conv{N: 1, H: 2, W: 3, Cin: 1, Cout: 1, KH: 2, KW: 2, Stride: 1, PadTop: 1})
	assert.Equal(t, []float32{100 + 20, 100 + 10 + 40, 100 + 2 + 30 + 80, 100 + 1 + 4 + 40 + 100}, download(s, y))

	// Stride 2 with two input and two output channels.
	s.Conv2D(y, upload(s, 1, 2, 9, 9, 3, 4), upload(s, 1, 10, 100, 1000), kernels.Epilogue{ImageBias: upload(s, 0, 1), Residual: upload(s, 0, 0, 0, 2)},
		kernels.Conv{N: 1, H: 1, W: 3, Cin: 2, Cout: 2, KH: 1, KW: 1, Stride: 2})
	assert.Equal(t, []float32{201, 2011, 403, 4033}, download(s, y))

	s.MatMul(y, upload(s, 1, 2, 3, 4), upload(s, 5, 6, 7, 8), kernels.MatMul{Batch: 1, M: 2, N: 2, K: 2, TransA: true, Alpha: 2})
	assert.Equal(t, []float32{52, 60, 76, 88}, download(s, y))

	mean, rstd := s.Alloc(kernels.F32, 1), s.Alloc(kernels.F32, 1)
	s.GroupNorm(y, upload(s, 1, 3, 1, 3), upload(s, 2, 4), upload(s, 0, 1), upload(s, 1, 0, 0, 5), mean, rstd,
		kernels.GroupNorm{N: 1, HW: 2, C: 2, Groups: 1, Eps: 3}) // variance 1, rstd 1/2, xhat -1/2 and 1/2
	assert.Equal(t, []float32{-2, 8, -2, 8}, download(s, y))
	assert.Equal(t, []float32{2, 0.5}, append(download(s, mean), download(s, rstd)...))

	// Two tokens whose scores differ by ln 3: weights 1/4 and 3/4.
	ln3 := float32(math.Log(3))
	lse := s.Alloc(kernels.F32, 2)
	o := s.Alloc(kernels.F32, 2)
	s.Attention(o, upload(s, 2, 0), upload(s, 0, ln3), upload(s, 8, 16), lse, kernels.Attention{N: 1, T: 2, Heads: 1, HeadDim: 1, Scale: 0.5})
	assert.InDeltaSlice(t, []float32{14, 12}, download(s, o), 1e-6)
	assert.InDeltaSlice(t, []float64{math.Log(4), math.Log(2)}, download(s, lse), 1e-6)

	s.Upsample2x(y, upload(s, 7), kernels.Resize{N: 1, H: 1, W: 1, C: 1})
	assert.Equal(t, []float32{7, 7, 7, 7}, download(s, y))
	s.PixelUnshuffle(y, upload(s, 1, 2, 3, 4), kernels.Shuffle{N: 1, H: 1, W: 2, C: 2, R: 1})
	assert.Equal(t, []float32{1, 2, 3, 4}, download(s, y))
	shuffled := s.Alloc(kernels.F32, 8)
	s.PixelUnshuffle(shuffled, upload(s, 0, 10, 1, 11, 2, 12, 3, 13), kernels.Shuffle{N: 1, H: 2, W: 2, C: 2, R: 2})
	assert.Equal(t, []float32{0, 1, 2, 3, 10, 11, 12, 13}, download(s, shuffled))

	// exp(-ln(100) i/(2-1)) = 1, 1/100.
	s.TimeEmbedding(y, upload(s, 2), kernels.TimeEmbedding{N: 1, Dim: 4, FreqShift: 1, MaxPeriod: 100, CosFirst: true})
	assert.InDeltaSlice(t, []float64{math.Cos(2), math.Cos(0.02), math.Sin(2), math.Sin(0.02)}, download(s, y), 1e-7)

	// Reflection of 0 1 2 3 under taps 1 10 100: ... 1 | 0 1 2 3 | 2 ...
	blurred := s.Alloc(kernels.F32, 16)
	s.Blur(blurred, upload(s, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3), upload(s, 1, 10, 100), kernels.Blur{N: 1, H: 4, W: 4, C: 1, K: 3})
	assert.Equal(t, []float32{111 * 101, 111 * 210, 111 * 321, 111 * 232}, download(s, blurred)[:4])
}

func TestAdamWMatchesAStepByHand(t *testing.T) {
	s := New()
	w, m, v, ema := upload(s, 1), upload(s, 0), upload(s, 0), upload(s, 3)
	p := kernels.AdamW{Len: 1, LR: 0.5, Beta1: 0.5, Beta2: 0.75, Eps: 1, WeightDecay: 0.25, EMADecay: 0.5, Step: 1}
	// g = 0.5*4 = 2: m = 1, v = 1, both corrected to 2 and 4; w = 1 - 0.125 - 0.5*2/(2+1).
	s.AdamW(w, m, v, ema, upload(s, 4), upload(s, 9, 0.5, 1), p)
	want := 0.875 - 1.0/3
	assert.Equal(t, []float32{float32(want), 1, 1, float32(1.5 + want/2)}, []float32{
		download(s, w)[0], download(s, m)[0], download(s, v)[0], download(s, ema)[0]})

	s.AdamW(w, m, v, ema, upload(s, float32(math.NaN())), upload(s, 0, 0, 0), p)
	assert.Equal(t, float32(want), download(s, w)[0], "a gradient that is not finite changes nothing")
}

func TestGradNormClipsAndReportsWhatIsNotFinite(t *testing.T) {
	s := New()
	out := s.Alloc(kernels.F32, 3)
	s.GradNorm(out, upload(s, 3, 4), kernels.GradNorm{Len: 2, MaxNorm: 1})
	assert.Equal(t, []float32{5, 0.2, 1}, download(s, out))
	s.GradNorm(out, upload(s, 3, 4), kernels.GradNorm{Len: 2})
	assert.Equal(t, []float32{5, 1, 1}, download(s, out))
	s.GradNorm(out, upload(s, 3, float32(math.Inf(-1))), kernels.GradNorm{Len: 2, MaxNorm: 1})
	assert.Equal(t, float32(0), download(s, out)[2])
}

func TestGaussianPosteriorWithoutInformationReturnsThePrior(t *testing.T) {
	s := New()
	x := s.Alloc(kernels.F32, 2)
	p := kernels.GaussianPosterior{Gain: kernels.Gain{N: 1, HW: 2, C: 1, GainN: 1, GainC: 1}, SigmaY: 1, R: 1}
	s.GaussianPosterior(x, upload(s, 4, 4), upload(s, 2, 2), upload(s, 0, 1), nil, p)
	assert.Equal(t, []float32{4, 3}, download(s, x), "masked: the prior; seen, with equal variances: the midpoint")
}

func TestDrawsFollowTheImageIDs(t *testing.T) {
	s := New()
	r := kernels.Random{Seed: 5, Stream: 2, Step: 3, FirstImage: 40}
	y := s.Alloc(kernels.F32, 12)
	s.Normal(y, nil, kernels.Draw{N: 2, Len: 6, Random: r})
	block := kernels.NormalBlock(r, 41, 1)
	assert.Equal(t, block[:2], download(s, y)[10:])
	ids := s.Alloc(kernels.I32, 2)
	s.UploadInts(ids, []int32{7, 41})
	s.Uniform(y, ids, kernels.Draw{N: 2, Len: 6, Random: r})
	block = kernels.UniformBlock(r, 41, 1)
	assert.Equal(t, block[:2], download(s, y)[10:])
}

func TestHalfPrecisionRoundsToNearestEven(t *testing.T) {
	inf := float32(math.Inf(1))
	for x, want := range map[float32]float32{
		1: 1, -2.5: -2.5, 65504: 65504, 65519: 65504, 65520: inf, -1e9: -inf, inf: inf,
		1 + 0x1p-11: 1, 1 + 0x3p-11: 1 + 0x1p-9, 1 + 0x1.8p-11: 1 + 0x1p-10, 2 - 0x1p-12: 2,
		0x1p-24: 0x1p-24, 0x1p-25: 0, 0x3p-25: 0x1p-23, 0x1p-14 - 0x1p-26: 0x1p-14, 0: 0,
	} {
		assert.Equal(t, want, fromF16(toF16(x)), "float16 of %g", x)
	}
	for x, want := range map[float32]float32{
		1: 1, 1 + 0x1p-8: 1, 1 + 0x3p-8: 1 + 0x1p-6, 1 + 0x1.01p-8: 1 + 0x1p-7, inf: inf, 3e38: 0x1.c4p127, math.MaxFloat32: inf,
	} {
		assert.Equal(t, want, fromBF16(toBF16(x)), "bfloat16 of %g", x)
	}
	nan := float32(math.NaN())
	assert.True(t, math.IsNaN(float64(fromF16(toF16(nan)))))
	assert.True(t, math.IsNaN(float64(fromBF16(toBF16(nan)))))
	for h := range 1 << 16 {
		if h&0x7c00 != 0x7c00 {
			require.Equal(t, uint16(h), toF16(fromF16(uint16(h))), "every finite float16 survives")
		}
	}
}

func TestTF32RoundsTiesAwayFromZero(t *testing.T) {
	assert.Equal(t, float32(1+0x1p-10), roundTF32(1+0x1p-11))
	assert.Equal(t, float32(-1-0x1p-10), roundTF32(-1-0x1p-11))
	assert.Equal(t, float32(1), roundTF32(1+0x1.ffep-12))
	assert.Equal(t, float32(math.Inf(1)), roundTF32(float32(math.Inf(1))))
}

func TestOnlyTheExactSetIgnoresPrecision(t *testing.T) {
	third := float32(1) / 3
	product := func(s kernels.Set) float32 {
		c := s.Alloc(kernels.F32, 1)
		s.MatMul(c, upload(s, third), upload(s, 1), kernels.MatMul{Batch: 1, M: 1, N: 1, K: 1, Alpha: 1, Precision: kernels.PrecisionBF16})
		return download(s, c)[0]
	}
	assert.Equal(t, third, product(Float64()))
	assert.Equal(t, float32(0x1.56p-2), product(New()))
	assert.Equal(t, float32(0x1.56p-2), product(Naive()))
}

func TestTheSetsDifferInRoundingAlone(t *testing.T) {
	terms := []float32{1, 0x1p-24, 0x1p-24} // each tail is lost against 1 in float32, not in float64
	sum := func(s kernels.Set) kernels.Buffer {
		out := s.Alloc(kernels.F32, 1)
		s.Sum(out, upload(s, terms...), kernels.PerImage{N: 1, Len: 3})
		return out
	}
	assert.Equal(t, float32(1), download(Naive(), sum(Naive()))[0])
	assert.Equal(t, float32(1+0x1p-23), download(New(), sum(New()))[0])
	assert.Equal(t, 1+0x1p-23, Values(sum(Float64()))[0])
}

func TestRefIsRegistered(t *testing.T) {
	for _, i := range kernels.Implementations() {
		if i.Name == "ref" {
			require.NoError(t, i.Usable())
			s, err := i.Open(kernels.Options{})
			require.NoError(t, err)
			assert.Equal(t, "ref", s.Name())
			require.NoError(t, s.Sync())
			require.NoError(t, s.Close())
			return
		}
	}
	t.Fatal("ref is not registered")
}
