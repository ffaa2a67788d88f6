package cuda

import "emdiff/kernels"

// layer is a convolution as the kernels take it.
type layer struct {
	kernels.Conv
	xs, ys      int
	imagePixels int // output pixels that share a row of ImageBias
	shape       Shape
}

// newLayer folds a 1x1 convolution into one row of pixels, which spares the kernels the search for pixels.
func newLayer(p kernels.Conv) layer {
	l := layer{Conv: p, xs: stride(p.XStride, p.Cin), ys: stride(p.YStride, p.Cout), imagePixels: p.OutH() * p.OutW(), shape: ShapeOf("", p)}
	if p.KH == 1 && p.KW == 1 && p.Stride == 1 && p.PadTop|p.PadBottom|p.PadLeft|p.PadRight == 0 {
		l.N, l.H, l.W = 1, 1, p.N*p.H*p.W
	}
	return l
}

// args are the arguments CONV_PARAMS; the kernel walks over its sum in steps of v.depth, counted in digits whose limits are middle and
// fast.
func (l layer) args(pixels int, v variant, middle, fast int) []any {
	return []any{pixels, l.H, l.W, l.Cin, l.Cout, l.KH, l.KW, l.Stride, l.PadTop, l.PadLeft, l.OutH(), l.OutW(), l.xs, l.ys,
		v.depth / fast / middle, v.depth / fast % middle, v.depth % fast}
}

// product is the matrix product of rows x columns that the layer is in the direction of op.
func (l layer) product(op string, rows, columns int) product {
	return product{rows: rows, columns: columns, x: fours(l.Cin, l.xs), y: fours(l.Cout, l.ys), precision: l.Precision, shape: l.shape.of(op)}
}

func (l layer) forward() product { return l.product("Conv2D", l.outputs(), l.Cout) }

func (l layer) inputGrad() product { return l.product("Conv2DInputGrad", l.inputs(), l.Cin) }

func (l layer) weightGrad() product {
	p := l.product("Conv2DWeightGrad", l.KH*l.KW*l.Cin, l.Cout)
	p.weights = true
	return p
}

// phases is into how many products the input gradient falls apart, and the rows of the largest: see Phase in conv.cuh. The naive rung
// takes all pixels at once.
func (l layer) phases(v variant) (count, rows int) {
	if v.tile.rows == 0 {
		return 1, l.inputs()
	}
	return l.Stride * l.Stride, l.N * ceil(l.H, l.Stride) * ceil(l.W, l.Stride)
}

func (l layer) inputs() int { return l.N * l.H * l.W }

func (l layer) outputs() int { return l.N * l.OutH() * l.OutW() }

func (s *set) Conv2D(y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
	l := newLayer(p)
	residualStride := stride(e.ResidualStride, p.Cout)
	shape := l.forward()
	shape.y = shape.y && (e.Residual == nil || fours(residualStride))
	v := s.chooseProduct(shape)
	args := append([]any{y, x, w}, l.args(l.outputs(), v, l.KW, l.Cin)...)
	args = append(args, e.Bias, e.ImageBias, e.Residual, residualStride, l.imagePixels, int(e.Act))
	s.launch("conv2d_forward_"+v.name, v.grid(shape.rows, shape.columns, 1), args...)
}

func (s *set) Conv2DInputGrad(dx, dy, w kernels.Buffer, p kernels.Conv) {
	l := newLayer(p)
	shape := l.inputGrad()
	v := s.chooseProduct(shape)
	args := append([]any{dx, dy, w}, l.args(l.inputs(), v, l.KW, l.Cout)...)
	phases, rows := l.phases(v)
	s.launch("conv2d_inputgrad_"+v.name, v.grid(rows, shape.columns, phases), append(args, p.Accumulate)...)
}

// weightChunk is how many output pixels one block of the weight gradient adds up: few for small layers, whose tiles alone would not fill
// a GPU. It depends on the layer, not on the batch, and so does the order of the additions.
func weightChunk(rows, columns int) int { return 128 * max(8, ceil(rows, 64)*ceil(columns, 64)) }

func (s *set) Conv2DWeightGrad(dw, x, dy kernels.Buffer, p kernels.Conv) {
	l := newLayer(p)
	shape := l.weightGrad()
	v := s.chooseProduct(shape)
	chunk := weightChunk(shape.rows, shape.columns)
	chunks := ceil(l.outputs(), chunk)
	call := func(dw any, accumulate bool) {
		args := append([]any{dw, x, dy}, l.args(l.outputs(), v, l.OutH(), l.OutW())...)
		s.launch("conv2d_weightgrad_"+v.name, v.grid(shape.rows, shape.columns, chunks), append(args, chunk, accumulate)...)
	}
	if chunks == 1 {
		call(dw, p.Accumulate)
		return
	}
	parts := s.scratch(chunks*p.WLen(), "Conv2DWeightGrad")
	call(parts, false)
	s.launch("conv2d_weightgrad_f32_reduce", flat(p.WLen()), dw, parts, p.WLen(), chunks, p.Accumulate)
	s.release(parts)
}

// A linear layer is a 1x1 convolution whose images are single pixels.

func (s *set) Linear(y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Linear) {
	s.Conv2D(y, x, w, e, p.Conv())
}

func (s *set) LinearInputGrad(dx, dy, w kernels.Buffer, p kernels.Linear) {
	s.Conv2DInputGrad(dx, dy, w, p.Conv())
}

func (s *set) LinearWeightGrad(dw, x, dy kernels.Buffer, p kernels.Linear) {
	s.Conv2DWeightGrad(dw, x, dy, p.Conv())
}

func (s *set) MatMul(c, a, b kernels.Buffer, p kernels.MatMul) {
	aRow, aColumn, bRow, bColumn, kernel := p.K, 1, p.N, 1, "nn"
	if p.TransA {
		aRow, aColumn, kernel = 1, p.M, "tn"
	}
	if p.TransB {
		bRow, bColumn, kernel = 1, p.K, kernel[:1]+"t"
	}
	g := grid{x: blocks(p.M, 64, 32), y: blocks(p.N, 64, 32)}
	switch {
	case p.Precision != kernels.PrecisionF32:
		g.x, g.y, kernel = ceil(p.M, 128), ceil(p.N, 128), "anytensor"+kernel
	case s.options.Rung == "naive":
		g, kernel = flat(p.M*p.N), "naive"
	default:
		kernel = "any64" + kernel
	}
	g.z = p.Batch
	s.launch("matmul_forward_"+p.Precision.String()+"_"+kernel, g, c, a, b, p.M, p.N, p.K, aRow, aColumn, bRow, bColumn,
		int64(p.StrideA), int64(p.StrideB), int64(p.StrideC), p.Alpha, p.Accumulate)
}
