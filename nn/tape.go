package nn

import (
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

// Checkpoint says what a recording tape computes again in the reverse pass instead of keeping it. The bits of all results
// are the same.
type Checkpoint uint8

// The choices, from the fastest to the one that takes the least memory.
const (
	CheckpointNone   Checkpoint = iota // keep whatever the reverse pass reads
	CheckpointNorms                    // normalised activations, each from its input
	CheckpointBlocks                   // all activations within a block of the network, from the block's input
)

// String returns the name.
func (c Checkpoint) String() string { return [...]string{"none", "norms", "blocks"}[c] }

// ParseCheckpoint returns the choice of that name; ok is false when there is none.
func ParseCheckpoint(name string) (c Checkpoint, ok bool) {
	for c := CheckpointNone; c <= CheckpointBlocks; c++ {
		if c.String() == name {
			return c, true
		}
	}
	return 0, false
}

// Tape runs ops forward and, unless its mode is Inference, records them so that Backward and VJP can replay them in
// reverse. Its tensors live in an arena until Reset. Ops write new tensors and never change their arguments (Dropout is the
// exception). A tape belongs to one goroutine, as its Set does.
type Tape struct {
	// Precision of the products of convolutions, linear layers and attention.
	Precision kernels.Precision
	// UseEMA runs forward passes with the moving average of the weights instead of the weights.
	UseEMA bool
	// AccumulateGrads makes Backward add to the parameter gradients instead of overwriting them.
	AccumulateGrads bool
	// Frozen says that there will be no Backward: values that only the gradients of parameters read are not kept.
	Frozen bool
	// Checkpoint trades time in the reverse pass for memory.
	Checkpoint Checkpoint
	// Seed, Step and ImageIDs (I32 [N], nil = position in the batch) say which numbers dropout draws.
	Seed     uint64
	Step     uint32
	ImageIDs kernels.Buffer

	set      kernels.Set
	mode     Mode
	arena    arena
	plans    map[planKey]*steps
	records  []record
	layer    string  // that ops belong to
	paused   bool    // ops are not recorded: the reverse pass will run them again
	skip     *Tensor // products into it are recorded without being computed again
	consumed bool    // Backward has used up the records
	tensors  reuse[Tensor]
	states   states
	pass     pass
}

// passes counts reverse passes over all tapes, since tensors and parameters may be shared by tapes.
var passes atomic.Uint64

// record is one op of the forward pass.
type record struct {
	out    *Tensor
	in     [3]*Tensor // what may need a gradient, or nil
	reads  [4]*Tensor // whose values reverse needs, or nil
	params bool       // has parameters
	op     reversible
	layer  string
}

// reversible adds an op's contributions to the gradients of its inputs and parameters.
type reversible interface{ reverse(p *pass) }

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
	t.cut(0)
	t.consumed = false
	t.tensors.reset()
	t.states.reset()
	t.arena.reset()
}

// cut forgets the records from one on.
func (t *Tape) cut(from int) {
	clear(t.records[from:])
	t.records = t.records[:from]
}

// Close frees the tape's memory; the tape may be used again.
func (t *Tape) Close() {
	t.Reset()
	t.arena.close()
	t.plans, t.tensors, t.states = nil, reuse[Tensor]{}, states{}
}

// MemoryBytes is the device memory that the tape holds.
func (t *Tape) MemoryBytes() int64 { return 4 * int64(t.arena.capacity()) }

// PeakBytes is the largest memory that tensors took at a time since the last Reset.
func (t *Tape) PeakBytes() int64 { return 4 * int64(t.arena.peak) }

// NewTensor returns a contiguous tensor with undefined contents, valid until Reset.
func (t *Tape) NewTensor(n, h, w, c int) *Tensor {
	x := t.describe()
	x.N, x.H, x.W, x.C, x.Stride, x.held = n, h, w, c, c, true
	x.Buf, x.mem = t.arena.alloc(x.Len())
	return x
}

// describe returns a tensor to fill in, valid until Reset.
func (t *Tape) describe() *Tensor {
	x := t.tensors.next()
	*x = Tensor{cuts: x.cuts}
	return x
}

// Release says that tensors of the tape will not be used again, so that later ops may take their memory, at once or as
// soon as the reverse pass has read them. Channel ranges are ignored.
func (t *Tape) Release(xs ...*Tensor) {
	for _, x := range xs {
		if x.parent == nil && x.held {
			x.held = false
			t.reclaim(x)
		}
	}
}

// reclaim frees the memory of a tensor that nobody needs.
func (t *Tape) reclaim(x *Tensor) {
	if !x.held && x.reads == 0 && x.mem.chunk != nil {
		t.arena.release(x.mem)
		x.mem, x.Buf = span{}, nil
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

// recording reports whether ops are written down.
func (t *Tape) recording() bool { return t.mode != Inference && !t.paused }

// record notes an op.
func (t *Tape) record(r record) {
	if !t.recording() {
		return
	}
	t.consumed = false
	t.hold(r.reads)
	r.layer = t.layer
	t.records = append(t.records, r)
}

// hold keeps values for a reverse; unhold is its end.
func (t *Tape) hold(reads [4]*Tensor) {
	for _, x := range reads {
		if x != nil {
			x.owner().reads++
		}
	}
}

func (t *Tape) unhold(reads [4]*Tensor) {
	for _, x := range reads {
		if x != nil {
			x.owner().reads--
			t.reclaim(x.owner())
		}
	}
}

// Backward replays the tape in reverse from y with the cotangent dy: it writes the gradient of sum(y*dy) into the
// gradients of all parameters that y depends on, and returns the gradients of the tensors wrt (new tensors, in order).
// Intermediate gradients are freed on the way. In mode Training it uses up the forward pass, whose memory is freed on the
// way too: it comes once per forward pass, after any VJP. In mode Differentiate it may be called again.
func (t *Tape) Backward(y, dy *Tensor, wrt ...*Tensor) []*Tensor {
	if t.Frozen {
		panic("nn: a frozen tape has not kept what the gradients of parameters need")
	}
	grads := make([]*Tensor, len(wrt))
	t.replay(y, dy, true, wrt, grads)
	if t.mode == Training {
		t.cut(0)
		t.consumed = true
	}
	return grads
}

// VJP returns the gradient of sum(y*dy) with respect to wrt and nothing else: no weight gradient is computed, and only the
// ops between wrt and y run. It may be called any number of times per forward pass; Release the result when done with it.
func (t *Tape) VJP(y, dy, wrt *Tensor) *Tensor {
	var grad [1]*Tensor
	t.replay(y, dy, false, []*Tensor{wrt}, grad[:])
	return grad[0]
}

func (t *Tape) replay(y, dy *Tensor, params bool, wrt, grads []*Tensor) {
	if t.mode == Inference {
		panic("nn: a tape in inference mode has recorded nothing to differentiate")
	}
	if t.consumed {
		panic("nn: Backward has used up the forward pass of this tape: run it again, or record it in mode differentiate")
	}
	mustMatch("Backward", "dy", dy, y.N, y.H, y.W, y.C)
	p := &t.pass
	*p = pass{tape: t, set: t.set, id: passes.Add(1), params: params}
	for _, x := range wrt {
		x.root().wanted, x.root().keep = p.id, true
	}
	for i := range t.records {
		t.records[i].out.root().pending = 0
	}
	p.mark(0)
	p.seed(y, dy)
	p.play(0, params && t.mode == Training)
	kernels.SetLayer(t.set, "")
	for i, x := range wrt {
		grads[i] = p.result(x)
	}
	for _, x := range wrt {
		p.drop(x.root())
		x.root().keep = false
	}
	p.drop(y.root()) // the seed of a y that no record wrote
}

// pass is one reverse replay.
type pass struct {
	tape   *Tape
	set    kernels.Set
	id     uint64
	params bool // parameter gradients are wanted
}

// mark finds, among the outputs of the records from one on, the tensors whose gradients are needed: those that depend on
// wrt and, when parameter gradients are wanted, on a parameter.
func (p *pass) mark(from int) {
	for i := from; i < len(p.tape.records); i++ {
		r := &p.tape.records[i]
		out := r.out.root()
		out.pending++
		if p.needs(r) {
			out.wanted = p.id
		}
	}
}

// play runs the records from one on in reverse; consume frees the values that they were the last to read.
func (p *pass) play(from int, consume bool) {
	for i := len(p.tape.records) - 1; i >= from; i-- {
		r := p.tape.records[i] // ops that are run again append to the records
		out := r.out.root()
		out.pending--
		if p.needs(&r) && out.grad.buf != nil {
			kernels.SetLayer(p.set, r.layer)
			r.op.reverse(p)
		}
		if out.pending == 0 && !out.keep {
			p.drop(out)
		}
		if consume {
			p.tape.unhold(r.reads)
		}
	}
}

// needs reports whether an op has anything to compute: a parameter's or an input's gradient.
func (p *pass) needs(r *record) bool {
	return p.params && r.params || p.wants(r.in[0]) || p.wants(r.in[1]) || p.wants(r.in[2])
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
	return y.slice(ofGradient, g, y.offset)
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
	return x.slice(ofGradient, root.grad.buf, x.offset), !fresh
}

// add is for ops without Accumulate: it returns where to write a contribution to the gradient of x, nil when it is not
// wanted. The contribution counts when added is called.
func (p *pass) add(x *Tensor) (c contribution) {
	dx, accumulate := p.into(x)
	c.buf = dx
	if dx == nil || !accumulate {
		return c
	}
	n := (x.Rows()-1)*x.Stride + x.C
	c.sum = dx
	c.buf, c.mem = p.tape.arena.alloc(n)
	if !x.Contiguous() {
		p.set.Fill(c.buf, 0, kernels.Elementwise{Len: n})
	}
	return c
}

// contribution is one op's part of a gradient, in memory of its own where others have contributed before.
type contribution struct {
	buf, sum kernels.Buffer
	mem      span
}

// added adds the contribution to the gradient of x.
func (p *pass) added(x *Tensor, c contribution) {
	if c.sum != nil {
		p.copyRows(c.sum, c.buf, x, x.Stride, x.Stride, true)
		p.tape.arena.release(c.mem)
	}
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
	if x.root().grad.buf == nil {
		p.set.Fill(g.Buf, 0, kernels.Elementwise{Len: g.Len()})
		return g
	}
	p.copyRows(g.Buf, p.of(x), x, x.C, x.Stride, false)
	return g
}
