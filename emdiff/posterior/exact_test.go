package posterior

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/physics"
)

const chains = 2500

// blocks returns the matrix [a b; c d].
func blocks(a, b, c, d mat.Matrix) *mat.Dense {
	m := mat.NewDense(2*length, 2*length, nil)
	for k, part := range []mat.Matrix{a, b, c, d} {
		m.Slice(k/2*length, (k/2+1)*length, k%2*length, (k%2+1)*length).(*mat.Dense).Copy(part)
	}
	return m
}

// stacked returns the vector (a, b).
func stacked(a, b *mat.VecDense) *mat.VecDense {
	return mat.NewVecDense(2*length, append(append([]float64{}, a.RawVector().Data...), b.RawVector().Data...))
}

// reverseStep is the reverse diffusion along a grid as one affine step. It follows the pair (x, D) of an image and the
// denoised image that the next step starts from.
func reverseStep(prior *gaussian, grid []float64) step {
	one, zero := identity(length, 1), identity(length, 0)
	d := prior.denoiser(grid[0])
	none := mat.NewVecDense(length, nil)
	pair := step{blocks(one, zero, d.f, zero), stacked(none, d.b), blocks(zero, zero, zero, zero)}
	for i := range len(grid) - 2 {
		ratio := grid[i+1] * grid[i+1] / (grid[i] * grid[i])
		half := (1 - ratio) / 2
		d := prior.denoiser(grid[i+1])
		// x^ = ratio x + (1-ratio) D + noise;  D' = K x^ + b;  x' = x^ + half (D' - D)
		predict := sum(one, scaled(half, d.f))
		spread := blocks(predict, zero, d.f, zero)
		pair = pair.then(step{
			f: blocks(scaled(ratio, predict), sum(scaled(1-ratio, predict), scaled(-half, one)), scaled(ratio, d.f), scaled(1-ratio, d.f)),
			b: stacked(plus(none, half, d.b), d.b),
			q: scaled(grid[i+1]*grid[i+1]*(1-ratio), mul(spread, spread.T())),
		})
	}
	second := func(m *mat.Dense) *mat.Dense {
		return mat.DenseCopyOf(m.Slice(length, 2*length, 0, length))
	}
	return step{second(pair.f), mat.NewVecDense(length, pair.b.RawVector().Data[length:]),
		mat.DenseCopyOf(pair.q.Slice(length, 2*length, length, 2*length))}
}

// reverseLaw is the law of ReverseSDE for the measurement y.
func reverseLaw(prior *gaussian, y *mat.VecDense, s ReverseSDESettings) law {
	return law{y, identity(length, 0)}.after(reverseStep(prior, diffusion.EDMGrid(s.Steps, s.SigmaMin, sigmaY)))
}

func TestReverseSDEDrawsHaveTheLawOfItsSteps(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[0]
	settings := ReverseSDESettings{Steps: 8, SigmaMin: .02}
	s, err := NewReverseSDE(set, cam.Operator, settings)
	require.NoError(t, err)
	defer s.Close()
	requireDraws(t, reverseLaw(prior, cam.y, settings), draw(t, set, s, prior, cam, chains, 0), "8 steps")
}

func TestReverseSDEMatchesThePosterior(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[0]
	settings := ReverseSDESettings{Steps: 100, SigmaMin: .005}
	s, err := NewReverseSDE(set, cam.Operator, settings)
	require.NoError(t, err)
	defer s.Close()
	requireDraws(t, prior.posterior(cam.a, cam.y, sigmaY), draw(t, set, s, prior, cam, chains, 0), "100 steps")
}

func TestReverseSDEConvergesToThePosterior(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[0]
	want := prior.posterior(cam.a, cam.y, sigmaY)
	last := math.Inf(1)
	for steps := 10; steps <= 320; steps *= 2 {
		mean, cov := reverseLaw(prior, cam.y, ReverseSDESettings{steps, .1 / float64(steps)}).distance(want)
		t.Logf("%d steps: mean %.2g, covariance %.2g standard deviations off", steps, mean, cov)
		assert.Less(t, mean+cov, .6*last, "the error halves with the step")
		last = mean + cov
	}
}

func TestMMSEIsThePosteriorMean(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[0]
	s, err := NewMMSE(set, cam.Operator)
	require.NoError(t, err)
	defer s.Close()
	want := prior.posterior(cam.a, cam.y, sigmaY).mean
	for i, v := range draw(t, set, s, prior, cam, 1, 0) {
		assert.InDelta(t, want.AtVec(i), v, 1e-5)
	}
}

// gibbsStep is iteration k of SplitGibbs as one affine step.
func gibbsStep(prior *gaussian, cam camera, s SplitGibbsSettings, k int) step {
	least := 0.0
	if !s.AsPublished {
		least = sigmaY / math.Sqrt(cam.NormSquared())
	}
	rho := s.rho(k, least)
	// z = x + G (y - A x) + N(0, rho^2 (I - G A)),  G = rho^2 A^T (rho^2 A A^T + S)^-1
	total := sum(identity(length, sigmaY*sigmaY), scaled(rho*rho, mul(cam.a, cam.a.T())))
	if !s.AsPublished {
		total = compensated(cam, rho)
	}
	gain := scaled(rho*rho, mul(cam.a.T(), inverse(total)))
	f := sum(identity(length, 1), scaled(-1, mul(gain, cam.a)))
	return step{f, apply(gain, cam.y), scaled(rho*rho, f)}.then(reverseStep(prior, diffusion.EDMGrid(s.Steps, s.SigmaMin, rho)))
}

// compensated is max(sigmaY^2 I, rho^2 A A^T + MinSigmaY^2 I), the noise of A x + n seen from z.
func compensated(cam camera, rho float64) *mat.Dense {
	var eigen mat.EigenSym
	if !eigen.Factorize(mat.NewSymDense(length, mul(cam.a, cam.a.T()).RawMatrix().Data), true) {
		panic("no eigenvalues")
	}
	var v mat.Dense
	eigen.VectorsTo(&v)
	noise := identity(length, 0)
	for i, l := range eigen.Values(nil) {
		noise.Set(i, i, math.Max(sigmaY*sigmaY, rho*rho*l+physics.MinSigmaY*physics.MinSigmaY))
	}
	return mul(mul(&v, noise), v.T())
}

// gibbsLaw is the law of SplitGibbs without its options.
func gibbsLaw(prior *gaussian, cam camera, s SplitGibbsSettings) law {
	l := law{apply(cam.a.T(), cam.y), identity(length, 0)}
	for k := range s.Iterations {
		l = l.after(gibbsStep(prior, cam, s, k))
	}
	return l
}

func TestSplitGibbsDrawsHaveTheLawOfItsSteps(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	settings := SplitGibbsSettings{Iterations: 10, RhoMax: 1, RhoMin: .2, Decay: .8, Steps: 3, SigmaMin: .05}
	for _, cam := range cameras(t, set, prior) {
		for _, settings.AsPublished = range []bool{false, true} {
			s, err := NewSplitGibbs(set, cam.Operator, settings)
			require.NoError(t, err)
			requireDraws(t, gibbsLaw(prior, cam, settings), draw(t, set, s, prior, cam, chains, 0), cam.Name())
			s.Close()
		}
	}
}

func TestSplitGibbsOfAPointSpreadFunctionHasTheLawOfItsSteps(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	op, err := physics.NewPSF(set, height, width, channels, []float32{.3, .1, 0, .2, .15, .05, 0, .05, .15}, 3, 3)
	require.NoError(t, err)
	cam := lookAt(t, set, prior, op)
	settings := SplitGibbsSettings{Iterations: 3, RhoMax: 1, RhoMin: .2, Decay: .45, Steps: 3, SigmaMin: .05}
	for _, settings.AsPublished = range []bool{false, true} {
		s, err := NewSplitGibbs(set, op, settings)
		require.NoError(t, err)
		requireDraws(t, gibbsLaw(prior, cam, settings), draw(t, set, s, prior, cam, 500, 0), op.Name())
		s.Close()
	}
}

func TestSplitGibbsMatchesThePosterior(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	settings := SplitGibbsSettings{Iterations: 12, RhoMax: .6, RhoMin: .1, Decay: .7, Steps: 64, SigmaMin: .01}
	for _, cam := range cameras(t, set, prior) {
		s, err := NewSplitGibbs(set, cam.Operator, settings)
		require.NoError(t, err)
		want := prior.posterior(cam.a, cam.y, sigmaY)
		mean, cov := gibbsLaw(prior, cam, settings).distance(want)
		require.Less(t, math.Max(mean, cov), 2/math.Sqrt(chains), "%s: the steps are fine enough", cam.Name())
		requireDraws(t, want, draw(t, set, s, prior, cam, chains, 0), cam.Name())
		s.Close()
	}
}

func TestSplitGibbsConverges(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	for _, cam := range cameras(t, set, prior) {
		want := prior.posterior(cam.a, cam.y, sigmaY)
		distance := func(s SplitGibbsSettings, to law) float64 {
			mean, cov := gibbsStep(prior, cam, s, 0).stationary().distance(to)
			return mean + cov
		}
		// Constant rho and fine prior steps: the posterior.
		const rho = .2
		s := SplitGibbsSettings{Iterations: 1, RhoMax: rho, RhoMin: rho, Decay: 1, Steps: 200, SigmaMin: .001}
		assert.Less(t, distance(s, want), .01, cam.Name())
		// As published: the posterior for noise sigma_y^2 I + rho^2 A A^T.
		s.AsPublished = true
		noise := sum(identity(length, sigmaY*sigmaY), scaled(rho*rho, mul(cam.a, cam.a.T())))
		assert.Less(t, distance(s, prior.posteriorNoise(cam.a, cam.y, noise)), .01, cam.Name())
		// That tends to the posterior as rho falls.
		last := math.Inf(1)
		for _, r := range []float64{.4, .2, .1, .05} {
			s.RhoMax, s.RhoMin, s.SigmaMin = r, r, r/200
			d := distance(s, want)
			t.Logf("%s, rho %g: %.2g standard deviations off", cam.Name(), r, d)
			assert.Less(t, d, .6*last, cam.Name())
			last = d
		}
	}
}
