package ref

import (
	"math"

	"emdiff/kernels"
)

// operand returns the values of a factor, rounded as the precision of the product asks. Float64 is exempt: an error
// against it includes that of the rounding.
func (s *set[S, A]) operand(b kernels.Buffer, p kernels.Precision) []S {
	v := values[S](b)
	if exact[S]() || p == kernels.PrecisionF32 {
		return v
	}
	rounded, round := make([]S, len(v)), s.rounding(p)
	for i := range v {
		rounded[i] = S(round(A(v[i])))
	}
	return rounded
}

// rounding is what operand does to a value: for operands that are results themselves.
func (s *set[S, A]) rounding(p kernels.Precision) func(A) A {
	switch {
	case exact[S]() || p == kernels.PrecisionF32:
		return func(v A) A { return v }
	case p == kernels.PrecisionTF32:
		return func(v A) A { return A(roundTF32(float32(v))) }
	}
	return func(v A) A { return A(fromBF16(toBF16(float32(v)))) }
}

// exact reports whether values are stored as float64.
func exact[S float]() bool {
	_, yes := any(S(0)).(float64)
	return yes
}

// roundTF32 keeps 10 bits of mantissa, ties away from zero (cvt.rna.tf32.f32).
func roundTF32(x float32) float32 {
	b := math.Float32bits(x)
	if b&0x7f800000 == 0x7f800000 {
		return x
	}
	return math.Float32frombits((b + 1<<12) &^ (1<<13 - 1))
}

// toBF16 rounds to nearest even; a NaN stays a quiet NaN.
func toBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// toF16 rounds to nearest even, with subnormals and overflow to infinity; a NaN stays a quiet NaN.
func toF16(x float32) uint16 {
	sign := uint16(math.Float32bits(x) >> 16 & 0x8000)
	a := math.Abs(float64(x))
	switch {
	case x != x:
		return sign | 0x7e00
	case a >= 65520: // half way between the largest float16 and the next power of two
		return sign | 0x7c00
	}
	// The spacing of float16 is 2^-24 below 2^-14 and 2^(e-10) above; scaling by a power of two is exact.
	e := -14
	if a >= 0x1p-14 {
		e = math.Ilogb(a)
	}
	steps := uint16(math.RoundToEven(math.Ldexp(a, 10-e)))
	// steps carries the implicit bit, which increments the exponent field; a carry out of the mantissa does so again.
	return sign | (uint16(e+14)<<10 + steps)
}

func fromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	e, m := int(h>>10&31), float64(h&0x3ff)
	var a float64
	switch e {
	case 0:
		a = m * 0x1p-24
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | uint32(h&0x3ff)<<13)
	default:
		a = math.Ldexp(1024+m, e-25)
	}
	return math.Float32frombits(sign | math.Float32bits(float32(a)))
}

func (s *set[S, A]) Cast(y, x kernels.Buffer, p kernels.Elementwise) {
	if x.DType() == kernels.F32 {
		to := toBF16
		if y.DType() == kernels.F16 {
			to = toF16
		}
		ys, xs := values[uint16](y), values[S](x)
		for i := range p.Len {
			ys[i] = to(float32(xs[i]))
		}
		return
	}
	from := fromBF16
	if x.DType() == kernels.F16 {
		from = fromF16
	}
	ys, xs := values[S](y), values[uint16](x)
	for i := range p.Len {
		ys[i] = S(from(xs[i]))
	}
}
