package host

import (
	"math"

	"emdiff/kernels"
)

type castJob struct {
	f32       []float32
	u16       []uint16
	n         int
	narrow    bool
	widenBits func(uint16) float32
	roundBits func(float32) uint16
}

func (j *castJob) part(_, i int) {
	wide, half := j.f32[i*grain:min(i*grain+grain, j.n)], j.u16[i*grain:min(i*grain+grain, j.n)]
	if j.narrow {
		for k, v := range wide {
			half[k] = j.roundBits(v)
		}
		return
	}
	for k, v := range half {
		wide[k] = j.widenBits(v)
	}
}

// Cast converts between F32 and the 16-bit types, rounding to nearest even.
func (s *Set) Cast(y, x kernels.Buffer, p kernels.Elementwise) {
	wide, half := y, x
	if x.DType() == kernels.F32 {
		wide, half = x, y
	}
	s.cast = castJob{f32(wide), u16(half), p.Len, wide == x, widenBF16, roundBF16}
	if half.DType() == kernels.F16 {
		s.cast.widenBits, s.cast.roundBits = widenF16, roundF16
	}
	s.pool.run((p.Len+grain-1)/grain, &s.cast)
}

func widenBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// roundBF16 adds half of the last place less one, plus the last bit kept, so that ties go to even.
func roundBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 1<<6 // a quiet NaN
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// widenF16 moves the exponent by a multiplication, which also normalises subnormals.
func widenF16(h uint16) float32 {
	magnitude := math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112
	if h&0x7c00 == 0x7c00 { // infinity or NaN
		magnitude = math.Float32frombits(uint32(h&0x7fff)<<13 | 0x7f800000)
	}
	return math.Float32frombits(math.Float32bits(magnitude) | uint32(h&0x8000)<<16)
}

// roundF16 lets float32 additions round: subnormals against the spacing 2^-24, the rest in the integer bits.
func roundF16(x float32) uint16 {
	b := math.Float32bits(x)
	sign, a := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case a > 0x7f800000:
		return sign | 0x7e00
	case a >= 0x477ff000: // half way between the largest value and the next power of two
		return sign | 0x7c00
	case a < 0x38800000: // below 2^-14
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5)-0x3f000000)
	}
	return sign | uint16((a+0xfff+a>>13&1-112<<23)>>13)
}
