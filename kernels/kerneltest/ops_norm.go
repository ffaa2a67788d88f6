package kerneltest

import "emdiff/kernels"

var groupNormShapes = []kernels.GroupNorm{
	{N: 3, HW: 7, C: 6, Groups: 2, Eps: 1e-5, SiLU: true},
	{N: 2, HW: 16, C: 32, Groups: 8, Eps: 1e-5, SiLU: true},
	{N: 1, HW: 1, C: 2, Groups: 1, Eps: 1e-6},
	{N: 2, HW: 1, C: 64, Groups: 32, Eps: 1e-6, SiLU: true},
	{N: 2, HW: 5, C: 7, Groups: 7, Eps: 1e-5},
	{N: 1, HW: 13, C: 17, Groups: 1, Eps: 1e-6, SiLU: true},
	{N: 2, HW: 9, C: 12, Groups: 4, Eps: 1e-5, XStride: 17, YStride: 20},
	{N: 2, HW: 12, C: 32, Groups: 4, Eps: 1e-5, SiLU: true, XStride: 48, YStride: 64},
	{N: 2, HW: 64, C: 128, Groups: 32, Eps: 1e-6, SiLU: true},
	{N: 2, HW: 16, C: 256, Groups: 32, Eps: 1e-6},
	{N: 1, HW: 1024, C: 32, Groups: 1, Eps: 1e-5},
}

func groupNormGradientShapes() []kernels.GroupNorm {
	shapes := []kernels.GroupNorm{}
	for i, p := range groupNormShapes {
		p.Accumulate, p.AccumulateParams = i%2 == 1, i%3 == 1
		shapes = append(shapes, p)
	}
	return shapes
}

var wrongGroupNorms = []kernels.GroupNorm{
	{},
	{N: 1, HW: 1, C: 6, Groups: 4, Eps: 1e-5},
	{N: 1, HW: 1, C: 4, Groups: 2},
	{N: 1, HW: 1, C: 4, Groups: 2, Eps: 1e-5, XStride: 3},
	{N: 1, HW: 1, C: 4, Groups: 2, Eps: 1e-5, YStride: 3},
}

func randomGroupNorm(d *dice) kernels.GroupNorm {
	p := kernels.GroupNorm{N: d.between(1, 3), HW: d.between(1, 40), Groups: d.between(1, 8), Eps: 1e-5, SiLU: d.yes()}
	p.C = p.Groups * d.between(1, 9)
	if p.C/p.Groups*p.HW == 1 {
		p.HW++ // a group of one value is its own mean: xhat is rounding noise
	}
	p.XStride, p.YStride = d.stride(p.C), d.stride(p.C)
	return p
}

var attentionShapes = []kernels.Attention{
	{N: 3, T: 5, Heads: 2, HeadDim: 3, Scale: 0.5},
	{N: 2, T: 16, Heads: 1, HeadDim: 32, Scale: 0.17},
	{N: 1, T: 1, Heads: 1, HeadDim: 1, Scale: 1},
	{N: 1, T: 17, Heads: 3, HeadDim: 8, Scale: 0.35, QKVStride: 72, OStride: 25}, // q, k and v of one tensor
	{N: 2, T: 33, Heads: 1, HeadDim: 7, Scale: 1, OStride: 11},
	{N: 1, T: 64, Heads: 2, HeadDim: 64, Scale: 0.125},
	{N: 2, T: 70, Heads: 4, HeadDim: 8, Scale: 0.35},
	{N: 1, T: 256, Heads: 1, HeadDim: 16, Scale: 0.25},
	{N: 1, T: 16, Heads: 1, HeadDim: 256, Scale: 0.0625},
	{N: 1, T: 70, Heads: 1, HeadDim: 256, Scale: 0.0625},
	{N: 2, T: 70, Heads: 2, HeadDim: 8, Scale: 0.35, Precision: kernels.PrecisionTF32},
	{N: 2, T: 70, Heads: 2, HeadDim: 8, Scale: 0.35, Precision: kernels.PrecisionBF16},
	{N: 1, T: 33, Heads: 2, HeadDim: 40, Scale: 0.16, QKVStride: 240, OStride: 84, Precision: kernels.PrecisionTF32},
	{N: 1, T: 33, Heads: 2, HeadDim: 40, Scale: 0.16, QKVStride: 240, OStride: 84, Precision: kernels.PrecisionBF16},
	{N: 1, T: 70, Heads: 1, HeadDim: 200, Scale: 0.0707, Precision: kernels.PrecisionTF32},
	{N: 1, T: 70, Heads: 1, HeadDim: 200, Scale: 0.0707, Precision: kernels.PrecisionBF16},
	{N: 2, T: 19, Heads: 3, HeadDim: 7, Scale: 0.4, OStride: 25, Precision: kernels.PrecisionTF32}, // nothing to align
	{N: 2, T: 19, Heads: 3, HeadDim: 7, Scale: 0.4, OStride: 25, Precision: kernels.PrecisionBF16},
}

var wrongAttentions = []kernels.Attention{{}, {N: 1, T: 1, Heads: 2, HeadDim: 2, QKVStride: 3}, {N: 1, T: 1, Heads: 2, HeadDim: 2, OStride: 3}}

func randomAttention(d *dice) kernels.Attention {
	p := kernels.Attention{N: d.between(1, 3), T: d.between(1, 40), Heads: d.between(1, 3), HeadDim: d.between(1, 20), Scale: 0.4}
	p.QKVStride, p.OStride = d.stride(p.Channels()), d.stride(p.Channels())
	return p
}

func oneAttention(p kernels.Attention, _ int) kernels.Attention { p.N = 1; return p }

func attentionImages(p kernels.Attention) int { return p.N }

func normX(r role, name string, p kernels.GroupNorm) arg {
	return tensor(r, name, p.N*p.HW, p.C, p.XStride).images()
}

func normY(r role, name string, p kernels.GroupNorm) arg {
	return tensor(r, name, p.N*p.HW, p.C, p.YStride).images()
}

func statistics(r role, name string, p kernels.GroupNorm) arg {
	return tensor(r, name, p.N, p.Groups, 0).images()
}

func scaleShift(r role, name string, p kernels.GroupNorm) arg {
	return tensor(r, name, p.N, 2*p.C, 0).images()
}

func qkv(r role, name string, p kernels.Attention) arg {
	return tensor(r, name, p.N*p.T, p.Channels(), p.QKVStride).images()
}

// scoreFactor is q or k. Large data make scores around +100 for most tokens and -100 for every fourth, the first
// included: exp overflows without its shift, and a running maximum starts low. Within a sign the scores spread by about
// 3, for in a row with one dominant weight rounding would not show.
func scoreFactor(name string, p kernels.Attention) arg {
	a := qkv(input, name, p)
	return a.drawn(func(r *source, d Data, i int) float32 {
		if d != Large {
			return a.value(r, d, i)
		}
		z := 5 + 0.3*float32(r.NormFloat64())
		if token := i / a.cols % p.T; name == "k" && token%4 == 0 {
			return -z
		}
		return z
	})
}

// attentionRows counts the values of an output of attention whose errors are worth counting: those of a row of scores
// share the errors of its weights, and these have a long tail, so that three rows in four add nothing to the largest.
func attentionRows(p kernels.Attention) int { return (p.N*p.T*p.Heads + 3) / 4 }

func attended(r role, name string, p kernels.Attention) arg {
	return tensor(r, name, p.N*p.T, p.Channels(), p.OStride).images()
}

func lse(r role, p kernels.Attention) arg { return tensor(r, "lse", p.N*p.Heads, p.T, 0).images() }

func oneNorm(p kernels.GroupNorm, _ int) kernels.GroupNorm { p.N = 1; return p }

func normImages(p kernels.GroupNorm) int { return p.N }

func normOps() []op {
	return []op{
		define(spec[kernels.GroupNorm]{
			name: "GroupNorm", shapes: groupNormShapes, wrong: wrongGroupNorms, random: randomGroupNorm,
			without: [][]string{{"scaleShift"}}, data: []Data{Offset},
			args: func(_ Case, p kernels.GroupNorm) []arg {
				return []arg{
					normY(output, "y", p).sharing(p.N * p.Groups), normX(input, "x", p), flat(input, "gamma", p.C), flat(input, "beta", p.C),
					scaleShift(input, "scaleShift", p), statistics(output, "mean", p), statistics(output, "rstd", p),
				}
			},
			call: func(s kernels.Set, b buffers, p kernels.GroupNorm) {
				s.GroupNorm(b["y"], b["x"], b["gamma"], b["beta"], b["scaleShift"], b["mean"], b["rstd"], p)
			},
			images: normImages, image: oneNorm,
		}),
		define(spec[kernels.GroupNorm]{
			name: "GroupNormGrad", gradient: true, shapes: groupNormGradientShapes(), wrong: wrongGroupNorms,
			without: [][]string{{"dx"}, {"dgamma", "dbeta"}, {"dscaleShift"}, {"scaleShift", "dscaleShift"}, {"dgamma", "dbeta", "dscaleShift"}},
			data:    []Data{Offset},
			args: func(_ Case, p kernels.GroupNorm) []arg {
				w := writes(p.AccumulateParams)
				return []arg{
					normX(writes(p.Accumulate), "dx", p).sharing(p.N * p.Groups), flat(w, "dgamma", p.C), flat(w, "dbeta", p.C), scaleShift(w, "dscaleShift", p),
					normY(input, "dy", p), normX(input, "x", p), flat(input, "gamma", p.C), flat(input, "beta", p.C),
					scaleShift(input, "scaleShift", p), statistics(input, "mean", p).kept(), statistics(input, "rstd", p).kept(),
				}
			},
			prepare: func(s kernels.Set, b buffers, p kernels.GroupNorm) {
				y := s.Alloc(kernels.F32, b["dy"].Len())
				s.GroupNorm(y, b["x"], b["gamma"], b["beta"], b["scaleShift"], b["mean"], b["rstd"], p)
			},
			call: func(s kernels.Set, b buffers, p kernels.GroupNorm) {
				s.GroupNormGrad(b["dx"], b["dgamma"], b["dbeta"], b["dscaleShift"], b["dy"], b["x"], b["gamma"], b["beta"], b["scaleShift"], b["mean"], b["rstd"], p)
			},
			images: normImages, image: oneNorm,
			random: func(d *dice) kernels.GroupNorm {
				p := randomGroupNorm(d)
				p.Accumulate, p.AccumulateParams = d.yes(), d.yes()
				return p
			},
		}),
		define(spec[kernels.Attention]{
			name: "Attention", shapes: attentionShapes, wrong: wrongAttentions, random: randomAttention, data: []Data{Large},
			args: func(_ Case, p kernels.Attention) []arg {
				return []arg{attended(output, "o", p).sharing(attentionRows(p)), scoreFactor("q", p), scoreFactor("k", p), qkv(input, "v", p).drawn(standard), lse(output, p)}
			},
			call: func(s kernels.Set, b buffers, p kernels.Attention) {
				s.Attention(b["o"], b["q"], b["k"], b["v"], b["lse"], p)
			},
			images: attentionImages, image: oneAttention,
		}),
		define(spec[kernels.Attention]{
			name: "AttentionGrad", gradient: true, shapes: attentionShapes, wrong: wrongAttentions, random: randomAttention, data: []Data{Large},
			args: func(_ Case, p kernels.Attention) []arg {
				rows := attentionRows(p)
				return []arg{
					qkv(output, "dq", p).sharing(rows), qkv(output, "dk", p).sharing(rows), qkv(output, "dv", p).sharing(rows), attended(input, "do", p).drawn(standard),
					scoreFactor("q", p), scoreFactor("k", p), qkv(input, "v", p).drawn(standard), attended(input, "o", p).kept(), lse(input, p).kept(),
				}
			},
			prepare: func(s kernels.Set, b buffers, p kernels.Attention) {
				s.Attention(b["o"], b["q"], b["k"], b["v"], b["lse"], p)
			},
			call: func(s kernels.Set, b buffers, p kernels.Attention) {
				s.AttentionGrad(b["dq"], b["dk"], b["dv"], b["do"], b["q"], b["k"], b["v"], b["o"], b["lse"], p)
			},
			images: attentionImages, image: oneAttention,
		}),
	}
}
