package diffusion

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

// gaussian is the exact denoiser of independent pixels N(mean, std^2): D = (std^2 x + sigma^2 mean)/(std^2 + sigma^2).
type gaussian struct {
	set     kernels.Set
	mean    kernels.Buffer
	std     float64
	h, w, c int
}

func (g gaussian) Shape() (h, w, c int) { return g.h, g.w, g.c }

func (g gaussian) gain(sigma float64) float64 { return g.std * g.std / (g.std*g.std + sigma*sigma) }

func (g gaussian) Denoise(d, x kernels.Buffer, n int, sigma float64) {
	k := g.gain(sigma)
	g.set.Update(d, x, g.mean, nil, nil, nil, kernels.Update{N: n, Len: g.h * g.w * g.c, A: float32(k), B: float32(1 - k)})
}

func (g gaussian) Linearize(d, x kernels.Buffer, n int, sigma float64) func(g, v kernels.Buffer) {
	g.Denoise(d, x, n, sigma)
	return func(out, v kernels.Buffer) {
		g.set.Update(out, v, nil, nil, nil, nil, kernels.Update{N: n, Len: g.h * g.w * g.c, A: float32(g.gain(sigma))})
	}
}

// law returns mean and variance of the samples that a method makes of the Gaussian prior: every step is an affine map of
// a Gaussian.
func law(method Method, grid []float64, mean, std float64) (m, v float64) {
	gain := gaussian{std: std}.gain
	m, v = 0, grid[0]*grid[0] // x = grid[0] w
	for i := range len(grid) - 1 {
		s, next := grid[i], grid[i+1]
		k := gain(s)
		step := DDIMStep(s, next)
		if method == Ancestral {
			step = AncestralStep(s, next)
		}
		a, b := step.A+step.B*k, step.B*(1-k)*mean
		if method == Heun && next > 0 {
			kn := gain(next)
			h := (next - s) / 2
			// slope1 = ((1-k) x - (1-k) mean)/s, slope2 the same at the Euler point a x + b
			a, b = 1+h*((1-k)/s+(1-kn)*a/next), h*(-(1-k)*mean/s+((1-kn)*b-(1-kn)*mean)/next)
		}
		m, v = a*m+b, a*a*v+step.Noise*step.Noise
	}
	return m, v
}

// The order of a method is the power of the step by which its error falls: halving the steps halves the error of DDIM in
// the variance and quarters that of Heun. Differences between successive halvings leave out what the step size does not
// change, such as starting without the image.
func TestSamplersHaveTheirOrder(t *testing.T) {
	ratio := func(method Method) float64 {
		v := func(steps int) float64 {
			_, v := law(method, EDMGrid(steps, 1e-5, 20), 0, 0.4)
			return v
		}
		return (v(100) - v(200)) / (v(200) - v(400))
	}
	assert.InDelta(t, 2, ratio(DDIM), 0.2)
	assert.InDelta(t, 2, ratio(Ancestral), 0.2)
	assert.InDelta(t, 4, ratio(Heun), 0.4)
}

// Samples must match the law of their discretisation within five standard errors.
func TestSamplersFollowTheLawOfTheirDiscretisation(t *testing.T) {
	const n, pixels, mean, std = 2000, 9, 0.3, 0.4
	set := ref.New()
	x := set.Alloc(kernels.F32, n*pixels)
	mu := set.Alloc(kernels.F32, n*pixels)
	set.Fill(mu, mean, kernels.Elementwise{Len: n * pixels})
	prior := gaussian{set, mu, std, 3, 3, 1}
	grid := EDMGrid(12, 0.01, 20)
	for _, method := range []Method{Ancestral, DDIM, Heun} {
		m, v := law(method, grid, mean, std)
		gen, err := NewGenerator(set, prior, method, grid, false)
		require.NoError(t, err)
		gen.Sample(x, n, kernels.Random{Seed: 3, Stream: 1})
		require.NoError(t, set.Sync())
		gen.Close()
		got := make([]float32, n*pixels)
		set.Download(got, x)
		var s1, s2 float64
		for _, g := range got {
			s1 += float64(g)
			s2 += (float64(g) - m) * (float64(g) - m)
		}
		count := float64(len(got))
		assert.InDelta(t, m, s1/count, 5*math.Sqrt(v/count), "mean of %s", method)
		assert.InDelta(t, v, s2/count, 5*v*math.Sqrt(2/count), "variance of %s", method)
	}
}

func TestSampleOfAnImageDoesNotDependOnTheBatch(t *testing.T) {
	const pixels = 9
	set := ref.New()
	mu := set.Alloc(kernels.F32, 8*pixels)
	prior := gaussian{set, mu, 0.4, 3, 3, 1}
	sample := func(first uint32, n int) []float32 {
		x := set.Alloc(kernels.F32, n*pixels)
		gen, err := NewGenerator(set, prior, Ancestral, EDMGrid(5, 0.01, 20), true)
		require.NoError(t, err)
		gen.Sample(x, n, kernels.Random{Seed: 3, FirstImage: first})
		out := make([]float32, n*pixels)
		set.Download(out, x)
		return out
	}
	all := sample(0, 8)
	assert.Equal(t, all[3*pixels:4*pixels], sample(3, 1))
}

// The score points back to the clean image: s (x_sigma - x) < 0 on average (Tweedie's sign).
func TestScorePointsTowardsTheCleanImage(t *testing.T) {
	const n, pixels = 500, 4
	set := ref.New()
	zero := set.Alloc(kernels.F32, n*pixels)
	prior := gaussian{set, zero, 0.5, 2, 2, 1}
	clean, noise, noisy, d, dot := set.Alloc(kernels.F32, n*pixels), set.Alloc(kernels.F32, n*pixels), set.Alloc(kernels.F32, n*pixels), set.Alloc(kernels.F32, n*pixels), set.Alloc(kernels.F32, n)
	set.Normal(clean, nil, kernels.Draw{N: n, Len: pixels, Random: kernels.Random{Seed: 1}})
	set.Normal(noise, nil, kernels.Draw{N: n, Len: pixels, Random: kernels.Random{Seed: 2}})
	const sigma = 0.7
	set.Update(noisy, noise, clean, nil, nil, nil, kernels.Update{N: n, Len: pixels, A: sigma, B: 0.5})
	prior.Denoise(d, noisy, n, sigma)
	set.Update(d, d, noisy, nil, nil, nil, kernels.Update{N: n, Len: pixels, A: 1, B: -1})
	set.Dot(dot, d, noise, kernels.PerImage{N: n, Len: pixels})
	out := make([]float32, n)
	set.Download(out, dot)
	sum := 0.0
	for _, v := range out {
		sum += float64(v)
	}
	assert.Less(t, sum, 0.0)
}

func TestGeneratorRefusesImpossibleSettings(t *testing.T) {
	_, err := NewGenerator(nil, nil, "euler", []float64{1, 0}, false)
	assert.ErrorContains(t, err, `"euler" is unknown`)
	_, err = NewGenerator(nil, nil, Heun, []float64{1, 0.5}, false)
	assert.ErrorContains(t, err, "end in 0")
	_, err = NewGenerator(nil, nil, Heun, []float64{1, 2, 0}, false)
	assert.ErrorContains(t, err, "must decrease")
}
