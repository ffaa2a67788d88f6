package emu

import "math"

func f32(b uint32) float32 { return math.Float32frombits(b) }

func f64(b uint64) float64 { return math.Float64frombits(b) }

// floatOp is a float32 or float64 instruction's modifiers.
type floatOp struct {
	name string // "add", "fma", "rcp", ...
	mode rounding
	ftz  bool
	sat  bool
	nan  bool // .NaN: min and max pass NaN on
}

// flush replaces a subnormal by a zero of its sign.
func flush(b uint32) uint32 {
	if b&0x7F800000 == 0 {
		return b & 0x80000000
	}
	return b
}

// saturate clamps to [0, 1]; NaN becomes 0.
func saturate(b uint32) uint32 {
	switch x := f32(b); {
	case !(x > 0):
		return 0
	case x > 1:
		return math.Float32bits(1)
	}
	return b
}

// finish applies .sat and .ftz to a result.
func (o floatOp) finish(b uint32) uint32 {
	if o.ftz {
		b = flush(b)
	}
	if o.sat {
		b = saturate(b)
	}
	return b
}

func (o floatOp) plain() bool { return o.mode == toNearest && !o.ftz && !o.sat }

// unary32 returns neg, abs, rcp, sqrt over float32, or nil.
func (o floatOp) unary32() func(d, a *lanes32) {
	var f func(x uint32) uint32
	switch o.name {
	case "mov":
		return func(d, a *lanes32) { *d = *a }
	case "neg":
		f = func(x uint32) uint32 { return x ^ 0x80000000 }
	case "abs":
		f = func(x uint32) uint32 { return x &^ 0x80000000 }
	case "rcp":
		div := exactBinary32("div")
		f = func(x uint32) uint32 { return bits32(round32(div(1, float64(f32(x))), o.mode)) }
	case "sqrt":
		f = func(x uint32) uint32 { return bits32(round32(oddSqrt(float64(f32(x))), o.mode)) }
	default:
		return nil
	}
	if !o.ftz && !o.sat {
		return each1(f)
	}
	return each1(func(a uint32) uint32 {
		if o.ftz {
			a = flush(a)
		}
		return o.finish(f(a))
	})
}

// binary32 returns add, sub, mul, div, min, max, copysign over float32, or nil.
func (o floatOp) binary32() func(d, a, b *lanes32) {
	if o.plain() {
		switch o.name {
		case "add":
			return func(d, a, b *lanes32) {
				for i := range d {
					d[i] = bits32(f32(a[i]) + f32(b[i]))
				}
			}
		case "sub":
			return func(d, a, b *lanes32) {
				for i := range d {
					d[i] = bits32(f32(a[i]) - f32(b[i]))
				}
			}
		case "mul":
			return func(d, a, b *lanes32) {
				for i := range d {
					d[i] = bits32(f32(a[i]) * f32(b[i]))
				}
			}
		case "div":
			return func(d, a, b *lanes32) {
				for i := range d {
					d[i] = bits32(f32(a[i]) / f32(b[i]))
				}
			}
		}
	}
	var f func(a, b uint32) uint32
	switch o.name {
	case "min", "max":
		isMax := o.name == "max"
		f = func(a, b uint32) uint32 { return uint32(minMax(uint64(a), uint64(b), isMax, o.nan, 32)) }
	case "copysign": // the sign of a on the magnitude of b
		f = func(a, b uint32) uint32 { return a&0x80000000 | b&^0x80000000 }
	default:
		exact := exactBinary32(o.name)
		if exact == nil {
			return nil
		}
		f = func(a, b uint32) uint32 { return bits32(round32(exact(float64(f32(a)), float64(f32(b))), o.mode)) }
		if o.mode == down && (o.name == "add" || o.name == "sub") {
			f = zeroBelow(f, o.name == "sub")
		}
	}
	if !o.ftz && !o.sat {
		return each2(f)
	}
	return each2(func(a, b uint32) uint32 {
		if o.ftz {
			a, b = flush(a), flush(b)
		}
		return o.finish(f(a, b))
	})
}

// zeroBelow gives an exact zero sum of opposite numbers the sign that rounding down wants.
func zeroBelow(sum func(a, b uint32) uint32, subtract bool) func(a, b uint32) uint32 {
	return func(a, b uint32) uint32 {
		r := sum(a, b)
		if subtract {
			b ^= 0x80000000
		}
		if r == 0 && a != b {
			return 0x80000000
		}
		return r
	}
}

// minMax compares as PTX does: -0 < +0, and a NaN loses against a number unless propagate is set.
func minMax(a, b uint64, isMax, propagate bool, width int) uint64 {
	x, y, canonical := f64(a), f64(b), uint64(nan64)
	if width == 32 {
		x, y, canonical = float64(f32(uint32(a))), float64(f32(uint32(b))), nan32
	}
	switch {
	case x != x && y != y, propagate && (x != x || y != y):
		return canonical
	case x != x:
		return b
	case y != y:
		return a
	case x == y:
		if math.Signbit(x) == isMax {
			return b
		}
		return a
	case (x > y) == isMax:
		return a
	}
	return b
}

// ternary32 returns fma (and mad, its old name) over float32, or nil.
func (o floatOp) ternary32() func(d, a, b, c *lanes32) {
	if o.name != "fma" && o.name != "mad" {
		return nil
	}
	if o.plain() {
		return fmaF32
	}
	return each3(func(a, b, c uint32) uint32 {
		if o.ftz {
			a, b, c = flush(a), flush(b), flush(c)
		}
		p, z := float64(f32(a))*float64(f32(b)), float64(f32(c))
		s := oddSum(p, z, p+z)
		if s == 0 && o.mode == down && math.Float64bits(p) != math.Float64bits(z) { // an exact zero sum of opposite numbers
			s = math.Copysign(0, -1)
		}
		return o.finish(bits32(round32(s, o.mode)))
	})
}

// unary64, binary64 and ternary64 are the float64 instructions; only .rn is known.
func (o floatOp) unary64() func(d, a *lanes64) {
	switch {
	case o.name == "mov":
		return func(d, a *lanes64) { *d = *a }
	case o.name == "neg":
		return each1(func(a uint64) uint64 { return a ^ 1<<63 })
	case o.name == "abs":
		return each1(func(a uint64) uint64 { return a &^ (1 << 63) })
	case o.name == "rcp" && o.plain():
		return each1(func(a uint64) uint64 { return bits64(1 / f64(a)) })
	case o.name == "sqrt" && o.plain():
		return each1(func(a uint64) uint64 { return bits64(math.Sqrt(f64(a))) })
	}
	return nil
}

func (o floatOp) binary64() func(d, a, b *lanes64) {
	if !o.plain() {
		return nil
	}
	switch o.name {
	case "add":
		return each2(func(a, b uint64) uint64 { return bits64(f64(a) + f64(b)) })
	case "sub":
		return each2(func(a, b uint64) uint64 { return bits64(f64(a) - f64(b)) })
	case "mul":
		return each2(func(a, b uint64) uint64 { return bits64(f64(a) * f64(b)) })
	case "div":
		return each2(func(a, b uint64) uint64 { return bits64(f64(a) / f64(b)) })
	case "min", "max":
		isMax := o.name == "max"
		return each2(func(a, b uint64) uint64 { return minMax(a, b, isMax, false, 64) })
	case "copysign":
		return each2(func(a, b uint64) uint64 { return a&(1<<63) | b&^(1<<63) })
	}
	return nil
}

func (o floatOp) ternary64() func(d, a, b, c *lanes64) {
	if o.name != "fma" && o.name != "mad" || !o.plain() {
		return nil
	}
	return each3(func(a, b, c uint64) uint64 { return bits64(math.FMA(f64(a), f64(b), f64(c))) })
}
