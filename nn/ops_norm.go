package nn

import (
	"fmt"
	"math"

	"emdiff/kernels"
)

// GroupNorm normalises x over groups of channels; see kernels.GroupNorm. scaleShift [N,1,1,2C] holds scales and then shifts
// of the channels of each image, or is nil.
func (t *Tape) GroupNorm(x *Tensor, l *GroupNorm, scaleShift *Tensor) *Tensor {
	mustMatch("GroupNorm", "x", x, x.N, x.H, x.W, l.C)
	t.enter(l.Gamma.layer())
	y := t.NewTensor(x.N, x.H, x.W, x.C)
	k := kernels.GroupNorm{N: x.N, HW: x.H * x.W, C: x.C, Groups: l.Groups, Eps: l.Eps, SiLU: l.SiLU, XStride: x.Stride}
	gamma, _ := l.Gamma.value(t.UseEMA)
	beta, _ := l.Beta.value(t.UseEMA)
	var ss kernels.Buffer
	if scaleShift != nil {
		mustMatch("GroupNorm", "scaleShift", scaleShift, x.N, 1, 1, 2*x.C)
		mustBeContiguous("GroupNorm", "scaleShift", scaleShift)
		ss = scaleShift.Buf
	}
	mean, rstd := t.NewTensor(x.N, 1, 1, l.Groups), t.NewTensor(x.N, 1, 1, l.Groups)
	t.set.GroupNorm(y.Buf, x.Buf, gamma, beta, ss, mean.Buf, rstd.Buf, k)
	op := state[normOp](t)
	*op = normOp{l: l, y: y, x: x, scaleShift: scaleShift, mean: mean, rstd: rstd, gamma: gamma, beta: beta, k: k}
	t.record(record{out: y, in: [3]*Tensor{x, scaleShift}, reads: [4]*Tensor{x, scaleShift, mean, rstd}, params: true, op: op})
	t.Release(mean, rstd)
	return y
}

type normOp struct {
	l                *GroupNorm
	y, x, scaleShift *Tensor
	mean, rstd       *Tensor
	gamma, beta      kernels.Buffer
	k                kernels.GroupNorm
}

func (o *normOp) reverse(p *pass) {
	k := o.k
	var dx, dgamma, dbeta, ss kernels.Buffer
	dx, k.Accumulate = p.into(o.x)
	if p.params {
		dgamma, k.AccumulateParams = p.param(o.l.Gamma)
		dbeta, _ = p.param(o.l.Beta)
	}
	if o.scaleShift != nil {
		ss = o.scaleShift.Buf
	}
	dss := p.add(o.scaleShift)
	if dss.buf != nil && k.AccumulateParams { // it covers dss too, which is fresh
		p.set.Fill(dss.buf, 0, kernels.Elementwise{Len: o.scaleShift.Len()})
	}
	p.set.GroupNormGrad(dx, dgamma, dbeta, dss.buf, p.of(o.y), o.x.Buf, o.gamma, o.beta, ss, o.mean.Buf, o.rstd.Buf, k)
	p.added(o.scaleShift, dss)
}

// Attention is softmax(q k^T / sqrt(c/heads)) v over the pixels of each image, for heads that divide the c channels. qkv
// holds queries, keys and values, c channels each, at multiples of kernels.AlignUp(c): the output of a Linear with three
// names.
func (t *Tape) Attention(qkv *Tensor, c, heads int) *Tensor {
	distance := kernels.AlignUp(c)
	mustMatch("Attention", "qkv", qkv, qkv.N, qkv.H, qkv.W, 3*distance)
	if c%heads != 0 {
		panic(&kernels.ShapeError{Op: "Attention", Arg: "heads", Got: fmt.Sprint(heads), Want: fmt.Sprintf("a divisor of %d", c)})
	}
	y := t.NewTensor(qkv.N, qkv.H, qkv.W, c)
	k := kernels.Attention{N: qkv.N, T: qkv.H * qkv.W, Heads: heads, HeadDim: c / heads,
		Scale: float32(1 / math.Sqrt(float64(c/heads))), QKVStride: qkv.Stride, Precision: t.Precision}
	op := state[attentionOp](t)
	lse := t.NewTensor(qkv.N, heads, 1, k.T)
	*op = attentionOp{y: y, qkv: qkv, lse: lse, k: k, parts: op.parts}
	query, key, value := op.split(ofValues, qkv.Buf)
	t.set.Attention(y.Buf, query, key, value, lse.Buf, k)
	t.record(record{out: y, in: [3]*Tensor{qkv}, reads: [4]*Tensor{qkv, y, lse}, op: op})
	t.Release(lse)
	return y
}

type attentionOp struct {
	y, qkv, lse *Tensor
	k           kernels.Attention
	parts       [2]parts
}

// parts are the queries, keys and values of a buffer, cut out once as steps repeat themselves.
type parts struct {
	of              kernels.Buffer
	k               kernels.Attention
	query, key, val kernels.Buffer
}

// split cuts a buffer with the layout of qkv.
func (o *attentionOp) split(use int, b kernels.Buffer) (query, key, val kernels.Buffer) {
	c := &o.parts[use]
	if c.of != b || c.k != o.k {
		channels := o.k.Heads * o.k.HeadDim
		n := (o.qkv.Rows()-1)*o.qkv.Stride + channels
		part := func(i int) kernels.Buffer { return b.Slice(i*kernels.AlignUp(channels), n) }
		*c = parts{b, o.k, part(0), part(1), part(2)}
	}
	return c.query, c.key, c.val
}

func (o *attentionOp) reverse(p *pass) {
	d := p.add(o.qkv)
	if channels := o.k.Heads * o.k.HeadDim; kernels.AlignUp(channels) != channels {
		p.set.Fill(d.buf, 0, kernels.Elementwise{Len: o.qkv.Rows() * o.qkv.Stride})
	}
	dq, dk, dv := o.split(ofGradient, d.buf)
	query, key, value := o.split(ofValues, o.qkv.Buf)
	p.set.AttentionGrad(dq, dk, dv, p.of(o.y), query, key, value, o.y.Buf, o.lse.Buf, o.k)
	p.added(o.qkv, d)
}
