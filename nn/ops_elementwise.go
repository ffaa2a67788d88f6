package nn

import "emdiff/kernels"

// SiLU computes y = x sigmoid(x).
func (t *Tape) SiLU(x *Tensor) *Tensor {
	mustBeContiguous("SiLU", "x", x)
	y := t.NewTensor(x.N, x.H, x.W, x.C)
	k := kernels.Elementwise{Len: x.Len()}
	t.set.SiLU(y.Buf, x.Buf, k)
	t.record(y, false, func(p *pass) {
		dx, accumulate := p.into(x)
		p.set.SiLUGrad(dx, p.of(y), x.Buf, kernels.Elementwise{Len: k.Len, Accumulate: accumulate})
	}, x)
	return y
}

// Add computes y = a + b.
func (t *Tape) Add(a, b *Tensor) *Tensor {
	mustMatch("Add", "b", b, a.N, a.H, a.W, a.C)
	mustBeContiguous("Add", "a", a)
	mustBeContiguous("Add", "b", b)
	y := t.NewTensor(a.N, a.H, a.W, a.C)
	t.set.Add(y.Buf, a.Buf, b.Buf, kernels.Elementwise{Len: a.Len()})
	t.record(y, false, func(p *pass) {
		if p.wants(a) {
			dx, accumulate := p.into(a)
			p.copyRows(dx, p.of(y), a, a.Stride, y.Stride, accumulate)
		}
		p.hand(b, y)
	}, a, b)
	return y
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
	t.record(y, false, func(p *pass) {
		scale := func(x *Tensor, a kernels.Buffer) {
			if dx, accumulate := p.into(x); dx != nil {
				p.set.ScaleImages(dx, a, p.of(y), nil, nil, kernels.PerImage{N: k.N, Len: k.Len, Accumulate: accumulate})
			}
		}
		scale(x, a)
		scale(z, b)
	}, x, z)
	return y
}

// Clamp limits values to [lo, hi]; its gradient is zero outside.
func (t *Tape) Clamp(x *Tensor, lo, hi float32) *Tensor {
	mustBeContiguous("Clamp", "x", x)
	y := t.NewTensor(x.N, x.H, x.W, x.C)
	k := kernels.Clamp{Len: x.Len(), Lo: lo, Hi: hi}
	t.set.Clamp(y.Buf, x.Buf, k)
	t.record(y, false, func(p *pass) {
		k := k
		var dx kernels.Buffer
		dx, k.Accumulate = p.into(x)
		p.set.ClampGrad(dx, p.of(y), x.Buf, k)
	}, x)
	return y
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
	ids := t.ImageIDs
	t.set.Dropout(x.Buf, x.Buf, ids, k)
	y := &Tensor{N: x.N, H: x.H, W: x.W, C: x.C, Stride: x.Stride, Buf: x.Buf}
	t.record(y, false, func(p *pass) {
		p.add(x, func(dx kernels.Buffer) { p.set.Dropout(dx, p.of(y), ids, k) })
	}, x)
	return y
}

// TimeEmbedding computes the sinusoidal embedding [N,1,1,dim] of t [N,1,1,1], which may be fractional. t is a constant: it
// has no gradient.
func (t *Tape) TimeEmbedding(time *Tensor, k kernels.TimeEmbedding) *Tensor {
	mustMatch("TimeEmbedding", "t", time, k.N, 1, 1, 1)
	y := t.NewTensor(k.N, 1, 1, k.Dim)
	t.set.TimeEmbedding(y.Buf, time.Buf, k)
	return y
}
