package nn

import "emdiff/kernels"

// Epilogue is what Conv and Linear add to their sums in the same launch, and where they write.
type Epilogue struct {
	ImageBias *Tensor // [N,1,1,Cout], added to every pixel of an image; Conv only
	Residual  *Tensor // shape of the output, added last; may be Into itself
	Into      *Tensor // destination, for example half of a Join; nil = a new tensor
}

// product is what Conv and Linear share: one of the two products of kernels with its gradients.
type product struct {
	op           string
	weight, bias *Param
	forward      func(y, x, w kernels.Buffer, e kernels.Epilogue)
	inputGrad    func(dx, dy, w kernels.Buffer, accumulate bool)
	weightGrad   func(dw, x, dy kernels.Buffer, accumulate bool)
}

// Conv computes y = conv(x) + bias + e.ImageBias + e.Residual.
func (t *Tape) Conv(x *Tensor, l *Conv2D, e Epilogue) *Tensor {
	mustMatch("Conv", "x", x, x.N, x.H, x.W, l.Cin)
	_, version := l.Weight.value(t.UseEMA)
	p := kernels.Conv{N: x.N, H: x.H, W: x.W, Cin: l.Cin, Cout: l.Cout, KH: l.Kernel, KW: l.Kernel, Stride: l.Stride,
		PadTop: l.PadBefore, PadLeft: l.PadBefore, PadBottom: l.PadAfter, PadRight: l.PadAfter,
		XStride: x.Stride, Precision: t.Precision, WeightVersion: version}
	y := t.target("Conv", e.Into, x.N, p.OutH(), p.OutW(), l.Cout)
	p.YStride = y.Stride
	add := p
	add.Accumulate = true
	pick := func(accumulate bool) kernels.Conv {
		if accumulate {
			return add
		}
		return p
	}
	t.product(y, x, e, product{op: "Conv", weight: l.Weight, bias: l.Bias,
		forward:    func(y, x, w kernels.Buffer, e kernels.Epilogue) { t.set.Conv2D(y, x, w, e, p) },
		inputGrad:  func(dx, dy, w kernels.Buffer, acc bool) { t.set.Conv2DInputGrad(dx, dy, w, pick(acc)) },
		weightGrad: func(dw, x, dy kernels.Buffer, acc bool) { t.set.Conv2DWeightGrad(dw, x, dy, pick(acc)) },
	})
	return y
}

// Linear computes y = x w + bias + e.Residual for every pixel.
func (t *Tape) Linear(x *Tensor, l *Linear, e Epilogue) *Tensor {
	mustMatch("Linear", "x", x, x.N, x.H, x.W, l.In)
	_, version := l.Weight.value(t.UseEMA)
	y := t.target("Linear", e.Into, x.N, x.H, x.W, l.Out)
	p := kernels.Linear{Rows: x.Rows(), K: l.In, M: l.Out, XStride: x.Stride, YStride: y.Stride, Precision: t.Precision, WeightVersion: version}
	add := p
	add.Accumulate = true
	pick := func(accumulate bool) kernels.Linear {
		if accumulate {
			return add
		}
		return p
	}
	t.product(y, x, e, product{op: "Linear", weight: l.Weight, bias: l.Bias,
		forward:    func(y, x, w kernels.Buffer, e kernels.Epilogue) { t.set.Linear(y, x, w, e, p) },
		inputGrad:  func(dx, dy, w kernels.Buffer, acc bool) { t.set.LinearInputGrad(dx, dy, w, pick(acc)) },
		weightGrad: func(dw, x, dy kernels.Buffer, acc bool) { t.set.LinearWeightGrad(dw, x, dy, pick(acc)) },
	})
	return y
}

func (t *Tape) product(y, x *Tensor, e Epilogue, op product) {
	t.enter(op.weight.layer())
	w, _ := op.weight.value(t.UseEMA)
	bias, _ := op.bias.value(t.UseEMA)
	k := kernels.Epilogue{Bias: bias}
	if e.ImageBias != nil {
		mustMatch(op.op, "ImageBias", e.ImageBias, y.N, 1, 1, y.C)
		mustBeContiguous(op.op, "ImageBias", e.ImageBias)
		k.ImageBias = e.ImageBias.Buf
	}
	if e.Residual != nil {
		mustMatch(op.op, "Residual", e.Residual, y.N, y.H, y.W, y.C)
		k.Residual, k.ResidualStride = e.Residual.Buf, e.Residual.Stride
	}
	op.forward(y.Buf, x.Buf, w, k)
	t.record(y, true, func(p *pass) {
		dy := p.of(y)
		p.biasGrads(op.bias, e.ImageBias, y, dy)
		if p.params {
			dw, accumulate := p.param(op.weight)
			op.weightGrad(dw, x.Buf, dy, accumulate)
		}
		if dx, accumulate := p.into(x); dx != nil {
			op.inputGrad(dx, dy, w, accumulate)
		}
		if e.Residual != y {
			p.hand(e.Residual, y)
		}
	}, x, e.ImageBias, e.Residual)
}

// biasGrads sums dy over the pixels of each image for the image bias, and over everything for the bias: with both, the
// second is the sum of the first over the images.
func (p *pass) biasGrads(bias *Param, imageBias, y *Tensor, dy kernels.Buffer) {
	perImage := kernels.SumRows{Groups: y.N, Rows: y.H * y.W, C: y.C, XStride: y.Stride}
	whole := kernels.SumRows{Groups: 1, Rows: y.Rows(), C: y.C, XStride: y.Stride}
	sum := dy
	if p.wants(imageBias) {
		db, accumulate := p.into(imageBias)
		if p.params && !accumulate {
			whole, sum = kernels.SumRows{Groups: 1, Rows: y.N, C: y.C}, db
		}
		perImage.Accumulate = accumulate
		p.set.SumRows(db, dy, perImage)
	}
	if p.params {
		db, accumulate := p.param(bias)
		whole.Accumulate = accumulate
		p.set.SumRows(db, sum, whole)
	}
}
