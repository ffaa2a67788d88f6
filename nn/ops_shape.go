package nn

import (
	"fmt"

	"emdiff/kernels"
)

// Upsample repeats every pixel in a 2x2 block.
func (t *Tape) Upsample(x *Tensor) *Tensor {
	y := t.NewTensor(x.N, 2*x.H, 2*x.W, x.C)
	k := kernels.Resize{N: x.N, H: x.H, W: x.W, C: x.C, XStride: x.Stride}
	t.set.Upsample2x(y.Buf, x.Buf, k)
	t.record(y, false, func(p *pass) {
		k := k
		var dx kernels.Buffer
		dx, k.Accumulate = p.into(x)
		p.set.Upsample2xGrad(dx, p.of(y), k)
	}, x)
	return y
}

// PixelUnshuffle moves r x r blocks of pixels into channels: [N,H,W,C] to [N,H/r,W/r,C*r*r].
func (t *Tape) PixelUnshuffle(x *Tensor, r int) *Tensor {
	k := shuffle("PixelUnshuffle", x, x.H, x.W, x.C, r)
	y := t.NewTensor(x.N, x.H/r, x.W/r, x.C*r*r)
	t.set.PixelUnshuffle(y.Buf, x.Buf, k)
	t.record(y, false, func(p *pass) {
		p.add(x, func(dx kernels.Buffer) { p.set.PixelShuffle(dx, p.of(y), k) })
	}, x)
	return y
}

// PixelShuffle is the inverse of PixelUnshuffle: [N,H,W,C*r*r] to [N,H*r,W*r,C].
func (t *Tape) PixelShuffle(x *Tensor, r int) *Tensor {
	if x.C%(r*r) != 0 {
		panic(&kernels.ShapeError{Op: "PixelShuffle", Arg: "x", Got: x.String(), Want: fmt.Sprintf("a multiple of %d channels", r*r)})
	}
	k := shuffle("PixelShuffle", x, x.H*r, x.W*r, x.C/(r*r), r)
	y := t.NewTensor(x.N, k.H, k.W, k.C)
	t.set.PixelShuffle(y.Buf, x.Buf, k)
	t.record(y, false, func(p *pass) {
		p.add(x, func(dx kernels.Buffer) { p.set.PixelUnshuffle(dx, p.of(y), k) })
	}, x)
	return y
}

func shuffle(op string, x *Tensor, h, w, c, r int) kernels.Shuffle {
	mustBeContiguous(op, "x", x)
	k := kernels.Shuffle{N: x.N, H: h, W: w, C: c, R: r}
	if err := k.Validate(); err != nil {
		panic(&kernels.ShapeError{Op: op, Arg: "x", Got: x.String(), Want: err.Error()})
	}
	return k
}

// Join is a concatenation of two tensors along the channels whose halves are written by ops (Epilogue.Into), in any order,
// before Concat. Where the first half ends on a 64-byte boundary the halves lie in the result and nothing is copied.
type Join struct {
	Left, Right *Tensor
	whole       *Tensor // nil until Concat when the halves are tensors of their own
}

// NewJoin allocates the halves, with left and right channels.
func (t *Tape) NewJoin(n, h, w, left, right int) *Join {
	if left%(kernels.SliceAlign/4) != 0 {
		return &Join{Left: t.NewTensor(n, h, w, left), Right: t.NewTensor(n, h, w, right)}
	}
	whole := t.NewTensor(n, h, w, left+right)
	return &Join{Left: whole.Channels(0, left), Right: whole.Channels(left, right), whole: whole}
}

// Concat returns the concatenation; both halves must have been written.
func (t *Tape) Concat(j *Join) *Tensor {
	if j.whole != nil {
		return j.whole
	}
	l, r := j.Left, j.Right
	j.whole = t.NewTensor(l.N, l.H, l.W, l.C+r.C)
	part := func(x *Tensor, offset int) kernels.Channels {
		return kernels.Channels{Rows: x.Rows(), C: x.C, XStride: x.Stride, YStride: j.whole.Stride, YOffset: offset}
	}
	t.set.CopyChannels(j.whole.Buf, l.Buf, part(l, 0))
	t.set.CopyChannels(j.whole.Buf, r.Buf, part(r, l.C))
	t.record(j.whole, false, func(p *pass) {
		split := func(x *Tensor, offset int) {
			if dx, accumulate := p.into(x); dx != nil {
				p.set.CopyChannels(dx, p.of(j.whole), kernels.Channels{Rows: x.Rows(), C: x.C,
					XStride: j.whole.Stride, XOffset: offset, YStride: x.Stride, Accumulate: accumulate})
			}
		}
		split(l, 0)
		split(r, l.C)
	}, l, r)
	t.Release(l, r)
	return j.whole
}
