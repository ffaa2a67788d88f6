package learn

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
	"emdiff/kernels/ref"
)

const (
	toySide   = 3
	toyPixels = toySide * toySide
	toySigma  = 0.4
)

// toyCovariance is a smooth image prior of mean 0: exp(-distance/2) between pixels, standard deviation 0.6.
func toyCovariance() *mat.SymDense {
	s := mat.NewSymDense(toyPixels, nil)
	for i := range toyPixels {
		for j := range i + 1 {
			dy, dx := float64(i/toySide-j/toySide), float64(i%toySide-j%toySide)
			s.SetSym(i, j, 0.36*math.Exp(-math.Hypot(dy, dx)/2))
		}
	}
	return s
}

// identity returns k times the unit matrix.
func identity(k float64) *mat.SymDense {
	s := mat.NewSymDense(toyPixels, nil)
	for i := range toyPixels {
		s.SetSym(i, i, k)
	}
	return s
}

// inverse and logDet of a positive definite matrix.
func inverse(t *testing.T, s mat.Symmetric) (inv *mat.SymDense, logDet float64) {
	t.Helper()
	var c mat.Cholesky
	require.True(t, c.Factorize(s), "not positive definite")
	inv = mat.NewSymDense(toyPixels, nil)
	require.NoError(t, c.InverseTo(inv))
	return inv, c.LogDet()
}

// observed is A S A^T + sigma^2 I for a mask A.
func observed(s mat.Symmetric, mask []float32) *mat.SymDense {
	o := identity(toySigma * toySigma)
	for i := range toyPixels {
		for j := range i + 1 {
			o.SetSym(i, j, o.At(i, j)+float64(mask[i]*mask[j])*s.At(i, j))
		}
	}
	return o
}

// Population EM on masked, noisy images of a Gaussian prior: the E-step's moments are exact expectations over y. The
// expected likelihood of the measurements must rise in every round, and the covariance must become the true one.
func TestEMWithExactMomentsRaisesTheLikelihoodAndFindsTheCovariance(t *testing.T) {
	truth := toyCovariance()
	masks := make([][]float32, 24)
	for i := range masks {
		masks[i] = make([]float32, toyPixels)
		physics.RandomMask(masks[i], 4, 1, uint32(i))
	}
	likelihood := func(s mat.Symmetric) float64 { // expected over y, up to a constant
		sum := 0.0
		for _, m := range masks {
			inv, logDet := inverse(t, observed(s, m))
			var p mat.Dense
			p.Mul(inv, observed(truth, m))
			sum -= 0.5 * (logDet + mat.Trace(&p))
		}
		return sum / float64(len(masks))
	}
	s := identity(1)
	before := likelihood(s)
	for round := range 3000 {
		next := mat.NewSymDense(toyPixels, nil)
		for _, m := range masks {
			// E[x x^T | model, averaged over the true y] = S - K A S + K (A S* A^T + sigma^2 I) K^T, K = S A^T (A S A^T + sigma^2)^-1
			inv, _ := inverse(t, observed(s, m))
			a := mat.NewDiagDense(toyPixels, nil)
			for i, v := range m {
				a.SetDiag(i, float64(v))
			}
			var sa, k, kas, ky, kyk mat.Dense
			sa.Mul(s, a)
			k.Mul(&sa, inv)
			kas.Product(&k, a, s)
			ky.Mul(&k, observed(truth, m))
			kyk.Mul(&ky, k.T())
			for i := range toyPixels {
				for j := range i + 1 {
					v := s.At(i, j) - (kas.At(i, j)+kas.At(j, i))/2 + (kyk.At(i, j)+kyk.At(j, i))/2
					next.SetSym(i, j, next.At(i, j)+v/float64(len(masks)))
				}
			}
		}
		s = next
		if round < 50 || round%100 == 0 {
			after := likelihood(s)
			require.GreaterOrEqual(t, after, before-1e-12, "round %d", round)
			before = after
		}
	}
	assert.InDelta(t, likelihood(truth), before, 1e-6)
	for i := range toyPixels {
		for j := range i + 1 {
			assert.InDelta(t, truth.At(i, j), s.At(i, j), 1e-3, "covariance of pixels %d and %d", i, j)
		}
	}
}

// gaussianPrior is the exact denoiser of N(0, S): D = S (S + sigma^2 I)^-1 x.
type gaussianPrior struct {
	t   *testing.T
	set kernels.Set
	s   *mat.SymDense
	g   kernels.Buffer
}

func (p gaussianPrior) Shape() (h, w, c int) { return toySide, toySide, 1 }

func (p gaussianPrior) Denoise(d, x kernels.Buffer, n int, sigma float64) {
	p.Linearize(d, x, n, sigma)
}

func (p gaussianPrior) Linearize(d, x kernels.Buffer, n int, sigma float64) func(g, v kernels.Buffer) {
	var sum, gain mat.Dense
	sum.Add(p.s, identity(sigma*sigma))
	require.NoError(p.t, gain.Solve(&sum, p.s)) // symmetric, for the factors commute
	flat := make([]float32, toyPixels*toyPixels)
	for i := range flat {
		flat[i] = float32(gain.At(i/toyPixels, i%toyPixels))
	}
	p.set.Upload(p.g, flat)
	multiply := func(dst, src kernels.Buffer) {
		p.set.MatMul(dst, src, p.g, kernels.MatMul{Batch: 1, M: n, N: toyPixels, K: toyPixels, Alpha: 1})
	}
	tmp := p.set.Alloc(kernels.F32, n*toyPixels)
	defer p.set.Free(tmp)
	multiply(tmp, x)
	p.set.Copy(d, tmp, kernels.Elementwise{Len: n * toyPixels})
	return multiply
}

// Monte-Carlo EM, its E-step being the sampler of posterior and its M-step the sample covariance. For denoising, the best
// covariance is that of the measurements less sigma^2 I, whose entries have the standard errors
// sqrt((C_ii C_jj + C_ij^2)/n) with C = S + sigma^2 I. One draw per measurement at most doubles that variance; five such
// errors are allowed, to the covariance and to the likelihood's distance from its maximum.
func TestMonteCarloEMFindsTheCovarianceWithinItsStandardErrors(t *testing.T) {
	const n, rounds, average = 4000, 30, 10
	set := ref.New()
	truth := toyCovariance()
	op, err := physics.NewDenoise(set, toySide, toySide, 1)
	require.NoError(t, err)
	sampler, err := posterior.NewReverseSDE(set, op, posterior.ReverseSDESettings{Steps: 24, SigmaMin: 0.02})
	require.NoError(t, err)

	x, y := set.Alloc(kernels.F32, n*toyPixels), set.Alloc(kernels.F32, n*toyPixels)
	var chol mat.Cholesky
	require.True(t, chol.Factorize(truth))
	var lower mat.TriDense
	chol.LTo(&lower)
	pixels := make([]float32, n*toyPixels)
	for i := range n {
		var z [toyPixels]float64
		for j := range toyPixels {
			z[j] = float64(kernels.NormalBlock(kernels.Random{Seed: 9}, uint32(i), uint32(j))[0])
		}
		for j := range toyPixels {
			for k := range j + 1 {
				pixels[i*toyPixels+j] += float32(lower.At(j, k) * z[k])
			}
		}
	}
	set.Upload(x, pixels)
	ids := set.Alloc(kernels.I32, n)
	numbers := make([]int32, n)
	for i := range numbers {
		numbers[i] = int32(i)
	}
	set.UploadInts(ids, numbers)
	batch := physics.Batch{N: n, IDs: ids}
	physics.Measure(set, op, batch, y, x, toySigma, 4)

	covariance := func(b kernels.Buffer) *mat.SymDense {
		v := make([]float32, n*toyPixels)
		set.Download(v, b)
		c := mat.NewSymDense(toyPixels, nil)
		for i := range n {
			for j := range toyPixels {
				for k := range j + 1 {
					c.SetSym(j, k, c.At(j, k)+float64(v[i*toyPixels+j])*float64(v[i*toyPixels+k])/n)
				}
			}
		}
		return c
	}
	measured := covariance(y)
	likelihood := func(s *mat.SymDense) float64 { // of all measurements, per image
		full := identity(toySigma * toySigma)
		full.AddSym(full, s)
		inv, logDet := inverse(t, full)
		var p mat.Dense
		p.Mul(inv, measured)
		return -0.5 * (logDet + mat.Trace(&p))
	}

	prior := gaussianPrior{t, set, identity(1), set.Alloc(kernels.F32, toyPixels*toyPixels)}
	first := likelihood(prior.s)
	mean := mat.NewSymDense(toyPixels, nil)
	for round := range rounds {
		require.NoError(t, sampler.Sample(x, posterior.Problem{Prior: prior, Batch: batch, Y: y, SigmaY: toySigma, Seed: uint64(round)}))
		prior.s = covariance(x)
		if round >= rounds-average {
			for j := range toyPixels {
				for k := range j + 1 {
					mean.SetSym(j, k, mean.At(j, k)+prior.s.At(j, k)/average)
				}
			}
		}
	}
	for i := range toyPixels {
		for j := range i + 1 {
			cii, cjj, cij := truth.At(i, i)+toySigma*toySigma, truth.At(j, j)+toySigma*toySigma, truth.At(i, j)
			if i == j {
				cij = cii
			}
			se := math.Sqrt(2 * (cii*cjj + cij*cij) / n)
			assert.InDelta(t, truth.At(i, j), mean.At(i, j), 5*se, "covariance of pixels %d and %d", i, j)
		}
	}
	// twice the likelihood ratio to the truth is chi-squared with 45 degrees of freedom: standard deviation sqrt(90)
	best := likelihood(truth)
	assert.Greater(t, likelihood(mean), first)
	assert.Greater(t, likelihood(mean), best-5*math.Sqrt(90)/(2*n))
}
