package kernels

// Checked returns a Set that validates every argument (presence, type, length, parameters) and then calls s. Each
// implementation wraps itself in it, so that kernels hold no checks and all implementations reject the same mistakes.
func Checked(s Set) Set { return &checked{s} }

// Unwrap returns the implementation behind Checked and Labelled.
func Unwrap(s Set) Set {
	if l, ok := s.(*labelled); ok {
		s = l.Set
	}
	if c, ok := s.(*checked); ok {
		return c.Set
	}
	return s
}

type checked struct{ Set }

func (e Epilogue) check(op string, images, rows, c int) {
	optional(op, "Bias", e.Bias, F32, c)
	optional(op, "ImageBias", e.ImageBias, F32, images*c)
	optional(op, "Residual", e.Residual, F32, span(rows, c, e.ResidualStride))
}

func (s *checked) supported(op string, p Precision) {
	if !s.Supports(p) {
		panic(&ShapeError{op, "Precision", p.String(), "one that " + s.Name() + " supports"})
	}
}

func (s *checked) Upload(dst Buffer, src []float32) {
	need("Upload", "dst", dst, F32, len(src))
	s.Set.Upload(dst, src)
}

func (s *checked) UploadInts(dst Buffer, src []int32) {
	need("UploadInts", "dst", dst, I32, len(src))
	s.Set.UploadInts(dst, src)
}

func (s *checked) Download(dst []float32, src Buffer) {
	need("Download", "src", src, F32, len(dst))
	s.Set.Download(dst, src)
}

func (s *checked) conv(op string, x, w, y Buffer, xName, wName, yName string, p Conv) {
	valid(op, p)
	s.supported(op, p.Precision)
	need(op, xName, x, F32, p.XLen())
	need(op, wName, w, F32, p.WLen())
	need(op, yName, y, F32, p.YLen())
}

func (s *checked) Conv2D(y, x, w Buffer, e Epilogue, p Conv) {
	s.conv("Conv2D", x, w, y, "x", "w", "y", p)
	e.check("Conv2D", p.N, p.N*p.OutH()*p.OutW(), p.Cout)
	s.Set.Conv2D(y, x, w, e, p)
}

func (s *checked) Conv2DInputGrad(dx, dy, w Buffer, p Conv) {
	s.conv("Conv2DInputGrad", dx, w, dy, "dx", "w", "dy", p)
	s.Set.Conv2DInputGrad(dx, dy, w, p)
}

func (s *checked) Conv2DWeightGrad(dw, x, dy Buffer, p Conv) {
	s.conv("Conv2DWeightGrad", x, dw, dy, "x", "dw", "dy", p)
	s.Set.Conv2DWeightGrad(dw, x, dy, p)
}

func (s *checked) Linear(y, x, w Buffer, e Epilogue, p Linear) {
	valid("Linear", p)
	s.conv("Linear", x, w, y, "x", "w", "y", p.Conv())
	e.check("Linear", p.Rows, p.Rows, p.M)
	s.Set.Linear(y, x, w, e, p)
}

func (s *checked) LinearInputGrad(dx, dy, w Buffer, p Linear) {
	valid("LinearInputGrad", p)
	s.conv("LinearInputGrad", dx, w, dy, "dx", "w", "dy", p.Conv())
	s.Set.LinearInputGrad(dx, dy, w, p)
}

func (s *checked) LinearWeightGrad(dw, x, dy Buffer, p Linear) {
	valid("LinearWeightGrad", p)
	s.conv("LinearWeightGrad", x, dw, dy, "x", "dw", "dy", p.Conv())
	s.Set.LinearWeightGrad(dw, x, dy, p)
}

func (s *checked) MatMul(c, a, b Buffer, p MatMul) {
	valid("MatMul", p)
	s.supported("MatMul", p.Precision)
	need("MatMul", "c", c, F32, (p.Batch-1)*p.StrideC+p.M*p.N)
	need("MatMul", "a", a, F32, (p.Batch-1)*p.StrideA+p.M*p.K)
	need("MatMul", "b", b, F32, (p.Batch-1)*p.StrideB+p.K*p.N)
	s.Set.MatMul(c, a, b, p)
}

func (s *checked) norm(op string, gamma, beta, scaleShift, mean, rstd Buffer, p GroupNorm) {
	valid(op, p)
	need(op, "gamma", gamma, F32, p.C)
	need(op, "beta", beta, F32, p.C)
	optional(op, "scaleShift", scaleShift, F32, p.N*2*p.C)
	need(op, "mean", mean, F32, p.N*p.Groups)
	need(op, "rstd", rstd, F32, p.N*p.Groups)
}

func (s *checked) GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd Buffer, p GroupNorm) {
	s.norm("GroupNorm", gamma, beta, scaleShift, mean, rstd, p)
	need("GroupNorm", "x", x, F32, span(p.N*p.HW, p.C, p.XStride))
	need("GroupNorm", "y", y, F32, span(p.N*p.HW, p.C, p.YStride))
	s.Set.GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd, p)
}

func (s *checked) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd Buffer, p GroupNorm) {
	const op = "GroupNormGrad"
	s.norm(op, gamma, beta, scaleShift, mean, rstd, p)
	optional(op, "dx", dx, F32, span(p.N*p.HW, p.C, p.XStride))
	need(op, "x", x, F32, span(p.N*p.HW, p.C, p.XStride))
	need(op, "dy", dy, F32, span(p.N*p.HW, p.C, p.YStride))
	optional(op, "dgamma", dgamma, F32, p.C)
	optional(op, "dbeta", dbeta, F32, p.C)
	optional(op, "dscaleShift", dscaleShift, F32, p.N*2*p.C)
	if dscaleShift != nil && scaleShift == nil {
		panic(&ShapeError{op, "scaleShift", "nil", "present when dscaleShift is asked for"})
	}
	if (dgamma == nil) != (dbeta == nil) {
		panic(&ShapeError{op, "dgamma, dbeta", "one of two", "both or neither"})
	}
	s.Set.GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd, p)
}

func (s *checked) Attention(o, q, k, v, lse Buffer, p Attention) {
	const op = "Attention"
	valid(op, p)
	s.supported(op, p.Precision)
	n := span(p.N*p.T, p.Channels(), p.QKVStride)
	need(op, "q", q, F32, n)
	need(op, "k", k, F32, n)
	need(op, "v", v, F32, n)
	need(op, "o", o, F32, span(p.N*p.T, p.Channels(), p.OStride))
	need(op, "lse", lse, F32, p.N*p.Heads*p.T)
	s.Set.Attention(o, q, k, v, lse, p)
}

func (s *checked) AttentionGrad(dq, dk, dv, do, q, k, v, o, lse Buffer, p Attention) {
	const op = "AttentionGrad"
	valid(op, p)
	s.supported(op, p.Precision)
	n := span(p.N*p.T, p.Channels(), p.QKVStride)
	for _, a := range []struct {
		name string
		b    Buffer
	}{{"dq", dq}, {"dk", dk}, {"dv", dv}, {"q", q}, {"k", k}, {"v", v}} {
		need(op, a.name, a.b, F32, n)
	}
	n = span(p.N*p.T, p.Channels(), p.OStride)
	need(op, "do", do, F32, n)
	need(op, "o", o, F32, n)
	need(op, "lse", lse, F32, p.N*p.Heads*p.T)
	s.Set.AttentionGrad(dq, dk, dv, do, q, k, v, o, lse, p)
}

func (s *checked) SiLU(y, x Buffer, p Elementwise) {
	valid("SiLU", p)
	need("SiLU", "y", y, F32, p.Len)
	need("SiLU", "x", x, F32, p.Len)
	s.Set.SiLU(y, x, p)
}

func (s *checked) SiLUGrad(dx, dy, x Buffer, p Elementwise) {
	valid("SiLUGrad", p)
	need("SiLUGrad", "dx", dx, F32, p.Len)
	need("SiLUGrad", "dy", dy, F32, p.Len)
	need("SiLUGrad", "x", x, F32, p.Len)
	s.Set.SiLUGrad(dx, dy, x, p)
}

func (s *checked) Add(y, a, b Buffer, p Elementwise) {
	valid("Add", p)
	need("Add", "y", y, F32, p.Len)
	need("Add", "a", a, F32, p.Len)
	need("Add", "b", b, F32, p.Len)
	s.Set.Add(y, a, b, p)
}

func (s *checked) Axpy(y, x Buffer, alpha float32, p Elementwise) {
	valid("Axpy", p)
	need("Axpy", "y", y, F32, p.Len)
	need("Axpy", "x", x, F32, p.Len)
	s.Set.Axpy(y, x, alpha, p)
}

func (s *checked) Fill(y Buffer, value float32, p Elementwise) {
	valid("Fill", p)
	need("Fill", "y", y, F32, p.Len)
	s.Set.Fill(y, value, p)
}

func (s *checked) Copy(y, x Buffer, p Elementwise) {
	valid("Copy", p)
	need("Copy", "y", y, F32, p.Len)
	need("Copy", "x", x, F32, p.Len)
	s.Set.Copy(y, x, p)
}

func (s *checked) Clamp(y, x Buffer, p Clamp) {
	valid("Clamp", p)
	need("Clamp", "y", y, F32, p.Len)
	need("Clamp", "x", x, F32, p.Len)
	s.Set.Clamp(y, x, p)
}

func (s *checked) ClampGrad(dx, dy, x Buffer, p Clamp) {
	valid("ClampGrad", p)
	need("ClampGrad", "dx", dx, F32, p.Len)
	need("ClampGrad", "dy", dy, F32, p.Len)
	need("ClampGrad", "x", x, F32, p.Len)
	s.Set.ClampGrad(dx, dy, x, p)
}

func (s *checked) Cast(y, x Buffer, p Elementwise) {
	valid("Cast", p)
	if y == nil || x == nil || (y.DType() == F32) == (x.DType() == F32) || y.DType() == I32 || x.DType() == I32 {
		panic(&ShapeError{"Cast", "types", "not F32 and one 16-bit type", "exactly one of each"})
	}
	need("Cast", "y", y, y.DType(), p.Len)
	need("Cast", "x", x, x.DType(), p.Len)
	s.Set.Cast(y, x, p)
}

func (s *checked) ScaleImages(y, a, x, b, z Buffer, p PerImage) {
	const op = "ScaleImages"
	valid(op, p)
	need(op, "y", y, F32, p.N*p.Len)
	need(op, "a", a, F32, p.N)
	need(op, "x", x, F32, p.N*p.Len)
	if b != nil || z != nil {
		need(op, "b", b, F32, p.N)
		need(op, "z", z, F32, p.N*p.Len)
	}
	s.Set.ScaleImages(y, a, x, b, z, p)
}

func (s *checked) Dot(out, a, b Buffer, p PerImage) {
	valid("Dot", p)
	need("Dot", "out", out, F32, p.N)
	need("Dot", "a", a, F32, p.N*p.Len)
	need("Dot", "b", b, F32, p.N*p.Len)
	s.Set.Dot(out, a, b, p)
}

func (s *checked) Sum(out, x Buffer, p PerImage) {
	valid("Sum", p)
	need("Sum", "out", out, F32, p.N)
	need("Sum", "x", x, F32, p.N*p.Len)
	s.Set.Sum(out, x, p)
}

func (s *checked) SquaredError(loss, dx, x, ref, weight Buffer, p PerImage) {
	const op = "SquaredError"
	valid(op, p)
	need(op, "loss", loss, F32, p.N)
	optional(op, "dx", dx, F32, p.N*p.Len)
	need(op, "x", x, F32, p.N*p.Len)
	need(op, "ref", ref, F32, p.N*p.Len)
	need(op, "weight", weight, F32, p.N)
	s.Set.SquaredError(loss, dx, x, ref, weight, p)
}

func (s *checked) SumRows(y, x Buffer, p SumRows) {
	valid("SumRows", p)
	need("SumRows", "y", y, F32, p.Groups*p.C)
	need("SumRows", "x", x, F32, span(p.Groups*p.Rows, p.C, p.XStride))
	s.Set.SumRows(y, x, p)
}

func (s *checked) resize(op, smallName, largeName string, small, large Buffer, p Resize) {
	valid(op, p)
	need(op, smallName, small, F32, span(p.N*p.H*p.W, p.C, p.XStride))
	need(op, largeName, large, F32, span(4*p.N*p.H*p.W, p.C, p.YStride))
}

func (s *checked) Upsample2x(y, x Buffer, p Resize) {
	s.resize("Upsample2x", "x", "y", x, y, p)
	s.Set.Upsample2x(y, x, p)
}

func (s *checked) Upsample2xGrad(dx, dy Buffer, p Resize) {
	s.resize("Upsample2xGrad", "dx", "dy", dx, dy, p)
	s.Set.Upsample2xGrad(dx, dy, p)
}

func (s *checked) PixelUnshuffle(y, x Buffer, p Shuffle) {
	valid("PixelUnshuffle", p)
	need("PixelUnshuffle", "y", y, F32, p.N*p.H*p.W*p.C)
	need("PixelUnshuffle", "x", x, F32, p.N*p.H*p.W*p.C)
	s.Set.PixelUnshuffle(y, x, p)
}

func (s *checked) PixelShuffle(y, x Buffer, p Shuffle) {
	valid("PixelShuffle", p)
	need("PixelShuffle", "y", y, F32, p.N*p.H*p.W*p.C)
	need("PixelShuffle", "x", x, F32, p.N*p.H*p.W*p.C)
	s.Set.PixelShuffle(y, x, p)
}

func (s *checked) CopyChannels(y, x Buffer, p Channels) {
	const op = "CopyChannels"
	valid(op, p)
	need(op, "y", y, F32, span(p.Rows, p.C+p.YOffset, p.YStride))
	need(op, "x", x, F32, span(p.Rows, p.C+p.XOffset, p.XStride))
	s.Set.CopyChannels(y, x, p)
}

func (s *checked) Gather(y, x, ids Buffer, rows int, p PerImage) {
	valid("Gather", p)
	need("Gather", "y", y, F32, p.N*p.Len)
	need("Gather", "x", x, F32, rows*p.Len)
	need("Gather", "ids", ids, I32, p.N)
	s.Set.Gather(y, x, ids, rows, p)
}

func (s *checked) TimeEmbedding(y, t Buffer, p TimeEmbedding) {
	valid("TimeEmbedding", p)
	need("TimeEmbedding", "y", y, F32, p.N*p.Dim)
	need("TimeEmbedding", "t", t, F32, p.N)
	s.Set.TimeEmbedding(y, t, p)
}

func (s *checked) Dropout(y, x, ids Buffer, p Dropout) {
	valid("Dropout", p)
	need("Dropout", "y", y, F32, p.N*p.Len)
	need("Dropout", "x", x, F32, p.N*p.Len)
	optional("Dropout", "ids", ids, I32, p.N)
	s.Set.Dropout(y, x, ids, p)
}

func (s *checked) Normal(y, ids Buffer, p Draw) {
	valid("Normal", p)
	need("Normal", "y", y, F32, p.N*p.Len)
	optional("Normal", "ids", ids, I32, p.N)
	s.Set.Normal(y, ids, p)
}

func (s *checked) Uniform(y, ids Buffer, p Draw) {
	valid("Uniform", p)
	need("Uniform", "y", y, F32, p.N*p.Len)
	optional("Uniform", "ids", ids, I32, p.N)
	s.Set.Uniform(y, ids, p)
}

func (s *checked) Update(y, x, d, e, scale, ids Buffer, p Update) {
	const op = "Update"
	valid(op, p)
	need(op, "y", y, F32, p.N*p.Len)
	need(op, "x", x, F32, p.N*p.Len)
	optional(op, "d", d, F32, p.N*p.Len)
	optional(op, "e", e, F32, p.N*p.Len)
	optional(op, "scale", scale, F32, p.N)
	optional(op, "ids", ids, I32, p.N)
	s.Set.Update(y, x, d, e, scale, ids, p)
}

func (s *checked) GradNorm(out, g Buffer, p GradNorm) {
	valid("GradNorm", p)
	need("GradNorm", "out", out, F32, 3)
	need("GradNorm", "g", g, F32, p.Len)
	s.Set.GradNorm(out, g, p)
}

func (s *checked) AdamW(w, m, v, ema, g, norm Buffer, p AdamW) {
	const op = "AdamW"
	valid(op, p)
	need(op, "w", w, F32, p.Len)
	need(op, "m", m, F32, p.Len)
	need(op, "v", v, F32, p.Len)
	need(op, "ema", ema, F32, p.Len)
	need(op, "g", g, F32, p.Len)
	need(op, "norm", norm, F32, 3)
	s.Set.AdamW(w, m, v, ema, g, norm, p)
}

func (s *checked) Gain(y, x, gain Buffer, p Gain) {
	valid("Gain", p)
	need("Gain", "y", y, F32, p.N*p.HW*p.C)
	need("Gain", "x", x, F32, p.N*p.HW*p.C)
	need("Gain", "gain", gain, F32, p.Len())
	s.Set.Gain(y, x, gain, p)
}

func (s *checked) GaussianPosterior(x, z, y, gain, ids Buffer, p GaussianPosterior) {
	const op = "GaussianPosterior"
	valid(op, p)
	n := p.N * p.HW * p.C
	need(op, "x", x, F32, n)
	need(op, "z", z, F32, n)
	need(op, "y", y, F32, n)
	optional(op, "gain", gain, F32, p.Gain.Len())
	optional(op, "ids", ids, I32, p.N)
	s.Set.GaussianPosterior(x, z, y, gain, ids, p)
}

func (s *checked) blur(op string, y, x, taps Buffer, p Blur) {
	valid(op, p)
	need(op, "y", y, F32, p.N*p.H*p.W*p.C)
	need(op, "x", x, F32, p.N*p.H*p.W*p.C)
	need(op, "taps", taps, F32, p.K)
}

func (s *checked) Blur(y, x, taps Buffer, p Blur) {
	s.blur("Blur", y, x, taps, p)
	s.Set.Blur(y, x, taps, p)
}

func (s *checked) BlurAdjoint(y, x, taps Buffer, p Blur) {
	s.blur("BlurAdjoint", y, x, taps, p)
	s.Set.BlurAdjoint(y, x, taps, p)
}
