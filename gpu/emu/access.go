package emu

import (
	"encoding/binary"
	"math/bits"

	"emdiff/gpu/ptx"
)

var le = binary.LittleEndian

// request is one memory instruction of a warp, after its addresses have been formed.
type request struct {
	in    *inst
	m     *memOp
	mask  uint32
	write bool
	bytes uint64 // per lane
	// Over the active lanes: lowest and highest address, and all their bits or-ed together.
	lo, hi, or uint64
}

// addresses forms the lane addresses of an instruction in wk.addr; idle lanes repeat the first active one.
func (w *warp) addresses(base int32, offset uint64, wide bool, mask uint32) {
	addr := &w.wk.addr
	if wide {
		a := (*lanes64)(w.r64[base:])
		for i := range addr {
			addr[i] = a[i] + offset
		}
	} else {
		a := (*lanes32)(w.r32[base:])
		for i := range addr {
			addr[i] = uint64(a[i] + uint32(offset))
		}
	}
}

// bound fills idle lanes and the request's lo, hi and or.
func (w *warp) bound(r *request) {
	addr := &w.wk.addr
	if r.mask != ^uint32(0) {
		fillAddr := addr[first(r.mask)]
		for i := range addr {
			if r.mask>>i&1 == 0 {
				addr[i] = fillAddr
			}
		}
	}
	lo, hi, or := addr[0], addr[0], addr[0]
	for _, a := range addr[1:] {
		lo, hi, or = min(lo, a), max(hi, a), or|a
	}
	r.lo, r.hi, r.or = lo, hi, or
}

// memory runs a load, store or atomic: form addresses, then once per state space.
func (w *warp) memory(in *inst, mask uint32, write bool, run func(w *warp, r *request)) {
	m := in.mem
	w.addresses(m.base, m.offset, m.wide, mask)
	r := request{in: in, m: m, mask: mask, write: write, bytes: uint64(m.bytes())}
	if m.space != ptx.Generic {
		w.bound(&r)
		w.inSpace(&r, m.space, run)
		return
	}
	generic := w.wk.addr
	for left := mask; left != 0; {
		space, _ := spaceOf(generic[first(left)])
		r.mask = 0
		for l := left; l != 0; l &= l - 1 {
			i := first(l)
			if s, a := spaceOf(generic[i]); s == space {
				r.mask |= 1 << i
				w.wk.addr[i] = a
			}
		}
		left &^= r.mask
		w.bound(&r)
		w.inSpace(&r, space, run)
	}
}

// inSpace checks a request's alignment and bounds, counts it, and runs it on the memory it addresses.
func (w *warp) inSpace(r *request, space ptx.Space, run func(w *warp, r *request)) {
	wk := w.wk
	if r.or&(r.bytes-1) != 0 {
		w.misaligned(r, space)
	}
	switch space {
	case ptx.Shared:
		wk.countShared(r)
		w.inside(r, space, uint64(len(wk.shared)))
		wk.mem, wk.memBase = wk.shared, 0
		w.checkShared(r)
		run(w, r)
	case ptx.Local:
		wk.stats[r.m.index].local(r)
		size := uint64(wk.prog.local)
		w.inside(r, space, size)
		for i := range wk.addr {
			wk.addr[i] += uint64(i) * size
		}
		wk.mem, wk.memBase = w.local, 0
		run(w, r)
	default:
		wk.countGlobal(r)
		w.global(r, run)
	}
}

// global runs a request on the allocations it addresses, nearly always one.
func (w *warp) global(r *request, run func(w *warp, r *request)) {
	wk := w.wk
	a := wk.lastAlloc
	if a == nil || a.retired || r.lo < a.base || r.hi > a.base+a.size-r.bytes {
		a = wk.l.mem.find(r.lo, 1)
	}
	if a != nil && r.hi <= a.base+a.size-r.bytes {
		wk.lastAlloc = a
		wk.mem, wk.memBase = a.data, a.base
		w.checkGlobal(r, a)
		run(w, r)
		return
	}
	addr := wk.addr
	for left := r.mask; left != 0; {
		at := addr[first(left)]
		if a = wk.l.mem.find(at, r.bytes); a == nil {
			kind := OutOfBounds
			if wk.l.mem.isFreed(at) {
				kind = UseAfterFree
			}
			w.fail(r.in, first(left), kind, ptx.Global, at, "%s", describeAccess(r.write, int(r.bytes), ptx.Global, at))
		}
		part := *r
		part.mask = 0
		for l := left; l != 0; l &= l - 1 {
			if i := first(l); addr[i] >= a.base && addr[i] <= a.base+a.size-r.bytes {
				part.mask |= 1 << i
			}
		}
		left &^= part.mask
		wk.addr = addr
		w.bound(&part)
		wk.mem, wk.memBase = a.data, a.base
		w.checkGlobal(&part, a)
		run(w, &part)
	}
}

// misaligned finds the lane to blame.
func (w *warp) misaligned(r *request, space ptx.Space) {
	for l := r.mask; l != 0; l &= l - 1 {
		if i := first(l); w.wk.addr[i]&(r.bytes-1) != 0 {
			w.fail(r.in, i, Misaligned, space, w.wk.addr[i], "%s, which is not a multiple of its size",
				describeAccess(r.write, int(r.bytes), space, w.wk.addr[i]))
		}
	}
}

// inside fails if a lane leaves the size bytes of shared or local memory.
func (w *warp) inside(r *request, space ptx.Space, size uint64) {
	if size >= r.bytes && r.hi <= size-r.bytes {
		return
	}
	for l := r.mask; l != 0; l &= l - 1 {
		if i := first(l); size < r.bytes || w.wk.addr[i] > size-r.bytes {
			w.fail(r.in, i, OutOfBounds, space, w.wk.addr[i], "%s, there are %d bytes", describeAccess(r.write, int(r.bytes), space, w.wk.addr[i]), size)
		}
	}
}

// loadLanes copies from memory to the destination registers.
func loadLanes(w *warp, r *request) {
	wk, m := w.wk, r.m
	mem, base := wk.mem, wk.memBase
	whole := r.mask == w.alive
	for e, reg := range m.data {
		off := uint64(e*m.size) - base
		if m.reg64 {
			d := &wk.tmp64
			if whole {
				d = (*lanes64)(w.r64[reg:])
			}
			for i := range d {
				d[i] = read(mem[wk.addr[i]+off:], m.size, m.signed)
			}
			if !whole {
				merge((*lanes64)(w.r64[reg:]), d, r.mask)
			}
			continue
		}
		d := &wk.tmp32
		if whole {
			d = (*lanes32)(w.r32[reg:])
		}
		if m.size == 4 {
			for i := range d {
				d[i] = le.Uint32(mem[wk.addr[i]+off:])
			}
		} else {
			for i := range d {
				d[i] = uint32(read(mem[wk.addr[i]+off:], m.size, m.signed))
			}
		}
		if !whole {
			merge((*lanes32)(w.r32[reg:]), d, r.mask)
		}
	}
}

// read returns a little-endian value of size bytes, widened.
func read(b []byte, size int, signed bool) uint64 {
	switch size {
	case 8:
		return le.Uint64(b)
	case 4:
		v := le.Uint32(b)
		if signed {
			return uint64(int64(int32(v)))
		}
		return uint64(v)
	case 2:
		v := le.Uint16(b)
		if signed {
			return uint64(int64(int16(v)))
		}
		return uint64(v)
	}
	if signed {
		return uint64(int64(int8(b[0])))
	}
	return uint64(b[0])
}

// storeLanes copies from the source registers to memory.
func storeLanes(w *warp, r *request) {
	wk, m := w.wk, r.m
	mem, base := wk.mem, wk.memBase
	for e, reg := range m.data {
		off := uint64(e*m.size) - base
		switch {
		case m.reg64:
			d := (*lanes64)(w.r64[reg:])
			for l := r.mask; l != 0; l &= l - 1 {
				i := bits.TrailingZeros32(l)
				put(mem[wk.addr[i]+off:], m.size, d[i])
			}
		case m.size == 4 && r.mask == ^uint32(0):
			d := (*lanes32)(w.r32[reg:])
			for i := range d {
				le.PutUint32(mem[wk.addr[i]+off:], d[i])
			}
		default:
			d := (*lanes32)(w.r32[reg:])
			for l := r.mask; l != 0; l &= l - 1 {
				i := bits.TrailingZeros32(l)
				put(mem[wk.addr[i]+off:], m.size, uint64(d[i]))
			}
		}
	}
}

// put writes the low size bytes of v, little-endian.
func put(b []byte, size int, v uint64) {
	switch size {
	case 8:
		le.PutUint64(b, v)
	case 4:
		le.PutUint32(b, uint32(v))
	case 2:
		le.PutUint16(b, uint16(v))
	default:
		b[0] = byte(v)
	}
}
