package nn

import (
	"cmp"
	"slices"

	"emdiff/kernels"
)

// plan is where every piece of memory of a step lies, found before the step runs: the same Go code runs on a Set without
// memory, which yields what is taken and given back in which order, and so how long each piece lives. Pieces whose lives do
// not meet may then share memory in one slab. A plan depends on shapes only, so it holds on every Set.
type plan struct {
	pieces []life
	events []int32 // in order: i takes piece i, ^i gives it back
	size   int     // floats of the slab
	least  int     // most floats in use at a time: no placement needs less
	loop   int     // the events from here on may repeat, as they leave what they found; 0 = none may
}

// life is a piece of memory in the order of events.
type life struct {
	n          int // floats asked for
	start, end int // events between which it is in use
	off        int // place in the slab
}

// trace writes down a step for a plan.
type trace struct {
	pieces []life
	events []int32
}

func (t *trace) take(n int) int {
	id := len(t.pieces)
	t.pieces = append(t.pieces, life{n: n, start: len(t.events), end: -1})
	t.events = append(t.events, int32(id))
	return id
}

func (t *trace) give(id int) {
	t.pieces[id].end = len(t.events)
	t.events = append(t.events, int32(^id))
}

// place ends the trace and decides where its pieces lie. The events from loop on are those of a part that may be repeated.
func (t *trace) place(loop int) *plan {
	p := &plan{pieces: t.pieces, events: t.events, loop: loop}
	for i := range p.pieces {
		l := &p.pieces[i]
		if l.end < 0 {
			l.end = len(p.events)
		}
		if inside := l.start >= loop; l.end >= loop && inside == (l.end == len(p.events)) {
			p.loop = 0 // it takes something and keeps it, or gives back what was there before
		}
	}
	live := 0
	for _, e := range p.events {
		if e >= 0 {
			live += kernels.AlignUp(p.pieces[e].n)
			p.least = max(p.least, live)
		} else {
			live -= kernels.AlignUp(p.pieces[^e].n)
		}
	}
	// Big pieces leave the gaps that small ones fill. Among pieces of one size, which a network has many of, either the
	// longest or the first goes first: the better of the two is kept.
	longest := func(a, b life) int { return (b.end - b.start) - (a.end - a.start) }
	first := func(a, b life) int { return a.start - b.start }
	best := []int(nil)
	for _, tie := range []func(a, b life) int{longest, first} {
		if size := p.pack(tie); best == nil || size < p.size {
			p.size = size
			best = best[:0]
			for _, l := range p.pieces {
				best = append(best, l.off)
			}
		}
	}
	for i, off := range best {
		p.pieces[i].off = off
	}
	return p
}

// pack gives every piece the smallest gap, between those placed before it that it meets, that holds it, big ones first,
// and returns the size of the slab.
func (p *plan) pack(tie func(a, b life) int) int {
	order := make([]int, len(p.pieces))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := p.pieces[i], p.pieces[j]
		return cmp.Or(b.n-a.n, tie(a, b))
	})
	size := 0
	var placed []int // by place
	for _, i := range order {
		l := &p.pieces[i]
		n := kernels.AlignUp(l.n)
		at, least, end := -1, 0, 0
		for _, j := range placed {
			o := p.pieces[j]
			if o.start >= l.end || l.start >= o.end {
				continue
			}
			if gap := o.off - end; gap >= n && (at < 0 || gap < least) {
				at, least = end, gap
			}
			end = max(end, o.off+kernels.AlignUp(o.n))
		}
		if at < 0 {
			at = end
		}
		l.off = at
		size = max(size, at+n)
		k, _ := slices.BinarySearchFunc(placed, at, func(j, at int) int { return p.pieces[j].off - at })
		placed = slices.Insert(placed, k, i)
	}
	return size
}

// planKey names what the memory of a tape's step depends on, for the tape's mode.
type planKey struct {
	net        *UNet
	n, h, w    int
	checkpoint Checkpoint
	frozen     bool
}

// follow makes the coming pass of a network over n images take its memory by plan.
func (t *Tape) follow(u *UNet, n, h, w int) {
	if t.arena.trace != nil {
		return
	}
	key := planKey{u, n, h, w, t.Checkpoint, t.Frozen}
	s := t.plans[key]
	if s == nil {
		p, err := u.Config.plan(t.mode, key)
		if err != nil {
			panic(err) // u was made from this configuration
		}
		s = &steps{plan: p}
		if t.plans == nil {
			t.plans = map[planKey]*steps{}
		}
		t.plans[key] = s
	}
	if t.arena.follow(s) {
		t.forgetViews(s)
	}
}

// forgetViews lets go of an old slab, which the views of other plans and of tensors hold on to.
func (t *Tape) forgetViews(but *steps) {
	for _, s := range t.plans {
		if s != but {
			s.slab, s.views = nil, nil
		}
	}
	for _, x := range t.tensors.all {
		x.cuts = [2]cut{}
	}
	clear(t.states.all[t.states.used:])
}

// plan is what a step takes: a forward pass in mode Inference, one with Backward in mode Training, one with VJPs with
// respect to the images in mode Differentiate. Images, times and cotangents are not the tape's.
func (c UNetConfig) plan(mode Mode, key planKey) (*plan, error) {
	checked, _ := newDrySet()
	u, err := NewUNet(checked, c)
	if err != nil {
		return nil, err
	}
	tape := newDryTape(checked, mode)
	tape.Checkpoint, tape.Frozen = key.checkpoint, key.frozen
	images := func(channels int) *Tensor {
		return Wrap(dryBuffer(key.n*key.h*key.w*channels), key.n, key.h, key.w, channels)
	}
	x, dy := images(c.InChannels), images(c.OutChannels)
	y := u.Forward(tape, x, WrapVector(dryBuffer(key.n), key.n))
	loop := 0
	switch mode {
	case Training:
		tape.Backward(y, dy)
	case Differentiate:
		loop = len(tape.arena.trace.events)
		tape.Release(tape.VJP(y, dy, x))
	}
	return tape.arena.trace.place(loop), nil
}

// newDryTape returns a tape that only writes down what memory it takes.
func newDryTape(dry kernels.Set, mode Mode) *Tape {
	t := NewTape(dry, mode)
	t.arena.trace = &trace{}
	return t
}

// Memory is what a tape takes for one step of a network, found without running it.
type Memory struct {
	Bytes int64 // the slab that all tensors of the step share
	Live  int64 // the most that tensors take at a time: no placement needs less
}

// MemoryOptions are the fields of a Tape on which its memory depends.
type MemoryOptions struct {
	Mode       Mode
	Checkpoint Checkpoint
	Frozen     bool
}

// Memory plans a step on n images of h x w pixels: a forward pass in mode Inference, one with Backward in mode Training, one
// with VJPs with respect to the images in mode Differentiate. A tape that does such a step after each Reset holds exactly
// Bytes from the first on, and of the largest where steps differ. Images, times and cotangents are the caller's and not
// counted.
func (c UNetConfig) Memory(n, h, w int, o MemoryOptions) (Memory, error) {
	if err := c.CheckSize(h, w); err != nil {
		return Memory{}, err
	}
	p, err := c.plan(o.Mode, planKey{n: n, h: h, w: w, checkpoint: o.Checkpoint, frozen: o.Frozen})
	if err != nil {
		return Memory{}, err
	}
	return Memory{Bytes: 4 * int64(p.size), Live: 4 * int64(p.least)}, nil
}
