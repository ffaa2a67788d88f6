package emu

import (
	"fmt"

	"emdiff/gpu/ptx"
)

// The shared-memory checks keep one word of shadow per grain (the kernel's smallest shared access): who wrote it and who read it
// since the last bar.sync. Two accesses of different threads, one of them a write, must have a barrier between them; within a warp
// a bar.warp.sync will do, and nothing else: not lock step, not a shuffle.
//
//	bits  0..10  writer: 0 none, thread+1, or atomicWarp+warp, or many (atomics of several warps)
//	bit  11      the write is a cp.async that has not been waited for
//	bits 12..25  warp sequence number at the write
//	bits 26..36  reader: 0 none, thread+1, or readWarp+warp (several lanes of one warp), or many
//	bits 38..51  warp sequence number at the read
//	bits 52..63  barrier interval; an older one means no access since the barrier (a cp.async in flight stays)
const (
	actorMask = 0x7FF
	someWarp  = 1025 // + warp: several lanes of it (readers), or its atomics (writers)
	many      = 0x7FF
	inFlight  = 1 << 11

	seqMask     = 0x3FFF
	wseqShift   = 12
	readerShift = 26
	rseqShift   = 38
	epochShift  = 52
	epochLimit  = 1<<12 - 1
)

// partialSync is a bar.warp.sync of some of a warp's lanes.
type partialSync struct {
	seq  uint64
	mask uint32
}

// ordered reports whether an access of lane at sequence number seq comes before what the lane now does in the same warp.
func (w *warp) ordered(lane int, seq uint64, now int) bool {
	if lane == now || seq < w.fullSync {
		return true
	}
	reached := uint32(1) << lane
	for _, s := range w.syncs {
		if s.seq >= seq && s.mask&reached != 0 {
			reached |= s.mask
		}
	}
	return reached>>now&1 != 0
}

// checkShared runs the initialisation and race checks of a request and records it.
func (w *warp) checkShared(r *request) {
	wk := w.wk
	writes := r.write && r.in.kind != kAtom
	if wk.l.checks.Init {
		for l := r.mask; l != 0; l &= l - 1 {
			i := first(l)
			at := wk.addr[i]
			if writes {
				fill(wk.sharedInit[at:at+r.bytes], 1)
			} else {
				w.requireInit(r.in, i, at, r.bytes)
			}
		}
	}
	if !wk.l.checks.Race {
		return
	}
	shift := wk.grainShift
	// What nearly every shadow word says when a tile is read: read by several warps, or by several lanes of this one, and not
	// written in this interval. Such a word stays as it is.
	readByAll := wk.epoch<<epochShift | many<<readerShift
	readHere := wk.epoch<<epochShift | (someWarp+uint64(w.id))<<readerShift | w.seq<<rseqShift
	for l := r.mask; l != 0; l &= l - 1 {
		i := first(l)
		from, to := wk.addr[i]>>shift, (wk.addr[i]+r.bytes)>>shift
		for g := from; g < to; g++ {
			switch {
			case writes:
				w.raceWrite(r.in, i, g, 0)
			case r.write:
				w.raceAtomic(r.in, i, g)
			default:
				if e := wk.shadow[g]; e != readHere && e&^(seqMask<<rseqShift) != readByAll {
					w.raceRead(r.in, i, g)
				}
			}
		}
	}
}

// suspect holds an uninitialised shared read back until the barrier interval ends: if a thread whose turn comes later writes the
// bytes in the same interval, the race is the better name for the bug.
func (wk *worker) suspect(f *Fault) {
	if !wk.l.checks.Race {
		panic(f)
	}
	if wk.suspected == nil {
		wk.suspected = f
	}
}

// requireInit fails if a lane reads shared bytes that nobody wrote in this block.
func (w *warp) requireInit(in *inst, lane int, at, n uint64) {
	init := w.wk.sharedInit[at : at+n]
	if n == 4 && le.Uint32(init) == 0x01010101 || n == 16 && le.Uint64(init)&le.Uint64(init[8:]) == 0x0101010101010101 {
		return
	}
	for k, b := range init {
		if b == 0 {
			f := w.faultAt(in, lane, Uninitialised, ptx.Shared, at+uint64(k), "%s: byte %d was never written by this block",
				describeAccess(false, int(n), ptx.Shared, at), k)
			w.wk.suspect(f)
			return
		}
	}
}

// raceRead checks and records a read of grain g by a lane.
func (w *warp) raceRead(in *inst, lane int, g uint64) {
	wk := w.wk
	e := wk.shadow[g]
	me := uint64(w.id*warpSize + lane + 1)
	if e&inFlight != 0 {
		w.reportAsync(in, lane, g, e, false)
	}
	seq := w.seq
	if e>>epochShift != wk.epoch {
		wk.shadow[g] = wk.epoch<<epochShift | me<<readerShift | seq<<rseqShift
		return
	}
	if wr := e & actorMask; wr != 0 && wr != me {
		w.requireOrder(in, lane, g, wr, e>>wseqShift&seqMask, false, true)
	}
	rd := e >> readerShift & actorMask
	switch {
	case rd == many, rd == me && e>>rseqShift&seqMask == seq, rd == someWarp+uint64(w.id) && e>>rseqShift&seqMask == seq:
		return
	case rd == 0, rd == me:
		rd = me
	case warpOf(rd) != w.id:
		rd = many
	case e>>rseqShift&seqMask < w.fullSync: // ordered before all this warp does now: the new read stands for both
		rd = me
	default:
		rd = someWarp + uint64(w.id)
	}
	wk.shadow[g] = e&^(actorMask<<readerShift|seqMask<<rseqShift) | rd<<readerShift | seq<<rseqShift
}

// raceWrite checks and records a write of grain g by a lane; flag is inFlight for a cp.async.
func (w *warp) raceWrite(in *inst, lane int, g uint64, flag uint64) {
	w.requireWritable(in, lane, g, false)
	me := uint64(w.id*warpSize + lane + 1)
	w.wk.shadow[g] = w.wk.epoch<<epochShift | me | flag | w.seq<<wseqShift
}

// raceAtomic is raceWrite for an atomic: atomics do not race with each other.
func (w *warp) raceAtomic(in *inst, lane int, g uint64) {
	w.requireWritable(in, lane, g, true)
	wk := w.wk
	who := someWarp + uint64(w.id)
	if e := wk.shadow[g]; e>>epochShift == wk.epoch {
		if wr := e & actorMask; wr == many || wr >= someWarp && wr != who {
			who = many
		}
	}
	wk.shadow[g] = wk.epoch<<epochShift | who | w.seq<<wseqShift
}

// requireWritable fails unless all earlier accesses of grain g in this interval are ordered before the lane.
func (w *warp) requireWritable(in *inst, lane int, g uint64, atomic bool) {
	e := w.wk.shadow[g]
	if e&inFlight != 0 {
		w.reportAsync(in, lane, g, e, true)
	}
	if e>>epochShift != w.wk.epoch {
		return
	}
	me := uint64(w.id*warpSize + lane + 1)
	if wr := e & actorMask; wr != 0 && wr != me && !(atomic && wr >= someWarp) {
		w.requireOrder(in, lane, g, wr, e>>wseqShift&seqMask, true, true)
	}
	if rd := e >> readerShift & actorMask; rd != 0 && rd != me {
		w.requireOrder(in, lane, g, rd, e>>rseqShift&seqMask, true, false)
	}
}

// warpOf returns the warp of a shadow actor, or -1.
func warpOf(actor uint64) int {
	switch {
	case actor == many:
		return -1
	case actor >= someWarp:
		return int(actor - someWarp)
	}
	return int(actor-1) / warpSize
}

// requireOrder fails unless the actor's access at seq comes before what the lane does now.
func (w *warp) requireOrder(in *inst, lane int, g, actor, seq uint64, write, otherWrote bool) {
	if warpOf(actor) == w.id {
		if actor >= someWarp && seq < w.fullSync || actor < someWarp && w.ordered(int(actor-1)%warpSize, seq, lane) {
			return
		}
	}
	at := g << w.wk.grainShift
	verb := map[bool]string{true: "wrote", false: "read"}
	remedy := "__syncthreads"
	if warpOf(actor) == w.id {
		remedy = "__syncwarp or __syncthreads"
	}
	w.fail(in, lane, SharedRace, ptx.Shared, at, "%s, which %s %s since the last barrier; %s is missing",
		describeAccess(write, 1<<w.wk.grainShift, ptx.Shared, at), w.actorName(actor), verb[otherWrote], remedy)
}

func (w *warp) actorName(actor uint64) string {
	switch {
	case actor == many:
		return "several warps"
	case actor >= someWarp:
		return fmt.Sprintf("several lanes of warp %d", actor-someWarp)
	}
	return fmt.Sprintf("thread %v", threadAt(int(actor-1), w.wk.l.cfg.Block))
}

func (w *warp) reportAsync(in *inst, lane int, g, e uint64, write bool) {
	at := g << w.wk.grainShift
	w.fail(in, lane, AsyncCopy, ptx.Shared, at, "%s, to which %s has a cp.async in flight; cp.async.wait_group is missing",
		describeAccess(write, 1<<w.wk.grainShift, ptx.Shared, at), w.actorName(e&actorMask))
}

// nextInterval starts a barrier interval of the block.
func (wk *worker) nextInterval() {
	wk.epoch++
	if wk.epoch > epochLimit {
		for g, e := range wk.shadow {
			if e&inFlight == 0 {
				wk.shadow[g] = 0
			}
		}
		wk.epoch = 1
	}
	for _, w := range wk.warps {
		w.seq, w.fullSync = 0, 0
		w.syncs = w.syncs[:0]
	}
}

// syncLanes records a bar.warp.sync of the lanes.
func (w *warp) syncLanes(lanes uint32) {
	if lanes&w.alive == w.alive {
		w.seq++
		w.fullSync = w.seq
		w.syncs = w.syncs[:0]
	} else {
		w.syncs = append(w.syncs, partialSync{w.seq, lanes})
		w.seq++
	}
	if w.seq > seqMask {
		w.restartSequence()
	}
}

// restartSequence makes room for more warp barriers in one interval: what this warp did so far becomes "before the last full
// synchronisation" if it was, and recent otherwise.
func (w *warp) restartSequence() {
	renumber := func(e uint64, actorShift, seqShift int) uint64 {
		if actor := e >> actorShift & actorMask; actor == 0 || warpOf(actor) != w.id {
			return e
		}
		seq := uint64(1)
		if e>>seqShift&seqMask < w.fullSync {
			seq = 0
		}
		return e&^(seqMask<<seqShift) | seq<<seqShift
	}
	for g, e := range w.wk.shadow {
		w.wk.shadow[g] = renumber(renumber(e, 0, wseqShift), readerShift, rseqShift)
	}
	for i := range w.syncs {
		w.syncs[i].seq = 1
	}
	w.seq, w.fullSync = 2, 1
}
