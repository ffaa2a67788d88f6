package nn

import (
	"sort"

	"emdiff/kernels"
)

// arena hands out pieces of a few large buffers. A step that repeats the calls of the one before it allocates nothing
// from the Set: reset joins what was in use into one buffer, and best-fit search is deterministic.
type arena struct {
	set    kernels.Set
	chunks []*chunk
	live   int // floats handed out
	peak   int // largest live since the last reset
}

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
}

// minChunk keeps a first step from making hundreds of tiny buffers.
const minChunk = 1 << 14

// alloc returns n floats with undefined contents.
func (a *arena) alloc(n int) (kernels.Buffer, span) {
	size := kernels.AlignUp(n)
	c, i := a.find(size)
	if c == nil {
		length := max(size, minChunk)
		c, i = &chunk{buf: a.set.Alloc(kernels.F32, length), free: []piece{{0, length}}}, 0
		a.chunks = append(a.chunks, c)
	}
	s := span{c, piece{c.free[i].off, size}}
	if c.free[i].n == size {
		c.free = append(c.free[:i], c.free[i+1:]...)
	} else {
		c.free[i].off += size
		c.free[i].n -= size
	}
	a.live += size
	a.peak = max(a.peak, a.live)
	return c.buf.Slice(s.off, n), s
}

// find returns the smallest free range that holds size floats.
func (a *arena) find(size int) (best *chunk, at int) {
	least := 0
	for _, c := range a.chunks {
		for i, f := range c.free {
			if f.n >= size && (best == nil || f.n < least) {
				best, at, least = c, i, f.n
			}
		}
	}
	return best, at
}

// release gives a span back; the zero span is ignored.
func (a *arena) release(s span) {
	if s.chunk == nil {
		return
	}
	c := s.chunk
	i := sort.Search(len(c.free), func(i int) bool { return c.free[i].off > s.off })
	c.free = append(c.free, piece{})
	copy(c.free[i+1:], c.free[i:])
	c.free[i] = s.piece
	c.join(i)
	if i > 0 {
		c.join(i - 1)
	}
	a.live -= s.n
}

// join merges free range i with the next one where they touch.
func (c *chunk) join(i int) {
	if i+1 < len(c.free) && c.free[i].off+c.free[i].n == c.free[i+1].off {
		c.free[i].n += c.free[i+1].n
		c.free = append(c.free[:i+1], c.free[i+2:]...)
	}
}

// reset takes everything back. When the step needed more than one buffer, one that holds it all replaces them: its size
// is the peak with room for gaps, or, if that was tried and too small, the sum.
func (a *arena) reset() {
	if len(a.chunks) > 1 {
		length := a.capacity()
		if roomy := kernels.AlignUp(a.peak + a.peak/8); roomy > a.chunks[0].buf.Len() {
			length = min(length, roomy)
		}
		a.close()
		a.chunks = []*chunk{{buf: a.set.Alloc(kernels.F32, length)}}
	}
	for _, c := range a.chunks {
		c.free = append(c.free[:0], piece{0, c.buf.Len()})
	}
	a.live, a.peak = 0, 0
}

// capacity is the number of floats held from the Set.
func (a *arena) capacity() int {
	n := 0
	for _, c := range a.chunks {
		n += c.buf.Len()
	}
	return n
}

// close returns all memory to the Set.
func (a *arena) close() {
	for _, c := range a.chunks {
		a.set.Free(c.buf)
	}
	a.chunks, a.live, a.peak = nil, 0, 0
}
