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

const psfH, psfW = 5, 3

// randomKernel has psfH x psfW positive values without any symmetry, which add up to 1.
func randomKernel() []float32 {
	r := rand.New(rand.NewPCG(21, 22))
	k := make([]float32, psfH*psfW)
	sum := float32(0)
	for i := range k {
		k[i] = float32(r.Float64() * r.Float64())
		sum += k[i]
	}
	for i := range k {
		k[i] /= sum
	}
	return k
}

// openPSF treats small images as it would large ones.
func openPSF(t *testing.T, set kernels.Set, h, w, c int) *PSF {
	t.Helper()
	p, err := NewPSF(set, h, w, c, randomKernel(), psfH, psfW)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	p.limit = 0
	return p
}

// The gain of a draw and, of white normals in place of the draw's own, its covariance, are the dense ones for every noise.
func TestSmallImagesBehindAPSFAreDrawnExactly(t *testing.T) {
	set := openSet(t)
	for _, c := range []int{1, 2} {
		p := openPSF(t, set, 6, 5, c)
		p.limit = denseLimit
		a := dense(set, p, 0)
		n := p.len()
		for _, d := range []GaussianDraw{{SigmaY: .3, R: .5}, {SigmaY: .3, R: .25, Compensate: true}, {SigmaY: .3, R: 1, Compensate: true},
			{SigmaY: .01, R: 1, Compensate: true}, {SigmaY: 0, R: .1}, {SigmaY: 0, R: 1, Compensate: true}} {
			law := denseLaw(a, d)
			p.Select(batchOf(set, firstIDs(n)...))
			unit := make([]float32, n*n)
			for i := range n {
				unit[i*n+i] = 1
			}
			x := set.Alloc(kernels.F32, n*n)
			p.PosteriorGaussian(x, x, upload(set, unit), d)
			for i, v := range download(set, x, n*n) {
				require.InDelta(t, law.gain.At(i%n, i/n), float64(v), 2e-4*math.Max(1, mat.Max(law.gain)), "%+v", d)
			}
			assert.InDelta(t, logDet(a, d.R, d.SigmaY), p.LogDet(d.R, d.SigmaY)[0], 1e-3*float64(n))
		}
	}
}

func TestPSFEqualsItsDenseMatrix(t *testing.T) {
	set := openSet(t)
	mirror := func(i, n int) int { // distance from the first pixel, folded at the last
		i = int(math.Abs(float64(i)))
		return n - 1 - int(math.Abs(float64(n-1-i)))
	}
	for _, c := range []int{1, 2} {
		const h, w = 6, 5
		kernel := randomKernel()
		want := mat.NewDense(h*w*c, h*w*c, nil)
		for i := range h {
			for j := range w {
				for k, v := range kernel {
					for ch := range c {
						row := (i*w+j)*c + ch
						col := (mirror(i+k/psfW-psfH/2, h)*w+mirror(j+k%psfW-psfW/2, w))*c + ch
						want.Set(row, col, want.At(row, col)+float64(v))
					}
				}
			}
		}
		op := openPSF(t, set, h, w, c)
		assert.True(t, mat.EqualApprox(dense(set, op, 0), want, 3e-7))
		var svd mat.SVD
		require.True(t, svd.Factorize(want, mat.SVDNone))
		truth := math.Pow(svd.Values(nil)[0], 2)
		assert.InDelta(t, truth*(1+normMargin), op.NormSquared(), 1e-6*truth)
	}
}

func TestPSFOfGaussianTapsIsTheGaussianBlur(t *testing.T) {
	set := openSet(t)
	const h, w, c, k, images = 9, 8, 2, 5, 3
	const n = images * h * w * c
	taps, err := GaussianTaps(k, 1)
	require.NoError(t, err)
	kernel := make([]float32, k*k)
	for i := range kernel {
		kernel[i] = float32(taps[i/k] * taps[i%k])
	}
	blur, err := NewGaussianBlur(set, h, w, c, k, 1)
	require.NoError(t, err)
	defer blur.Close()
	psf, err := NewPSF(set, h, w, c, kernel, k, k)
	require.NoError(t, err)
	defer psf.Close()
	assert.InDelta(t, blur.NormSquared(), psf.NormSquared(), 1e-3)

	r := rand.New(rand.NewPCG(11, 12))
	z, y := randoms(r, n), randoms(r, n)
	near := func(f func(op Operator, out kernels.Buffer), tol float64, what string) {
		t.Helper()
		var got [2][]float32
		for i, op := range []Operator{blur, psf} {
			op.Select(batchOf(set, 4, 1, 9))
			out := set.Alloc(kernels.F32, n)
			f(op, out)
			got[i] = download(set, out, n)
		}
		assert.InDeltaSlice(t, got[0], got[1], tol, what)
	}
	near(func(op Operator, out kernels.Buffer) { op.Apply(out, upload(set, z)) }, 2e-6, "apply")
	near(func(op Operator, out kernels.Buffer) { op.Adjoint(out, upload(set, z)) }, 2e-6, "adjoint")
	for _, d := range []GaussianDraw{{SigmaY: .2, R: .5}, {SigmaY: .05, R: 1}, {SigmaY: .4, R: .3, Compensate: true}} {
		near(func(op Operator, out kernels.Buffer) {
			op.PosteriorGaussian(out, upload(set, z), upload(set, y), d)
		}, 1e-4*(1+d.R/d.SigmaY), "posterior mean")
	}
}

// gaussianLaw is the law of PosteriorGaussian: x = z + gain (y - A z) on average.
type gaussianLaw struct{ gain, cov *mat.Dense }

// newLaw composes the law from the gain and the covariance of the noise that the draws are made of.
func newLaw(a, gain, noise *mat.Dense, r float64) gaussianLaw {
	n, _ := a.Dims()
	var keep, cov, seen mat.Dense
	keep.Mul(gain, a)
	keep.Scale(-r, &keep)
	for i := range n {
		keep.Set(i, i, keep.At(i, i)+r)
	}
	cov.Mul(&keep, keep.T())
	seen.Product(gain, noise, gain.T())
	cov.Add(&cov, &seen)
	return gaussianLaw{gain, &cov}
}

// denseLaw is the law that GaussianDraw documents, clipped where R ||A|| > SigmaY.
func denseLaw(a *mat.Dense, d GaussianDraw) gaussianLaw {
	n, _ := a.Dims()
	var square mat.SymDense
	square.SymOuterK(1, a)
	var eigen mat.EigenSym
	if !eigen.Factorize(&square, true) {
		panic("no eigenvalues")
	}
	var v, noise, gain mat.Dense
	eigen.VectorsTo(&v)
	s, g := mat.NewDiagDense(n, nil), mat.NewDiagDense(n, nil)
	for i, l := range eigen.Values(nil) {
		l = math.Max(l, 0)
		variance := math.Pow(LikelihoodSigma(d.SigmaY), 2)
		if d.Compensate {
			variance = math.Max(d.SigmaY*d.SigmaY-d.R*d.R*l, MinSigmaY*MinSigmaY)
		}
		s.SetDiag(i, variance)
		g.SetDiag(i, d.R*d.R/(d.R*d.R*l+variance))
	}
	noise.Product(&v, s, v.T())
	gain.Product(a.T(), &v, g, v.T())
	return newLaw(a, &gain, &noise, d.R)
}

// drawnLaw is the law of the draws of p, read off the linear maps that they are made of.
func drawnLaw(set kernels.Set, p *PSF, a *mat.Dense, d GaussianDraw) gaussianLaw {
	n := p.len()
	p.Select(batchOf(set, firstIDs(n)...))
	unit := make([]float32, n*n)
	for i := range n {
		unit[i*n+i] = 1
	}
	columns := func(b kernels.Buffer) *mat.Dense {
		m := mat.NewDense(n, n, nil)
		for i, v := range download(set, b, n*n) {
			m.Set(i%n, i/n, float64(v))
		}
		return m
	}
	x := set.Alloc(kernels.F32, n*n)
	p.PosteriorGaussian(x, x, upload(set, unit), d) // from z = 0, y a unit vector
	gain := columns(x)
	w, made := upload(set, unit), p.plan(d)
	if made.root != nil {
		p.polynomial(w, made.root)
	} else {
		p.set.Update(w, w, nil, nil, nil, nil, kernels.Update{N: n, Len: n, A: float32(made.scale)})
	}
	root := columns(w)
	var noise mat.Dense
	noise.Mul(root, root.T())
	return newLaw(a, gain, &noise, d.R)
}

// distance is how far the law is from want for measurements y = A x + noise, in standard deviations of want.
func (l gaussianLaw) distance(want gaussianLaw, a *mat.Dense, d GaussianDraw) (mean, cov float64) {
	n, _ := a.Dims()
	var off, spread, seen mat.Dense
	off.Sub(l.gain, want.gain)
	seen.Mul(a, a.T()) // the variance of y - A z
	seen.Scale(d.R*d.R, &seen)
	for i := range n {
		seen.Set(i, i, seen.At(i, i)+d.SigmaY*d.SigmaY)
	}
	spread.Product(&off, &seen, off.T())
	for i := range n {
		mean = math.Max(mean, math.Sqrt(spread.At(i, i)/want.cov.At(i, i)))
		for j := range n {
			cov = math.Max(cov, math.Abs(l.cov.At(i, j)-want.cov.At(i, j))/math.Sqrt(want.cov.At(i, i)*want.cov.At(j, j)))
		}
	}
	return mean, cov
}

func TestPSFDrawsFollowTheDenseLaw(t *testing.T) {
	set := openSet(t)
	cases := []struct {
		d   GaussianDraw
		off float64 // standard deviations
	}{
		{GaussianDraw{SigmaY: .3, R: .5}, 1e-4},
		{GaussianDraw{SigmaY: .1, R: 1}, 1e-4},
		{GaussianDraw{SigmaY: .3, R: .2, Compensate: true}, 1e-4},
		{GaussianDraw{SigmaY: .3, R: .25, Compensate: true}, 1e-4}, // R ||A|| just below sigma_y
		{GaussianDraw{SigmaY: .3, R: .35, Compensate: true}, 1e-3},
		{GaussianDraw{SigmaY: .3, R: 1, Compensate: true}, 5e-3},
		{GaussianDraw{SigmaY: .01, R: .2, Compensate: true}, .2},
		{GaussianDraw{SigmaY: .01, R: 1}, 1e-3},
		{GaussianDraw{SigmaY: 0, R: .1}, 1e-3},
		{GaussianDraw{SigmaY: .01, R: .5, Compensate: true}, .2},
	}
	for c, count := range map[int]int{1: len(cases), 2: 6} { // the last ones take thousands of products
		p := openPSF(t, set, 6, 5, c)
		a := dense(set, p, 0)
		for _, k := range cases[:count] {
			mean, cov := drawnLaw(set, p, a, k.d).distance(denseLaw(a, k.d), a, k.d)
			plan := p.plan(k.d)
			t.Logf("sigma_y %g, R %g, compensate %v: mean %.2g, covariance %.2g standard deviations off; %d + %d + %d products",
				k.d.SigmaY, k.d.R, k.d.Compensate, mean, cov, len(plan.root), len(plan.ratio), len(plan.solve.keep))
			assert.Less(t, math.Max(mean, cov), k.off, "%+v", k.d)
		}
	}
}

func TestPSFDrawsAreSpreadByTheirLaw(t *testing.T) {
	set := openSet(t)
	const h, w, c, chains = 4, 3, 1, 1000
	p := openPSF(t, set, h, w, c)
	for _, p.limit = range []int{0, denseLimit} {
		requireSpread(t, set, p, chains)
	}
}

// requireSpread holds the moments of draws to their law.
func requireSpread(t *testing.T, set kernels.Set, p *PSF, chains int) {
	n := p.len()
	a := dense(set, p, 0)
	r := rand.New(rand.NewPCG(7, 8))
	z, y := randoms(r, n), randoms(r, n)
	p.Select(batchOf(set, firstIDs(chains)...))
	for _, d := range []GaussianDraw{{SigmaY: .2, R: .5}, {SigmaY: .3, R: .2, Compensate: true}, {SigmaY: .2, R: .6, Compensate: true}} {
		d.Temperature, d.Random = 1, kernels.Random{Seed: 5, Stream: 6}
		law := denseLaw(a, d)
		x := upload(set, repeated(z, chains))
		p.PosteriorGaussian(x, x, upload(set, repeated(y, chains)), d)
		draws := download(set, x, chains*n)
		residual, mean := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
		residual.MulVec(a, vec(z))
		residual.SubVec(vec(y), residual)
		mean.MulVec(law.gain, residual)
		mean.AddVec(mean, vec(z))
		for i := range n {
			vi := law.cov.At(i, i)
			sum := 0.0
			for k := range chains {
				sum += float64(draws[k*n+i]) - mean.AtVec(i)
			}
			require.InDelta(t, 0, sum/float64(chains), 5*math.Sqrt(vi/float64(chains)), "%+v mean %d", d, i)
			for j := range i + 1 {
				sum := 0.0
				for k := range chains {
					sum += (float64(draws[k*n+i]) - mean.AtVec(i)) * (float64(draws[k*n+j]) - mean.AtVec(j))
				}
				vij := law.cov.At(i, j)
				require.InDelta(t, vij, sum/float64(chains), 5*math.Sqrt((vi*law.cov.At(j, j)+vij*vij)/float64(chains)), "%+v covariance %d,%d", d, i, j)
			}
		}
	}
}

func TestPSFLogDetIsNearTheDenseOne(t *testing.T) {
	set := openSet(t)
	p := openPSF(t, set, 11, 10, 2)
	a := dense(set, p, 0)
	p.Select(batchOf(set, 3, 1))
	for _, d := range []GaussianDraw{{SigmaY: .2, R: .5}, {SigmaY: .01, R: 1}, {SigmaY: 0, R: 1}} {
		want, got := logDet(a, d.R, d.SigmaY), p.LogDet(d.R, d.SigmaY)
		require.Len(t, got, 2)
		assert.Equal(t, got[0], got[1])
		t.Logf("sigma_y %g, R %g: %.6g instead of %.6g, %.2g for each value", d.SigmaY, d.R, got[0], want, (got[0]-want)/float64(p.len()))
		assert.InDelta(t, want, got[0], .1*float64(p.len()))
	}
}

func TestBadPointSpreadFunctionsAreRefused(t *testing.T) {
	set := openSet(t)
	for _, c := range []struct {
		h, kh, kw int
		kernel    []float32
		says      string
	}{
		{0, 1, 1, []float32{1}, "must be positive"},
		{4, 2, 1, []float32{1, 1}, "both sides must be odd"},
		{4, 0, 1, nil, "both sides must be odd"},
		{4, 1, 3, []float32{1, 1}, "give 3"},
		{4, 9, 1, make([]float32, 9), "crop it to at most 7x7"},
		{4, 1, 9, make([]float32, 9), "crop it to at most 7x7"},
		{4, 1, 3, []float32{1, float32(math.NaN()), 1}, "NaN at row 0, column 1"},
		{4, 3, 1, []float32{1, 1, float32(math.Inf(1))}, "+Inf at row 2, column 0"},
		{4, 1, 3, []float32{-.1, .3, -.2}, "add up to 0"},
		{4, 1, 3, make([]float32, 3), "add up to 0"},
	} {
		_, err := NewPSF(set, c.h, 4, 1, c.kernel, c.kh, c.kw)
		assert.ErrorContains(t, err, c.says)
	}
}
