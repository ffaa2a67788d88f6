package emu

import "math"

// The .approx instructions differ between devices; here each is defined as the float64 value of the function rounded once to
// float32. That lies inside every documented envelope:
//
//	ex2.approx    2 ulp                 lg2.approx   2^-22.6 absolute in [0.5, 2], 2 ulp elsewhere
//	rcp.approx    1 ulp                 rsqrt.approx 2^-22.9 relative
//	sqrt.approx   2^-23 relative        div.approx   2 ulp
//	sin, cos      2^-20.9 absolute in [-pi, pi]      tanh.approx 2^-11 relative
//
// so a kernel tested against the emulator must leave that much room on hardware. .ftz flushes subnormal inputs and results.
var approxOps = map[string]func(x float64) float64{
	"ex2":   exp2,
	"lg2":   log2,
	"rcp":   func(x float64) float64 { return 1 / x },
	"rsqrt": func(x float64) float64 { return 1 / math.Sqrt(x) },
	"sqrt":  math.Sqrt,
	"sin":   math.Sin,
	"cos":   math.Cos,
	"tanh":  math.Tanh,
}

// approx32 returns the .approx instruction of one operand, or nil.
func approx32(name string, ftz bool) func(d, a *lanes32) {
	f := approxOps[name]
	if f == nil {
		return nil
	}
	return each1(func(a uint32) uint32 {
		if ftz {
			a = flush(a)
		}
		r := bits32(float32(f(float64(f32(a)))))
		if ftz {
			r = flush(r)
		}
		return r
	})
}

// exp2 returns 2^x to about 1e-16 relative: 2^k times a Taylor polynomial of 2^f, |f| <= 1/2. The products are kept from being
// fused, so that every CPU gives the same bits.
func exp2(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > 1100:
		return math.Inf(1)
	case x < -1100:
		return 0
	}
	k := math.Floor(x + 0.5)
	t := float64((x - k) * math.Ln2)
	r := 1.0
	for n := 14; n > 0; n-- {
		r = 1 + float64(float64(r*t)/float64(n))
	}
	return math.Ldexp(r, int(k))
}

// log2 returns the binary logarithm to about 1e-16: exponent plus the atanh series of the fraction in [sqrt(1/2), sqrt(2)).
func log2(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = m*2, e-1
	}
	s := (m - 1) / (m + 1)
	q := float64(s * s)
	r := 0.0
	for n := 25; n > 0; n -= 2 {
		r = 1/float64(n) + float64(r*q)
	}
	return float64(e) + float64(float64(2/math.Ln2)*float64(s*r))
}
