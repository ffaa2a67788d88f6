package nn

import "emdiff/kernels"

// SiLU computes y = x sigmoid(x).
func (t *Tape) SiLU(x *Tensor) *Tensor {
	mustBeContiguous("SiLU", "x", x)
	y := t.NewTensor(x.N, x.H, x.W, x.C)
	t.set.SiLU(y.Buf, x.Buf, kernels.Elementwise{Len: x.Len()})
	op := state[siluOp](t)
	*op = siluOp{y, x}
	t.record(record{out: y, in: [3]*Tensor{x}, reads: [4]*Tensor{x}, op: op})
	return y
}

type siluOp struct{ y, x *Tensor }

func (o *siluOp) reverse(p *pass) {
	dx, accumulate := p.into(o.x)
	p.set.SiLUGrad(dx, p.of(o.y), o.x.Buf, kernels.Elementwise{Len: o.x.Len(), Accumulate: accumulate})
}

// Add computes y = a + b.
func (t *Tape) Add(a, b *Tensor) *Tensor {
	mustMatch("Add", "b", b, a.N, a.H, a.W, a.C)
	mustBeContiguous("Add", "a", a)
	mustBeContiguous("Add", "b", b)
	y := t.NewTensor(a.N, a.H, a.W, a.C)
	t.set.Add(y.Buf, a.Buf, b.Buf, kernels.Elementwise{Len: a.Len()})
	op := state[addOp](t)
	*op = addOp{y, a, b}
	t.record(record{out: y, in: [3]*Tensor{a, b}, op: op})
	return y
}

type addOp struct{ y, a, b *Tensor }

func (o *addOp) reverse(p *pass) {
	if p.wants(o.a) {
		dx, accumulate := p.into(o.a)
		p.copyRows(dx, p.of(o.y), o.a, o.a.Stride, o.y.Stride, accumulate)
	}
	p.hand(o.b, o.y)
}

// ScaleImages computes y[n] = a[n] x[n] + b[n] z[n]; a and b hold one constant per image, b and z may both be nil. It is the
// preconditioning of a denoiser: c_skip x + c_out F.
func (t *Tape) ScaleImages(a kernels.Buffer, x *Tensor, b kernels.Buffer, z *Tensor) *Tensor {
	mustBeContiguous("ScaleImages", "x", x)
	var zBuf kernels.Buffer
	if z != nil {
		mustMatch("ScaleImages", "z", z, x.N, x.H, x.W, x.C)
		mustBeContiguous("ScaleImages", "z", z)
		zBuf = z.Buf
	}
	y := t.NewTensor(x.N, x.H, x.W, x.C)
	k := kernels.PerImage{N: x.N, Len: x.H * x.W * x.C}
	t.set.ScaleImages(y.Buf, a, x.Buf, b, zBuf, k)
	op := state[scaleOp](t)
	*op = scaleOp{y, x, z, a, b, k}
	t.record(record{out: y, in: [3]*Tensor{x, z}, op: op})
	return y
}

type scaleOp struct {
	y, x, z *Tensor
	a, b    kernels.Buffer
	k       kernels.PerImage
}

func (o *scaleOp) reverse(p *pass) {
	scale := func(x *Tensor, a kernels.Buffer) {
		if dx, accumulate := p.into(x); dx != nil {
			p.set.ScaleImages(dx, a, p.of(o.y), nil, nil, kernels.PerImage{N: o.k.N, Len: o.k.Len, Accumulate: accumulate})
		}
	}
	scale(o.x, o.a)
	scale(o.z, o.b)
}

// Clamp limits values to [lo, hi]; its gradient is zero outside.
func (t *Tape) Clamp(x *Tensor, lo, hi float32) *Tensor {
	mustBeContiguous("Clamp", "x", x)
	y := t.NewTensor(x.N, x.H, x.W, x.C)
	k := kernels.Clamp{Len: x.Len(), Lo: lo, Hi: hi}
	t.set.Clamp(y.Buf, x.Buf, k)
	op := state[clampOp](t)
	*op = clampOp{y, x, k}
	t.record(record{out: y, in: [3]*Tensor{x}, reads: [4]*Tensor{x}, op: op})
	return y
}

type clampOp struct {
	y, x *Tensor
	k    kernels.Clamp
}

func (o *clampOp) reverse(p *pass) {
	k := o.k
	var dx kernels.Buffer
	dx, k.Accumulate = p.into(o.x)
	p.set.ClampGrad(dx, p.of(o.y), o.x.Buf, k)
}

// DropoutStream is the first random stream of dropout layers: layer i of a network draws from DropoutStream + i.
const DropoutStream = 0x6e6e0000

// Dropout zeroes values with probability rate and scales the rest by 1/(1-rate), in Training mode only; layer numbers the
// dropout layers of a network. It works in place: x must have no other use after it and its producer must not need its
// values for the gradient, as is true of GroupNorm.
func (t *Tape) Dropout(x *Tensor, rate float32, layer int) *Tensor {
	if t.mode != Training || rate == 0 {
		return x
	}
	mustBeContiguous("Dropout", "x", x)
	k := kernels.Dropout{N: x.N, Len: x.H * x.W * x.C, Rate: rate,
		Random: kernels.Random{Seed: t.Seed, Stream: DropoutStream + uint32(layer), Step: t.Step}}
	t.set.Dropout(x.Buf, x.Buf, t.ImageIDs, k)
	y := t.describe()
	y.N, y.H, y.W, y.C, y.Stride, y.Buf, y.values = x.N, x.H, x.W, x.C, x.Stride, x.Buf, x.owner()
	op := state[dropoutOp](t)
	*op = dropoutOp{y, x, t.ImageIDs, k}
	t.record(record{out: y, in: [3]*Tensor{x}, op: op})
	return y
}

type dropoutOp struct {
	y, x *Tensor
	ids  kernels.Buffer
	k    kernels.Dropout
}

func (o *dropoutOp) reverse(p *pass) {
	c := p.add(o.x)
	p.set.Dropout(c.buf, p.of(o.y), o.ids, o.k)
	p.added(o.x, c)
}

// TimeEmbedding computes the sinusoidal embedding [N,1,1,dim] of t [N,1,1,1], which may be fractional. t is a constant: it
// has no gradient.
func (t *Tape) TimeEmbedding(time *Tensor, k kernels.TimeEmbedding) *Tensor {
	mustMatch("TimeEmbedding", "t", time, k.N, 1, 1, 1)
	y := t.NewTensor(k.N, 1, 1, k.Dim)
	t.set.TimeEmbedding(y.Buf, time.Buf, k)
	return y
}
