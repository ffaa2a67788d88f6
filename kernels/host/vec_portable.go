package host

import (
	"math"
	"slices"

	"emdiff/kernels"
)

// portableVector is the first rung of every kernel: plain loops, four accumulators where a sum would wait for itself.
var portableVector = vectorKernels{
	silu:  func(dst, src []float32) { apply(dst, src, silu) },
	weigh: weighGo,
	dscores: func(dst, w []float32, rowSum, scale float32) {
		apply2(dst, w, dst, func(w, v float32) float32 { return scale * (w * (v - rowSum)) })
	},
	maximum:    func(x []float32) float32 { return slices.Max(x) },
	scale:      func(dst, src []float32, alpha float32) { apply(dst, src, func(x float32) float32 { return alpha * x }) },
	triple:     tripleGo,
	clamp:      clampGo,
	add:        func(dst, a, b []float32) { apply2(dst, a, b, func(x, y float32) float32 { return x + y }) },
	mul:        func(dst, a, b []float32) { apply2(dst, a, b, func(x, y float32) float32 { return x * y }) },
	addScaled:  addScaledGo,
	combine:    combineGo,
	difference: differenceGo,
	siluGrad:   func(dst, dy, x []float32) { apply2(dst, dy, x, func(d, x float32) float32 { return d * siluSlope(x) }) },
	clampGrad:  clampGradGo,
	dropout:    dropoutGo,
	posterior:  posteriorGo,
	adam:       adamGo,
	fir:        firGo,
	dot:        dotGo,
	distance:   distanceGo,
	sum:        sumGo,
	squares:    squaresGo,
	sumRows:    sumRowsGo,
	moments:    momentsGo,
	norm: func(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, _ int) {
		normGo(y, x, rows, yStride, xStride, mean, a, b, identity)
	},
	normSiLU: func(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, _ int) {
		normGo(y, x, rows, yStride, xStride, mean, a, b, silu)
	},
	normSums: func(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32) {
		normSumsGo(s1, s2, dy, x, rows, dyStride, xStride, mean, a, b, one)
	},
	normSumsSiLU: func(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32) {
		normSumsGo(s1, s2, dy, x, rows, dyStride, xStride, mean, a, b, siluSlope)
	},
	normKeepSiLU: func(s1, s2, du, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32) {
		for r := range rows {
			to, dyRow, xRow := du[r*xStride:], dy[r*dyStride:], x[r*xStride:]
			for c, m := range mean {
				to[c] = dyRow[c] * siluSlope((xRow[c]-m)*a[c]+b[c])
			}
		}
		normSumsGo(s1, s2, du, x, rows, xStride, xStride, mean, a, b, one)
	},
	normDx: func(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, _, _ int) {
		normDxGo(dx, dy, x, rows, dyStride, xStride, mean, a, b, q, r, one)
	},
	normDxSiLU: func(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, _, _ int) {
		normDxGo(dx, dy, x, rows, dyStride, xStride, mean, a, b, q, r, siluSlope)
	},
	uniforms: func(dst []float32, s *philoxState) { blocksGo(dst, s, kernels.UniformBlock) },
	normals:  func(dst []float32, s *philoxState) { blocksGo(dst, s, kernels.NormalBlock) },
	update:   updateGo,
}

func apply(dst, src []float32, f func(float32) float32) {
	for i := range dst {
		dst[i] = f(src[i])
	}
}

func apply2(dst, a, b []float32, f func(x, y float32) float32) {
	for i := range dst {
		dst[i] = f(a[i], b[i])
	}
}

func identity(x float32) float32 { return x }

func one(float32) float32 { return 1 }

// expNeg is exp(-x) for x >= -104; see expCoef.
func expNeg(x float32) float32 {
	t := max(-x, expLow)
	n := float32(math.RoundToEven(float64(t * math.Log2E)))
	t = t - n*expLn2Hi
	t = t - n*expLn2Lo
	p := expCoef[4]
	for i := 3; i >= 0; i-- {
		p = p*t + expCoef[i]
	}
	p = (p*t+1)*t + 1
	// 2^n in two factors, so that overflow is that of the product.
	half := int32(n) >> 1
	return p * exponent(half) * exponent(int32(n)-half)
}

// exponent is 2^n for normal results.
func exponent(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

func silu(x float32) float32 {
	if x != x {
		return x
	}
	x = max(x, siluLow)
	return x / (1 + expNeg(x))
}

// siluSlope is the derivative s (1 + x e s) with e = exp(-x), s = 1/(1+e).
func siluSlope(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, expLow), slopeHigh)
	e := expNeg(x)
	s := 1 / (1 + e)
	return s * (1 + x*(e*s))
}

func weighGo(x []float32, scale, shift float32) float32 {
	return lanes4(len(x), func(i int) float32 {
		x[i] = expNeg(shift - scale*x[i])
		return x[i]
	})
}

func updateGo(dst, src, d, e []float32, c *updateCoefficients, s *philoxState) {
	var w [4]float32
	state := *s
	for i := range dst {
		if i%4 == 0 {
			state.block = s.block + uint32(i/4)
			blocksGo(w[:], &state, kernels.NormalBlock)
		}
		v := c.A * src[i]
		if d != nil {
			v += c.B * d[i]
		}
		if e != nil {
			v += c.C * e[i]
		}
		dst[i] = v + c.Noise*w[i%4]
	}
}

func tripleGo(dst, src []float32) {
	for i := range len(dst) / 3 {
		dst[3*i], dst[3*i+1], dst[3*i+2] = src[i], src[i], src[i]
	}
}

func clampGo(dst, src []float32, lo, hi float32) {
	for i := range dst {
		dst[i] = min(max(src[i], lo), hi)
	}
}

func addScaledGo(dst, a, b []float32, alpha float32) {
	for i := range dst {
		dst[i] = a[i] + alpha*b[i]
	}
}

func combineGo(dst, a, b []float32, alpha, beta float32) {
	for i := range dst {
		dst[i] = alpha*a[i] + beta*b[i]
	}
}

func differenceGo(dst, a, b []float32, alpha float32) {
	for i := range dst {
		dst[i] = alpha * (a[i] - b[i])
	}
}

func clampGradGo(dst, dy, x []float32, lo, hi float32) {
	for i := range dst {
		d := float32(0)
		if lo <= x[i] && x[i] <= hi {
			d = dy[i]
		}
		dst[i] = d
	}
}

func dropoutGo(dst, x, u []float32, rate, alpha float32) {
	for i := range dst {
		v := float32(0)
		if u[i] >= rate {
			v = alpha * x[i]
		}
		dst[i] = v
	}
}

func posteriorGo(dst, z, y, gain, w []float32, k, noise float32) {
	for i := range dst {
		gk := gain[i] * k
		q := 1 / (gain[i]*gk + 1)
		dst[i] = (gk*y[i]+z[i])*q + noise*sqrt32(q)*w[i]
	}
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func adamGo(w, m, v, ema, g []float32, c *adamCoefficients) {
	for i := range w {
		gi := g[i] * c.Clip
		m[i] = c.Beta1*m[i] + c.Rest1*gi
		v[i] = c.Beta2*v[i] + c.Rest2*(gi*gi)
		w[i] -= c.Decay*w[i] + c.Step*(m[i]/(sqrt32(v[i]*c.Unbias2)+c.Eps))
		ema[i] = c.EMA*ema[i] + c.RestEMA*w[i]
	}
}

func firGo(dst, src, taps []float32, step int) {
	for i := range dst {
		sum := float32(0)
		for k, tap := range taps {
			sum += tap * src[i+k*step]
		}
		dst[i] = sum
	}
}

// lanes4 adds f(0) ... f(n-1) to four sums in turn.
func lanes4(n int, f func(i int) float32) float32 {
	var s [4]float32
	for i := range n {
		s[i&3] += f(i)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func dotGo(a, b []float32) float32 {
	return lanes4(len(a), func(i int) float32 { return a[i] * b[i] })
}

func distanceGo(a, b []float32) float32 {
	return lanes4(len(a), func(i int) float32 {
		d := a[i] - b[i]
		return d * d
	})
}

func sumGo(x []float32) float32 {
	return lanes4(len(x), func(i int) float32 { return x[i] })
}

func squaresGo(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

func sumRowsGo(dst, x []float32, rows, stride int) {
	clear(dst)
	for r := range rows {
		row := x[r*stride:][:len(dst)]
		for c, v := range row {
			dst[c] += v
		}
	}
}

func momentsGo(sum, squares, pivot, x []float32, rows, stride int) {
	for r := range rows {
		for c, v := range x[r*stride:][:len(sum)] {
			d := v - pivot[c]
			sum[c] += d
			squares[c] += d * d
		}
	}
}

func normGo(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, act func(float32) float32) {
	for r := range rows {
		to, from := y[r*yStride:], x[r*xStride:]
		for c, m := range mean {
			to[c] = act((from[c]-m)*a[c] + b[c])
		}
	}
}

func normSumsGo(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32, slope func(float32) float32) {
	for r := range rows {
		dyRow, xRow := dy[r*dyStride:], x[r*xStride:]
		for c, m := range mean {
			d := xRow[c] - m
			du := dyRow[c] * slope(d*a[c]+b[c])
			s1[c] += du
			s2[c] += du * d
		}
	}
}

func normDxGo(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, shift []float32, slope func(float32) float32) {
	for r := range rows {
		to, dyRow, xRow := dx[r*xStride:], dy[r*dyStride:], x[r*xStride:]
		for c, m := range mean {
			d := xRow[c] - m
			du := dyRow[c] * slope(d*a[c]+b[c])
			to[c] = a[c]*du + (q[c]*d + shift[c])
		}
	}
}

// blocksGo writes one block after the other.
func blocksGo(dst []float32, s *philoxState, draw func(r kernels.Random, image, block uint32) [4]float32) {
	r := kernels.Random{Seed: uint64(s.keys[0][1])<<32 | uint64(s.keys[0][0]), Step: s.step, Stream: s.stream}
	for i := 0; i < len(dst); i += 4 {
		v := draw(r, s.image, s.block+uint32(i/4))
		copy(dst[i:], v[:])
	}
}
