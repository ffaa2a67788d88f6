package host

import "emdiff/kernels"

// Conv2D computes a convolution with its epilogue.
func (s *Set) Conv2D(y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
	j := &s.slide
	j.window = j.over(f32(x), p.N, p.H, p.W, p.Cin, or(p.XStride, p.Cin))
	j.padTop, j.padLeft, j.kh, j.kw, j.step = p.PadTop, p.PadLeft, p.KH, p.KW, p.Stride
	j.outH, j.outW = p.OutH(), p.OutW()
	j.into(f32(y), p.Cout, or(p.YStride, p.Cout))
	j.pixelsPerImage = j.outH * j.outW
	j.epilogue(e)

	blocks := s.pack.blocks[:0]
	for tap := range p.KH * p.KW {
		blocks = append(blocks, tap*p.Cin*p.Cout)
	}
	j.weights = s.packWeights(w, packKey{winograd: j.byWinograd(), kh: p.KH, kw: p.KW, cin: p.Cin, cout: p.Cout}, p.WeightVersion, blocks, matrix{depth: p.Cin, cols: p.Cout, kStride: p.Cout, jStride: 1})
	j.run()
	j.release()
}

// Conv2DInputGrad computes the adjoint of the convolution in x. With stride s the pixels of dx fall into s*s classes by
// the remainders of their padded coordinates; each class sees only the taps of the same remainders, and is a convolution
// of stride 1 over dy with those taps turned around.
func (s *Set) Conv2DInputGrad(dx, dy, w kernels.Buffer, p kernels.Conv) {
	for a := range p.Stride {
		for b := range p.Stride {
			s.inputGradClass(f32(dx), f32(dy), w, a, b, p)
		}
	}
}

func (s *Set) inputGradClass(dx, dy []float32, w kernels.Buffer, a, b int, p kernels.Conv) {
	top, tapsH, padTop := class(a, p.Stride, p.PadTop, p.KH)
	left, tapsW, padLeft := class(b, p.Stride, p.PadLeft, p.KW)
	if top >= p.H || left >= p.W {
		return
	}
	pix := or(p.XStride, p.Cin)
	j := &s.slide
	j.window = j.over(dy, p.N, p.OutH(), p.OutW(), p.Cout, or(p.YStride, p.Cout))
	j.padTop, j.padLeft, j.kh, j.kw, j.step = padTop, padLeft, tapsH, tapsW, 1
	j.outH, j.outW = (p.H-top+p.Stride-1)/p.Stride, (p.W-left+p.Stride-1)/p.Stride
	j.y, j.cols = dx[(top*p.W+left)*pix:], p.Cin
	j.yPix, j.yRow, j.yImage = p.Stride*pix, p.Stride*p.W*pix, p.H*p.W*pix
	j.epilogue(kernels.Epilogue{})
	if p.Accumulate {
		j.residual = j.y
	}
	if tapsH == 0 || tapsW == 0 {
		if !p.Accumulate {
			j.clear()
		}
		j.release()
		return
	}
	blocks := s.pack.blocks[:0]
	for k := tapsH - 1; k >= 0; k-- {
		for l := tapsW - 1; l >= 0; l-- {
			blocks = append(blocks, ((a+k*p.Stride)*p.KW+b+l*p.Stride)*p.Cin*p.Cout)
		}
	}
	key := packKey{winograd: j.byWinograd(), kh: p.KH, kw: p.KW, cin: p.Cin, cout: p.Cout, gradient: true, stride: p.Stride, firstRow: a, firstColumn: b}
	j.weights = s.packWeights(w, key, p.WeightVersion, blocks, matrix{depth: p.Cout, cols: p.Cin, kStride: 1, jStride: p.Cout})
	j.run()
	j.release()
}

// class describes the pixels of dx whose coordinate plus pad leaves remainder a: the first of them, how many taps they
// see, and the padding under which those taps slide over dy.
func class(a, stride, pad, k int) (first, taps, padding int) {
	first = ((a-pad)%stride + stride) % stride
	taps = max(0, (k-a+stride-1)/stride)
	return first, taps, taps - 1 - (first+pad-a)/stride
}

// Linear computes x w with its epilogue.
func (s *Set) Linear(y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Linear) {
	s.Conv2D(y, x, w, e, p.Conv())
}

// LinearInputGrad computes dy w^T.
func (s *Set) LinearInputGrad(dx, dy, w kernels.Buffer, p kernels.Linear) {
	s.Conv2DInputGrad(dx, dy, w, p.Conv())
}

// LinearWeightGrad computes x^T dy.
func (s *Set) LinearWeightGrad(dw, x, dy kernels.Buffer, p kernels.Linear) {
	s.Conv2DWeightGrad(dw, x, dy, p.Conv())
}

// over returns the window's tables, empty, over new images.
func (v *window) over(x []float32, n, h, w, depth, pix int) window {
	return window{x: x, n: n, h: h, w: w, depth: depth, xPix: pix, offsets: v.offsets, steps: v.steps}
}

// pointwise reports whether the window is a single pixel at every pixel.
func (v *window) pointwise() bool {
	return v.kh == 1 && v.kw == 1 && v.step == 1 && v.padTop == 0 && v.padLeft == 0 && v.outH == v.h && v.outW == v.w
}

// flatten turns a pointwise window into one over images of one pixel, which can be cut anywhere.
func (v *window) flatten() {
	v.n, v.h, v.w, v.outH, v.outW = v.n*v.h*v.w, 1, 1, 1, 1
}

func (j *slide) flatten() {
	if j.pointwise() && j.contiguous() {
		j.window.flatten()
		j.yImage, j.yRow = j.yPix, j.yPix
	}
}

// into sets a destination whose pixels follow each other.
func (j *slide) into(y []float32, cols, pix int) {
	j.y, j.cols = y, cols
	j.yPix, j.yRow, j.yImage = pix, j.outW*pix, j.outH*j.outW*pix
}

// epilogue sets what is added to the products and pads the bias to whole panels.
func (j *slide) epilogue(e kernels.Epilogue) {
	n := j.s.level.matrix.paddedCols(j.cols)
	if cap(j.bias) < n {
		j.bias = make([]float32, n)
	}
	j.bias = j.bias[:n]
	clear(j.bias[copy(j.bias, f32(e.Bias)[:min(j.cols, len(f32(e.Bias)))]):])
	j.imageBias = f32(e.ImageBias)
	j.residual, j.residualPix = f32(e.Residual), 0
	if e.Residual != nil {
		j.residualPix = or(e.ResidualStride, j.cols)
	}
	j.silu = e.Act == kernels.ActSiLU
}

// clear writes zeros to every pixel of y.
func (j *slide) clear() {
	for n := range j.n {
		for r := range j.outH {
			for c := range j.outW {
				clear(j.y[n*j.yImage+r*j.yRow+c*j.yPix:][:j.cols])
			}
		}
	}
}

// release drops the operands, so that the Set keeps no buffer alive.
func (j *slide) release() {
	j.x, j.y, j.weights, j.imageBias, j.residual = nil, nil, nil, nil, nil
}

// packWeights returns w packed for the panel kernels: from the cache when version is known and seen again, else in shared
// scratch.
func (s *Set) packWeights(w kernels.Buffer, key packKey, version uint64, blocks []int, m matrix) []float32 {
	m.data, m.scale = f32(w), 1
	s.pack.src, s.pack.blocks, s.pack.winograd = m, blocks, key.winograd
	s.pack.dst = nil
	valid := false
	if version != 0 {
		key.weights = at(m.data, 0)
		s.pack.dst, valid = s.packs.lookup(key, version, s.pack.len())
	}
	if s.pack.dst == nil {
		s.pack.dst = s.shared.floats(s.pack.len())
	}
	if !valid {
		s.pack.run()
	}
	s.pack.src.data = nil
	return s.pack.dst
}

// or resolves "0 means contiguous".
func or(stride, channels int) int {
	if stride == 0 {
		return channels
	}
	return stride
}
