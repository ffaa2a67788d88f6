package ref

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"emdiff/kernels"
)

// tape names the float64 buffers of one check.
type tape map[string]kernels.Buffer

// newTape allocates the named buffers and fills them with normal draws.
func newTape(s kernels.Set, lengths map[string]int) tape {
	t := tape{}
	for name, n := range lengths {
		t[name] = s.Alloc(kernels.F32, n)
		stream := uint32(0)
		for _, c := range name {
			stream = 31*stream + uint32(c)
		}
		s.Normal(t[name], nil, kernels.Draw{N: 1, Len: n, Random: kernels.Random{Seed: 3, Stream: stream}})
	}
	return t
}

// checkGradient compares, for every pair input -> gradient, <gradient, u> with the central difference of <dy, forward>
// along a random direction u. The step 1e-5 leaves an error of about 1e-10 from the third derivative and 1e-11 from
// rounding; 1e-7 of the scale is allowed.
func checkGradient(t *testing.T, s kernels.Set, b tape, output string, pairs map[string]string, forward, backward func()) {
	t.Helper()
	const step = 1e-5
	objective := func() float64 {
		forward()
		return inner(Values(b[output]), Values(b["d"+output]))
	}
	forward()
	backward()
	for input, gradient := range pairs {
		x, g := Values(b[input]), append([]float64(nil), Values(b[gradient])...)
		direction := Values(newTape(s, map[string]int{"direction": len(x)})["direction"])
		move := func(h float64) {
			for i := range x {
				x[i] += h * direction[i]
			}
		}
		move(step)
		up := objective()
		move(-2 * step)
		down := objective()
		move(step)
		want := (up - down) / (2 * step)
		assert.InDelta(t, want, inner(g, direction), 1e-7*(1+math.Abs(want)), "%s from %s", gradient, input)
		assert.Greater(t, math.Abs(want), 1e-3, "%s has an effect", input)
	}
}

func inner(a, b []float64) float64 { return dot[float64, float64](a, b) }

func TestConvGradientsMatchFiniteDifferences(t *testing.T) {
	s := Float64()
	for _, p := range []kernels.Conv{
		{N: 2, H: 5, W: 4, Cin: 3, Cout: 2, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1},
		{N: 1, H: 6, W: 7, Cin: 2, Cout: 3, KH: 3, KW: 2, Stride: 2, PadBottom: 1, PadRight: 1, XStride: 5, YStride: 4},
		{N: 2, H: 3, W: 3, Cin: 4, Cout: 1, KH: 1, KW: 1, Stride: 1},
	} {
		b := newTape(s, map[string]int{"x": p.XLen(), "w": p.WLen(), "y": p.YLen(), "dy": p.YLen(), "dx": p.XLen(), "dw": p.WLen()})
		clearGaps(b, p)
		checkGradient(t, s, b, "y", map[string]string{"x": "dx", "w": "dw"},
			func() { s.Conv2D(b["y"], b["x"], b["w"], kernels.Epilogue{}, p) },
			func() {
				s.Conv2DInputGrad(b["dx"], b["dy"], b["w"], p)
				s.Conv2DWeightGrad(b["dw"], b["x"], b["dy"], p)
			})
	}
}

// clearGaps zeroes what lies between the pixels, which the op must not touch but the inner products see.
func clearGaps(b tape, p kernels.Conv) {
	for name, width := range map[string][2]int{"x": {p.Cin, p.XStride}, "dx": {p.Cin, p.XStride}, "y": {p.Cout, p.YStride}, "dy": {p.Cout, p.YStride}} {
		for i := range Values(b[name]) {
			if i%stride(width[1], width[0]) >= width[0] {
				Values(b[name])[i] = 0
			}
		}
	}
}

func TestLinearAndMatMulGradientsMatchFiniteDifferences(t *testing.T) {
	s := Float64()
	p := kernels.Linear{Rows: 3, K: 5, M: 4}
	b := newTape(s, map[string]int{"x": 15, "w": 20, "y": 12, "dy": 12, "dx": 15, "dw": 20})
	checkGradient(t, s, b, "y", map[string]string{"x": "dx", "w": "dw"},
		func() { s.Linear(b["y"], b["x"], b["w"], kernels.Epilogue{}, p) },
		func() {
			s.LinearInputGrad(b["dx"], b["dy"], b["w"], p)
			s.LinearWeightGrad(b["dw"], b["x"], b["dy"], p)
		})

	// The gradients of C = A B are the same op with the transposes set: dA = dC B^T, dB = A^T dC.
	b = newTape(s, map[string]int{"a": 2 * 12, "b": 2 * 20, "c": 2 * 15, "dc": 2 * 15, "da": 2 * 12, "db": 2 * 20})
	checkGradient(t, s, b, "c", map[string]string{"a": "da", "b": "db"},
		func() {
			s.MatMul(b["c"], b["a"], b["b"], kernels.MatMul{Batch: 2, M: 3, N: 5, K: 4, StrideA: 12, StrideB: 20, StrideC: 15, Alpha: 0.5})
		},
		func() {
			s.MatMul(b["da"], b["dc"], b["b"], kernels.MatMul{Batch: 2, M: 3, N: 4, K: 5, TransB: true, StrideA: 15, StrideB: 20, StrideC: 12, Alpha: 0.5})
			s.MatMul(b["db"], b["a"], b["dc"], kernels.MatMul{Batch: 2, M: 4, N: 5, K: 3, TransA: true, StrideA: 12, StrideB: 15, StrideC: 20, Alpha: 0.5})
		})
}

func TestGroupNormGradientsMatchFiniteDifferences(t *testing.T) {
	s := Float64()
	for _, p := range []kernels.GroupNorm{
		{N: 2, HW: 5, C: 6, Groups: 2, Eps: 1e-3, SiLU: true},
		{N: 1, HW: 4, C: 3, Groups: 3, Eps: 1e-3},
	} {
		n := p.N * p.HW * p.C
		b := newTape(s, map[string]int{"x": n, "y": n, "dy": n, "dx": n, "gamma": p.C, "beta": p.C, "dgamma": p.C, "dbeta": p.C,
			"ss": 2 * p.N * p.C, "dss": 2 * p.N * p.C, "mean": p.N * p.Groups, "rstd": p.N * p.Groups})
		pairs := map[string]string{"x": "dx", "gamma": "dgamma", "beta": "dbeta", "ss": "dss"}
		if !p.SiLU {
			b["ss"], b["dss"] = nil, nil
			delete(pairs, "ss")
		}
		checkGradient(t, s, b, "y", pairs,
			func() { s.GroupNorm(b["y"], b["x"], b["gamma"], b["beta"], b["ss"], b["mean"], b["rstd"], p) },
			func() {
				s.GroupNormGrad(b["dx"], b["dgamma"], b["dbeta"], b["dss"], b["dy"], b["x"], b["gamma"], b["beta"], b["ss"], b["mean"], b["rstd"], p)
			})
	}
}

func TestAttentionGradientsMatchFiniteDifferences(t *testing.T) {
	s := Float64()
	p := kernels.Attention{N: 2, T: 5, Heads: 2, HeadDim: 3, Scale: 0.7}
	lengths := map[string]int{"lse": p.N * p.Heads * p.T}
	for _, name := range []string{"q", "k", "v", "o", "dq", "dk", "dv", "do"} {
		lengths[name] = p.N * p.T * p.Channels()
	}
	b := newTape(s, lengths)
	checkGradient(t, s, b, "o", map[string]string{"q": "dq", "k": "dk", "v": "dv"},
		func() { s.Attention(b["o"], b["q"], b["k"], b["v"], b["lse"], p) },
		func() {
			s.AttentionGrad(b["dq"], b["dk"], b["dv"], b["do"], b["q"], b["k"], b["v"], b["o"], b["lse"], p)
		})
}

func TestElementwiseGradientsMatchFiniteDifferences(t *testing.T) {
	s := Float64()
	lengths := map[string]int{"x": 12, "dx": 12, "y": 12, "dy": 12}
	e := kernels.Elementwise{Len: 12}
	c := kernels.Clamp{Len: 12, Lo: -0.5, Hi: 0.75}
	drop := kernels.Dropout{N: 3, Len: 4, Rate: 0.4, Random: kernels.Random{Seed: 1}}
	for name, op := range map[string]struct{ forward, backward func(b tape) }{
		"SiLU":    {func(b tape) { s.SiLU(b["y"], b["x"], e) }, func(b tape) { s.SiLUGrad(b["dx"], b["dy"], b["x"], e) }},
		"Clamp":   {func(b tape) { s.Clamp(b["y"], b["x"], c) }, func(b tape) { s.ClampGrad(b["dx"], b["dy"], b["x"], c) }},
		"Dropout": {func(b tape) { s.Dropout(b["y"], b["x"], nil, drop) }, func(b tape) { s.Dropout(b["dx"], b["dy"], nil, drop) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTape(s, lengths)
			checkGradient(t, s, b, "y", map[string]string{"x": "dx"}, func() { op.forward(b) }, func() { op.backward(b) })
		})
	}
}

func TestSquaredErrorGradientMatchesFiniteDifferences(t *testing.T) {
	s := Float64()
	p := kernels.PerImage{N: 3, Len: 5}
	b := newTape(s, map[string]int{"x": 15, "dx": 15, "ref": 15, "weight": 3, "loss": 3, "dloss": 3})
	s.Fill(b["dloss"], 1, kernels.Elementwise{Len: 3}) // dx is the gradient of the sum of the losses
	checkGradient(t, s, b, "loss", map[string]string{"x": "dx"},
		func() { s.SquaredError(b["loss"], nil, b["x"], b["ref"], b["weight"], p) },
		func() { s.SquaredError(b["loss"], b["dx"], b["x"], b["ref"], b["weight"], p) })
}

func TestLayoutAdjointsMatchFiniteDifferences(t *testing.T) {
	s := Float64()
	resize := kernels.Resize{N: 2, H: 2, W: 3, C: 2}
	b := newTape(s, map[string]int{"x": 24, "dx": 24, "y": 96, "dy": 96})
	checkGradient(t, s, b, "y", map[string]string{"x": "dx"},
		func() { s.Upsample2x(b["y"], b["x"], resize) }, func() { s.Upsample2xGrad(b["dx"], b["dy"], resize) })

	shuffle := kernels.Shuffle{N: 1, H: 4, W: 6, C: 2, R: 2}
	b = newTape(s, map[string]int{"x": 48, "dx": 48, "y": 48, "dy": 48})
	checkGradient(t, s, b, "y", map[string]string{"x": "dx"},
		func() { s.PixelUnshuffle(b["y"], b["x"], shuffle) }, func() { s.PixelShuffle(b["dx"], b["dy"], shuffle) })

	blur := kernels.Blur{N: 2, H: 4, W: 5, C: 3, K: 5}
	b = newTape(s, map[string]int{"x": 120, "dx": 120, "y": 120, "dy": 120, "taps": 5})
	checkGradient(t, s, b, "y", map[string]string{"x": "dx"},
		func() { s.Blur(b["y"], b["x"], b["taps"], blur) }, func() { s.BlurAdjoint(b["dx"], b["dy"], b["taps"], blur) })
}
