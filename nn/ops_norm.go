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
	mean, releaseMean := t.saved(x.N * l.Groups)
	rstd, releaseRstd := t.saved(x.N * l.Groups)
	t.set.GroupNorm(y.Buf, x.Buf, gamma, beta, ss, mean, rstd, k)
	releaseMean()
	releaseRstd()
	t.record(y, true, func(p *pass) {
		k := k
		var dx, dgamma, dbeta, dss kernels.Buffer
		dx, k.Accumulate = p.into(x)
		if p.params {
			dgamma, k.AccumulateParams = p.param(l.Gamma)
			dbeta, _ = p.param(l.Beta)
		}
		run := func(dss kernels.Buffer) {
			p.set.GroupNormGrad(dx, dgamma, dbeta, dss, p.of(y), x.Buf, gamma, beta, ss, mean, rstd, k)
		}
		if !p.wants(scaleShift) {
			run(dss)
			return
		}
		p.add(scaleShift, func(dss kernels.Buffer) {
			if k.AccumulateParams { // it covers dss too, which is fresh
				p.set.Fill(dss, 0, kernels.Elementwise{Len: scaleShift.Len()})
			}
			run(dss)
		})
	}, x, scaleShift)
	return y
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
		Scale: float32(1 / math.Sqrt(float64(c/heads))), QKVStride: qkv.Stride}
	split := func(b kernels.Buffer) (q, k, v kernels.Buffer) {
		cut := func(i int) kernels.Buffer { return b.Slice(i*distance, (qkv.Rows()-1)*qkv.Stride+c) }
		return cut(0), cut(1), cut(2)
	}
	query, key, value := split(qkv.Buf)
	lse, release := t.saved(qkv.N * heads * k.T)
	t.set.Attention(y.Buf, query, key, value, lse, k)
	release()
	t.record(y, false, func(p *pass) {
		p.add(qkv, func(d kernels.Buffer) {
			if distance != c {
				p.set.Fill(d, 0, kernels.Elementwise{Len: qkv.Rows() * qkv.Stride})
			}
			dq, dk, dv := split(d)
			p.set.AttentionGrad(dq, dk, dv, p.of(y), query, key, value, y.Buf, lse, k)
		})
	}, qkv)
	return y
}
