package posterior

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// pmcStep is step k of PMC as one affine step.
func pmcStep(prior *gaussian, cam camera, form Form, s Schedule, k int, alpha float64) step {
	const v = sigmaY * sigmaY
	sigma, gamma, a := s.At(k, v, cam.NormSquared())
	relax := gamma * alpha * a / (sigma * sigma)
	ata, aty := mul(cam.a.T(), cam.a), apply(cam.a.T(), cam.y)
	one, none := identity(length, 1), mat.NewVecDense(length, nil)
	noise := math.Sqrt(2 * gamma)
	if form == PnP {
		z := step{sum(one, scaled(-gamma/v, ata)), plus(none, gamma/v, aty), identity(length, 0)}
		return z.then(affine(prior.denoiser(sigma), 1-relax, relax, noise))
	}
	x := affine(prior.denoiser(sigma), 1-relax, relax, noise)
	return step{sum(x.f, scaled(-gamma/v, ata)), plus(x.b, gamma/v, aty), x.q}
}

// pmcLaw is the law of the last iterate from a start uniform on [-1, 1], whose variance is 1/3: Gaussian up to what is
// left of the start.
func pmcLaw(prior *gaussian, cam camera, form Form, s Schedule, alpha float64) law {
	l := law{mat.NewVecDense(length, nil), identity(length, 1./3)}
	for k := range s.Steps() {
		l = l.after(pmcStep(prior, cam, form, s, k, alpha))
	}
	return l
}

// constant is a schedule of one noise level.
func constant(sigma, data, prior float64, steps int) Annealed {
	return Annealed{SigmaMax: sigma, SigmaMin: sigma, Levels: 1, StepsPerLevel: steps, DataStep: data, PriorStep: prior}
}

func TestPMCDrawsHaveTheStationaryLawOfTheirSteps(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	for _, form := range []Form{PnP, RED} {
		for _, cam := range cameras(t, set, prior) {
			schedule := constant(.5, .6, .6, 60)
			want := pmcStep(prior, cam, form, schedule, 0, 1).stationary()
			mean, cov := pmcLaw(prior, cam, form, schedule, 1).distance(want)
			require.Less(t, mean+cov, .01, "%s %s: the chain forgets its start", form, cam.Name())
			s, err := NewPMC(set, cam.Operator, PMCSettings{Form: form, Schedule: schedule})
			require.NoError(t, err)
			requireDraws(t, want, draw(t, set, s, prior, cam, chains, 1), string(form)+" "+cam.Name())
			s.Close()
		}
	}
}

func TestPMCDrawsHaveTheLawOfAnnealedAndTemperedSteps(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[2]
	for _, schedule := range []Schedule{
		Annealed{SigmaMax: 2, SigmaMin: .3, Levels: 20, StepsPerLevel: 2, DataStep: .5, PriorStep: .5},
		Literal{SigmaMax: 2, SigmaMin: .3, Decay: .9, Alpha: 1 / .09, DataStep: .5, N: 40},
	} {
		for _, alpha := range []float64{.3, 1} {
			s, err := NewPMC(set, cam.Operator, PMCSettings{Form: PnP, Schedule: schedule, FinalDenoise: true})
			require.NoError(t, err)
			final := affine(prior.denoiser(.3), 1-alpha, alpha, 0)
			want := pmcLaw(prior, cam, PnP, schedule, alpha).after(final)
			requireDraws(t, want, draw(t, set, s, prior, cam, chains, alpha), "annealed")
			s.Close()
		}
	}
}

func TestPMCConvergesToThePosterior(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	for _, form := range []Form{PnP, RED} {
		for _, cam := range cameras(t, set, prior) {
			want := prior.posterior(cam.a, cam.y, sigmaY)
			last := math.Inf(1)
			for _, shrink := range []float64{1, .5, .25, .125, .0625} {
				// The law for a smoothed prior differs by sigma^2, that of a finite step by gamma.
				s := constant(.4*math.Sqrt(shrink), .4*shrink, .4, 1)
				mean, cov := pmcStep(prior, cam, form, s, 0, 1).stationary().distance(want)
				t.Logf("%s %s, sigma %.3f: mean %.2g, covariance %.2g standard deviations off", form, cam.Name(), s.SigmaMax, mean, cov)
				assert.Less(t, mean+cov, .7*last, "%s %s", form, cam.Name())
				last = mean + cov
			}
		}
	}
}

func TestPMCTemperedTargetIsThePriorToThePowerOfItsWeight(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[0]
	const alpha = .25
	// p^alpha of a Gaussian is the Gaussian of covariance cov/alpha.
	flat := &gaussian{law: law{prior.mean, scaled(1/alpha, prior.cov)}}
	mean, cov := pmcStep(prior, cam, RED, constant(.02, .01, .4, 1), 0, alpha).stationary().distance(flat.posterior(cam.a, cam.y, sigmaY))
	assert.Less(t, mean+cov, .02)
}

func TestSchedulesAreThoseOfTheirFormulas(t *testing.T) {
	a := Annealed{SigmaMax: 2, SigmaMin: .02, Levels: 3, StepsPerLevel: 2, DataStep: .1, PriorStep: .3}
	assert.Equal(t, 6, a.Steps())
	for k, want := range []float64{2, 2, .2, .2, .02, .02} {
		sigma, gamma, factor := a.At(k, .5, 1.25)
		assert.InEpsilon(t, want, sigma, 1e-12)
		assert.InEpsilon(t, math.Min(.1*.5/1.25, .3*want*want), gamma, 1e-12)
		assert.Equal(t, 1., factor)
	}
	l := Literal{SigmaMax: 1, SigmaMin: .25, Decay: .5, Alpha: 4, DataStep: .1, N: 4}
	for k, want := range []struct{ sigma, a float64 }{{1, 4}, {.5, 1}, {.25, 1}, {.25, 1}} {
		sigma, gamma, factor := l.At(k, .5, 1.25)
		assert.Equal(t, want.sigma, sigma)
		assert.InEpsilon(t, .04, gamma, 1e-12)
		assert.Equal(t, want.a, factor)
	}
}
