package posterior

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

// mixture is a prior that is not Gaussian: every value is +centre or -centre with equal chance, plus N(0, width^2).
type mixture struct {
	set           kernels.Set
	centre, width float64
}

// mode returns the chance of +centre and the mean and variance around it, given x at noise level sigma.
func (m mixture) mode(x, sigma float64) (chance, mean, variance float64) {
	total := m.width*m.width + sigma*sigma
	keep := m.width * m.width / total
	return 1 / (1 + math.Exp(-2*m.centre*x/total)), m.centre + keep*(x-m.centre), keep * sigma * sigma
}

func (m mixture) Shape() (h, w, c int) { return height, width, channels }

func (m mixture) Denoise(d, x kernels.Buffer, n int, sigma float64) {
	v := download(m.set, x, n*length)
	for i, xi := range v {
		up, above, _ := m.mode(float64(xi), sigma)
		_, below, _ := m.mode(-float64(xi), sigma)
		v[i] = float32(up*above - (1-up)*below)
	}
	m.set.Upload(d, v)
}

func (m mixture) Linearize(kernels.Buffer, kernels.Buffer, int, float64) func(g, v kernels.Buffer) {
	panic("no sampler here needs it")
}

func TestExactSamplersWeighModesAsThePosteriorDoes(t *testing.T) {
	set := openSet(t)
	prior := mixture{set, .6, .15}
	const y, noise, n = .15, .5, 1500
	sde, err := NewReverseSDE(set, cameras(t, set, newGaussian(set))[0].Operator, ReverseSDESettings{Steps: 60, SigmaMin: .01})
	require.NoError(t, err)
	gibbs, err := NewSplitGibbs(set, sde.op, SplitGibbsSettings{Iterations: 3, RhoMax: .5, RhoMin: .1, Decay: .9, Steps: 60, SigmaMin: .01})
	require.NoError(t, err)
	for _, s := range []Sampler{sde, gibbs} {
		defer s.Close()
		x, ys := set.Alloc(kernels.F32, n*length), set.Alloc(kernels.F32, n*length)
		set.Fill(ys, y, kernels.Elementwise{Len: n * length})
		require.NoError(t, s.Sample(x, Problem{Prior: prior, Batch: batchOf(set, firstIDs(n)...), Y: ys, SigmaY: noise, Seed: 1}))
		up, mean, square := 0., 0., 0.
		for _, v := range download(set, x, n*length) {
			if v > 0 {
				up++
				mean += float64(v)
				square += float64(v) * float64(v)
			}
		}
		mean /= up
		chance, wantMean, wantVar := prior.mode(y, noise)
		t.Logf("%s: up %.4f want %.4f, mean %.4f want %.4f, variance %.5f want %.5f", s.Name(), up/(n*length), chance, mean, wantMean, square/up-mean*mean, wantVar)
		assert.InDelta(t, chance, up/(n*length), 5*math.Sqrt(chance*(1-chance)/(n*length)), s.Name())
		assert.InDelta(t, wantMean, mean, 5*math.Sqrt(wantVar/up), s.Name())
		assert.InEpsilon(t, wantVar, square/up-mean*mean, 5*math.Sqrt(2/up), s.Name())
	}
}
