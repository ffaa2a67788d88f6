package nn

import (
	"sort"

	"emdiff/kernels"
)

// arena hands out pieces of a few large buffers. A step with a plan takes its pieces where the plan says, in one buffer, the
// slab; whatever the plan does not know comes from best-fit search, which is deterministic. Either way a step that repeats the
// calls of the one before it allocates nothing from the Set: reset joins into one buffer what was needed beside the slab.
type arena struct {
	set    kernels.Set
	chunks []*chunk
	live   int // floats handed out
	peak   int // largest live since the last reset
	beside usage

	trace *trace // writes the step down; nil when nobody asked
	slab  *chunk // of the plans; nil before the first
	steps *steps // the plan that is followed; nil when none is
	// opened says that the step has left its plan: the slab serves best-fit search until reset.
	opened bool
}

// steps are a plan on the arena's slab.
type steps struct {
	*plan
	slab  *chunk           // that the views are of
	views []kernels.Buffer // of the pieces
	at    int              // events that happened
}

// usage counts floats in use, beside the slab, and the most at a time since the last reset.
type usage struct{ live, peak int }

// chunk is one buffer of the Set with its free ranges, in order and never adjacent to each other.
type chunk struct {
	buf  kernels.Buffer
	free []piece
}

type piece struct{ off, n int }

// span is a piece in use; the zero span holds nothing.
type span struct {
	chunk *chunk
	piece
	id int // number of the piece in the trace, or in the plan when the slab holds it
}

// minChunk keeps a first step from making hundreds of tiny buffers.
const minChunk = 1 << 14

// alloc returns n floats with undefined contents.
func (a *arena) alloc(n int) (kernels.Buffer, span) {
	size := kernels.AlignUp(n)
	a.live += size
	a.peak = max(a.peak, a.live)
	if b, s, ok := a.planned(n); ok {
		return b, s
	}
	c, i := a.find(size)
	if c == nil || c != a.slab {
		a.beside.live += size
		a.beside.peak = max(a.beside.peak, a.beside.live)
	}
	if c == nil {
		length := max(size, minChunk)
		c, i = &chunk{buf: a.set.Alloc(kernels.F32, length), free: []piece{{0, length}}}, 0
		a.chunks = append(a.chunks, c)
	}
	s := span{chunk: c, piece: piece{c.free[i].off, size}}
	if c.free[i].n == size {
		c.free = append(c.free[:i], c.free[i+1:]...)
	} else {
		c.free[i].off += size
		c.free[i].n -= size
	}
	if a.trace != nil {
		s.id = a.trace.take(n)
	}
	return c.buf.Slice(s.off, n), s
}

// find returns the smallest free range that holds size floats.
func (a *arena) find(size int) (best *chunk, at int) {
	least := 0
	look := func(c *chunk) {
		for i, f := range c.free {
			if f.n >= size && (best == nil || f.n < least) {
				best, at, least = c, i, f.n
			}
		}
	}
	if a.opened {
		look(a.slab)
	}
	for _, c := range a.chunks {
		look(c)
	}
	return best, at
}

// release gives a span back; the zero span is ignored.
func (a *arena) release(s span) {
	if s.chunk == nil {
		return
	}
	a.live -= s.n
	if a.trace != nil {
		a.trace.give(s.id)
	}
	if s.chunk != a.slab {
		a.beside.live -= s.n
	} else if a.returned(s.id) {
		return
	}
	s.chunk.give(s.piece)
}

// give makes a range free.
func (c *chunk) give(p piece) {
	i := sort.Search(len(c.free), func(i int) bool { return c.free[i].off > p.off })
	c.free = append(c.free, piece{})
	copy(c.free[i+1:], c.free[i:])
	c.free[i] = p
	c.join(i)
	if i > 0 {
		c.join(i - 1)
	}
}

// join merges free range i with the next one where they touch.
func (c *chunk) join(i int) {
	if i+1 < len(c.free) && c.free[i].off+c.free[i].n == c.free[i+1].off {
		c.free[i].n += c.free[i+1].n
		c.free = append(c.free[:i+1], c.free[i+2:]...)
	}
}

// follow makes what comes next take its memory as planned. A step follows one plan from its start: a second one is left to
// best-fit search. It reports whether the slab was too small and was replaced.
func (a *arena) follow(s *steps) (grown bool) {
	if a.steps != nil || a.opened {
		a.leave()
		return false
	}
	if a.slabLen() < s.size {
		if a.slab != nil {
			a.set.Free(a.slab.buf)
		}
		a.slab, grown = &chunk{buf: a.set.Alloc(kernels.F32, s.size)}, true
	}
	if s.slab != a.slab {
		s.slab, s.views = a.slab, s.views[:0]
		for _, l := range s.pieces {
			s.views = append(s.views, a.slab.buf.Slice(l.off, l.n))
		}
	}
	s.at = 0
	a.steps = s
	return grown
}

// planned takes the next piece of the plan, if that is what is asked for.
func (a *arena) planned(n int) (kernels.Buffer, span, bool) {
	s := a.steps
	if s == nil {
		return nil, span{}, false
	}
	if s.at == len(s.events) && s.loop > 0 {
		s.at = s.loop
	}
	if s.at == len(s.events) || s.events[s.at] < 0 || s.pieces[s.events[s.at]].n != n {
		a.leave()
		return nil, span{}, false
	}
	id := int(s.events[s.at])
	s.at++
	return s.views[id], span{a.slab, piece{s.pieces[id].off, kernels.AlignUp(n)}, id}, true
}

// returned notes that a piece of the plan was given back, if that is what comes next.
func (a *arena) returned(id int) bool {
	s := a.steps
	if s == nil {
		return false
	}
	if s.at == len(s.events) || s.events[s.at] != int32(^id) {
		a.leave()
		return false
	}
	s.at++
	return true
}

// leave ends a plan that the step does not keep to: what of the slab is not in use is free for all.
func (a *arena) leave() {
	s := a.steps
	if s == nil {
		return
	}
	a.steps, a.opened = nil, true
	taken := make([]bool, len(s.pieces))
	for _, e := range s.events[:s.at] {
		if e >= 0 {
			taken[e] = true
		} else {
			taken[^e] = false
		}
	}
	var inUse []piece
	for i, t := range taken {
		if t {
			inUse = append(inUse, piece{s.pieces[i].off, kernels.AlignUp(s.pieces[i].n)})
		}
	}
	sort.Slice(inUse, func(i, j int) bool { return inUse[i].off < inUse[j].off })
	a.slab.free = a.slab.free[:0]
	end := 0
	for _, u := range append(inUse, piece{a.slab.buf.Len(), 0}) {
		if u.off > end {
			a.slab.free = append(a.slab.free, piece{end, u.off - end})
		}
		end = u.off + u.n
	}
}

// reset takes everything back. When more than one buffer was needed beside the slab, one that holds it all replaces them: its
// size is their peak with room for gaps, or, if that was tried and too small, the sum.
func (a *arena) reset() {
	if len(a.chunks) > 1 {
		length := a.capacity() - a.slabLen()
		if roomy := kernels.AlignUp(a.beside.peak + a.beside.peak/8); roomy > a.chunks[0].buf.Len() {
			length = min(length, roomy)
		}
		a.drop()
		a.chunks = []*chunk{{buf: a.set.Alloc(kernels.F32, length)}}
	}
	for _, c := range a.chunks {
		c.free = append(c.free[:0], piece{0, c.buf.Len()})
	}
	a.steps, a.opened, a.live, a.peak, a.beside = nil, false, 0, 0, usage{}
}

// capacity is the number of floats held from the Set.
func (a *arena) capacity() int {
	n := a.slabLen()
	for _, c := range a.chunks {
		n += c.buf.Len()
	}
	return n
}

func (a *arena) slabLen() int {
	if a.slab == nil {
		return 0
	}
	return a.slab.buf.Len()
}

// drop returns what lies beside the slab to the Set.
func (a *arena) drop() {
	for _, c := range a.chunks {
		a.set.Free(c.buf)
	}
	a.chunks = nil
}

// close returns all memory to the Set.
func (a *arena) close() {
	a.drop()
	if a.slab != nil {
		a.set.Free(a.slab.buf)
	}
	*a = arena{set: a.set, trace: a.trace}
}
