package posterior

import (
	"fmt"
	"math"

	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// SplitGibbsSettings configure NewSplitGibbs.
type SplitGibbsSettings struct {
	Iterations int     // alternations of the two draws
	RhoMax     float64 // coupling of the first iteration
	RhoMin     float64 // least coupling
	Decay      float64 // factor from one iteration to the next
	// Steps and SigmaMin are the levels of each prior draw, as in ReverseSDESettings; SigmaMin < RhoMin.
	Steps    int
	SigmaMin float64
	// AsPublished leaves the variance that the coupling adds in the likelihood (see SplitGibbs). Otherwise it is taken
	// out, and rho stops falling at sigma_y/||A||, where nothing is gained by a smaller one.
	AsPublished bool
	// MeanLast > 1 returns the mean of that many last iterates instead of a draw; those before are burn-in.
	MeanLast int
	// DataFinish ends with the mean of z given x and y in place of x: measured entries then agree with y.
	DataFinish bool
}

// DefaultSplitGibbs anneals rho from 1 to 0.1, or to sigma_y/||A|| if that is larger, and costs 160 denoiser calls.
func DefaultSplitGibbs() SplitGibbsSettings {
	return SplitGibbsSettings{Iterations: 10, RhoMax: 1, RhoMin: .1, Decay: .7, Steps: 16, SigmaMin: .02}
}

func (s SplitGibbsSettings) validate() error {
	switch {
	case s.Iterations < 1:
		return fmt.Errorf("posterior: split-gibbs with %d iterations: the number must be positive", s.Iterations)
	case !(s.RhoMin > 0 && s.RhoMax >= s.RhoMin && s.Decay > 0 && s.Decay <= 1):
		return fmt.Errorf("posterior: split-gibbs with rho from %g to %g and decay %g: rho must be positive and not grow, the decay lie in (0, 1]", s.RhoMax, s.RhoMin, s.Decay)
	case s.SigmaMin >= s.RhoMin:
		return fmt.Errorf("posterior: split-gibbs goes down from rho = %g and cannot end at sigma %g: choose a smaller last level", s.RhoMin, s.SigmaMin)
	case s.MeanLast < 0 || s.MeanLast > s.Iterations:
		return fmt.Errorf("posterior: split-gibbs cannot average the last %d of %d iterates", s.MeanLast, s.Iterations)
	}
	return s.prior().validate("split-gibbs")
}

// prior are the settings of the draws of x given z.
func (s SplitGibbsSettings) prior() ReverseSDESettings {
	return ReverseSDESettings{Steps: s.Steps, SigmaMin: s.SigmaMin}
}

// rho is the coupling of iteration k, RhoMax Decay^k but not less than RhoMin and least.
func (s SplitGibbsSettings) rho(k int, least float64) float64 {
	return math.Max(s.RhoMax*math.Pow(s.Decay, float64(k)), math.Max(s.RhoMin, least))
}

// SplitGibbs is the plug-and-play diffusion sampler of Wu et al. (NeurIPS 2024). It splits the
// posterior with a copy z of x that may differ by rho, p(x, z | y) ~ p(y | z) N(z; x, rho^2 I) p(x), and alternates
//
//	z ~ p(z | x, y): Gaussian, drawn exactly by the operator, however small the noise and wherever pixels are hidden
//	x ~ p(x | z):    denoising at sigma = rho, drawn by the reverse SDE (see ReverseSDE)
//
// with rho falling to RhoMin. At constant rho the law of x is the posterior for noise of covariance
// S + rho^2 A A^T, S that of p(y | z). As published, S = sigma_y^2 I: the draws are biased, less so for a smaller rho,
// which mixes more slowly. Here S = sigma_y^2 I - rho^2 A A^T unless AsPublished is set: the draws follow the posterior
// itself for every rho up to sigma_y/||A||, and at that value a denoising chain is ReverseSDE, without memory. Where
// there is no noise nothing can be taken out, and rho falls to RhoMin.
type SplitGibbs struct {
	set  kernels.Set
	op   physics.Operator
	s    SplitGibbsSettings
	d    denoised
	mean mean
}

// NewSplitGibbs works with every operator.
func NewSplitGibbs(set kernels.Set, op physics.Operator, s SplitGibbsSettings) (*SplitGibbs, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	return &SplitGibbs{set, op, s, newDenoised(set), mean{s.MeanLast, physics.NewScratch(set)}}, nil
}

// Name is "split-gibbs".
func (s *SplitGibbs) Name() string { return "split-gibbs" }

// NFE is Iterations times Steps.
func (s *SplitGibbs) NFE() int { return s.s.Iterations * s.s.Steps }

// Sample fills x with a draw, or with the mean of the last iterates. The chain starts at A^T y.
func (s *SplitGibbs) Sample(x kernels.Buffer, p Problem) error {
	if err := p.check(s.op); err != nil {
		return err
	}
	if err := p.onlyPosterior(s.Name()); err != nil {
		return err
	}
	c := newChain(s.set, s.op, p, s.NFE())
	least := 0.0
	if !s.s.AsPublished {
		least = p.SigmaY / math.Sqrt(s.op.NormSquared())
	}
	s.op.Adjoint(x, p.Y)
	draw := physics.GaussianDraw{SigmaY: p.SigmaY, Compensate: !s.s.AsPublished, Temperature: 1}
	for k := range s.s.Iterations {
		draw.R, draw.Random = s.s.rho(k, least), c.random(streamLikelihood, uint32(k))
		s.op.PosteriorGaussian(x, x, p.Y, draw)
		c.reverse(x, x, s.d, diffusion.EDMGrid(s.s.Steps, s.s.SigmaMin, draw.R), streamPrior, uint32(k*s.s.Steps))
		s.mean.add(c, x, k, s.s.Iterations)
	}
	s.mean.into(c, x)
	if s.s.DataFinish {
		draw.Temperature = 0
		s.op.PosteriorGaussian(x, x, p.Y, draw)
	}
	return nil
}

// Close frees the work buffers.
func (s *SplitGibbs) Close() {
	s.d.free()
	s.mean.sum.Free()
}
