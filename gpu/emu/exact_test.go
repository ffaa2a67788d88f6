package emu

import (
	"math"
	"math/big"
)

// rat returns a finite float as an exact rational.
func rat(x float64) *big.Rat { return new(big.Rat).SetFloat64(x) }

// exactFMA returns a*b+c exactly; all finite.
func exactFMA(a, b, c float32) *big.Rat {
	p := new(big.Rat).Mul(rat(float64(a)), rat(float64(b)))
	return p.Add(p, rat(float64(c)))
}

// float32From rounds a rational to nearest even. (Signed zeros are the caller's.)
func float32From(r *big.Rat) float32 {
	f, _ := r.Float32()
	return f
}

// roundRat rounds a rational to float32 in any mode, by looking at its neighbours.
func roundRat(r *big.Rat, mode rounding) float32 {
	f := float32From(r)
	if mode == toNearest {
		return f
	}
	above := func(x float32) bool { // x > r
		if math.IsInf(float64(x), 0) {
			return x > 0
		}
		return rat(float64(x)).Cmp(r) > 0
	}
	below := func(x float32) bool {
		if math.IsInf(float64(x), 0) {
			return x < 0
		}
		return rat(float64(x)).Cmp(r) < 0
	}
	if mode == toZero {
		mode = down
		if r.Sign() < 0 {
			mode = up
		}
	}
	if mode == down && above(f) {
		return math.Nextafter32(f, float32(math.Inf(-1)))
	}
	if mode == up && below(f) {
		return math.Nextafter32(f, float32(math.Inf(1)))
	}
	return f
}
