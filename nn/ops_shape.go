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
	op := state[upsampleOp](t)
	*op = upsampleOp{y, x, k}
	t.record(record{out: y, in: [3]*Tensor{x}, op: op})
	return y
}

type upsampleOp struct {
	y, x *Tensor
	k    kernels.Resize
}

func (o *upsampleOp) reverse(p *pass) {
	k := o.k
	var dx kernels.Buffer
	dx, k.Accumulate = p.into(o.x)
	p.set.Upsample2xGrad(dx, p.of(o.y), k)
}

// PixelUnshuffle moves r x r blocks of pixels into channels: [N,H,W,C] to [N,H/r,W/r,C*r*r].
func (t *Tape) PixelUnshuffle(x *Tensor, r int) *Tensor {
	k := shuffle("PixelUnshuffle", x, x.H, x.W, x.C, r)
	y := t.NewTensor(x.N, x.H/r, x.W/r, x.C*r*r)
	t.set.PixelUnshuffle(y.Buf, x.Buf, k)
	t.recordShuffle(shuffleOp{y, x, k, true})
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
	t.recordShuffle(shuffleOp{y, x, k, false})
	return y
}

type shuffleOp struct {
	y, x      *Tensor
	k         kernels.Shuffle
	unshuffle bool
}

func (t *Tape) recordShuffle(o shuffleOp) {
	op := state[shuffleOp](t)
	*op = o
	t.record(record{out: o.y, in: [3]*Tensor{o.x}, op: op})
}

func (o *shuffleOp) reverse(p *pass) {
	c := p.add(o.x)
	if o.unshuffle {
		p.set.PixelShuffle(c.buf, p.of(o.y), o.k)
	} else {
		p.set.PixelUnshuffle(c.buf, p.of(o.y), o.k)
	}
	p.added(o.x, c)
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
	j := state[Join](t)
	if left%(kernels.SliceAlign/4) != 0 {
		*j = Join{Left: t.NewTensor(n, h, w, left), Right: t.NewTensor(n, h, w, right)}
		return j
	}
	whole := t.NewTensor(n, h, w, left+right)
	*j = Join{Left: whole.channels(t.describe(), 0, left), Right: whole.channels(t.describe(), left, right), whole: whole}
	return j
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
	op := state[joinOp](t)
	*op = joinOp{j.whole, l, r}
	t.record(record{out: j.whole, in: [3]*Tensor{l, r}, op: op})
	t.Release(l, r)
	return j.whole
}

type joinOp struct{ whole, left, right *Tensor }

func (o *joinOp) reverse(p *pass) {
	split := func(x *Tensor, offset int) {
		if dx, accumulate := p.into(x); dx != nil {
			p.set.CopyChannels(dx, p.of(o.whole), kernels.Channels{Rows: x.Rows(), C: x.C,
				XStride: o.whole.Stride, XOffset: offset, YStride: x.Stride, Accumulate: accumulate})
		}
	}
	split(o.left, 0)
	split(o.right, o.left.C)
}
