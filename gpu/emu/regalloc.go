package emu

import "sort"

// allocate gives every register a slot, so that a warp's live registers stay in the first-level cache. Registers whose live ranges
// do not overlap share a slot: that is right for every lane on its own, whatever path it takes, because ranges cover all paths.
func (c *compiler) allocate() {
	blocks := c.blocks()
	slots32, n32, live32 := c.assign(blocks, c.regs32, len(c.prog.consts32), func(o *operands) (use, def []*int32) { return o.use32, o.def32 })
	slots64, n64, live64 := c.assign(blocks, c.regs64, len(c.prog.consts64), func(o *operands) (use, def []*int32) { return o.use64, o.def64 })
	for i := range c.uses {
		o := &c.uses[i]
		for _, f := range append(o.use32, o.def32...) {
			*f = slotOf(*f, slots32)
		}
		for _, f := range append(o.use64, o.def64...) {
			*f = slotOf(*f, slots64)
		}
	}
	for i := range c.prog.consts32 {
		c.prog.consts32[i].slot = int32(i * warpSize)
	}
	for i := range c.prog.consts64 {
		c.prog.consts64[i].slot = int32(i * warpSize)
	}
	p := c.prog
	p.fixed32, p.fixed64 = len(p.consts32), len(p.consts64)
	p.slots32, p.slots64 = n32, n64
	p.liveRegs = live32 + 2*live64
	p.code = make([]inst, len(c.code))
	for i, in := range c.code {
		p.code[i] = *in
	}
}

// slotOf returns the offset of a register's lanes: constants are numbered -1, -2, ... and come first.
func slotOf(reg int32, slots []int32) int32 {
	if reg < 0 {
		return (-reg - 1) * warpSize
	}
	return slots[reg] * warpSize
}

// basicBlock is code[first:last] and where it may go next.
type basicBlock struct {
	first, last int
	next        []int
}

func (c *compiler) blocks() []basicBlock {
	leader := make([]bool, len(c.code)+1)
	leader[0] = true
	for i, in := range c.code {
		if in.kind == kBranch {
			leader[in.target] = true
			leader[i+1] = true
		}
		if in.kind == kExit {
			leader[i+1] = true
		}
	}
	var out []basicBlock
	index := make([]int, len(c.code))
	for i := range c.code {
		if leader[i] {
			out = append(out, basicBlock{first: i})
		}
		index[i] = len(out) - 1
		out[len(out)-1].last = i + 1
	}
	for b := range out {
		in := c.code[out[b].last-1]
		if in.kind == kBranch {
			out[b].next = append(out[b].next, index[in.target])
		}
		if falls := (in.kind != kBranch && in.kind != kExit) || in.guard >= 0; falls && out[b].last < len(c.code) {
			out[b].next = append(out[b].next, index[out[b].last])
		}
	}
	return out
}

type bitset []uint64

func (s bitset) add(i int32)      { s[i/64] |= 1 << (i % 64) }
func (s bitset) remove(i int32)   { s[i/64] &^= 1 << (i % 64) }
func (s bitset) has(i int32) bool { return s[i/64]>>(i%64)&1 != 0 }

// assign computes live ranges by data flow and scans them in order of their starts.
func (c *compiler) assign(blocks []basicBlock, regs int32, fixed int, fields func(*operands) (use, def []*int32)) (slots []int32, total, maxLive int) {
	words := int(regs)/64 + 1
	in := make([]bitset, len(blocks))
	for b := range in {
		in[b] = make(bitset, words)
	}
	live := make(bitset, words)
	liveOut := func(b int) {
		clear(live)
		for _, n := range blocks[b].next {
			for w, v := range in[n] {
				live[w] |= v
			}
		}
	}
	step := func(i int) { // moves live from after to before instruction i
		use, def := fields(&c.uses[i])
		for _, f := range def {
			if c.code[i].guard < 0 {
				live.remove(*f)
			} else {
				live.add(*f) // lanes without the guard keep the old value
			}
		}
		for _, f := range use {
			if *f >= 0 {
				live.add(*f)
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for b := len(blocks) - 1; b >= 0; b-- {
			liveOut(b)
			for i := blocks[b].last - 1; i >= blocks[b].first; i-- {
				step(i)
			}
			for w, v := range live {
				if in[b][w] != v {
					in[b][w] = v
					changed = true
				}
			}
		}
	}
	// Ranges in half steps: an operand is read at 2i and written at 2i+1, but instructions that mix lanes or write several
	// registers must not overwrite what they still read, so theirs are written at 2i.
	start, end := make([]int, regs), make([]int, regs)
	for r := range start {
		start[r], end[r] = 1<<60, -1
	}
	touch := func(r int32, at int) { start[r], end[r] = min(start[r], at), max(end[r], at) }
	touchAll := func(s bitset, at int) {
		for r := range regs {
			if s.has(r) {
				touch(r, at)
			}
		}
	}
	for b := range blocks {
		touchAll(in[b], 2*blocks[b].first)
		liveOut(b)
		touchAll(live, 2*blocks[b].last)
		for i := blocks[b].first; i < blocks[b].last; i++ {
			use, def := fields(&c.uses[i])
			for _, f := range use {
				if *f >= 0 {
					touch(*f, 2*i)
				}
			}
			for _, f := range def {
				if c.code[i].kind < kLoad {
					touch(*f, 2*i+1)
				} else {
					touch(*f, 2*i)
				}
			}
		}
	}
	order := make([]int32, 0, regs)
	for r := range regs {
		if end[r] >= 0 {
			order = append(order, r)
		}
	}
	sort.Slice(order, func(i, j int) bool { return start[order[i]] < start[order[j]] })
	slots = make([]int32, regs)
	var busyUntil []int
	for _, r := range order {
		s := 0
		for s < len(busyUntil) && busyUntil[s] >= start[r] {
			s++
		}
		if s == len(busyUntil) {
			busyUntil = append(busyUntil, 0)
		}
		busyUntil[s] = end[r]
		slots[r] = int32(fixed + s)
	}
	return slots, fixed + len(busyUntil), len(busyUntil)
}
