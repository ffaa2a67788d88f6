package emu

import "math/bits"

// unaryInt returns op over type T, or nil.
func unaryInt[L lane, T integer](op string) func(d, a *[warpSize]L) {
	switch op {
	case "mov":
		return func(d, a *[warpSize]L) { *d = *a }
	case "not":
		return func(d, a *[warpSize]L) {
			for i := range d {
				d[i] = ^a[i]
			}
		}
	case "neg":
		return func(d, a *[warpSize]L) {
			for i := range d {
				d[i] = -a[i]
			}
		}
	case "abs":
		return each1(func(a L) L { return L(max(T(a), -T(a))) })
	case "cnot":
		return each1(func(a L) L {
			if T(a) == 0 {
				return 1
			}
			return 0
		})
	}
	return nil
}

// binaryInt returns op over type T, or nil.
func binaryInt[L lane, T integer](op string) func(d, a, b *[warpSize]L) {
	switch op {
	case "add":
		return func(d, a, b *[warpSize]L) {
			for i := range d {
				d[i] = a[i] + b[i]
			}
		}
	case "sub":
		return func(d, a, b *[warpSize]L) {
			for i := range d {
				d[i] = a[i] - b[i]
			}
		}
	case "mul.lo":
		return func(d, a, b *[warpSize]L) {
			for i := range d {
				d[i] = a[i] * b[i]
			}
		}
	case "and":
		return func(d, a, b *[warpSize]L) {
			for i := range d {
				d[i] = a[i] & b[i]
			}
		}
	case "or":
		return func(d, a, b *[warpSize]L) {
			for i := range d {
				d[i] = a[i] | b[i]
			}
		}
	case "xor":
		return func(d, a, b *[warpSize]L) {
			for i := range d {
				d[i] = a[i] ^ b[i]
			}
		}
	case "min":
		return func(d, a, b *[warpSize]L) {
			for i := range d {
				d[i] = L(min(T(a[i]), T(b[i])))
			}
		}
	case "max":
		return func(d, a, b *[warpSize]L) {
			for i := range d {
				d[i] = L(max(T(a[i]), T(b[i])))
			}
		}
	case "div": // by zero: all ones, as NVIDIA's devices give
		return each2(func(a, b L) L {
			if T(b) == 0 {
				return ^L(0)
			}
			return L(T(a) / T(b))
		})
	case "rem":
		return each2(func(a, b L) L {
			if T(b) == 0 {
				return a
			}
			return L(T(a) % T(b))
		})
	case "mul.hi":
		return each2(func(a, b L) L { return L(mulHigh(T(a), T(b))) })
	}
	return nil
}

// mulHigh returns the upper half of the full product.
func mulHigh[T integer](a, b T) T {
	switch x := any(a).(type) {
	case uint64:
		hi, _ := bits.Mul64(x, uint64(b))
		return T(hi)
	case int64:
		y := int64(b)
		hi, _ := bits.Mul64(uint64(x), uint64(y))
		return T(int64(hi) - x>>63&y - y>>63&x)
	case uint32, uint16:
		return T(uint64(a) * uint64(b) >> width[T]())
	}
	return T(int64(a) * int64(b) >> width[T]())
}

// width returns the bits of T.
func width[T integer]() int { return bits.OnesCount64(uint64(^T(0)) & mask64[T]()) }

func mask64[T integer]() uint64 {
	switch any(T(0)).(type) {
	case uint8, int8:
		return 0xFF
	case uint16, int16:
		return 0xFFFF
	case uint32, int32:
		return 0xFFFFFFFF
	}
	return ^uint64(0)
}

// ternaryInt returns op over type T, or nil.
func ternaryInt[L lane, T integer](op string) func(d, a, b, c *[warpSize]L) {
	switch op {
	case "mad.lo":
		return func(d, a, b, c *[warpSize]L) {
			for i := range d {
				d[i] = a[i]*b[i] + c[i]
			}
		}
	case "mad.hi":
		return each3(func(a, b, c L) L { return L(mulHigh(T(a), T(b))) + c })
	case "sad":
		return each3(func(a, b, c L) L { return c + L(max(T(a), T(b))-min(T(a), T(b))) })
	}
	return nil
}

// shiftInt returns shl or shr with amounts above the width clamped, as PTX wants; shr of a signed type copies the sign.
func shiftInt[L lane, T integer](op string) func(d, a *[warpSize]L, b *lanes32) {
	w := uint32(width[T]())
	if op == "shl" {
		return func(d, a *[warpSize]L, b *lanes32) {
			for i := range d {
				d[i] = L(T(a[i]) << min(b[i], w))
			}
		}
	}
	return func(d, a *[warpSize]L, b *lanes32) {
		for i := range d {
			d[i] = L(T(a[i]) >> min(b[i], w))
		}
	}
}

// Products of 32-bit factors in 64 bits.
func mulWideU32(d *lanes64, a, b *lanes32) {
	for i := range d {
		d[i] = uint64(a[i]) * uint64(b[i])
	}
}

func mulWideS32(d *lanes64, a, b *lanes32) {
	for i := range d {
		d[i] = uint64(int64(int32(a[i])) * int64(int32(b[i])))
	}
}

func madWideU32(d *lanes64, a, b *lanes32, c *lanes64) {
	for i := range d {
		d[i] = uint64(a[i])*uint64(b[i]) + c[i]
	}
}

func madWideS32(d *lanes64, a, b *lanes32, c *lanes64) {
	for i := range d {
		d[i] = uint64(int64(int32(a[i]))*int64(int32(b[i]))) + c[i]
	}
}

// Bit fields and permutations, one thread each.

// funnel returns shf: the concatenation b:a shifted by c.
func funnel(left, wrap bool) func(a, b, c uint32) uint32 {
	return func(a, b, c uint32) uint32 {
		n := min(c, 32)
		if wrap {
			n = c & 31
		}
		v := uint64(b)<<32 | uint64(a)
		if left {
			return uint32(v << n >> 32)
		}
		return uint32(v >> n)
	}
}

// lop3 returns the three-input logic function whose truth table is lut (bit a<<2|b<<1|c).
func lop3(lut uint32) func(d, a, b, c *lanes32) {
	if lut == 0x96 { // the usual one: three-way xor
		return func(d, a, b, c *lanes32) {
			for i := range d {
				d[i] = a[i] ^ b[i] ^ c[i]
			}
		}
	}
	return each3(func(a, b, c uint32) (r uint32) {
		for k := uint32(0); k < 8; k++ {
			if lut>>k&1 != 0 {
				r |= (a ^ (k>>2&1 - 1)) & (b ^ (k>>1&1 - 1)) & (c ^ (k&1 - 1))
			}
		}
		return r
	})
}

// prmt picks four bytes of b:a; a selector's top bit asks for the byte's sign instead.
func prmt(a, b, c uint32) (r uint32) {
	v := uint64(b)<<32 | uint64(a)
	for i := 0; i < 4; i++ {
		sel := c >> (4 * i) & 15
		x := uint32(v>>(8*(sel&7))) & 0xFF
		if sel&8 != 0 {
			x = uint32(int32(int8(x))>>7) & 0xFF
		}
		r |= x << (8 * i)
	}
	return r
}

// bfeU and bfeS extract len bits at pos; bits beyond the word are zero or the sign.
func bfeU(a uint64, pos, n, word uint32) uint64 {
	pos, n = pos&0xFF, n&0xFF
	if pos >= word {
		return 0
	}
	v := a >> pos
	if n < 64 {
		v &= 1<<n - 1
	}
	return v
}

func bfeS(a uint64, pos, n, word uint32) uint64 {
	pos, n = pos&0xFF, n&0xFF
	if n == 0 {
		return 0
	}
	sign := a >> min(pos+n-1, word-1) & 1
	v := bfeU(a, pos, n, word)
	if sign != 0 {
		avail := uint32(0)
		if pos < word {
			avail = min(n, word-pos)
		}
		if avail < 64 {
			v |= ^uint64(0) << avail
		}
	}
	return v
}

// bfi inserts the low n bits of a into b at pos.
func bfi(a, b uint64, pos, n, word uint32) uint64 {
	pos, n = pos&0xFF, n&0xFF
	if pos >= word || n == 0 {
		return b
	}
	m := ^uint64(0)
	if n < 64 {
		m = 1<<n - 1
	}
	return b&^(m<<pos) | a&m<<pos
}

// bfind returns the highest bit that differs from the sign, or all ones.
func bfind[T integer](a T, shiftAmount bool) uint32 {
	u := uint64(a) & mask64[T]()
	if a < 0 {
		u = ^uint64(a) & mask64[T]()
	}
	if u == 0 {
		return 0xFFFFFFFF
	}
	pos := uint32(63 - bits.LeadingZeros64(u))
	if shiftAmount {
		return uint32(width[T]()) - 1 - pos
	}
	return pos
}
