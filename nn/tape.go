package nn

import (
	"slices"
	"sync/atomic"

	"emdiff/kernels"
)

// Mode says what a Tape keeps of a forward pass.
type Mode uint8

// The modes.
const (
	Inference     Mode = iota // records nothing and reuses the memory of released tensors; no dropout
	Differentiate             // records; no dropout: VJPs through a fixed network
	Training                  // records, with dropout
)

// String returns the mode's name.
func (m Mode) String() string { return [...]string{"inference", "differentiate", "training"}[m] }

// Tape runs ops forward and, unless its mode is Inference, records them so that Backward and VJP can replay them in
// reverse. Its tensors live in an arena until Reset. Ops write new tensors and never change their arguments (Dropout is the
// exception). A tape belongs to one goroutine, as its Set does.
type Tape struct {
	// Precision of the products of convolutions and linear layers.
	Precision kernels.Precision
	// UseEMA runs forward passes with the moving average of the weights instead of the weights.
	UseEMA bool
	// AccumulateGrads makes Backward add to the parameter gradients instead of overwriting them.
	AccumulateGrads bool
	// Seed, Step and ImageIDs (I32 [N], nil = position in the batch) say which numbers dropout draws.
	Seed     uint64
	Step     uint32
	ImageIDs kernels.Buffer

	set     kernels.Set
	mode    Mode
	arena   arena
	records []record
	layer   string // that ops belong to
}

// passes counts reverse passes over all tapes, since tensors and parameters may be shared by tapes.
var passes atomic.Uint64

// record is one op of the forward pass.
type record struct {
	out    *Tensor
	in     []*Tensor
	params bool // has parameters
	back   func(*pass)
	layer  string
}

// NewTape returns an empty tape. Close frees its memory.
func NewTape(set kernels.Set, mode Mode) *Tape {
	return &Tape{set: set, mode: mode, arena: arena{set: set}}
}

// Set is the Set that the tape runs on.
func (t *Tape) Set() kernels.Set { return t.set }

// Mode is the mode the tape was made with.
func (t *Tape) Mode() Mode { return t.mode }

// Reset forgets the forward pass; every tensor of the tape becomes invalid and its memory is used again. A step that
// repeats the shapes of an earlier one allocates nothing.
func (t *Tape) Reset() {
	for _, r := range t.records {
		r.out.root().producers = 0
	}
	clear(t.records)
	t.records = t.records[:0]
	t.arena.reset()
}

// Close frees the tape's memory; the tape may be used again.
func (t *Tape) Close() {
	t.Reset()
	t.arena.close()
}

// MemoryBytes is the device memory that the tape holds.
func (t *Tape) MemoryBytes() int64 { return 4 * int64(t.arena.capacity()) }

// PeakBytes is the largest memory that tensors took at a time since the last Reset.
func (t *Tape) PeakBytes() int64 { return 4 * int64(t.arena.peak) }

// NewTensor returns a contiguous tensor with undefined contents, valid until Reset.
func (t *Tape) NewTensor(n, h, w, c int) *Tensor {
	x := &Tensor{N: n, H: h, W: w, C: c, Stride: c}
	x.Buf, x.mem = t.arena.alloc(x.Len())
	return x
}

// Release says that tensors of the tape will not be used again, so that later ops may take their memory. While recording,
// only results of Backward and VJP are freed: the reverse pass needs the others. Channel ranges are ignored.
func (t *Tape) Release(xs ...*Tensor) {
	for _, x := range xs {
		if t.mode == Inference || x.scratch {
			t.arena.release(x.mem)
			x.mem = span{}
		}
	}
}

// target is the destination of an op: into, checked, or a new tensor.
func (t *Tape) target(op string, into *Tensor, n, h, w, c int) *Tensor {
	if into == nil {
		return t.NewTensor(n, h, w, c)
	}
	mustMatch(op, "Into", into, n, h, w, c)
	return into
}

// record notes an op that wrote out; in may hold nils.
func (t *Tape) record(out *Tensor, params bool, back func(*pass), in ...*Tensor) {
	if t.mode == Inference {
		return
	}
	out.root().producers++
	t.records = append(t.records, record{out, in, params, back, t.layer})
}

// scratch returns n floats for the span of one op; the release function gives them back.
func (t *Tape) scratch(n int) (kernels.Buffer, func()) {
	b, s := t.arena.alloc(n)
	return b, func() { t.arena.release(s) }
}

// saved returns n floats that the reverse pass will need; in inference they are given back by the release function.
func (t *Tape) saved(n int) (kernels.Buffer, func()) {
	b, release := t.scratch(n)
	if t.mode != Inference {
		release = func() {}
	}
	return b, release
}

// Backward replays the tape in reverse from y with the cotangent dy: it writes the gradient of sum(y*dy) into the
// gradients of all parameters that y depends on, and returns the gradients of the tensors wrt (new tensors, in order).
// Intermediate gradients are freed on the way. It may be called again on the same forward pass.
func (t *Tape) Backward(y, dy *Tensor, wrt ...*Tensor) []*Tensor {
	return t.replay(y, dy, true, wrt)
}

// VJP returns the gradient of sum(y*dy) with respect to wrt and nothing else: no weight gradient is computed, and only the
// ops between wrt and y run. It may be called any number of times per forward pass; Release the result when done with it.
func (t *Tape) VJP(y, dy, wrt *Tensor) *Tensor {
	return t.replay(y, dy, false, []*Tensor{wrt})[0]
}

func (t *Tape) replay(y, dy *Tensor, params bool, wrt []*Tensor) []*Tensor {
	if t.mode == Inference {
		panic("nn: a tape in inference mode has recorded nothing to differentiate")
	}
	mustMatch("Backward", "dy", dy, y.N, y.H, y.W, y.C)
	p := &pass{tape: t, set: t.set, id: passes.Add(1), params: params}
	p.mark(wrt)
	p.seed(y, dy)
	for i := len(t.records) - 1; i >= 0; i-- {
		r := &t.records[i]
		out := r.out.root()
		if p.needs(r) && out.grad.buf != nil {
			kernels.SetLayer(t.set, r.layer)
			r.back(p)
		}
		if out.pending--; out.pending == 0 && !out.keep {
			p.drop(out)
		}
	}
	kernels.SetLayer(t.set, "")
	grads := make([]*Tensor, len(wrt))
	for i, x := range wrt {
		grads[i] = p.result(x)
	}
	for _, x := range wrt {
		p.drop(x.root())
		x.root().keep = false
	}
	p.drop(y.root()) // the seed of a y that no record wrote
	return grads
}

// pass is one reverse replay.
type pass struct {
	tape   *Tape
	set    kernels.Set
	id     uint64
	params bool // parameter gradients are wanted
}

// mark finds the tensors whose gradients are needed: those that depend on wrt and, when parameter gradients are wanted, on
// a parameter.
func (p *pass) mark(wrt []*Tensor) {
	for _, x := range wrt {
		x.root().wanted, x.root().keep = p.id, true
	}
	for i := range p.tape.records {
		r := &p.tape.records[i]
		out := r.out.root()
		out.pending = out.producers
		if p.needs(r) {
			out.wanted = p.id
		}
	}
}

// needs reports whether an op has anything to compute: a parameter's or an input's gradient.
func (p *pass) needs(r *record) bool {
	return p.params && r.params || slices.ContainsFunc(r.in, p.wants)
}

// wants reports whether the gradient of x is needed.
func (p *pass) wants(x *Tensor) bool { return x != nil && x.root().wanted == p.id }

// seed starts the pass with the gradient of y: dy itself where the layouts agree.
func (p *pass) seed(y, dy *Tensor) {
	if !p.wants(y) {
		return
	}
	if y.parent == nil && y.Stride == dy.Stride {
		y.grad = gradient{buf: dy.Buf, borrowed: true}
		return
	}
	buf, accumulate := p.into(y)
	p.copyRows(buf, dy.Buf, y, y.Stride, dy.Stride, accumulate)
}

// of returns the gradient of an op's output, in the layout of y.
func (p *pass) of(y *Tensor) kernels.Buffer {
	g := y.root().grad.buf
	if y.parent == nil {
		return g
	}
	return y.slice(g, y.offset)
}

// into returns where to put a contribution to the gradient of x, in the layout of x, and whether to add it. It returns nil
// when the gradient is not wanted.
func (p *pass) into(x *Tensor) (buf kernels.Buffer, accumulate bool) {
	if !p.wants(x) {
		return nil, false
	}
	root := x.root()
	fresh := root.grad.buf == nil
	if fresh || root.grad.borrowed {
		old := root.grad.buf
		n := root.Rows() * root.Stride
		root.grad = gradient{}
		root.grad.buf, root.grad.mem = p.tape.arena.alloc(n)
		switch {
		case !fresh:
			p.copyRows(root.grad.buf, old, root, root.Stride, root.Stride, false)
		case root.Stride != root.C || x != root: // other channels must be zero
			p.set.Fill(root.grad.buf, 0, kernels.Elementwise{Len: n})
			fresh = false
		}
	}
	if x == root {
		return root.grad.buf, !fresh
	}
	return x.slice(root.grad.buf, x.offset), !fresh
}

// add runs an op without Accumulate that writes a contribution to the gradient of x.
func (p *pass) add(x *Tensor, write func(dx kernels.Buffer)) {
	dx, accumulate := p.into(x)
	if dx == nil {
		return
	}
	if !accumulate {
		write(dx)
		return
	}
	n := (x.Rows()-1)*x.Stride + x.C
	tmp, release := p.tape.scratch(n)
	if !x.Contiguous() {
		p.set.Fill(tmp, 0, kernels.Elementwise{Len: n})
	}
	write(tmp)
	p.copyRows(dx, tmp, x, x.Stride, x.Stride, true)
	release()
}

// hand passes the gradient of y on to x unchanged: the last act of an op. Where it can, x takes over the memory.
func (p *pass) hand(x, y *Tensor) {
	if !p.wants(x) {
		return
	}
	from, to := y.root(), x.root()
	if from == y && to == x && to.grad.buf == nil && !from.keep && x.Stride == y.Stride {
		to.grad, from.grad = from.grad, gradient{}
		return
	}
	dx, accumulate := p.into(x)
	p.copyRows(dx, p.of(y), x, x.Stride, y.Stride, accumulate)
}

// copyRows copies the pixels of a tensor of x's shape between two strides.
func (p *pass) copyRows(dst, src kernels.Buffer, x *Tensor, dstStride, srcStride int, accumulate bool) {
	copyRows(p.set, dst, src, x, dstStride, srcStride, accumulate)
}

func copyRows(set kernels.Set, dst, src kernels.Buffer, x *Tensor, dstStride, srcStride int, accumulate bool) {
	if dstStride == x.C && srcStride == x.C {
		set.Copy(dst, src, kernels.Elementwise{Len: x.Len(), Accumulate: accumulate})
		return
	}
	set.CopyChannels(dst, src, kernels.Channels{Rows: x.Rows(), C: x.C, XStride: srcStride, YStride: dstStride, Accumulate: accumulate})
}

// param returns the gradient buffer of w and whether to add to it: the first use in a pass overwrites.
func (p *pass) param(w *Param) (buf kernels.Buffer, accumulate bool) {
	accumulate = p.tape.AccumulateGrads || w.lastPass == p.id
	w.lastPass = p.id
	return w.buffers[Grads], accumulate
}

// drop frees the gradient of a tensor.
func (p *pass) drop(x *Tensor) {
	p.tape.arena.release(x.grad.mem)
	x.grad = gradient{}
}

// result returns the gradient of x as a tensor of its own.
func (p *pass) result(x *Tensor) *Tensor {
	g := p.tape.NewTensor(x.N, x.H, x.W, x.C)
	g.scratch = true
	if x.root().grad.buf == nil {
		p.set.Fill(g.Buf, 0, kernels.Elementwise{Len: g.Len()})
		return g
	}
	p.copyRows(g.Buf, p.of(x), x, x.C, x.Stride, false)
	return g
}
