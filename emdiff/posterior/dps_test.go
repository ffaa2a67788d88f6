package posterior

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"emdiff/emdiff/diffusion"
	"emdiff/kernels"
)

// dpsImage is one image of DPS in float64, with the normals that the kernels draw: w[0] for the start, w[i+1] for step i.
func dpsImage(prior *gaussian, cam camera, s DPSSettings, weight float64, w []*mat.VecDense) *mat.VecDense {
	grid := diffusion.EDMGrid(s.Steps, s.SigmaMin, s.SigmaMax)
	none := mat.NewVecDense(length, nil)
	x := plus(none, grid[0], w[0])
	for i := range s.Steps {
		sigma, next := grid[i], grid[i+1]
		jacobian := prior.denoiser(sigma)
		d := plus(apply(jacobian.f, x), 1, jacobian.b)
		inside := identity(length, 1)
		for j := range length {
			if v := d.AtVec(j); s.Clamp && math.Abs(v) > 1 {
				d.SetVec(j, math.Copysign(1, v))
				inside.Set(j, j, 0)
			}
		}
		r := plus(apply(cam.a, d), -1, cam.y)
		gradient := apply(mul(jacobian.f.T(), inside), apply(cam.a.T(), r))
		step := diffusion.AncestralStep(sigma, next)
		moved := plus(plus(plus(none, step.A, x), step.B, d), step.Noise, w[i+1])
		x = plus(moved, -s.Zeta/weight*math.Sqrt((1+sigma*sigma)*(1+next*next))/mat.Norm(r, 2), gradient)
	}
	return x
}

func TestDPSFollowsItsRecursion(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	const n = 20
	for _, cam := range cameras(t, set, prior) {
		for _, clamp := range []bool{false, true} {
			for _, weight := range []float64{1, .4} {
				settings := DPSSettings{Steps: 12, SigmaMax: 5, SigmaMin: .05, Zeta: .1, Clamp: clamp}
				s, err := NewDPS(set, cam.Operator, settings)
				require.NoError(t, err)
				got := draw(t, set, s, prior, cam, n, weight)
				s.Close()
				var noise [][]float32
				for i := range settings.Steps + 1 {
					w := set.Alloc(kernels.F32, n*length)
					set.Normal(w, nil, kernels.Draw{N: n, Len: length, Random: kernels.Random{Seed: 17, Stream: streamDPS, Step: uint32(i)}})
					noise = append(noise, download(set, w, n*length))
				}
				worst := 0.
				for k := range n {
					var w []*mat.VecDense
					for _, step := range noise {
						v := mat.NewVecDense(length, nil)
						for j := range length {
							v.SetVec(j, float64(step[k*length+j]))
						}
						w = append(w, v)
					}
					for j, want := range dpsImage(prior, cam, settings, weight, w).RawVector().Data {
						worst = math.Max(worst, math.Abs(want-float64(got[k*length+j])))
					}
				}
				t.Logf("%s, clamp %v, weight %g: off by at most %.2g", cam.Name(), clamp, weight, worst)
				// Every step rounds values up to SigmaMax, and pulls two nearby images together.
				assert.Less(t, worst, float64(settings.Steps)*settings.SigmaMax*0x1p-24, cam.Name())
			}
		}
	}
}

func TestDPSWithoutGuidanceDrawsFromThePrior(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[1]
	ancestral := func(s DPSSettings) law {
		grid := diffusion.EDMGrid(s.Steps, s.SigmaMin, s.SigmaMax)
		l := law{mat.NewVecDense(length, nil), identity(length, s.SigmaMax*s.SigmaMax)}
		for i := range s.Steps {
			step := diffusion.AncestralStep(grid[i], grid[i+1])
			l = l.after(affine(prior.denoiser(grid[i]), step.A, step.B, step.Noise))
		}
		return l
	}
	settings := DPSSettings{Steps: 10, SigmaMax: 20, SigmaMin: .05}
	s, err := NewDPS(set, cam.Operator, settings)
	require.NoError(t, err)
	defer s.Close()
	requireDraws(t, ancestral(settings), draw(t, set, s, prior, cam, chains, 0), "10 steps")

	last := math.Inf(1)
	for steps := 20; steps <= 320; steps *= 2 {
		mean, cov := ancestral(DPSSettings{Steps: steps, SigmaMax: 20 * float64(steps), SigmaMin: .1 / float64(steps)}).distance(prior.law)
		t.Logf("%d steps: mean %.2g, covariance %.2g standard deviations off", steps, mean, cov)
		assert.Less(t, mean+cov, .7*last, "the error falls with the step")
		last = mean + cov
	}
}

func TestDPSDrawsGatherAroundThePosteriorMean(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	for _, cam := range cameras(t, set, prior) {
		want := prior.posterior(cam.a, cam.y, sigmaY).mean
		s, err := NewDPS(set, cam.Operator, DPSSettings{Steps: 60, SigmaMax: 20, SigmaMin: .02, Zeta: .1})
		require.NoError(t, err)
		const n = 200
		mean := mat.NewVecDense(length, nil)
		for i, v := range draw(t, set, s, prior, cam, n, 0) {
			mean.SetVec(i%length, mean.AtVec(i%length)+float64(v)/n)
		}
		s.Close()
		from, to := mat.Norm(plus(prior.mean, -1, want), 2), mat.Norm(plus(mean, -1, want), 2)
		t.Logf("%s: the prior's mean is %.2f from it, that of the draws %.2f", cam.Name(), from, to)
		assert.Less(t, to, from/2, cam.Name())
	}
}

func TestDPSWeighsThePriorByMoreGuidance(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[2]
	sample := func(zeta, weight float64) []float32 {
		s, err := NewDPS(set, cam.Operator, DPSSettings{Steps: 8, SigmaMax: 5, SigmaMin: .05, Zeta: zeta, Clamp: true})
		require.NoError(t, err)
		defer s.Close()
		return draw(t, set, s, prior, cam, 3, weight)
	}
	assert.Equal(t, sample(.4, 1), sample(.1, .25))
	assert.NotEqual(t, sample(.1, 1), sample(.1, .25))
}

// With one step the free draw is D(start): where y is that, there is no residual to divide by.
func TestDPSLeavesAnImageAloneThatMeetsItsMeasurements(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[0]
	var free []float32
	for _, zeta := range []float64{0, .3} {
		s, err := NewDPS(set, cam.Operator, DPSSettings{Steps: 1, SigmaMax: 2, SigmaMin: 2, Zeta: zeta})
		require.NoError(t, err)
		defer s.Close()
		got := draw(t, set, s, prior, cam, 1, 0)
		if zeta == 0 {
			free = got
			for i, v := range free {
				cam.y.SetVec(i, float64(v))
			}
		}
		assert.Equal(t, free, got, "zeta %g", zeta)
	}
}
