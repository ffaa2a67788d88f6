package metric

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

// golden is one case of testdata/skimage.json; bench/peers/golden/ssim.py makes it.
type golden struct {
	Name    string
	H, W, C int
	X, Ref  []byte
	SSIM    float64
	PSNR    *float64 // nil where it is infinite
}

func goldens(t *testing.T) []golden {
	t.Helper()
	text, err := os.ReadFile("testdata/skimage.json")
	require.NoError(t, err)
	var file struct{ Cases []golden }
	require.NoError(t, json.Unmarshal(text, &file))
	require.NotEmpty(t, file.Cases)
	return file.Cases
}

func values(bytes []byte) []float32 {
	v := make([]float32, len(bytes))
	for i, b := range bytes {
		v[i] = float32(float64(b)/127.5 - 1)
	}
	return v
}

// noisy is n values of standard deviation 0.3 around a ramp over [-1, 1].
func noisy(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*float32(i)/float32(n) - 1 + 0.3*float32(r.NormFloat64())
	}
	return x
}

// Both sides sum the same float64 products in another order, over at most 11 x 11 terms of size 1
// and up to 10^4 windows: 1e-11 is a thousand roundings and far below any printed digit.
const roundingOnly = 1e-11

func TestPSNRAndSSIMAgreeWithScikitImage(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			x, ref := values(g.X), values(g.Ref)
			assert.InDelta(t, g.SSIM, SSIM(x, ref, g.H, g.W, g.C), roundingOnly)
			if g.PSNR == nil {
				assert.Equal(t, math.Inf(1), PSNR(x, ref))
				return
			}
			assert.InDelta(t, *g.PSNR, PSNR(x, ref), roundingOnly)
		})
	}
}

func TestPSNRIsTheFormulaUnclipped(t *testing.T) {
	// An error of 0.2 everywhere: 10 log10(4 / 0.04) = 20 dB, also outside [-1, 1]. float32 rounds
	// 1.2 and 3.2 by at most 2^-24 relative, which moves the result by less than 1e-5 dB.
	assert.InDelta(t, 20, PSNR([]float32{1.2, -0.2, 3.2}, []float32{1, 0, 3}), 1e-5)
	assert.Equal(t, math.Inf(1), PSNR([]float32{0.5}, []float32{0.5}))
	assert.True(t, math.IsNaN(PSNR([]float32{float32(math.NaN()), 0}, []float32{0, 0})))
	x, ref := noisy(300, 1), noisy(300, 2)
	assert.Equal(t, PSNR(x, ref), PSNR(ref, x))
}

func TestMeanPSNRAveragesDecibels(t *testing.T) {
	// Errors of 0.5 and 0.125 are exact: 10 log10 16 and 10 log10 256, mean 18.06 dB; the PSNR of
	// the pooled error would be 14.8.
	xs, refs := []float32{0.5, 0.5, 0.125, 0.125}, make([]float32, 4)
	want := (10*math.Log10(16) + 10*math.Log10(256)) / 2
	assert.InDelta(t, want, MeanPSNR(xs, refs, 2), 1e-12)
	assert.Greater(t, MeanPSNR(xs, refs, 2), PSNR(xs, refs)+3)
}

// plainSSIM is the definition, window by window in two dimensions, with the window given by its
// own formula and central moments taken about the mean.
func plainSSIM(x, ref []float32, h, w, c int) float64 {
	side := func(n int) int {
		if n >= 11 {
			return 11
		}
		if n%2 == 0 {
			n--
		}
		return n
	}
	kh, kw := side(h), side(w)
	const c1, c2 = 0.0004, 0.0036 // (0.01 * 2)^2 and (0.03 * 2)^2
	var total float64
	n := 0
	for ch := range c {
		for i := 0; i+kh <= h; i++ {
			for j := 0; j+kw <= w; j++ {
				each := func(f func(weight, a, b float64)) {
					for u := range kh {
						for v := range kw {
							du, dv := float64(u-kh/2), float64(v-kw/2)
							at := ((i+u)*w+j+v)*c + ch
							f(math.Exp(-(du*du+dv*dv)/4.5), 1+float64(x[at]), 1+float64(ref[at]))
						}
					}
				}
				var norm, mx, my, vx, vy, vxy float64
				each(func(g, a, b float64) { norm += g; mx += g * a; my += g * b })
				mx, my = mx/norm, my/norm
				each(func(g, a, b float64) {
					vx += g * (a - mx) * (a - mx) / norm
					vy += g * (b - my) * (b - my) / norm
					vxy += g * (a - mx) * (b - my) / norm
				})
				total += (2*mx*my + c1) / (mx*mx + my*my + c1) * (2*vxy + c2) / (vx + vy + c2)
				n++
			}
		}
	}
	return total / float64(n)
}

func TestSSIMIsItsDefinition(t *testing.T) {
	for i, s := range [][3]int{{11, 11, 1}, {32, 32, 3}, {12, 30, 1}, {30, 12, 3}, {10, 10, 1}, {7, 20, 3}, {20, 4, 1}, {1, 1, 3}, {2, 1, 1}} {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			n := s[0] * s[1] * s[2]
			x, ref := noisy(n, uint64(i)), noisy(n, uint64(100+i))
			assert.InDelta(t, plainSSIM(x, ref, s[0], s[1], s[2]), SSIM(x, ref, s[0], s[1], s[2]), roundingOnly)
		})
	}
}

func TestSSIMOfEqualImagesIsOneAndFallsWithNoise(t *testing.T) {
	ref := noisy(24*24*3, 3)
	assert.InDelta(t, 1, SSIM(ref, ref, 24, 24, 3), roundingOnly)
	last := 1.0
	for _, sigma := range []float32{0.1, 0.3, 1} {
		x := noisy(len(ref), 4)
		for i := range x {
			x[i] = ref[i] + sigma*x[i]
		}
		got := SSIM(x, ref, 24, 24, 3)
		assert.Less(t, got, last)
		last = got
	}
}

// On [-1, 1] both the product of the means and the covariance change sign, and the two cancel.
func TestSSIMTellsAnImageFromItsNegative(t *testing.T) {
	ref := noisy(24*24, 3)
	negative := make([]float32, len(ref))
	for i, v := range ref {
		negative[i] = -v
	}
	assert.Negative(t, SSIM(negative, ref, 24, 24, 1))
}

func TestMisfitIsOneForTheTruthAndCountsObservedEntriesOnly(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 0))
	const n, sigma = 20000, 0.2
	ax, y, observed := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range y {
		y[i] = ax[i] + float32(sigma*r.NormFloat64())
		if i%4 != 0 {
			observed[i] = 1
		} else {
			y[i] = 100 // never to be looked at
		}
	}
	// chi-square over m: standard deviation sqrt(2/m); five of them.
	assert.InDelta(t, 1, Misfit(ax, y, observed, sigma), 5*math.Sqrt(2/(0.75*n)))
	assert.Greater(t, Misfit(ax, y, nil, sigma), 1000.0)
}

func TestMisfitIsTheFormula(t *testing.T) {
	ax, y := []float32{1, 2, 3, 4}, []float32{1, 2.5, 3, 3}
	assert.Equal(t, (0.25+1)/(4*0.25), Misfit(ax, y, nil, 0.5))
	assert.Equal(t, 0.25/(2*0.25), Misfit(ax, y, []float32{1, 1, 0, 0}, 0.5))
	assert.InEpsilon(t, 1.25/(4*1e-6), Misfit(ax, y, nil, 0), 1e-12, "sigma has a floor of 1e-3")
	assert.True(t, math.IsNaN(Misfit(ax, y, make([]float32, 4), 0.5)), "nothing observed")
}

func TestShapeMistakesPanicWithShapeError(t *testing.T) {
	four, three := make([]float32, 4), make([]float32, 3)
	for name, f := range map[string]func(){
		"PSNR":            func() { PSNR(four, three) },
		"PSNR of nothing": func() { PSNR(nil, nil) },
		"MeanPSNR":        func() { MeanPSNR(four, three, 1) },
		"MeanPSNR length": func() { MeanPSNR(four, four, 3) },
		"MeanPSNR zero":   func() { MeanPSNR(four, four, 0) },
		"SSIM x":          func() { SSIM(three, four, 2, 2, 1) },
		"SSIM ref":        func() { SSIM(four, three, 2, 2, 1) },
		"SSIM shape":      func() { SSIM(four, four, -2, -2, 1) },
		"Misfit":          func() { Misfit(four, three, nil, 1) },
		"Misfit observed": func() { Misfit(four, four, three, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				err, ok := recover().(*kernels.ShapeError)
				require.True(t, ok, "want a *kernels.ShapeError")
				assert.NotEmpty(t, err.Want)
			}()
			f()
		})
	}
}

func BenchmarkSSIM(b *testing.B) {
	x, ref := noisy(32*32*3, 1), noisy(32*32*3, 2)
	for b.Loop() {
		SSIM(x, ref, 32, 32, 3)
	}
}
