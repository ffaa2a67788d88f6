package nn

import "emdiff/kernels"

// Epilogue is what Conv and Linear add to their sums in the same launch, and where they write.
type Epilogue struct {
	ImageBias *Tensor // [N,1,1,Cout], added to every pixel of an image; Conv only
	Residual  *Tensor // shape of the output, added last; may be Into itself
	Into      *Tensor // destination, for example half of a Join; nil = a new tensor
}

// Conv computes y = conv(x) + bias + e.ImageBias + e.Residual.
func (t *Tape) Conv(x *Tensor, l *Conv2D, e Epilogue) *Tensor {
	mustMatch("Conv", "x", x, x.N, x.H, x.W, l.Cin)
	t.enter(l.Weight.layer())
	w, version := l.Weight.value(t.UseEMA)
	p := kernels.Conv{N: x.N, H: x.H, W: x.W, Cin: l.Cin, Cout: l.Cout, KH: l.Kernel, KW: l.Kernel, Stride: l.Stride,
		PadTop: l.PadBefore, PadLeft: l.PadBefore, PadBottom: l.PadAfter, PadRight: l.PadAfter,
		XStride: x.Stride, Precision: t.Precision, WeightVersion: version}
	y := t.target("Conv", e.Into, x.N, p.OutH(), p.OutW(), l.Cout)
	p.YStride = y.Stride
	op := state[convOp](t)
	*op = convOp{product{weight: l.Weight, bias: l.Bias, y: y, x: x, w: w, e: e}, p}
	k := t.epilogue("Conv", &op.product)
	if y != t.skip {
		t.set.Conv2D(y.Buf, x.Buf, w, k, p)
	}
	t.recordProduct(&op.product, op)
	return y
}

// Linear computes y = x w + bias + e.Residual for every pixel.
func (t *Tape) Linear(x *Tensor, l *Linear, e Epilogue) *Tensor {
	mustMatch("Linear", "x", x, x.N, x.H, x.W, l.In)
	t.enter(l.Weight.layer())
	w, version := l.Weight.value(t.UseEMA)
	y := t.target("Linear", e.Into, x.N, x.H, x.W, l.Out)
	p := kernels.Linear{Rows: x.Rows(), K: l.In, M: l.Out, XStride: x.Stride, YStride: y.Stride, Precision: t.Precision, WeightVersion: version}
	op := state[linearOp](t)
	*op = linearOp{product{weight: l.Weight, bias: l.Bias, y: y, x: x, w: w, e: e}, p}
	k := t.epilogue("Linear", &op.product)
	if y != t.skip {
		t.set.Linear(y.Buf, x.Buf, w, k, p)
	}
	t.recordProduct(&op.product, op)
	return y
}

// product is what Conv and Linear share: the two products of kernels.
type product struct {
	weight, bias *Param
	y, x         *Tensor
	w            kernels.Buffer
	e            Epilogue
}

type convOp struct {
	product
	p kernels.Conv
}

type linearOp struct {
	product
	p kernels.Linear
}

// epilogue checks what is added to a product.
func (t *Tape) epilogue(op string, o *product) kernels.Epilogue {
	y, e := o.y, o.e
	bias, _ := o.bias.value(t.UseEMA)
	k := kernels.Epilogue{Bias: bias}
	if e.ImageBias != nil {
		mustMatch(op, "ImageBias", e.ImageBias, y.N, 1, 1, y.C)
		mustBeContiguous(op, "ImageBias", e.ImageBias)
		k.ImageBias = e.ImageBias.Buf
	}
	if e.Residual != nil {
		mustMatch(op, "Residual", e.Residual, y.N, y.H, y.W, y.C)
		k.Residual, k.ResidualStride = e.Residual.Buf, e.Residual.Stride
	}
	return k
}

// recordProduct notes a product; x is read for the gradient of the weights.
func (t *Tape) recordProduct(o *product, op reversible) {
	r := record{out: o.y, in: [3]*Tensor{o.x, o.e.ImageBias, o.e.Residual}, params: true, op: op}
	if !t.Frozen {
		r.reads[0] = o.x
	}
	t.record(r)
}

func (o *convOp) reverse(p *pass) {
	dy := p.of(o.y)
	p.biasGrads(o.bias, o.e.ImageBias, o.y, dy)
	k := o.p
	if p.params {
		var dw kernels.Buffer
		dw, k.Accumulate = p.param(o.weight)
		p.set.Conv2DWeightGrad(dw, o.x.Buf, dy, k)
	}
	if dx, accumulate := p.into(o.x); dx != nil {
		k.Accumulate = accumulate
		p.set.Conv2DInputGrad(dx, dy, o.w, k)
	}
	p.residual(&o.product)
}

func (o *linearOp) reverse(p *pass) {
	dy := p.of(o.y)
	p.biasGrads(o.bias, o.e.ImageBias, o.y, dy)
	k := o.p
	if p.params {
		var dw kernels.Buffer
		dw, k.Accumulate = p.param(o.weight)
		p.set.LinearWeightGrad(dw, o.x.Buf, dy, k)
	}
	if dx, accumulate := p.into(o.x); dx != nil {
		k.Accumulate = accumulate
		p.set.LinearInputGrad(dx, dy, o.w, k)
	}
	p.residual(&o.product)
}

// residual hands the gradient on to what was added.
func (p *pass) residual(o *product) {
	if o.e.Residual != o.y {
		p.hand(o.e.Residual, o.y)
	}
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
