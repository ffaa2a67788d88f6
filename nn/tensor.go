package nn

import (
	"fmt"

	"emdiff/kernels"
)

// Tensor is a batch of N images of H x W pixels with C channels: float32, NHWC, Stride floats from one pixel to the next.
// Vectors are [N,1,1,C]. A tensor made by a Tape lives until the tape's Reset.
type Tensor struct {
	N, H, W, C int
	Stride     int // floats per pixel, >= C
	Buf        kernels.Buffer

	mem    span    // where Buf lies in the tape's arena; empty when the tensor is not the tape's
	held   bool    // nobody released it yet
	reads  int     // records whose reverse will read the values
	values *Tensor // whose memory Buf is, when it is another tensor's (but for parent); else nil
	parent *Tensor // the wider tensor of which this is a channel range, or nil
	offset int     // first channel in parent
	cuts   [2]cut

	// The rest is the state of a backward pass; a channel range uses its parent's.
	pending int    // records that write this tensor and that the running pass has not reached
	wanted  uint64 // the pass that needs this tensor's gradient
	grad    gradient
	keep    bool // the gradient is a result of the pass
}

// cut is a part of a buffer that was cut out before: steps repeat themselves, and a view costs an allocation.
type cut struct {
	from, part kernels.Buffer
	offset, n  int
}

// Uses of Tensor.cuts.
const (
	ofValues = iota
	ofGradient
)

// gradient has the layout of its tensor. A borrowed one (the caller's cotangent) is never written.
type gradient struct {
	buf      kernels.Buffer
	mem      span
	borrowed bool
}

// Wrap describes memory of the caller's as a contiguous tensor.
func Wrap(b kernels.Buffer, n, h, w, c int) *Tensor {
	x := &Tensor{N: n, H: h, W: w, C: c, Stride: c, Buf: b}
	if b == nil || b.DType() != kernels.F32 || b.Len() < x.Len() {
		panic(&kernels.ShapeError{Op: "Wrap", Arg: "b", Got: describe(b), Want: fmt.Sprintf("at least %d float32", x.Len())})
	}
	return x
}

// WrapVector describes n values, one per image, as an [N,1,1,1] tensor.
func WrapVector(b kernels.Buffer, n int) *Tensor { return Wrap(b, n, 1, 1, 1) }

func describe(b kernels.Buffer) string {
	if b == nil {
		return "nil"
	}
	return fmt.Sprintf("%d %s", b.Len(), b.DType())
}

// Rows is the number of pixels of the batch.
func (x *Tensor) Rows() int { return x.N * x.H * x.W }

// Len is the number of values.
func (x *Tensor) Len() int { return x.Rows() * x.C }

// Contiguous reports whether the values follow each other without gaps.
func (x *Tensor) Contiguous() bool { return x.Stride == x.C }

// String returns the shape, for messages.
func (x *Tensor) String() string {
	if x == nil {
		return "nil"
	}
	return fmt.Sprintf("[%d,%d,%d,%d]", x.N, x.H, x.W, x.C)
}

// Channels returns a view of c channels from channel offset, which must be a multiple of 16 (kernels.SliceAlign).
func (x *Tensor) Channels(offset, c int) *Tensor { return x.channels(&Tensor{}, offset, c) }

// channels makes a view of v.
func (x *Tensor) channels(v *Tensor, offset, c int) *Tensor {
	if offset < 0 || c <= 0 || offset+c > x.C {
		panic(&kernels.ShapeError{Op: "Channels", Arg: "range", Got: fmt.Sprintf("[%d, %d)", offset, offset+c), Want: fmt.Sprintf("within [0, %d)", x.C)})
	}
	v.N, v.H, v.W, v.C, v.Stride, v.parent, v.offset = x.N, x.H, x.W, c, x.Stride, x, offset
	if x.parent != nil {
		v.parent, v.offset = x.parent, x.offset+offset
	}
	v.Buf = v.slice(ofValues, x.Buf, offset)
	return v
}

// slice cuts the view's part, which starts at offset, out of a buffer with the layout of the wider tensor.
func (x *Tensor) slice(use int, b kernels.Buffer, offset int) kernels.Buffer {
	n := (x.Rows()-1)*x.Stride + x.C
	c := &x.cuts[use]
	if c.from != b || c.offset != offset || c.n != n {
		*c = cut{b, b.Slice(offset, n), offset, n}
	}
	return c.part
}

// root is the tensor that holds the state of the backward pass.
func (x *Tensor) root() *Tensor {
	if x.parent != nil {
		return x.parent
	}
	return x
}

// owner is the tensor whose memory holds the values.
func (x *Tensor) owner() *Tensor {
	x = x.root()
	if x.values != nil {
		return x.values
	}
	return x
}

// mustMatch panics unless x has the given shape.
func mustMatch(op, arg string, x *Tensor, n, h, w, c int) {
	if x == nil || x.N != n || x.H != h || x.W != w || x.C != c {
		panic(&kernels.ShapeError{Op: op, Arg: arg, Got: x.String(), Want: fmt.Sprintf("[%d,%d,%d,%d]", n, h, w, c)})
	}
}

// mustBeContiguous panics when an op that has no stride is given a channel range.
func mustBeContiguous(op, arg string, x *Tensor) {
	if !x.Contiguous() {
		panic(&kernels.ShapeError{Op: op, Arg: arg, Got: fmt.Sprintf("%s with stride %d", x, x.Stride), Want: "contiguous"})
	}
}
