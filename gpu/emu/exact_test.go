package emu

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"emdiff/gpu/ptx"

	"github.com/stretchr/testify/require"
)

// rat returns a finite float as an exact rational.
func rat(x float64) *big.Rat { return new(big.Rat).SetFloat64(x) }

// exactFMA returns a*b+c exactly; all finite.
func exactFMA(a, b, c float32) *big.Rat {
	p := new(big.Rat).Mul(rat(float64(a)), rat(float64(b)))
	return p.Add(p, rat(float64(c)))
}

// float32From rounds a rational to nearest even. (The signs of zeros are the caller's.)
func float32From(r *big.Rat) float32 {
	f, _ := r.Float32()
	return f
}

// roundRat rounds a rational to float32 in any mode, by looking at its neighbours.
func roundRat(r *big.Rat, mode rounding) float32 {
	f := float32From(r)
	cmp := func() int { // f against r
		if math.IsInf(float64(f), 0) {
			return int(math.Copysign(1, float64(f)))
		}
		return rat(float64(f)).Cmp(r)
	}
	if mode == toZero {
		mode = down
		if r.Sign() < 0 {
			mode = up
		}
	}
	switch {
	case mode == down && cmp() > 0:
		return math.Nextafter32(f, float32(math.Inf(-1)))
	case mode == up && cmp() < 0:
		return math.Nextafter32(f, float32(math.Inf(1)))
	}
	return f
}

var edges32 = []uint32{0, 1, 2, 3, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x33800000, 0x34000000, 0x34000001, 0x3F7FFFFF,
	0x3F800000, 0x3F800001, 0x3FFFFFFF, 0x40000000, 0x4B000000, 0x4B7FFFFF, 0x4B800000, 0x4B800001, 0x4EFFFFFF, 0x4F000000, 0x4F800000,
	0x5F000000, 0x7F000000, 0x7F7FFFFE, 0x7F7FFFFF}

// testFloats gives n finite float32: edges of both signs, any bits, values close in size, small integers.
func testFloats(seed uint64, n int) []uint32 {
	g := rand.New(rand.NewPCG(seed, 2))
	out := make([]uint32, n)
	for i := range out {
		switch g.IntN(4) {
		case 0:
			out[i] = edges32[g.IntN(len(edges32))] | g.Uint32()&0x80000000
		case 1:
			out[i] = g.Uint32()
		case 2:
			out[i] = math.Float32bits(float32(g.NormFloat64()))
		default: // few mantissa bits: ties are frequent
			out[i] = (g.Uint32()&0x8003_0000 | uint32(100+g.IntN(60))<<23) + uint32(g.IntN(3)) - 1
		}
		if out[i]&0x7F800000 == 0x7F800000 {
			out[i] &^= 0x40000000
		}
	}
	return out
}

const trials = 20000 // lanes per operation

// overWarps calls f for every full warp of operands.
func overWarps(n int, f func(at int)) {
	for at := 0; at+warpSize <= n; at += warpSize {
		f(at)
	}
}

func lanesAt(v []uint32, at int) *lanes32 { return (*lanes32)(v[at:]) }

func TestFMAIsRoundedOnce(t *testing.T) {
	a, b, c := testFloats(1, trials), testFloats(2, trials), testFloats(3, trials)
	// Products of 25 bits lie exactly between two float32; an addend too small for a float64 next to them decides the direction.
	g := rand.New(rand.NewPCG(4, 4))
	for i := 0; i < trials; i += 2 {
		e := g.IntN(100) - 50
		a[i] = math.Float32bits(float32(math.Ldexp(float64(1<<12+g.IntN(1<<10)|1), e)))
		b[i] = math.Float32bits(float32(1<<12 + g.IntN(1<<10) | 1))
		c[i] = math.Float32bits(float32(math.Ldexp(1, e-40-g.IntN(20)))) | g.Uint32()&0x80000000
	}
	for name, mode := range roundings {
		fma := floatOp{name: "fma", mode: mode}.ternary32()
		var d, portable lanes32
		overWarps(trials, func(at int) {
			fma(&d, lanesAt(a, at), lanesAt(b, at), lanesAt(c, at))
			if mode == toNearest {
				fmaPortable(&portable, lanesAt(a, at), lanesAt(b, at), lanesAt(c, at))
				require.Equal(t, portable, d)
			}
			for i := range d {
				x, y, z := f32(a[at+i]), f32(b[at+i]), f32(c[at+i])
				exact := exactFMA(x, y, z)
				if want := roundRat(exact, mode); exact.Sign() != 0 && want != f32(d[i]) {
					require.Failf(t, "fma."+name, "%x*%x+%x = %x, want %x", a[at+i], b[at+i], c[at+i], d[i], math.Float32bits(want))
				}
			}
		})
	}
}

func TestFMACornerCases(t *testing.T) {
	inf, big, tie := float32(math.Inf(1)), float32(math.MaxFloat32), float32(1+0x1p-23)
	for _, c := range []struct {
		a, b, c float32
		want    uint32
	}{
		{inf, 0, 1, nan32}, {inf, 1, -inf, nan32}, {float32(math.NaN()), 1, 1, nan32}, {inf, 2, 1, 0x7F800000},
		{big, 2, -inf, 0xFF800000}, {big, 2, -big, 0x7F7FFFFF}, {big, 2, 0, 0x7F800000},
		{0, -1, 0, 0}, {-1, 0, float32(math.Copysign(0, -1)), 0x80000000}, {1, 1, -1, 0},
		{0x1p-149, 0.5, 0, 0}, {0x1p-149, 0.5, 0x1p-149, 2}, {0x1.8p-149, 0.5, 0, 1},
		{0x1p-75, 0x1p-75, 0, 0},                                                     // half of the smallest subnormal: to even
		{0x1p-75, 0x1.000002p-75, 0, 1},                                              // just above it
		{0x1p-100, 0x1p-100, tie, math.Float32bits(tie)},                             // far below
		{0x1p-12, 0x1p-12, tie, math.Float32bits(1 + 0x1p-22)},                       // tie to even
		{0x1.000002p-12, 0x1p-12, 1, math.Float32bits(tie)},                          // above a tie
		{1 + 0x1p-12, 1 + 0x1p-12, 0x1p-80, math.Float32bits(1 + 0x1p-11 + 0x1p-23)}, // a tie but for a bit that float64 loses
		{1 + 0x1p-12, 1 + 0x1p-12, -0x1p-80, math.Float32bits(1 + 0x1p-11)},
		{-0x1p-149, 0x1p-149, 0x1p-24, math.Float32bits(0x1p-24)},
		{-0x1p-149, 0x1p-149, 0x1.000001p0, math.Float32bits(0x1.000001p0)},
	} {
		var a, b, z, d lanes32
		a[3], b[3], z[3] = math.Float32bits(c.a), math.Float32bits(c.b), math.Float32bits(c.c)
		for name, fma := range map[string]func(d, a, b, c *lanes32){"chosen": fmaF32, "portable": fmaPortable} {
			fma(&d, &a, &b, &z)
			require.Equal(t, c.want, d[3], "%s: %g*%g+%g", name, c.a, c.b, c.c)
		}
	}
}

func TestBinaryArithmeticIsCorrectlyRounded(t *testing.T) {
	exact := map[string]func(x, y *big.Rat) *big.Rat{
		"add": func(x, y *big.Rat) *big.Rat { return new(big.Rat).Add(x, y) },
		"sub": func(x, y *big.Rat) *big.Rat { return new(big.Rat).Sub(x, y) },
		"mul": func(x, y *big.Rat) *big.Rat { return new(big.Rat).Mul(x, y) },
		"div": func(x, y *big.Rat) *big.Rat { return new(big.Rat).Quo(x, y) },
	}
	a, b := testFloats(5, trials), testFloats(6, trials)
	for op, f := range exact {
		for name, mode := range roundings {
			run := floatOp{name: op, mode: mode}.binary32()
			var d lanes32
			overWarps(trials, func(at int) {
				run(&d, lanesAt(a, at), lanesAt(b, at))
				for i := range d {
					x, y := f32(a[at+i]), f32(b[at+i])
					if op == "div" && y == 0 {
						continue
					}
					r := f(rat(float64(x)), rat(float64(y)))
					if want := roundRat(r, mode); r.Sign() != 0 && want != f32(d[i]) {
						require.Failf(t, op+"."+name, "%x, %x gives %x, want %x", a[at+i], b[at+i], d[i], math.Float32bits(want))
					}
				}
			})
		}
	}
}

func TestSignsOfZero(t *testing.T) {
	negZero := math.Float32bits(float32(math.Copysign(0, -1)))
	one := math.Float32bits(1)
	for _, c := range []struct {
		op   string
		mode rounding
		a, b uint32
		want uint32
	}{
		{"add", toNearest, one, one | 1<<31, 0}, {"add", down, one, one | 1<<31, negZero}, {"sub", down, one, one, negZero},
		{"add", down, 0, 0, 0}, {"add", toNearest, negZero, negZero, negZero}, {"mul", toNearest, negZero, one, negZero},
		{"mul", down, 0, one, 0}, {"add", up, one, one | 1<<31, 0}, {"div", toNearest, negZero, one, negZero},
	} {
		var a, b, d lanes32
		a[0], b[0] = c.a, c.b
		floatOp{name: c.op, mode: c.mode}.binary32()(&d, &a, &b)
		require.Equal(t, c.want, d[0], "%s mode %d of %x, %x", c.op, c.mode, c.a, c.b)
	}
}

func TestSqrtAndReciprocalAreCorrectlyRounded(t *testing.T) {
	a := testFloats(7, trials)
	for name, mode := range roundings {
		var s, q lanes32
		sqrt, rcp := floatOp{name: "sqrt", mode: mode}.unary32(), floatOp{name: "rcp", mode: mode}.unary32()
		overWarps(trials, func(at int) {
			sqrt(&s, lanesAt(a, at))
			rcp(&q, lanesAt(a, at))
			for i := range s {
				x := f32(a[at+i])
				if x == 0 {
					continue
				}
				want := roundRat(new(big.Rat).Inv(rat(float64(x))), mode)
				require.Equal(t, want, f32(q[i]), "rcp.%s %x", name, a[at+i])
				if x < 0 {
					require.Equal(t, uint32(nan32), s[i])
					continue
				}
				// 200 bits of the root stand for the exact one: no float32 tie or value is that close without being equal.
				root := new(big.Float).SetPrec(200).Sqrt(new(big.Float).SetPrec(200).SetFloat64(float64(x)))
				r, _ := root.Rat(nil)
				require.Equal(t, roundRat(r, mode), f32(s[i]), "sqrt.%s %x", name, a[at+i])
			}
		})
	}
}

func TestFlushToZero(t *testing.T) {
	var a, b, d lanes32
	a[0], b[0] = 0x00400000, 0x3F800000 // a subnormal input counts as zero
	a[1], b[1] = 0x00800000, 0x3F000000 // a subnormal result becomes zero
	a[2], b[2] = 0x80800000, 0x3F000000 // of its sign
	floatOp{name: "mul", ftz: true}.binary32()(&d, &a, &b)
	require.Equal(t, []uint32{0, 0, 0x80000000}, d[:3])
	floatOp{name: "mul"}.binary32()(&d, &a, &b)
	require.Equal(t, []uint32{0x00400000, 0x00400000, 0x80400000}, d[:3], "without .ftz subnormals live")
}

// smallExact rounds an exact value to a small format by comparing with every neighbour on a bisected list of its values.
func smallExact(f smallFloat, x float64) uint32 {
	best, bestErr := uint32(0), math.Inf(1)
	lo, hi := uint32(0), uint32(1<<(f.exp+f.man)-1<<f.man) // non-negative values are ordered like their bits; hi is infinity
	limit := math.Ldexp(2-math.Ldexp(1, -f.man-1), 1<<(f.exp-1)-1)
	mag := math.Abs(x)
	if mag >= limit {
		best = hi
	} else {
		for hi-lo > 1 {
			if mid := (lo + hi) / 2; f.decode(mid) <= mag {
				lo = mid
			} else {
				hi = mid
			}
		}
		for _, c := range []uint32{lo, lo + 1} {
			if v := f.decode(c); !math.IsInf(v, 0) || c == lo {
				if e := math.Abs(v - mag); e < bestErr || e == bestErr && c%2 == 0 {
					best, bestErr = c, e
				}
			}
		}
	}
	if math.Signbit(x) {
		best |= 1 << (f.exp + f.man)
	}
	return best
}

func TestHalfFormatsRoundToNearestEven(t *testing.T) {
	for name, f := range map[string]smallFloat{"f16": formatF16, "bf16": formatBF16} {
		for b := range uint32(1 << 16) {
			if v := f.decode(b); v == v {
				require.Equal(t, b, f.encode(v, toNearest), "%s bits %x survive", name, b)
			}
		}
		for _, x := range testFloats(8, trials) {
			v := float64(f32(x))
			if f == formatF16 {
				v = math.Ldexp(v, -3)
			}
			require.Equal(t, smallExact(f, v), f.encode(v, toNearest), "%s of %x", name, x)
		}
		require.Equal(t, uint32(0x7FFF), f.encode(math.NaN(), toNearest))
	}
}

func TestTF32RoundsTiesAway(t *testing.T) {
	var a, d lanes32
	copy(a[:], []uint32{0x3F801000, 0x3F800FFF, 0xBF801000, 0x3F803000, 0x7F800000, 0x7FC00001, 0x3FFFF000, 0x7F7FFFFF})
	cvtTF32(&d, &a)
	require.Equal(t, []uint32{0x3F802000, 0x3F800000, 0xBF802000, 0x3F804000, 0x7F800000, nan32 &^ 0x1FFF, 0x40000000, 0x7F800000}, d[:8])
}

func TestConversionsAgainstExactArithmetic(t *testing.T) {
	g := rand.New(rand.NewPCG(10, 1))
	for range trials {
		v := g.Uint64() >> g.IntN(64)
		for name, mode := range roundings {
			u := cvtOp{dst: ptx.F32, src: ptx.U64, mode: mode}.convert()
			require.Equal(t, roundRat(new(big.Rat).SetUint64(v), mode), f32(uint32(u(v))), "cvt.%s.f32.u64 %d", name, v)
			s := cvtOp{dst: ptx.F32, src: ptx.S64, mode: mode}.convert()
			require.Equal(t, roundRat(new(big.Rat).SetInt64(int64(v)), mode), f32(uint32(s(v))), "cvt.%s.f32.s64 %d", name, int64(v))
		}
		d := cvtOp{dst: ptx.F64, src: ptx.S64}.convert()
		require.Equal(t, float64(int64(v)), f64(d(v)))
	}
	for _, x := range testFloats(11, trials) {
		v := float64(f32(x))
		for name, mode := range roundings {
			whole := new(big.Float).SetFloat64(roundInt(v, mode))
			clamp := func(lo, hi int64) int64 {
				i, _ := whole.Int64()
				return min(max(i, lo), hi)
			}
			s := cvtOp{dst: ptx.S32, src: ptx.F32, mode: mode, integral: true}.convert()
			require.Equal(t, clamp(math.MinInt32, math.MaxInt32), int64(int32(s(uint64(x)))), "cvt.%si.s32.f32 %x", name, x)
			u := cvtOp{dst: ptx.U8, src: ptx.F32, mode: mode, integral: true}.convert()
			require.Equal(t, clamp(0, 255), int64(u(uint64(x))), "cvt.%si.u8.f32 %x", name, x)
		}
		// float64 to float32, from values with more bits than it holds
		w := v * (1 + 0x1p-30)
		if !math.IsInf(w, 0) {
			n := cvtOp{dst: ptx.F32, src: ptx.F64, mode: toZero}.convert()
			require.Equal(t, roundRat(rat(w), toZero), f32(uint32(n(math.Float64bits(w)))))
		}
	}
	nan := cvtOp{dst: ptx.S32, src: ptx.F32, mode: toZero, integral: true}.convert()
	require.Zero(t, nan(nan32))
}

func TestApproximationsStayInTheirEnvelopes(t *testing.T) {
	ulp := func(x float64) float64 {
		f := float32(math.Abs(x))
		return float64(math.Nextafter32(f, float32(math.Inf(1)))) - float64(f)
	}
	reference := map[string]func(x float64) float64{"ex2": math.Exp2, "lg2": math.Log2, "rcp": func(x float64) float64 { return 1 / x },
		"rsqrt": func(x float64) float64 { return 1 / math.Sqrt(x) }, "sqrt": math.Sqrt, "sin": math.Sin, "cos": math.Cos, "tanh": math.Tanh}
	require.Len(t, approxOps, len(reference))
	g := rand.New(rand.NewPCG(12, 1))
	for name, f := range reference {
		run := approx32(name, false)
		var a, d lanes32
		for range trials / warpSize {
			for i := range a {
				x := float32(g.NormFloat64() * 20)
				if name == "lg2" || name == "rsqrt" || name == "sqrt" {
					x = float32(math.Exp(g.NormFloat64() * 20))
				}
				a[i] = math.Float32bits(x)
			}
			run(&d, &a)
			for i := range d {
				want := f(float64(f32(a[i])))
				// Half an ulp of float32, and what two float64 evaluations may differ by.
				require.InDelta(t, want, float64(f32(d[i])), ulp(want)*0.5001, "%s(%g)", name, f32(a[i]))
			}
		}
	}
	for _, c := range []struct {
		op   string
		x    float32
		want float64
	}{{"ex2", 0, 1}, {"ex2", float32(math.Inf(-1)), 0}, {"ex2", 200, math.Inf(1)}, {"ex2", -149, 0x1p-149}, {"ex2", -160, 0}, {"ex2", 10, 1024},
		{"lg2", 8, 3}, {"lg2", 0, math.Inf(-1)}, {"lg2", 1, 0}, {"rcp", 0, math.Inf(1)}} {
		var a, d lanes32
		a[0] = math.Float32bits(c.x)
		approx32(c.op, false)(&d, &a)
		require.Equal(t, float32(c.want), f32(d[0]), fmt.Sprint(c.op, c.x))
	}
}

func TestMinMaxFollowTheISA(t *testing.T) {
	nan, negZero := math.Float32bits(float32(math.NaN())), uint32(0x80000000)
	var a, b, d lanes32
	a[0], b[0] = nan, 0x3F800000
	a[1], b[1] = 0x3F800000, nan
	a[2], b[2] = nan, nan
	a[3], b[3] = 0, negZero
	a[4], b[4] = negZero, 0
	floatOp{name: "max"}.binary32()(&d, &a, &b)
	require.Equal(t, []uint32{0x3F800000, 0x3F800000, nan32, 0, 0}, d[:5])
	floatOp{name: "min"}.binary32()(&d, &a, &b)
	require.Equal(t, []uint32{0x3F800000, 0x3F800000, nan32, negZero, negZero}, d[:5])
	floatOp{name: "max", nan: true}.binary32()(&d, &a, &b)
	require.Equal(t, []uint32{nan32, nan32, nan32}, d[:3])
}
