package physics

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"emdiff/kernels"
)

var sizes = []struct{ h, w, c, taps int }{{5, 7, 3, 9}, {8, 5, 1, 9}, {6, 6, 4, 3}, {13, 9, 2, 9}}

func TestAdjointIsTheTranspose(t *testing.T) {
	set := openSet(t)
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range sizes {
		n := 3 * s.h * s.w * s.c
		for _, op := range operators(t, set, s.h, s.w, s.c, s.taps) {
			op.Select(batchOf(set, 40, 2, 7))
			x, y := randoms(r, n), randoms(r, n)
			ax, aty := set.Alloc(kernels.F32, n), set.Alloc(kernels.F32, n)
			op.Apply(ax, upload(set, x))
			op.Adjoint(aty, upload(set, y))
			// Each entry of A x is a sum of products of two taps: two passes of K rounded terms, |A| ||x|| <= norm ||x||.
			bound := 4 * float64(s.taps+2) * math.Pow(2, -24) * math.Sqrt(op.NormSquared()) * norm(x) * norm(y)
			assert.InDelta(t, dot(download(set, ax, n), y), dot(x, download(set, aty, n)), bound, label(op))
		}
	}
}

func TestNormSquaredIsTheLargestEigenvalue(t *testing.T) {
	set := openSet(t)
	r := rand.New(rand.NewPCG(3, 4))
	for _, s := range sizes[:2] {
		n := s.h * s.w * s.c
		for _, op := range operators(t, set, s.h, s.w, s.c, s.taps) {
			op.Select(batchOf(set, 5))
			x, y := upload(set, randoms(r, n)), set.Alloc(kernels.F32, n)
			rayleigh := 0.0
			for range 100 {
				v := download(set, x, n)
				size := norm(v)
				for i := range v {
					v[i] = float32(float64(v[i]) / size)
				}
				set.Upload(x, v)
				op.Apply(y, x)
				op.Adjoint(x, y)
				rayleigh = dot(v, download(set, x, n))
			}
			assert.InDelta(t, op.NormSquared(), rayleigh, 1e-3*op.NormSquared(), label(op))
			assert.LessOrEqual(t, rayleigh, op.NormSquared()*(1+1e-5), label(op))
		}
	}
}

func TestBlurEqualsItsDenseMatrix(t *testing.T) {
	set := openSet(t)
	const h, w, c, k = 6, 5, 2, 9
	op, err := NewGaussianBlur(set, h, w, c, k, 2)
	require.NoError(t, err)
	taps, err := GaussianTaps(k, 2)
	require.NoError(t, err)
	got := dense(set, op, 0)
	mirror := func(i, n int) int { // distance from the first pixel, folded at the last
		i = int(math.Abs(float64(i)))
		return n - 1 - int(math.Abs(float64(n-1-i)))
	}
	want := mat.NewDense(h*w*c, h*w*c, nil)
	for i := range h {
		for j := range w {
			for a := range k {
				for b := range k {
					for ch := range c {
						row, col := (i*w+j)*c+ch, (mirror(i+a-k/2, h)*w+mirror(j+b-k/2, w))*c+ch
						want.Set(row, col, want.At(row, col)+taps[a]*taps[b])
					}
				}
			}
		}
	}
	assert.True(t, mat.EqualApprox(got, want, 1e-7))
}

func TestGaussianTapsAreThoseOfThePapers(t *testing.T) {
	taps, err := GaussianTaps(9, 2)
	require.NoError(t, err)
	want := []float64{.035760, .066976, .121424, .176103, .199475, .176103, .121424, .066976, .035760}
	assert.InDeltaSlice(t, want, taps, 5e-7)
	assert.InDelta(t, .0397901, taps[4]*taps[4], 5e-8)
	assert.InDelta(t, .001279, taps[0]*taps[0], 5e-7)
	for _, c := range []struct {
		k   int
		std float64
	}{{9, 2}, {3, 5}, {1, 1}, {21, .7}} {
		taps, err := GaussianTaps(c.k, c.std)
		require.NoError(t, err)
		sum := 0.0
		for _, v := range taps {
			sum += v
		}
		assert.InDelta(t, 1, sum, 1e-14)
	}
}

// posterior is the closed form of Operator.PosteriorGaussian, in the form that needs no inverse of S.
func posterior(a *mat.Dense, z, y []float32, d GaussianDraw) (mean *mat.VecDense, cov *mat.Dense) {
	n := len(z)
	var seen, gain, lost mat.Dense // R^2 A A^T, then the gain R^2 A^T (R^2 A A^T + S)^-1
	seen.Mul(a, a.T())
	seen.Scale(d.R*d.R, &seen)
	total := mat.DenseCopyOf(&seen)
	s := math.Pow(LikelihoodSigma(d.SigmaY), 2)
	if d.Compensate { // R^2 A A^T + S is sigma_y^2 I where R ||A|| <= sigma_y
		total.Zero()
	}
	for i := range n {
		total.Set(i, i, total.At(i, i)+s)
	}
	if err := gain.Inverse(total); err != nil {
		panic(err)
	}
	gain.Mul(a.T(), &gain)
	gain.Scale(d.R*d.R, &gain)
	residual := mat.NewVecDense(n, nil)
	residual.MulVec(a, vec(z))
	residual.SubVec(vec(y), residual)
	mean = mat.NewVecDense(n, nil)
	mean.MulVec(&gain, residual)
	mean.AddVec(mean, vec(z))
	lost.Mul(&gain, a)
	cov = mat.NewDense(n, n, nil)
	for i := range n {
		cov.Set(i, i, d.R*d.R)
	}
	lost.Scale(d.R*d.R, &lost)
	cov.Sub(cov, &lost)
	return mean, cov
}

func TestPosteriorGaussianMeanIsTheClosedForm(t *testing.T) {
	set := openSet(t)
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range sizes[:2] {
		n := s.h * s.w * s.c
		for _, op := range operators(t, set, s.h, s.w, s.c, s.taps) {
			a := dense(set, op, 9)
			z, y := randoms(r, n), randoms(r, n)
			for _, d := range []GaussianDraw{{SigmaY: .2, R: .5}, {SigmaY: .05, R: 1}, {SigmaY: 0, R: .1}, {SigmaY: .4, R: .3, Compensate: true}} {
				op.Select(batchOf(set, 9))
				x := upload(set, z)
				op.PosteriorGaussian(x, x, upload(set, y), d)
				mean, _ := posterior(a, z, y, d)
				// The largest factor between inputs and mean is V A^T/s^2 <= R/(2 s): it carries the rounding of the products.
				tol := 1e-6 * (1 + d.R/(2*LikelihoodSigma(d.SigmaY))) * norm(y)
				for i, v := range download(set, x, n) {
					require.InDelta(t, mean.AtVec(i), v, tol, "%s entry %d, %+v", label(op), i, d)
				}
			}
		}
	}
}

func TestLogDetIsThatOfTheDenseMatrix(t *testing.T) {
	set := openSet(t)
	for _, s := range sizes[:2] {
		for _, op := range operators(t, set, s.h, s.w, s.c, s.taps)[:4] { // that of a PSF is an estimate
			ids := []int32{40, 2, 7}
			for _, d := range []GaussianDraw{{SigmaY: .2, R: .5}, {SigmaY: .05, R: 1}, {SigmaY: 0, R: .1}, {SigmaY: .3}} {
				op.Select(batchOf(set, ids...))
				got := op.LogDet(d.R, d.SigmaY)
				require.Len(t, got, len(ids))
				for i, id := range ids {
					assert.InDelta(t, logDet(dense(set, op, id), d.R, d.SigmaY), got[i], 1e-3, "%s image %d, %+v", label(op), id, d)
				}
			}
		}
	}
}

// logDet is Operator.LogDet for the matrix a, whose rows of zeros are not measured.
func logDet(a *mat.Dense, r, sigmaY float64) float64 {
	n, _ := a.Dims()
	var k mat.Dense
	k.Mul(a, a.T())
	k.Scale(r*r, &k)
	s := LikelihoodSigma(sigmaY)
	for i := range n {
		if mat.Norm(a.RowView(i), 2) == 0 {
			k.Set(i, i, 1)
			continue
		}
		k.Set(i, i, k.At(i, i)+s*s)
	}
	det, _ := mat.LogDet(&k)
	return det
}

func TestPosteriorGaussianDrawsHaveTheClosedFormLaw(t *testing.T) {
	set := openSet(t)
	const h, w, c, taps, chains = 5, 4, 1, 5, 4000
	const n = h * w * c
	r := rand.New(rand.NewPCG(7, 8))
	blur, err := NewGaussianBlur(set, h, w, c, taps, 1)
	require.NoError(t, err)
	ops := append(operators(t, set, h, w, c, taps)[2:3], blur) // a mask and a blur that all chains share
	random := kernels.Random{Seed: 5, Stream: 6}
	for k, op := range append(ops, ops...) {
		d := GaussianDraw{SigmaY: .3, R: .5, Temperature: 1, Random: random}
		if k >= len(ops) {
			d.R, d.Compensate = .25, true
		}
		a := dense(set, op, 0)
		z, y := randoms(r, n), randoms(r, n)
		op.Select(batchOf(set, firstIDs(chains)...))
		x := set.Alloc(kernels.F32, chains*n)
		op.PosteriorGaussian(x, upload(set, repeated(z, chains)), upload(set, repeated(y, chains)), d)
		mean, cov := posterior(a, z, y, d)
		draws := download(set, x, chains*n)
		for i := range n {
			sum := 0.0
			for k := range chains {
				sum += float64(draws[k*n+i])
			}
			require.InDelta(t, mean.AtVec(i), sum/chains, 5*math.Sqrt(cov.At(i, i)/chains), "%s mean %d", label(op), i)
			for j := i; j < n; j++ {
				sum := 0.0
				for k := range chains {
					sum += (float64(draws[k*n+i]) - mean.AtVec(i)) * (float64(draws[k*n+j]) - mean.AtVec(j))
				}
				se := math.Sqrt((cov.At(i, i)*cov.At(j, j) + cov.At(i, j)*cov.At(i, j)) / chains)
				require.InDelta(t, cov.At(i, j), sum/chains, 5*se, "%s covariance %d,%d", label(op), i, j)
			}
		}
	}
}

func TestPosteriorGaussianDoesNotDependOnTheBatch(t *testing.T) {
	set := openSet(t)
	const h, w, c = 6, 5, 3
	const n, images = h * w * c, 8
	r := rand.New(rand.NewPCG(9, 10))
	z, y := randoms(r, images*n), randoms(r, images*n)
	draw := GaussianDraw{SigmaY: .1, R: .4, Temperature: 1, Random: kernels.Random{Seed: 1, Stream: 2, Step: 3}}
	for _, op := range operators(t, set, h, w, c, 9) {
		op.Select(batchOf(set, firstIDs(images)...))
		x := set.Alloc(kernels.F32, images*n)
		op.PosteriorGaussian(x, upload(set, z), upload(set, y), draw)
		together := download(set, x, images*n)
		for i := range images {
			op.Select(batchOf(set, int32(i)))
			op.PosteriorGaussian(x, upload(set, z[i*n:(i+1)*n]), upload(set, y[i*n:(i+1)*n]), draw)
			require.Equal(t, together[i*n:(i+1)*n], download(set, x, n), "%s image %d", label(op), i)
		}
	}
}

func TestBadOperatorsAreRefused(t *testing.T) {
	set := openSet(t)
	for _, c := range []struct {
		make func() error
		says string
	}{
		{func() error { _, err := NewDenoise(set, 0, 4, 1); return err }, "must be positive"},
		{func() error { _, err := NewInpaint(set, 0, 4, 1, nil); return err }, "must be positive"},
		{func() error { _, err := NewGaussianBlur(set, 4, 4, 0, 3, 1); return err }, "must be positive"},
		{func() error { _, err := NewRandomInpaint(set, 4, 4, 1, 1, 0, 5); return err }, "choose one in [0, 1)"},
		{func() error { _, err := NewRandomInpaint(set, 4, 4, 1, math.NaN(), 0, 5); return err }, "choose one in [0, 1)"},
		{func() error { _, err := NewRandomInpaint(set, 4, 4, 1, .5, 0, 0); return err }, "must be positive"},
		{func() error { _, err := NewInpaint(set, 2, 2, 1, make([]float32, 3)); return err }, "whole number"},
		{func() error { _, err := NewInpaint(set, 2, 2, 1, make([]float32, 4)); return err }, "measures no pixel"},
		{func() error { _, err := NewInpaint(set, 1, 2, 1, []float32{1, .5}); return err }, "0 (hidden) or 1 (measured)"},
		{func() error { _, err := NewGaussianBlur(set, 8, 4, 1, 9, 2); return err }, "choose at most 7 taps"},
		{func() error { _, err := NewGaussianBlur(set, 8, 8, 1, 8, 2); return err }, "odd"},
		{func() error { _, err := NewGaussianBlur(set, 8, 8, 1, 9, 0); return err }, "positive"},
	} {
		assert.ErrorContains(t, c.make(), c.says)
	}
}
