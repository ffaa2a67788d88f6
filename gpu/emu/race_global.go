package emu

import (
	"sync/atomic"

	"emdiff/gpu/ptx"
)

// Blocks of one launch are not ordered: no block may touch what another one writes, unless both use atomics. Fences and flags are
// not followed: a kernel whose last block reads what the others wrote is reported, and should be two launches. One shadow word per
// grain (the kernel's smallest global access) and launch:
//
//	bits  0..22  reader: 0 none, block+1, or manyBlocks      bit 23  unused
//	bits 24..46  writer: 0 none, block+1, or manyBlocks (atomics only)
//	bit  47      the writes were atomic
//	bits 48..63  launch; an older one means no access yet
const (
	manyBlocks   = 1<<23 - 1
	writerShift  = 24
	atomicWrites = 1 << 47
	launchShift  = 48
	launchLimit  = 1<<16 - 1
)

type accessKind uint8

const (
	readAccess accessKind = iota
	writeAccess
	atomicAccess
	volatileRead // sees atomics of other blocks, leaves no trace
)

// nextState returns the shadow after an access by block me, and whether it races with an earlier one.
func nextState(e, launch, me uint64, kind accessKind) (uint64, bool) {
	if e>>launchShift != launch {
		e = launch << launchShift
	}
	rd, wr := e&manyBlocks, e>>writerShift&manyBlocks
	switch kind {
	case readAccess:
		if wr != 0 && wr != me {
			return e, true
		}
		switch rd {
		case me, manyBlocks:
			return e, false
		case 0:
			return e | me, false
		}
		return e | manyBlocks, false
	case writeAccess:
		if wr != 0 && wr != me || rd != 0 && rd != me {
			return e, true
		}
		return e&^(manyBlocks<<writerShift|atomicWrites) | me<<writerShift, false
	case volatileRead:
		return e, wr != 0 && wr != me && e&atomicWrites == 0
	}
	if wr != 0 && wr != me && e&atomicWrites == 0 || rd != 0 && rd != me {
		return e, true
	}
	switch {
	case wr == 0:
		return e | me<<writerShift | atomicWrites, false
	case wr != me:
		return e | manyBlocks<<writerShift | atomicWrites, false
	}
	return e, false // its own: a plain write stays the stricter record
}

// checkGlobal runs the initialisation and race checks of a request inside allocation a, and records it.
func (w *warp) checkGlobal(r *request, a *allocation) {
	wk := w.wk
	wk.touch(a, r)
	kind := readAccess
	switch {
	case r.in.kind == kAtom:
		kind = atomicAccess
	case r.write && r.m.volatile:
		kind = atomicAccess
	case r.write:
		kind = writeAccess
	case r.m.volatile:
		kind = volatileRead
	}
	if !a.allInit.Load() {
		w.checkInit(r, a)
	}
	if !wk.l.checks.Race || wk.l.blocks == 1 {
		return
	}
	launch, me := wk.l.epoch, uint64(wk.blockIndex+1)
	shadow := wk.l.mem.shadowOf(a, (len(a.data)+wk.prog.globalGrain-1)>>wk.globalShift)
	for l := r.mask; l != 0; l &= l - 1 {
		i := first(l)
		from := (wk.addr[i] - a.base) >> wk.globalShift
		to := (wk.addr[i] - a.base + r.bytes) >> wk.globalShift
		for g := from; g < to; g++ {
			for {
				old := atomic.LoadUint64(&shadow[g])
				e, race := nextState(old, launch, me, kind)
				if race {
					w.reportGlobalRace(r, i, kind, old)
				}
				if e == old || atomic.CompareAndSwapUint64(&shadow[g], old, e) {
					break
				}
			}
		}
	}
}

// checkInit keeps the books of written bytes. Those are kept even with the check off: a later launch may have it on.
func (w *warp) checkInit(r *request, a *allocation) {
	wk := w.wk
	for l := r.mask; l != 0; l &= l - 1 {
		i := first(l)
		at := wk.addr[i] - a.base
		if r.write && r.in.kind != kAtom {
			markWritten(a.init[at:at+r.bytes], r.bytes)
			continue
		}
		if !wk.l.checks.Init {
			continue
		}
		if b := a.init[at : at+r.bytes]; r.bytes == 4 && le.Uint32(b) == 0x01010101 {
			continue
		}
		if k := a.firstUninit(at, r.bytes); k >= 0 {
			w.fail(r.in, i, Uninitialised, ptx.Global, wk.addr[i]+uint64(k), "%s: byte %d was never written",
				describeAccess(r.write, int(r.bytes), ptx.Global, wk.addr[i]), k)
		}
	}
}

func markWritten(b []byte, n uint64) {
	if n == 4 {
		le.PutUint32(b, 0x01010101)
		return
	}
	fill(b, 1)
}

func (w *warp) reportGlobalRace(r *request, lane int, kind accessKind, e uint64) {
	what, other := "read", e>>writerShift&manyBlocks
	if other == 0 || other == uint64(w.wk.blockIndex+1) {
		other = e & manyBlocks
	} else {
		what = "written"
	}
	who := "several blocks"
	if other != manyBlocks {
		who = w.wk.l.blockName(int(other - 1))
	}
	w.fail(r.in, lane, GlobalRace, ptx.Global, w.wk.addr[lane], "%s, also %s by %s of this launch",
		describeAccess(r.write, int(r.bytes), ptx.Global, w.wk.addr[lane]), what, who)
}
