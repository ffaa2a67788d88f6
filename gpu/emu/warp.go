package emu

import (
	"math/bits"
	"slices"

	"emdiff/gpu/ptx"
)

// group is a set of lanes that wait at an instruction for the others to come.
type group struct {
	pc   int32
	mask uint32
}

// status is why a warp stopped running.
type status uint8

const (
	statusDone status = iota
	statusBarrier
	statusTurn // its turn is over
)

// warp is 32 threads. Its lanes may be at several places of the program: the group at the lowest one runs, the others wait, and
// groups that meet become one. A compiler may put a block after the one it joins, so the order of places alone does not bring lanes
// together: at an instruction where they must meet (see kind.meets) the first ones are parked until the rest is there.
type warp struct {
	wk  *worker
	id  int
	r32 []uint32 // registers: slot*32 + lane
	r64 []uint64
	p   []uint32 // predicates, one bit per lane

	existing uint32 // lanes of the block's threads
	alive    uint32 // of those, not exited
	mask     uint32 // running
	pc       int32
	waiting  []group
	parked   []group
	forced   uint32 // parked lanes that go on although others will not come
	state    status
	barrier  *inst // at which it waits

	local     []byte
	copies    []asyncCopy
	openGroup [warpSize]uint32 // cp.async group being filled, by lane

	seq      uint64 // warp barriers in this interval
	fullSync uint64 // accesses before this number are ordered before all that follows
	syncs    []partialSync
}

// turn is how many taken backward branches a warp may make before the next warp of the block runs.
const turn = 1 << 16

const nowhere = 1 << 30

// limit returns where the nearest waiting group is.
func (w *warp) limit() int32 {
	l := int32(nowhere)
	for _, g := range w.waiting {
		l = min(l, g.pc)
	}
	return l
}

// wait parks lanes at pc, together with those already there.
func (w *warp) wait(pc int32, mask uint32) {
	for i := range w.waiting {
		if w.waiting[i].pc == pc {
			w.waiting[i].mask |= mask
			return
		}
	}
	w.waiting = append(w.waiting, group{pc, mask})
}

// resume takes the group at the lowest pc; there must be one.
func (w *warp) resume() (pc int32, mask uint32) {
	best := 0
	for i, g := range w.waiting {
		if g.pc < w.waiting[best].pc {
			best = i
		}
	}
	g := w.waiting[best]
	last := len(w.waiting) - 1
	w.waiting[best] = w.waiting[last]
	w.waiting = w.waiting[:last]
	return g.pc, g.mask
}

// park lets lanes wait at pc for others to come.
func (w *warp) park(pc int32, mask uint32) { w.parked = append(w.parked, group{pc, mask}) }

// unpark takes the lanes parked at pc, if any.
func (w *warp) unpark(pc int32) (mask uint32) {
	for i, g := range w.parked {
		if g.pc == pc {
			w.parked = slices.Delete(w.parked, i, i+1)
			return g.mask
		}
	}
	return 0
}

// next takes a waiting group; without one, parked lanes that need not wait any longer, because the others have exited; and if
// there are none either, those at the lowest pc, whose instruction then finds that lanes are missing.
func (w *warp) next() (pc int32, mask uint32) {
	if len(w.waiting) > 0 {
		return w.resume()
	}
	best := w.parked[0]
	for _, g := range w.parked {
		if w.awaited(&w.wk.prog.code[g.pc], g.mask) == 0 {
			return g.pc, w.unpark(g.pc)
		}
		if g.pc < best.pc {
			best = g
		}
	}
	w.forced = best.mask
	return best.pc, w.unpark(best.pc)
}

// awaited returns the live lanes without which those of mask may not execute an instruction where lanes meet.
func (w *warp) awaited(in *inst, mask uint32) uint32 {
	var all uint32
	if members := w.members(in); members != nil {
		for l := mask; l != 0; l &= l - 1 {
			all |= members[first(l)]
		}
	} else {
		all = ^uint32(0)
	}
	return all & w.alive &^ mask
}

// exit ends lanes. Those parked at a collective that names them are not let go on: whether the ended ones took part would be a
// matter of luck. (A barrier notices by itself.)
func (w *warp) exit(mask uint32) {
	for _, g := range w.parked {
		in := &w.wk.prog.code[g.pc]
		if members := w.members(in); members != nil && w.awaited(in, g.mask)&mask != 0 && (in.kind != kWarpBarrier || w.wk.l.checks.Barrier) {
			w.requireLanes(in, g.mask, members)
		}
	}
	w.alive &^= mask
}

// guarded returns the lanes of mask whose guard holds.
func (w *warp) guarded(in *inst, mask uint32) uint32 {
	return mask & flipIf(w.p[in.guard], in.not)
}

// run executes until the warp is done, at a barrier, or its turn is over.
func (w *warp) run() status {
	wk := w.wk
	code, execs, issues := wk.prog.code, wk.execs, wk.issues
	pc, mask := w.pc, w.mask
	limit := w.limit()
	budget := turn
	for {
		if pc >= limit {
			w.wait(pc, mask)
			pc, mask = w.resume()
			limit = w.limit()
		}
		in := &code[pc]
		m := mask
		if in.guard >= 0 {
			m = w.guarded(in, mask)
		}
		issues[pc]++
		execs[pc] += int64(bits.OnesCount32(m))
		if in.kind < kLoad {
			if m != 0 {
				w.arithmetic(in, m)
			}
			pc++
			continue
		}
		if m != w.alive && m != 0 && in.kind.meets() {
			late := w.unpark(pc)
			mask |= late
			m |= late
			if w.awaited(in, m) != 0 && m != w.forced { // counted when all are here
				execs[pc] -= int64(bits.OnesCount32(m &^ late))
				if mask &^= m; mask == 0 {
					issues[pc]--
				}
				w.park(pc, m)
				if pc++; mask == 0 {
					pc, mask = w.next()
				}
				limit = w.limit()
				continue
			}
			execs[pc] += int64(bits.OnesCount32(late))
			w.forced = 0
		}
		switch in.kind {
		case kBranch:
			wk.branches++
			switch m {
			case 0:
				pc++
				continue
			case mask:
				if in.target <= pc {
					if budget--; budget == 0 {
						w.pc, w.mask = in.target, mask
						return statusTurn
					}
				}
				pc = in.target
			default:
				wk.divergent++
				w.wait(in.target, m)
				mask &^= m
				pc++
				limit = w.limit()
			}
			continue
		case kExit:
			w.exit(m)
			mask &^= m
			if mask != 0 {
				pc++
				continue
			}
			if w.alive == 0 {
				return statusDone
			}
			pc, mask = w.next()
			limit = w.limit()
			continue
		case kBarrier:
			if m == 0 {
				break
			}
			if m != w.alive && wk.l.checks.Barrier {
				w.fail(in, first(w.alive&^m), BarrierDivergence, ptx.Generic, 0, "only lanes %#x of the warp's live lanes %#x reach the barrier", m, w.alive)
			}
			w.pc, w.mask, w.barrier = pc+1, mask, in
			return statusBarrier
		default:
			if m != 0 {
				w.special(in, m)
			}
		}
		pc++
	}
}

// arithmetic executes an instruction that works lane by lane. Functions write all lanes: exited ones do not matter, waiting ones are
// kept by a detour through a scratch register.
func (w *warp) arithmetic(in *inst, m uint32) {
	r32, r64 := w.r32, w.r64
	f := in.alu
	switch in.kind {
	case kNop:
		return
	case kCmp32, kCmp64:
		w.setPredicates(in, m)
		return
	case kPred:
		w.p[in.d] = w.p[in.d]&^m | f.pred(w.p[in.a], w.p[in.b])&m
		return
	}
	wide := in.kind >= kUn64
	whole := m == w.alive
	d32, d64 := &w.wk.tmp32, &w.wk.tmp64
	switch {
	case whole && wide:
		d64 = (*lanes64)(r64[in.d:])
	case whole:
		d32 = (*lanes32)(r32[in.d:])
	}
	switch in.kind {
	case kUn32:
		f.un32(d32, (*lanes32)(r32[in.a:]))
	case kBin32:
		f.bin32(d32, (*lanes32)(r32[in.a:]), (*lanes32)(r32[in.b:]))
	case kTern32:
		f.tern32(d32, (*lanes32)(r32[in.a:]), (*lanes32)(r32[in.b:]), (*lanes32)(r32[in.c:]))
	case kQuad32:
		f.quad32(d32, (*lanes32)(r32[in.a:]), (*lanes32)(r32[in.b:]), (*lanes32)(r32[in.c:]), (*lanes32)(r32[in.e:]))
	case kNarrow:
		f.narrow(d32, (*lanes64)(r64[in.a:]))
	case kSet32, kSet64:
		m := w.compare(in)
		for i := range d32 {
			d32[i] = uint32(in.c) & -(m >> i & 1)
		}
	case kSel32:
		a, b, p := (*lanes32)(r32[in.a:]), (*lanes32)(r32[in.b:]), w.p[in.c]
		for i := range d32 {
			d32[i] = b[i] ^ (a[i]^b[i])&-(p>>i&1)
		}
	case kUn64:
		f.un64(d64, (*lanes64)(r64[in.a:]))
	case kBin64:
		f.bin64(d64, (*lanes64)(r64[in.a:]), (*lanes64)(r64[in.b:]))
	case kTern64:
		f.tern64(d64, (*lanes64)(r64[in.a:]), (*lanes64)(r64[in.b:]), (*lanes64)(r64[in.c:]))
	case kWiden1:
		f.widen1(d64, (*lanes32)(r32[in.a:]))
	case kWiden2:
		f.widen2(d64, (*lanes32)(r32[in.a:]), (*lanes32)(r32[in.b:]))
	case kWiden3:
		f.widen3(d64, (*lanes32)(r32[in.a:]), (*lanes32)(r32[in.b:]), (*lanes64)(r64[in.c:]))
	case kShift64:
		f.shift64(d64, (*lanes64)(r64[in.a:]), (*lanes32)(r32[in.b:]))
	case kField64:
		f.field64(d64, (*lanes64)(r64[in.a:]), (*lanes64)(r64[in.b:]), (*lanes32)(r32[in.c:]), (*lanes32)(r32[in.e:]))
	case kSel64:
		a, b, p := (*lanes64)(r64[in.a:]), (*lanes64)(r64[in.b:]), w.p[in.c]
		for i := range d64 {
			d64[i] = b[i] ^ (a[i]^b[i])&-uint64(p>>i&1)
		}
	}
	switch {
	case whole:
	case wide:
		merge((*lanes64)(r64[in.d:]), d64, m)
	default:
		merge((*lanes32)(r32[in.d:]), d32, m)
	}
}

// compare returns the lanes for which a comparison holds, joined with its third predicate.
func (w *warp) compare(in *inst) uint32 {
	var c uint32
	if in.alu.cmp32 != nil {
		c = in.alu.cmp32((*lanes32)(w.r32[in.a:]), (*lanes32)(w.r32[in.b:]))
	} else {
		c = in.alu.cmp64((*lanes64)(w.r64[in.a:]), (*lanes64)(w.r64[in.b:]))
	}
	if in.alu.combine != nil {
		c = in.alu.combine(c, w.p[in.e])
	}
	return c
}

// setPredicates is setp: the second destination gets the combination with the inverse comparison.
func (w *warp) setPredicates(in *inst, m uint32) {
	var inverse uint32
	if in.q >= 0 {
		plain := *in.alu
		plain.combine = nil
		bare := *in
		bare.alu = &plain
		inverse = ^w.compare(&bare)
		if in.alu.combine != nil {
			inverse = in.alu.combine(inverse, w.p[in.e])
		}
	}
	c := w.compare(in)
	w.p[in.d] = w.p[in.d]&^m | c&m
	if in.q >= 0 {
		w.p[in.q] = w.p[in.q]&^m | inverse&m
	}
}

// special executes what is not lane by lane, but for control flow.
func (w *warp) special(in *inst, m uint32) {
	switch in.kind {
	case kLoad:
		w.memory(in, m, false, loadLanes)
	case kStore:
		w.memory(in, m, true, storeLanes)
	case kAtom:
		w.memory(in, m, true, atomicLanes)
	case kAsyncCopy:
		w.startCopies(in, m)
	case kAsyncCommit:
		for l := m; l != 0; l &= l - 1 {
			w.openGroup[first(l)]++
		}
	case kAsyncWait:
		w.waitCopies(m, in.target)
	case kLdMatrix:
		w.loadMatrices(in, m)
	case kMMA:
		w.multiplyMatrices(in, m)
	case kShfl:
		w.shuffle(in, m)
	case kVote:
		w.vote(in, m)
	case kMatch:
		w.match(in, m)
	case kActive:
		d := (*lanes32)(w.r32[in.d:])
		for l := m; l != 0; l &= l - 1 {
			d[first(l)] = m
		}
	case kWarpBarrier:
		members := w.members(in)
		if w.wk.l.checks.Barrier {
			w.requireLanes(in, m, members)
		}
		w.syncLanes(members[first(m)] & m)
	case kTrap:
		w.fail(in, first(m), Trap, ptx.Generic, 0, "the kernel gave up")
	}
}
