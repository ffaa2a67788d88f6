package emu

import "math"

// Rounding to float32 happens once: sums and products are formed in float64, made "odd" (the last bit set when bits were lost, so
// that no tie is invented), and then rounded. 53 bits hold two spare bits for any float32 result, which is what that needs.

const (
	nan32 = 0x7FFFFFFF         // the NaN every arithmetic instruction returns
	nan64 = 0x7FF8000000000000 // its float64 form
)

// rounding is a PTX rounding modifier.
type rounding uint8

const (
	toNearest rounding = iota
	toZero
	down
	up
)

var roundings = map[string]rounding{"rn": toNearest, "rz": toZero, "rm": down, "rp": up}

// fmaPortable is fma.rn.f32 without a fused instruction: a*b is exact in float64 (48 bits); only a sum that lands between two float32 numbers and lost bits needs
// care, and such a sum ends in 28 zero bits.
func fmaPortable(d, a, b, c *lanes32) {
	for i := range d {
		p := float64(math.Float32frombits(a[i])) * float64(math.Float32frombits(b[i]))
		z := float64(math.Float32frombits(c[i]))
		s := p + z
		if math.Float64bits(s)&0x0FFFFFFF == 0 {
			s = oddSum(p, z, s)
		}
		d[i] = bits32(float32(s))
	}
}

// bits32 returns the bits of x, any NaN as the canonical one.
func bits32(x float32) uint32 {
	if x != x {
		return nan32
	}
	return math.Float32bits(x)
}

// bits64 is bits32 for float64.
func bits64(x float64) uint64 {
	if x != x {
		return nan64
	}
	return math.Float64bits(x)
}

// oddSum returns x+y rounded to odd, given s = x+y rounded to nearest.
func oddSum(x, y, s float64) float64 {
	if math.IsInf(s, 0) || s != s {
		return s
	}
	t := s - x
	err := (x - (s - t)) + (y - t) // exact: what s lacks
	return odd(s, err)
}

// odd moves s to its odd neighbour on the side of the error, if there is one.
func odd(s, err float64) float64 {
	b := math.Float64bits(s)
	if err == 0 || b&1 != 0 {
		return s
	}
	if (err > 0) == (s > 0) {
		return math.Float64frombits(b + 1)
	}
	return math.Float64frombits(b - 1)
}

// round32 rounds an odd-rounded (or exact) float64 to float32.
func round32(x float64, mode rounding) float32 {
	r := float32(x)
	if mode == toNearest || x != x || float64(r) == x {
		return r
	}
	away := float64(r) > x // r lies above x
	switch {
	case mode == toZero && (x > 0) == away, mode == down && away:
		return nextBelow(r, x > 0 && mode == toZero || mode == down)
	case mode == up && !away:
		return nextBelow(r, false)
	}
	return r
}

// nextBelow returns the float32 below r, or above it when below is false.
func nextBelow(r float32, below bool) float32 {
	if below {
		return math.Nextafter32(r, float32(math.Inf(-1)))
	}
	return math.Nextafter32(r, float32(math.Inf(1)))
}

// exactBinary32 returns the float64, odd-rounded, that add, sub, mul or div of two float32 has to round.
func exactBinary32(op string) func(x, y float64) float64 {
	switch op {
	case "add":
		return func(x, y float64) float64 { return oddSum(x, y, x+y) }
	case "sub":
		return func(x, y float64) float64 { return oddSum(x, -y, x-y) }
	case "mul":
		return func(x, y float64) float64 { return x * y }
	case "div":
		return func(x, y float64) float64 {
			q := x / y
			if q == 0 || math.IsInf(q, 0) || q != q || math.IsInf(y, 0) {
				return q
			}
			r := math.FMA(-q, y, x) // exact remainder
			if y < 0 {
				r = -r
			}
			return odd(q, r)
		}
	}
	return nil
}

// oddSqrt returns the square root rounded to odd.
func oddSqrt(x float64) float64 {
	s := math.Sqrt(x)
	if !(s > 0) || math.IsInf(s, 0) {
		return s
	}
	return odd(s, math.FMA(-s, s, x))
}
