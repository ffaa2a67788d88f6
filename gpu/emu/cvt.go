package emu

import (
	"math"

	"emdiff/gpu/ptx"
)

// smallFloat is a binary format of at most 32 bits.
type smallFloat struct{ exp, man int } // bits of exponent and mantissa

var (
	formatF16  = smallFloat{5, 10}
	formatBF16 = smallFloat{8, 7}
)

// decode returns the value of the format's bits.
func (f smallFloat) decode(b uint32) float64 {
	bias := 1<<(f.exp-1) - 1
	man := float64(b & (1<<f.man - 1))
	e := int(b >> f.man & (1<<f.exp - 1))
	var v float64
	switch e {
	case 0:
		v = math.Ldexp(man, 1-bias-f.man)
	case 1<<f.exp - 1:
		v = math.Inf(1)
		if man != 0 {
			return math.NaN()
		}
	default:
		v = math.Ldexp(1+man/float64(int(1)<<f.man), e-bias)
	}
	if b>>(f.exp+f.man)&1 != 0 {
		return -v
	}
	return v
}

// encode rounds x once. NaN becomes the format's canonical 0x7FFF.
func (f smallFloat) encode(x float64, mode rounding) uint32 {
	all := uint32(1<<(f.exp+f.man) - 1)
	if x != x {
		return all
	}
	var sign uint32
	if math.Signbit(x) {
		sign, x = all+1, -x
		switch mode {
		case down:
			mode = up
		case up:
			mode = down
		}
	}
	bias := 1<<(f.exp-1) - 1
	inf := uint32(1<<f.exp-1) << f.man
	if math.IsInf(x, 0) {
		return sign | inf
	}
	// Units of the last place: n of them make |x|; the carry out of the mantissa moves into the exponent by itself.
	e := max(math.Ilogb(max(x, 5e-324)), 1-bias)
	n := math.Ldexp(x, f.man-e)
	var r float64
	switch mode {
	case toNearest:
		r = math.RoundToEven(n)
	case up:
		r = math.Ceil(n)
	default:
		r = math.Floor(n)
	}
	b := uint64(r) + uint64(e+bias-1)<<f.man
	if b >= uint64(inf) {
		if mode == toZero || mode == down {
			return sign | inf - 1
		}
		return sign | inf
	}
	return sign | uint32(b)
}

// cvtTF32 is cvt.rna.tf32.f32: to 10 mantissa bits, ties away from zero.
func cvtTF32(d, a *lanes32) {
	for i := range d {
		x := a[i]
		if x&0x7F800000 != 0x7F800000 {
			x += 0x1000
		} else if x&0x7FFFFF != 0 {
			x = nan32
		}
		d[i] = x &^ 0x1FFF
	}
}

// cvtOp is a scalar cvt instruction.
type cvtOp struct {
	dst, src ptx.Type
	mode     rounding
	integral bool // .rni and its kin: round to an integer value
	ftz, sat bool
}

func isFloat(t ptx.Type) bool {
	return t == ptx.F32 || t == ptx.F64 || t == ptx.F16 || t == ptx.BF16
}

// convert returns the conversion of one thread's bits, or nil if there is none.
func (o cvtOp) convert() func(uint64) uint64 {
	switch {
	case isFloat(o.src) && isFloat(o.dst):
		return o.floatToFloat()
	case isFloat(o.src):
		return o.floatToInt()
	case isFloat(o.dst):
		return o.intToFloat()
	}
	return o.intToInt()
}

// toFloat returns the reader of a float type.
func toFloat(t ptx.Type, ftz bool) func(uint64) float64 {
	switch t {
	case ptx.F64:
		return f64
	case ptx.F16:
		return func(b uint64) float64 { return formatF16.decode(uint32(b)) }
	case ptx.BF16:
		return func(b uint64) float64 { return formatBF16.decode(uint32(b)) }
	}
	return func(b uint64) float64 {
		if ftz {
			b = uint64(flush(uint32(b)))
		}
		return float64(f32(uint32(b)))
	}
}

// fromFloat returns the writer of a float type, which rounds an exact or odd-rounded value.
func (o cvtOp) fromFloat() func(float64) uint64 {
	switch o.dst {
	case ptx.F64:
		return bits64
	case ptx.F16:
		return func(x float64) uint64 { return uint64(formatF16.encode(x, o.mode)) }
	case ptx.BF16:
		return func(x float64) uint64 { return uint64(formatBF16.encode(x, o.mode)) }
	}
	f := floatOp{ftz: o.ftz, sat: o.sat}
	return func(x float64) uint64 { return uint64(f.finish(bits32(round32(x, o.mode)))) }
}

// roundInt rounds to an integer value.
func roundInt(x float64, mode rounding) float64 {
	switch mode {
	case toNearest:
		return math.RoundToEven(x)
	case toZero:
		return math.Trunc(x)
	case down:
		return math.Floor(x)
	}
	return math.Ceil(x)
}

func (o cvtOp) floatToFloat() func(uint64) uint64 {
	read, write := toFloat(o.src, o.ftz), o.fromFloat()
	if o.integral {
		return func(b uint64) uint64 { return write(roundInt(read(b), o.mode)) }
	}
	return func(b uint64) uint64 { return write(read(b)) }
}

// floatToInt saturates at the ends of the integer's range; NaN becomes 0.
func (o cvtOp) floatToInt() func(uint64) uint64 {
	read := toFloat(o.src, o.ftz)
	w := uint(8 * o.dst.Size())
	if o.dst.Signed() {
		limit := math.Ldexp(1, int(w)-1)
		return func(b uint64) uint64 {
			switch x := roundInt(read(b), o.mode); {
			case x != x:
				return 0
			case x >= limit:
				return 1<<(w-1) - 1
			case x < -limit:
				return ^uint64(0) << (w - 1)
			default:
				return uint64(int64(x))
			}
		}
	}
	limit := math.Ldexp(1, int(w))
	return func(b uint64) uint64 {
		switch x := roundInt(read(b), o.mode); {
		case !(x > 0):
			return 0
		case x >= limit:
			return ^uint64(0) >> (64 - w)
		default:
			return uint64(x)
		}
	}
}

func (o cvtOp) intToFloat() func(uint64) uint64 {
	extend, write := extender(o.src), o.fromFloat()
	if o.dst == ptx.F64 && o.mode != toNearest {
		return nil
	}
	return func(b uint64) uint64 {
		v := extend(b)
		neg := o.src.Signed() && int64(v) < 0
		if neg {
			v = -v
		}
		if o.dst == ptx.F64 {
			x := float64(v)
			if neg {
				x = -x
			}
			return bits64(x)
		}
		// 64 bits do not fit a float64: fold what is lost into its last bit.
		x := float64(v &^ 0xFFF)
		if v < 1<<53 {
			x = float64(v)
		} else if v&0xFFF != 0 {
			x = math.Float64frombits(math.Float64bits(x) | 1)
		}
		if neg {
			x = -x
		}
		return write(x)
	}
}

// extender widens an integer's bits to 64, by its sign or zero.
func extender(t ptx.Type) func(uint64) uint64 {
	shift := 64 - 8*uint(t.Size())
	if t.Signed() {
		return func(b uint64) uint64 { return uint64(int64(b<<shift) >> shift) }
	}
	return func(b uint64) uint64 { return b << shift >> shift }
}

func (o cvtOp) intToInt() func(uint64) uint64 {
	extend := extender(o.src)
	if !o.sat {
		cut := extender(o.dst)
		return func(b uint64) uint64 { return cut(extend(b)) }
	}
	w := uint(8 * o.dst.Size())
	lo, hi := int64(0), ^uint64(0)>>(64-w)
	if o.dst.Signed() {
		lo, hi = -1<<(w-1), 1<<(w-1)-1
	}
	signed := o.src.Signed()
	return func(b uint64) uint64 {
		v := extend(b)
		switch {
		case signed && int64(v) < 0:
			return uint64(max(int64(v), lo))
		default:
			return min(v, hi)
		}
	}
}

// packHalf returns cvt.rn.{bf16x2,f16x2}.f32: a in the upper half, b in the lower.
func packHalf(f smallFloat, mode rounding, relu bool) func(d, a, b *lanes32) {
	one := func(x uint32) uint32 {
		r := f.encode(float64(f32(x)), mode)
		if relu && r&0x8000 != 0 {
			return 0
		}
		return r
	}
	return each2(func(a, b uint32) uint32 { return one(a)<<16 | one(b) })
}
