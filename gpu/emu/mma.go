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

// float32Of returns the value of an mma operand element.
func float32Of(name string, b uint32) float64 {
	switch name {
	case "tf32": // the hardware ignores the 13 low bits
		return float64(f32(b &^ 0x1FFF))
	case "bf16":
		return float64(f32(b << 16))
	}
	return halfTable[b&0xFFFF]
}

var halfTable = func() *[1 << 16]float64 {
	var t [1 << 16]float64
	for b := range t {
		t[b] = formatF16.decode(uint32(b))
	}
	return &t
}()

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
	per := 2
	if m.name == "tf32" {
		per = 1
	}
	na, nb := 16*m.k/32/per, 8*m.k/32/per
	d, a, b, c := m.data[:4], m.data[4:4+na], m.data[4+na:4+na+nb], m.data[4+na+nb:]
	var A [16][16]float64 // row, k
	var B [8][16]float64  // column, k
	for lane := range warpSize {
		g, q := lane/4, lane%4
		for r, reg := range a { // registers run over row halves first, then over k
			v := w.r32[int(reg)+lane]
			row, k := g+8*(r%2), (q+4*(r/2))*per
			for e := range per {
				A[row][k+e] = float32Of(m.name, v>>(16*e)&(1<<(32/per)-1))
			}
		}
		for r, reg := range b {
			v := w.r32[int(reg)+lane]
			k := (q + 4*r) * per
			for e := range per {
				B[g][k+e] = float32Of(m.name, v>>(16*e)&(1<<(32/per)-1))
			}
		}
	}
	var out [4]lanes32
	for lane := range warpSize {
		for r := range 4 {
			row, col := lane/4+8*(r/2), 2*(lane%4)+r%2
			s := float64(f32(w.r32[int(c[r])+lane]))
			x, y := &A[row], &B[col]
			for k := range m.k {
				s += float64(x[k] * y[k])
			}
			out[r][lane] = bits32(float32(s))
		}
	}
	for r, reg := range d {
		*(*lanes32)(w.r32[reg:]) = out[r]
	}
}
