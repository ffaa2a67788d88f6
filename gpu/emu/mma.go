package emu

import "emdiff/gpu/ptx"

// loadMatrices is ldmatrix: 8x8 matrices of 16-bit elements, whose rows lanes 0-7, 8-15, ... point at; every lane receives two
// neighbouring elements of a row, or of a column with .trans.
func (w *warp) loadMatrices(in *inst, mask uint32) {
	wk, m := w.wk, in.mem
	if mask != ^uint32(0) {
		w.fail(in, first(^mask), LaneDivergence, ptx.Shared, 0, "ldmatrix needs all 32 lanes")
	}
	w.addresses(m.base, m.offset, m.wide, mask)
	r := request{in: in, m: m, mask: uint32(1<<(8*m.elems) - 1), bytes: 16}
	w.bound(&r)
	if r.or&15 != 0 {
		w.misaligned(&r, ptx.Shared)
	}
	wk.countShared(&r)
	w.inside(&r, ptx.Shared, uint64(len(wk.shared)))
	w.checkShared(&r)
	for k, reg := range m.data {
		d := (*lanes32)(w.r32[reg:])
		for lane := range d {
			row, col := lane/4, 2*(lane%4)
			if m.trans {
				lo := le.Uint16(wk.shared[wk.addr[8*k+col]+uint64(2*row):])
				hi := le.Uint16(wk.shared[wk.addr[8*k+col+1]+uint64(2*row):])
				d[lane] = uint32(lo) | uint32(hi)<<16
			} else {
				d[lane] = le.Uint32(wk.shared[wk.addr[8*k+row]+uint64(2*col):])
			}
		}
	}
}

// decodePair returns the two elements of a register of 16-bit operands.
func decodePair(bf16 bool, v uint32) (lo, hi float64) {
	if bf16 {
		return float64(f32(v << 16)), float64(f32(v &^ 0xFFFF))
	}
	return halfTable[v&0xFFFF], halfTable[v>>16]
}

// halfTable holds the value of every f16.
var halfTable = func() *[1 << 16]float64 {
	var t [1 << 16]float64
	for b := range t {
		t[b] = formatF16.decode(uint32(b))
	}
	return &t
}()

// decodeOperand writes one register of an operand: lane l holds row l/4, and element from+l%4 of it (or that pair of elements).
func (w *warp) decodeOperand(m *memOp, v *lanes32, rows [][16]float64, from int) {
	if m.name == "tf32" {
		for lane, x := range v {
			rows[lane/4][from+lane%4] = float64(f32(x &^ 0x1FFF)) // the hardware ignores the 13 low bits
		}
		return
	}
	bf16 := m.name == "bf16"
	for lane, x := range v {
		k := 2 * (from + lane%4)
		row := &rows[lane/4]
		row[k], row[k+1] = decodePair(bf16, x)
	}
}

// multiplyMatrices is mma.sync: D[16,8] = A[16,k] B[k,8] + C.
//
// Summation order: each element starts from C and adds the k products in ascending order in float64, where every product is exact,
// and is rounded to float32 once. Hardware keeps fewer bits between products, so its results may differ in the last places; the
// order here is fixed so that results are reproducible.
func (w *warp) multiplyMatrices(in *inst, mask uint32) {
	if mask != ^uint32(0) {
		w.fail(in, first(^mask), LaneDivergence, ptx.Generic, 0, "mma.sync needs all 32 lanes")
	}
	m := in.mem
	per := 2 // elements per register
	if m.name == "tf32" {
		per = 1
	}
	na, nb := 16*m.k/32/per, 8*m.k/32/per
	d, a, b, c := m.data[:4], m.data[4:4+na], m.data[4+na:4+na+nb], m.data[4+na+nb:]
	A, B := &w.wk.mmaA, &w.wk.mmaB
	for r, reg := range a { // registers run over the two halves of the rows first, then over k
		w.decodeOperand(m, (*lanes32)(w.r32[reg:]), A[8*(r%2):], 4*(r/2))
	}
	for r, reg := range b {
		w.decodeOperand(m, (*lanes32)(w.r32[reg:]), B[:], 4*r)
	}
	var out [4]lanes32
	for lane := range warpSize {
		g, col := lane/4, 2*(lane%4)
		x0, x1, y0, y1 := &A[g], &A[g+8], &B[col], &B[col+1]
		var s [4]float64
		for r := range s {
			s[r] = float64(f32(w.r32[int(c[r])+lane]))
		}
		s0, s1, s2, s3 := s[0], s[1], s[2], s[3]
		for k := range m.k {
			s0 += float64(x0[k] * y0[k])
			s1 += float64(x0[k] * y1[k])
			s2 += float64(x1[k] * y0[k])
			s3 += float64(x1[k] * y1[k])
		}
		for r, v := range [4]float64{s0, s1, s2, s3} {
			out[r][lane] = bits32(float32(v))
		}
	}
	for r, reg := range d {
		*(*lanes32)(w.r32[reg:]) = out[r]
	}
}
