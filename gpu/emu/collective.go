package emu

import "emdiff/gpu/ptx"

// members returns the member masks of a collective's lanes; nil if the instruction has none and is for all lanes.
func (w *warp) members(in *inst) *lanes32 {
	switch in.kind {
	case kShfl:
		return (*lanes32)(w.r32[in.mem.data[0]:])
	case kVote, kMatch:
		return (*lanes32)(w.r32[in.b:])
	case kWarpBarrier:
		return (*lanes32)(w.r32[in.a:])
	}
	return nil
}

// shuffle is shfl.sync.
func (w *warp) shuffle(in *inst, mask uint32) {
	w.requireLanes(in, mask, w.members(in))
	a, b, c := (*lanes32)(w.r32[in.a:]), (*lanes32)(w.r32[in.b:]), (*lanes32)(w.r32[in.c:])
	var out lanes32
	var inRange uint32
	for l := mask; l != 0; l &= l - 1 {
		i := first(l)
		bv, clamp, seg := int(b[i]&31), int(c[i]&31), int(c[i]>>8&31)
		lowest := i & seg
		limit := lowest | clamp&^seg
		var j int
		var ok bool
		switch in.mem.name {
		case "up":
			j = i - bv
			ok = j >= limit
		case "down":
			j = i + bv
			ok = j <= limit
		case "bfly":
			j = i ^ bv
			ok = j <= limit
		default:
			j = lowest | bv&^seg
			ok = j <= limit
		}
		if !ok {
			j = i
		} else {
			inRange |= 1 << i
		}
		if mask>>j&1 == 0 {
			w.fail(in, i, LaneDivergence, ptx.Generic, 0, "reads lane %d, which does not take part", j)
		}
		out[i] = a[j]
	}
	merge((*lanes32)(w.r32[in.d:]), &out, mask)
	if in.q >= 0 {
		w.p[in.q] = w.p[in.q]&^mask | inRange
	}
}

// requireLanes checks a collective's member mask: every lane must be in it, and every live lane of it must be here.
func (w *warp) requireLanes(in *inst, mask uint32, members *lanes32) {
	for l := mask; l != 0; l &= l - 1 {
		i := first(l)
		if members[i]>>i&1 == 0 {
			w.fail(in, i, LaneDivergence, ptx.Generic, 0, "lane %d is not in its own member mask %#x", i, members[i])
		}
		if missing := members[i] & w.alive &^ mask; missing != 0 {
			w.fail(in, i, LaneDivergence, ptx.Generic, 0, "lanes %#x of the member mask %#x are elsewhere", missing, members[i])
		}
	}
}

// vote is vote.sync.
func (w *warp) vote(in *inst, mask uint32) {
	members := w.members(in)
	w.requireLanes(in, mask, members)
	p := flipIf(w.p[in.a], in.mem.trans)
	var out lanes32
	var truth uint32
	for l := mask; l != 0; l &= l - 1 {
		i := first(l)
		in1 := members[i] & mask
		out[i] = p & in1
		var ok bool
		switch in.mem.name {
		case "all":
			ok = p&in1 == in1
		case "any":
			ok = p&in1 != 0
		case "uni":
			ok = p&in1 == in1 || p&in1 == 0
		}
		if ok {
			truth |= 1 << i
		}
	}
	if in.mem.name == "ballot" {
		merge((*lanes32)(w.r32[in.d:]), &out, mask)
		return
	}
	w.p[in.d] = w.p[in.d]&^mask | truth
}

// match is match.sync.
func (w *warp) match(in *inst, mask uint32) {
	members := w.members(in)
	w.requireLanes(in, mask, members)
	value := func(i int) uint64 {
		if in.mem.reg64 {
			return w.r64[int(in.a)+i]
		}
		return uint64(w.r32[int(in.a)+i])
	}
	var out lanes32
	var all uint32
	for l := mask; l != 0; l &= l - 1 {
		i := first(l)
		for k := members[i] & mask; k != 0; k &= k - 1 {
			if value(first(k)) == value(i) {
				out[i] |= 1 << first(k)
			}
		}
		if same := out[i] == members[i]&mask; same {
			all |= 1 << i
		} else if in.mem.name == "all" {
			out[i] = 0
		}
	}
	merge((*lanes32)(w.r32[in.d:]), &out, mask)
	if in.q >= 0 {
		w.p[in.q] = w.p[in.q]&^mask | all
	}
}
