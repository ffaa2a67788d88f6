package emu

// atomicLanes runs an atomic, lane by lane in order. Shared memory belongs to one goroutine; global memory is locked.
func atomicLanes(w *warp, r *request) {
	wk, m := w.wk, r.m
	if wk.memBase != 0 {
		wk.l.atomics.Lock()
		defer wk.l.atomics.Unlock()
	}
	for l := r.mask; l != 0; l &= l - 1 {
		i := first(l)
		cell := wk.mem[wk.addr[i]-wk.memBase:]
		old := read(cell, m.size, false)
		b, c := w.data(m, 1, i), w.data(m, 2, i)
		put(cell, m.size, m.update(old, b, c))
		if d := m.data[0]; d >= 0 {
			if m.reg64 {
				w.r64[int(d)+i] = old
			} else {
				w.r32[int(d)+i] = uint32(old)
			}
		}
	}
}

// data returns a lane's value of the k-th data register, 0 if there is none.
func (w *warp) data(m *memOp, k, lane int) uint64 {
	switch reg := m.data[k]; {
	case reg < 0:
		return 0
	case m.reg64:
		return w.r64[int(reg)+lane]
	default:
		return uint64(w.r32[int(reg)+lane])
	}
}

// update returns the new value of an atomic's cell. Only the low size bytes count.
func (m *memOp) update(old, b, c uint64) uint64 {
	switch m.name {
	case "add":
		switch {
		case m.float && m.size == 4:
			return uint64(bits32(f32(uint32(old)) + f32(uint32(b))))
		case m.float:
			return bits64(f64(old) + f64(b))
		}
		return old + b
	case "min", "max":
		if m.less(b, old) == (m.name == "min") && b != old {
			return b
		}
		return old
	case "and":
		return old & b
	case "or":
		return old | b
	case "xor":
		return old ^ b
	case "exch":
		return b
	case "cas":
		if old == b {
			return c
		}
		return old
	case "inc":
		if old >= b {
			return 0
		}
		return old + 1
	}
	if old == 0 || old > b { // dec
		return b
	}
	return old - 1
}

func (m *memOp) less(a, b uint64) bool {
	switch {
	case m.signed && m.size == 4:
		return int32(a) < int32(b)
	case m.signed:
		return int64(a) < int64(b)
	}
	return a < b
}
