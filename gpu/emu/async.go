package emu

import "emdiff/gpu/ptx"

// asyncCopy is one lane's cp.async that has not been waited for: its bytes are not in shared memory yet.
type asyncCopy struct {
	in    *inst
	lane  int
	group uint32
	at    uint64 // shared address
	size  uint64
	data  [16]byte
}

// startCopies reads the sources of a cp.async and queues the writes.
func (w *warp) startCopies(in *inst, mask uint32) {
	wk, m := w.wk, in.mem
	w.addresses(m.base, m.offset, m.wide, mask)
	r := request{in: in, m: m, mask: mask, write: true, bytes: uint64(m.size)}
	w.bound(&r)
	if r.or&(r.bytes-1) != 0 {
		w.misaligned(&r, ptx.Shared)
	}
	wk.countShared(&r)
	w.inside(&r, ptx.Shared, uint64(len(wk.shared)))
	if wk.l.checks.Race {
		for l := mask; l != 0; l &= l - 1 {
			i := first(l)
			for g := wk.addr[i] >> wk.grainShift; g < (wk.addr[i]+r.bytes)>>wk.grainShift; g++ {
				w.raceWrite(in, i, g, inFlight)
			}
		}
	}
	from := len(w.copies)
	for l := mask; l != 0; l &= l - 1 {
		i := first(l)
		w.copies = append(w.copies, asyncCopy{in: in, lane: i, group: w.openGroup[i], at: wk.addr[i], size: r.bytes})
	}
	w.readSources(in, mask, w.copies[from:])
}

// readSources fills the queued copies from global memory; a source size below the copy's leaves zeros.
func (w *warp) readSources(in *inst, mask uint32, copies []asyncCopy) {
	wk, m := w.wk, in.mem
	w.addresses(m.src, m.srcOff, true, mask)
	src := request{in: in, m: m, mask: mask, bytes: uint64(m.size)}
	if m.srcSize < 0 {
		w.bound(&src)
		w.inSpace(&src, ptx.Global, func(w *warp, r *request) {
			for k := range copies {
				if c := &copies[k]; r.mask>>c.lane&1 != 0 {
					copy(c.data[:c.size], wk.mem[wk.addr[c.lane]-wk.memBase:])
				}
			}
		})
		return
	}
	sizes := (*lanes32)(w.r32[m.srcSize:])
	addr := wk.addr
	for left := mask; left != 0; { // lanes that read equally many bytes together
		n := sizes[first(left)]
		part := src
		part.mask = 0
		for l := left; l != 0; l &= l - 1 {
			if i := first(l); sizes[i] == n {
				part.mask |= 1 << i
			}
		}
		left &^= part.mask
		if n > uint32(m.size) {
			w.fail(in, first(part.mask), OutOfBounds, ptx.Global, addr[first(part.mask)], "source size %d is larger than the copy's %d bytes", n, m.size)
		}
		if n == 0 {
			continue
		}
		wk.addr = addr
		w.bound(&part)
		if part.or&(part.bytes-1) != 0 {
			w.misaligned(&part, ptx.Global)
		}
		part.bytes = uint64(n)
		wk.countGlobal(&part)
		w.global(&part, func(w *warp, r *request) {
			for k := range copies {
				if c := &copies[k]; r.mask>>c.lane&1 != 0 {
					copy(c.data[:n], wk.mem[wk.addr[c.lane]-wk.memBase:])
				}
			}
		})
	}
}

// waitCopies completes the lanes' copies of all groups but the newest pending ones; pending -1 completes everything, committed or
// not.
func (w *warp) waitCopies(mask uint32, pending int32) {
	wk := w.wk
	kept := w.copies[:0]
	for _, c := range w.copies {
		done := mask>>c.lane&1 != 0 && (pending < 0 || c.group+uint32(pending) < w.openGroup[c.lane])
		if !done {
			kept = append(kept, c)
			continue
		}
		copy(wk.shared[c.at:c.at+c.size], c.data[:])
		if wk.l.checks.Init {
			fill(wk.sharedInit[c.at:c.at+c.size], 1)
		}
		if wk.l.checks.Race {
			for g := c.at >> wk.grainShift; g < (c.at+c.size)>>wk.grainShift; g++ {
				wk.shadow[g] = wk.epoch<<epochShift | uint64(w.id*warpSize+c.lane+1) | w.seq<<wseqShift
			}
		}
	}
	w.copies = kept
}
