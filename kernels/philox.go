package kernels

import "math"

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) is the only source of randomness.
// Element e of image id i uses word e%4 of the block with counter {e/4, i, step, stream} and key {low, high word of seed}.
const (
	PhiloxM0 = 0xD2511F53
	PhiloxM1 = 0xCD9E8D57
	PhiloxW0 = 0x9E3779B9
	PhiloxW1 = 0xBB67AE85
)

// Philox returns block number block of image id image: four independent uniform words.
func Philox(r Random, image, block uint32) [4]uint32 {
	c := [4]uint32{block, image, r.Step, r.Stream}
	k0, k1 := uint32(r.Seed), uint32(r.Seed>>32)
	for range 10 {
		p0 := uint64(PhiloxM0) * uint64(c[0])
		p1 := uint64(PhiloxM1) * uint64(c[2])
		c = [4]uint32{uint32(p1>>32) ^ c[1] ^ k0, uint32(p1), uint32(p0>>32) ^ c[3] ^ k1, uint32(p0)}
		k0 += PhiloxW0
		k1 += PhiloxW1
	}
	return c
}

// UniformFromBits maps a word to the open interval (0, 1): the centres of 2^23 equal cells, all exact in float32.
func UniformFromBits(b uint32) float32 {
	return float32(float32(b>>9)+0.5) * (1.0 / (1 << 23))
}

// UniformBlock returns the four uniforms of a block.
func UniformBlock(r Random, image, block uint32) [4]float32 {
	b := Philox(r, image, block)
	return [4]float32{UniformFromBits(b[0]), UniformFromBits(b[1]), UniformFromBits(b[2]), UniformFromBits(b[3])}
}

// NormalBlock returns the four standard normals of a block: two Box-Muller pairs, (words 0, 1) and (words 2, 3). Every
// implementation must reproduce these bits, so it is made of integer work and unfused float32 multiply, add, divide and
// square root; the explicit conversions forbid fusing.
func NormalBlock(r Random, image, block uint32) [4]float32 {
	b := Philox(r, image, block)
	n0, n1 := boxMuller(b[0], b[1])
	n2, n3 := boxMuller(b[2], b[3])
	return [4]float32{n0, n1, n2, n3}
}

// boxMuller returns sqrt(-2 ln u) * (cos, sin)(2 pi v), u from a by UniformFromBits and v = (b>>8)/2^24.
func boxMuller(a, b uint32) (float32, float32) {
	r := sqrt32(float32(-2 * NormalLog(UniformFromBits(a))))
	s, c := NormalSinCos(b)
	return float32(r * c), float32(r * s)
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) } // correctly rounded: 53 >= 2*24+2 bits

// The constants of NormalLog and NormalSinCos, shared by every implementation.
const (
	NormalLn2     = float32(0.6931471805599453)
	NormalSqrt2   = float32(1.4142135623730951)
	NormalQuarter = float32(1.5707963267948966 / (1 << 22)) // pi/2 over 2^22 steps
)

// NormalLogCoef are the coefficients 1/3, 1/5, 1/7, 1/9 of atanh(s)/s in powers of s^2, lowest first.
var NormalLogCoef = [4]float32{1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9}

// NormalSinCoef and NormalCosCoef are the Taylor coefficients of sin(a)/a and cos(a) in powers of a^2 after the leading
// 1, lowest first; |a| <= pi/4 keeps the error below 1e-7.
var (
	NormalSinCoef = [4]float32{-1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880}
	NormalCosCoef = [4]float32{-1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320}
)

// NormalLog is the natural logarithm for 2^-24 <= u < 1. u = m 2^e with m in [sqrt(1/2), sqrt(2)); with
// s = (m-1)/(m+1), ln m = 2 s (1 + s^2/3 + s^4/5 + ...).
func NormalLog(u float32) float32 {
	bits := math.Float32bits(u)
	e := int32(bits>>23) - 127
	m := math.Float32frombits(bits&0x7fffff | 0x3f800000)
	if m >= NormalSqrt2 {
		m = float32(m * 0.5)
		e++
	}
	s := float32(float32(m-1) / float32(m+1))
	t := float32(s * s)
	p := horner(t, &NormalLogCoef)
	p = float32(p*t) + 1
	return float32(float32(float32(2*s)*p) + float32(float32(e)*NormalLn2))
}

// NormalSinCos returns sin and cos of 2 pi (b>>8)/2^24: the quadrant and the rest are split in integers, so the
// argument of the polynomials, |a| <= pi/4, is a single rounded product.
func NormalSinCos(b uint32) (sin, cos float32) {
	k := b>>8 + 1<<21
	quadrant := k >> 22 & 3
	a := float32(float32(int32(k&(1<<22-1))-1<<21) * NormalQuarter)
	t := float32(a * a)
	s := float32(a * (float32(horner(t, &NormalSinCoef)*t) + 1))
	c := float32(horner(t, &NormalCosCoef)*t) + 1
	switch quadrant {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	default:
		return -c, s
	}
}

// horner evaluates c0 + c1 t + c2 t^2 + c3 t^3 without fusing.
func horner(t float32, c *[4]float32) float32 {
	p := float32(c[3]*t) + c[2]
	p = float32(p*t) + c[1]
	return float32(p*t) + c[0]
}
