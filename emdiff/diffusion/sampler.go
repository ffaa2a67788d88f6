package diffusion

import (
	"fmt"
	"math"

	"emdiff/kernels"
)

// Step is one move from noise level sigma to a lower one, as the coefficients of kernels.Update with d = D(x, sigma):
// x' = A x + B d + Noise w.
type Step struct{ A, B, Noise float64 }

// AncestralStep draws from the Gaussian that links the two levels when the clean image is D: the DDPM step with the
// posterior variance. It has mean D + (next/sigma)^2 (x - D) and variance next^2 (1 - next^2/sigma^2).
func AncestralStep(sigma, next float64) Step {
	r := next * next / (sigma * sigma)
	return Step{A: r, B: 1 - r, Noise: next * math.Sqrt(max(1-r, 0))}
}

// DDIMStep is the deterministic step D + (next/sigma) (x - D): Euler on the probability-flow ODE dx/dsigma = (x-D)/sigma.
func DDIMStep(sigma, next float64) Step {
	r := next / sigma
	return Step{A: r, B: 1 - r}
}

// Method selects an unconditional sampler.
type Method string

// The samplers of clean images.
const (
	Ancestral Method = "ddpm" // stochastic, one call of D per level
	DDIM      Method = "ddim" // deterministic, one call of D per level
	Heun      Method = "heun" // second order (Karras et al. 2022, algorithm 1 without churn), 2 calls less one
)

// Generator draws clean images from a prior.
type Generator struct {
	Set    kernels.Set
	Prior  Denoiser
	Method Method
	Grid   []float64 // noise levels, decreasing, ending in 0
	Clip   bool      // limit D to [-1, 1]

	d, d2, next kernels.Buffer
	size        int
}

// NewGenerator checks its arguments.
func NewGenerator(set kernels.Set, prior Denoiser, method Method, grid []float64, clip bool) (*Generator, error) {
	switch method {
	case Ancestral, DDIM, Heun:
	default:
		return nil, fmt.Errorf("generation method %q is unknown: use ddpm, ddim or heun", method)
	}
	if len(grid) < 2 || grid[len(grid)-1] != 0 {
		return nil, fmt.Errorf("the noise levels of a sampler must end in 0, got %v", grid)
	}
	for i := 1; i < len(grid); i++ {
		if !(grid[i] < grid[i-1]) {
			return nil, fmt.Errorf("the noise levels of a sampler must decrease, got %g after %g", grid[i], grid[i-1])
		}
	}
	return &Generator{Set: set, Prior: prior, Method: method, Grid: grid, Clip: clip}, nil
}

// Sample fills x with n images drawn from the prior. Image i depends on r and on its id r.FirstImage+i alone.
func (g *Generator) Sample(x kernels.Buffer, n int, r kernels.Random) {
	h, w, c := g.Prior.Shape()
	length := h * w * c
	g.reserve(n * length)
	draw := kernels.Draw{N: n, Len: length, Random: r}
	g.Set.Normal(x, nil, draw)
	g.Set.Update(x, x, nil, nil, nil, nil, kernels.Update{N: n, Len: length, A: float32(g.Grid[0])})
	for i := range len(g.Grid) - 1 {
		sigma, next := g.Grid[i], g.Grid[i+1]
		r.Step++
		g.denoise(g.d, x, n, sigma)
		switch {
		case g.Method == Ancestral:
			g.update(x, x, g.d, n, AncestralStep(sigma, next), r)
		case g.Method == DDIM || next == 0:
			g.update(x, x, g.d, n, DDIMStep(sigma, next), r)
		default:
			g.heun(x, n, sigma, next, r)
		}
	}
}

// heun replaces the slope (x-D)/sigma of the Euler step by its mean with the slope at the end of that step.
func (g *Generator) heun(x kernels.Buffer, n int, sigma, next float64, r kernels.Random) {
	g.update(g.next, x, g.d, n, DDIMStep(sigma, next), r)
	g.denoise(g.d2, g.next, n, next)
	// x + h/2 ((x-D)/sigma + (e-D2)/next) with h = next-sigma and e the Euler point
	h := (next - sigma) / 2
	g.update(x, x, g.d, n, Step{A: 1 + h/sigma, B: -h / sigma}, r)
	g.update(x, x, g.next, n, Step{A: 1, B: h / next}, r)
	g.update(x, x, g.d2, n, Step{A: 1, B: -h / next}, r)
}

func (g *Generator) denoise(d, x kernels.Buffer, n int, sigma float64) {
	g.Prior.Denoise(d, x, n, sigma)
	if g.Clip {
		h, w, c := g.Prior.Shape()
		g.Set.Clamp(d, d, kernels.Clamp{Len: n * h * w * c, Lo: -1, Hi: 1})
	}
}

func (g *Generator) update(y, x, d kernels.Buffer, n int, s Step, r kernels.Random) {
	h, w, c := g.Prior.Shape()
	g.Set.Update(y, x, d, nil, nil, nil, kernels.Update{N: n, Len: h * w * c,
		A: float32(s.A), B: float32(s.B), Noise: float32(s.Noise), Random: r})
}

func (g *Generator) reserve(size int) {
	if size <= g.size {
		return
	}
	g.Close()
	g.d, g.d2, g.next = g.Set.Alloc(kernels.F32, size), g.Set.Alloc(kernels.F32, size), g.Set.Alloc(kernels.F32, size)
	g.size = size
}

// Close frees the workspace.
func (g *Generator) Close() {
	if g.size == 0 {
		return
	}
	g.Set.Free(g.d)
	g.Set.Free(g.d2)
	g.Set.Free(g.next)
	g.size = 0
}
