package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

// forLevels runs f with the kernels of every level; see eachLevel.
func forLevels(t *testing.T, f func(t *testing.T, l level)) {
	for _, l := range levels() {
		t.Run(l.name, func(t *testing.T) {
			kerneltest.Required(t, l.name, l.missing())
			f(t, l)
		})
	}
}

// eachVectorLevel runs f with the row kernels of every level.
func eachVectorLevel(t *testing.T, f func(t *testing.T, v vectorKernels)) {
	forLevels(t, func(t *testing.T, l level) { f(t, l.vector) })
}

// testLengths cross every boundary of whole vectors, blocks of four vectors and masked rests.
var testLengths = []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 300}

func randoms(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// within fails unless got is within ulps roundings, at the magnitude scale, of want. What is below 2e-36 counts as 0.
func within(t *testing.T, want, got float64, scale, ulps float64, what ...any) {
	t.Helper()
	if !(math.Abs(want-got) <= ulps*scale*0x1p-24+2e-36) {
		t.Fatalf("%s: got %g, want %g (%.2g units of rounding)", fmt.Sprint(what...), got, want, math.Abs(want-got)/(scale*0x1p-24))
	}
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func TestSiLUIsAccurateOverTheWholeRange(t *testing.T) {
	eachVectorLevel(t, func(t *testing.T, v vectorKernels) {
		for lo := -110.0; lo < 110; lo += 1.0 / 16 {
			x := make([]float32, 37)
			for i := range x {
				x[i] = float32(lo + float64(i)/37/16)
			}
			y, dx, dy := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
			for i := range dy {
				dy[i] = 1
			}
			v.silu(y, x)
			v.siluGrad(dx, dy, x)
			for i := range x {
				u := float64(x[i])
				q := sigmoid64(u)
				within(t, u*q, float64(y[i]), math.Abs(u*q), 6, "SiLU(", u, ")")
				within(t, q*(1+u*(1-q)), float64(dx[i]), q*(1+math.Abs(u)*(1-q)), 8, "SiLU'(", u, ")")
			}
		}
	})
}

func TestSiLUKeepsItsLimitsAndNaN(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachVectorLevel(t, func(t *testing.T, v vectorKernels) {
		x := []float32{0, -105, -1e30, -inf, 1e30, inf, nan}
		y, dx := make([]float32, len(x)), make([]float32, len(x))
		v.silu(y, x)
		v.siluGrad(dx, []float32{1, 1, 1, 1, 1, 1, 1}, x)
		assert.Equal(t, []float32{0, 0, 0, 0, 1e30, inf}, y[:6])
		assert.InDeltaSlice(t, []float32{0.5, 0, 0, 0, 1, 1}, dx[:6], 1e-35)
		assert.True(t, math.IsNaN(float64(y[6])) && math.IsNaN(float64(dx[6])))
	})
}

func TestSoftmaxKernelsMatchTheirFormulas(t *testing.T) {
	eachVectorLevel(t, func(t *testing.T, v vectorKernels) {
		for _, n := range testLengths {
			for largest := range n {
				x := randoms(uint64(n), n)
				for i := range x {
					x[i] = 8*x[i] - 100 // all negative: a zero must not slip in
				}
				x[largest] = -20
				top := v.maximum(x)
				assert.Equal(t, slices.Max(x), top)
				y := make([]float32, n+1)
				copy(y, x)
				got, sum := float64(v.weigh(y[:n], 0.75, 0.75*top)), 0.0
				for i := range x {
					exponent := 0.75*float64(x[i]) - 0.75*float64(top) // both are rounded before exp sees them
					want := math.Exp(exponent)
					within(t, want, float64(y[i]), want, 6-exponent-0.75*float64(x[i]), "exp of ", exponent)
					sum += want
				}
				within(t, sum, got, sum, 12, "sum of ", n)
				assert.Zero(t, y[n])
				w := randoms(2, n)
				copy(y, x)
				v.dscores(y[:n], w, 0.5, 0.25)
				for i := range x {
					want := 0.25 * float64(w[i]) * (float64(x[i]) - 0.5)
					within(t, want, float64(y[i]), math.Abs(want), 3, "cotangent of score ", i)
				}
				assert.Zero(t, y[n])
			}
		}
		x := []float32{-1e30, float32(math.Inf(-1)), 0}
		assert.Equal(t, float32(1), v.weigh(x, 1, 0))
		assert.Less(t, x[0], float32(2e-38))
		assert.Less(t, x[1], float32(2e-38))
		assert.Equal(t, float32(1), x[2])
	})
}

func TestElementwiseKernelsMatchTheirFormulas(t *testing.T) {
	nan := float32(math.NaN())
	eachVectorLevel(t, func(t *testing.T, v vectorKernels) {
		for _, n := range testLengths {
			a, b, c, d := randoms(1, n), randoms(2, n), randoms(3, n), randoms(4, n)
			a[n/2] = nan
			y := make([]float32, n+1)
			for _, k := range []struct {
				name string
				run  func(y []float32)
				want func(i int) (value, scale float64)
			}{
				{"scale", func(y []float32) { v.scale(y, a, 4) }, func(i int) (float64, float64) { return 4 * float64(a[i]), 0 }},
				{"clamp", func(y []float32) { v.clamp(y, a, -0.5, 0.25) }, func(i int) (float64, float64) { return float64(min(max(a[i], -0.5), 0.25)), 0 }},
				{"add", func(y []float32) { v.add(y, a, b) }, func(i int) (float64, float64) { return float64(a[i] + b[i]), 0 }},
				{"mul", func(y []float32) { v.mul(y, a, b) }, func(i int) (float64, float64) { return float64(a[i] * b[i]), 0 }},
				{"addScaled", func(y []float32) { v.addScaled(y, a, b, 0.3) }, func(i int) (float64, float64) {
					p := float64(float32(0.3)) * float64(b[i])
					return float64(a[i]) + p, math.Abs(float64(a[i])) + math.Abs(p)
				}},
				{"combine", func(y []float32) { v.combine(y, a, b, 0.3, -0.7) }, func(i int) (float64, float64) {
					p, q := float64(float32(0.3))*float64(a[i]), float64(float32(-0.7))*float64(b[i])
					return p + q, math.Abs(p) + math.Abs(q)
				}},
				{"difference", func(y []float32) { v.difference(y, a, b, 0.3) }, func(i int) (float64, float64) {
					r := float64(float32(0.3)) * float64(a[i]-b[i])
					return r, math.Abs(r)
				}},
				{"clampGrad", func(y []float32) { v.clampGrad(y, b, a, -0.5, 0.25) }, func(i int) (float64, float64) {
					if a[i] >= -0.5 && a[i] <= 0.25 {
						return float64(b[i]), 0
					}
					return 0, 0
				}},
				{"dropout", func(y []float32) { v.dropout(y, b, c, 0.25, 2) }, func(i int) (float64, float64) {
					if c[i] >= 0.25 {
						return 2 * float64(b[i]), 0
					}
					return 0, 0
				}},
				{"posterior", func(y []float32) { v.posterior(y, a, b, c, d, 5, 0.5) }, func(i int) (float64, float64) {
					z, y, g, w := float64(a[i]), float64(b[i]), float64(c[i]), float64(d[i])
					q := 1 / (1 + 5*g*g)
					return (5*g*y+z)*q + 0.5*math.Sqrt(q)*w, (5*math.Abs(g*y)+math.Abs(z))*q + math.Abs(w)
				}},
			} {
				y[n] = 77
				k.run(y[:n])
				require.Equal(t, float32(77), y[n], "%s writes behind %d values", k.name, n)
				for i := range n {
					want, scale := k.want(i)
					if math.IsNaN(want) {
						require.True(t, math.IsNaN(float64(y[i])), "%s loses a NaN", k.name)
						continue
					}
					within(t, want, float64(y[i]), scale, 5, k.name, " of ", n, " at ", i)
				}
			}
		}
	})
}

func TestReductionsMatchTheirFormulas(t *testing.T) {
	eachVectorLevel(t, func(t *testing.T, v vectorKernels) {
		for _, n := range append(testLengths, 4096) {
			a, b := randoms(1, n), randoms(2, n)
			var sum, dot, distance, squares, size float64
			for i := range a {
				x, y := float64(a[i]), float64(b[i])
				sum += x
				dot += x * y
				distance += (x - y) * (x - y)
				squares += x * x
				size += math.Abs(x) + math.Abs(x*y)
			}
			// 4096/4 terms per accumulator at the least parallel level, with the square root law of rounding errors.
			ulps := 4 + 2*math.Sqrt(float64(n))
			within(t, sum, float64(v.sum(a)), size, ulps, "sum of ", n)
			within(t, dot, float64(v.dot(a, b)), size, ulps, "dot of ", n)
			within(t, distance, float64(v.distance(a, b)), distance, ulps, "distance of ", n)
			assert.InEpsilon(t, squares, v.squares(a), 1e-13, "squares of %d", n)
		}
	})
}

// The levels share formulas but not orders of summation.
func TestRowKernelsAgreeWithPortable(t *testing.T) {
	want := portableVector
	eachVectorLevel(t, func(t *testing.T, got vectorKernels) {
		for _, c := range testLengths {
			const rows = 5
			xs, ys := c+3, c+1
			x, dy := randoms(1, rows*xs), randoms(2, rows*ys)
			mean, a, b, q, r := randoms(3, c), randoms(4, c), randoms(5, c), randoms(6, c), randoms(7, c)
			both := func(what string, n int, run func(v vectorKernels, out []float32)) {
				w, g := make([]float32, n), make([]float32, n)
				run(want, w)
				run(got, g)
				for i := range w {
					within(t, float64(w[i]), float64(g[i]), 20, 8, what, " of ", c, " channels at ", i)
				}
			}
			both("sumRows", c, func(v vectorKernels, out []float32) { v.sumRows(out, x, rows, xs) })
			both("moments", 2*c, func(v vectorKernels, out []float32) { v.moments(out[:c], out[c:], mean, x, rows, xs) })
			both("norm", rows*ys, func(v vectorKernels, out []float32) { v.norm(out, x, rows, ys, xs, mean, a, b, 0) })
			both("normSiLU", rows*ys, func(v vectorKernels, out []float32) { v.normSiLU(out, x, rows, ys, xs, mean, a, b, 0) })
			both("normSums", 2*c, func(v vectorKernels, out []float32) { v.normSums(out[:c], out[c:], dy, x, rows, ys, xs, mean, a, b) })
			both("normSumsSiLU", 2*c, func(v vectorKernels, out []float32) {
				v.normSumsSiLU(out[:c], out[c:], dy, x, rows, ys, xs, mean, a, b)
			})
			both("normKeepSiLU", 2*c+rows*xs, func(v vectorKernels, out []float32) {
				v.normKeepSiLU(out[:c], out[c:2*c], out[2*c:], dy, x, rows, ys, xs, mean, a, b)
			})
			both("normDx", rows*xs, func(v vectorKernels, out []float32) { v.normDx(out, dy, x, rows, ys, xs, mean, a, b, q, r, 0, 0) })
			both("normDxSiLU", rows*xs, func(v vectorKernels, out []float32) {
				v.normDxSiLU(out, dy, x, rows, ys, xs, mean, a, b, q, r, 0, 0)
			})
			both("fir", c, func(v vectorKernels, out []float32) { v.fir(out, x[:c+2*2], []float32{0.2, 0.5, 0.3}, 2) })
			both("adam", 4*c, func(v vectorKernels, out []float32) {
				copy(out, x)
				for i := range out[2*c : 3*c] { // second moments are not negative
					out[2*c+i] = q[i] * q[i]
				}
				v.adam(out[:c], out[c:2*c], out[2*c:3*c], out[3*c:], r, &adamCoefficients{0.5, 0.9, 0.1, 0.99, 0.01, 3, 1e-3, 0.99, 0.01, 0.9, 0.1})
			})
		}
	})
}

func TestGeneratorsReproduceTheContractBits(t *testing.T) {
	eachVectorLevel(t, func(t *testing.T, v vectorKernels) {
		r := kernels.Random{Seed: 0x0123456789abcdef, Stream: 5, Step: 9}
		s := newPhiloxState(r)
		s.image, s.block = 42, 7
		normals, uniforms := make([]float32, 1<<16), make([]float32, 1<<16)
		v.normals(normals, &s)
		v.uniforms(uniforms, &s)
		for i := 0; i < len(normals); i += 4 {
			n, u := kernels.NormalBlock(r, 42, 7+uint32(i/4)), kernels.UniformBlock(r, 42, 7+uint32(i/4))
			for k := range 4 {
				require.Equal(t, math.Float32bits(n[k]), math.Float32bits(normals[i+k]), "normal %d", i+k)
				require.Equal(t, math.Float32bits(u[k]), math.Float32bits(uniforms[i+k]), "uniform %d", i+k)
			}
		}
	})
}
