package posterior

import (
	"fmt"
	"math"

	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// DPSSettings configure NewDPS.
type DPSSettings struct {
	Steps              int     // noise levels, each one denoiser call and its vector-Jacobian product
	SigmaMax, SigmaMin float64 // the first and the last of them; D takes the last to 0
	// Zeta is the guidance of one step. What counts is about Zeta times Steps: halve one, double the other. On 28x28 images
	// 50 suits denoising at sigma_y = 0.2, 100 to 200 masks and blur with little noise. 0 leaves the measurements
	// out: draws of the prior, by ancestral sampling.
	Zeta float64
	// Clamp limits D to [-1, 1]; the gradient is then 0 where it was outside.
	Clamp bool
}

// DefaultDPS takes 100 steps from sigma = 80 to 0.01.
func DefaultDPS() DPSSettings {
	return DPSSettings{Steps: 100, SigmaMax: 80, SigmaMin: .01, Zeta: 1, Clamp: true}
}

func (s DPSSettings) validate() error {
	if s.Steps < 1 || !(s.SigmaMin > 0 && s.SigmaMax >= s.SigmaMin) || math.IsInf(s.SigmaMax, 0) {
		return fmt.Errorf("posterior: dps with %d steps from sigma %g to %g: all must be positive and sigma fall", s.Steps, s.SigmaMax, s.SigmaMin)
	}
	if !(s.Zeta >= 0) || math.IsInf(s.Zeta, 0) {
		return fmt.Errorf("posterior: dps with zeta = %g: it must not be negative (1 is usual)", s.Zeta)
	}
	return nil
}

// DPS is diffusion posterior sampling (Chung et al., ICLR 2023), the E-step of EMDiffusion (Bai et al., NeurIPS 2024):
// ancestral sampling of the prior, every step of which also descends the distance of the denoised image from y,
//
//	x' = ancestral(x, D) - (Zeta/lambda) sqrt((1 + sigma^2)(1 + next^2)) grad_x ||A D(x, sigma) - y||
//
// from noise level sigma to next, the last to 0. The gradient J^T A^T (A D - y)/||A D - y|| runs through the network, J
// being the Jacobian of D. The square roots are those of a constant Zeta in the variance-preserving coordinates
// x/sqrt(1 + sigma^2) of the publications. Levels are evenly spaced in sigma^(1/7); lambda is Problem.PriorWeight, which
// EM raises to 1: a prior that is trusted less leaves more to the data. Dividing Zeta by it targets p(y | x) p(x)^lambda up
// to a temperature; very small weights scatter the draws.
//
// The norm is that of one image. The public code takes it over the batch, which divides the guidance of each image by about
// the root of the batch's size: for its Zeta divide there by that root.
//
// It approximates the likelihood of x and does not know SigmaY, and near the end the normalised
// gradient keeps its length, so that noiseless measurements are met only up to jitter of about Zeta. It is exact for
// Zeta = 0 alone, where it draws from the prior.
type DPS struct {
	set                   kernels.Set
	op                    physics.Operator
	s                     DPSSettings
	d, clamped, residual  *physics.Scratch
	back, gradient, scale *physics.Scratch
	scales                []float32 // of the batch, on the host
}

// NewDPS works with every operator.
func NewDPS(set kernels.Set, op physics.Operator, s DPSSettings) (*DPS, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	work := func() *physics.Scratch { return physics.NewScratch(set) }
	return &DPS{set: set, op: op, s: s, d: work(), clamped: work(), residual: work(), back: work(), gradient: work(), scale: work()}, nil
}

// Name is "dps".
func (s *DPS) Name() string { return "dps" }

// NFE is the number of steps. Each call also has its vector-Jacobian product taken, which costs about two
// calls more.
func (s *DPS) NFE() int { return s.s.Steps }

// Sample fills x with a draw.
func (s *DPS) Sample(x kernels.Buffer, p Problem) error {
	if err := p.check(s.op); err != nil {
		return err
	}
	if err := p.positiveWeight(); err != nil {
		return err
	}
	c := newChain(s.set, s.op, p, s.NFE())
	grid := diffusion.EDMGrid(s.s.Steps, s.s.SigmaMin, s.s.SigmaMax)
	s.set.Normal(x, p.Batch.IDs, kernels.Draw{N: c.n, Len: c.len, Random: c.random(streamDPS, 0)})
	c.combine(x, x, nil, grid[0], 0)
	for i, sigma := range grid[:s.s.Steps] {
		next := grid[i+1]
		d := s.guide(c, x, sigma)
		step := diffusion.AncestralStep(sigma, next)
		zeta := s.s.Zeta / p.weight() * math.Sqrt((1+sigma*sigma)*(1+next*next))
		s.set.Update(x, x, d, s.gradient.Floats(c.size()), s.scale.Floats(c.n), p.Batch.IDs, kernels.Update{N: c.n, Len: c.len,
			A: float32(step.A), B: float32(step.B), C: float32(-zeta), Noise: float32(step.Noise), Random: c.random(streamDPS, uint32(i+1))})
	}
	return nil
}

// guide returns D(x, sigma) and leaves J^T A^T (A D - y) in s.gradient and 1/||A D - y|| of each image in s.scale.
func (s *DPS) guide(c *chain, x kernels.Buffer, sigma float64) (d kernels.Buffer) {
	all := kernels.Clamp{Len: c.size(), Lo: -1, Hi: 1}
	raw, r, back := s.d.Floats(c.size()), s.residual.Floats(c.size()), s.back.Floats(c.size())
	vjp := c.linearize(raw, x, sigma)
	d = raw
	if s.s.Clamp {
		d = s.clamped.Floats(c.size())
		s.set.Clamp(d, raw, all)
	}
	s.op.Apply(r, d)
	c.combine(r, r, c.p.Y, 1, -1)
	s.op.Adjoint(back, r)
	if s.s.Clamp {
		s.set.ClampGrad(back, back, raw, all)
	}
	vjp(s.gradient.Floats(c.size()), back)
	s.normalise(c, r)
	return d
}

// normalise sets s.scale to 1/||r|| of each image, 0 where y is met: the one thing that the host computes, since no op
// divides.
func (s *DPS) normalise(c *chain, r kernels.Buffer) {
	scale := s.scale.Floats(c.n)
	s.set.Dot(scale, r, r, kernels.PerImage{N: c.n, Len: c.len})
	if len(s.scales) < c.n {
		s.scales = make([]float32, c.n)
	}
	values := s.scales[:c.n]
	s.set.Download(values, scale)
	for i, square := range values {
		if square > 0 {
			values[i] = float32(1 / math.Sqrt(float64(square)))
		}
	}
	s.set.Upload(scale, values)
}

// Close frees the work buffers.
func (s *DPS) Close() {
	for _, b := range []*physics.Scratch{s.d, s.clamped, s.residual, s.back, s.gradient, s.scale} {
		b.Free()
	}
}
