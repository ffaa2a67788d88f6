package posterior

import (
	"fmt"
	"math"

	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// Form says where PMC looks at the prior.
type Form string

// The two forms of PMC.
const (
	PnP Form = "pnp" // after the data step
	RED Form = "red" // at the same point as the data gradient
)

// PMCSettings configure NewPMC.
type PMCSettings struct {
	Form     Form
	Schedule Schedule
	// MinSigmaY is the least noise that the likelihood assumes: the step size falls with its square, so measurements
	// with (almost) no noise freeze the chain unless they are trusted a little less.
	MinSigmaY float64
	// MeanLast > 1 returns the mean of that many last iterates instead of a draw.
	MeanLast int
	// FinalDenoise ends with x + alpha (D(x, sigma) - x) at the last noise level, alpha the prior weight: without it
	// the image keeps the noise that the smoothed prior tolerates.
	FinalDenoise bool
}

// DefaultPMC is the PnP form on DefaultAnnealed with a final denoiser call.
func DefaultPMC() PMCSettings {
	return PMCSettings{Form: PnP, Schedule: DefaultAnnealed(), MinSigmaY: .02, FinalDenoise: true}
}

// PMC is plug-and-play Monte Carlo (Sun et al., IEEE TCI 2024): unadjusted Langevin steps with the exact likelihood
// gradient g = A^T(A x - y)/v and the prior's score s(x, sigma) = (D(x, sigma) - x)/sigma^2, w ~ N(0, I):
//
//	RED:  x' = x - gamma g(x) + gamma alpha a s(x, sigma) + sqrt(2 gamma) w
//	PnP:  z = x - gamma g(x);  x' = z + gamma alpha a s(z, sigma) + sqrt(2 gamma) w
//
// The score is added and the noise is sqrt(2 gamma) in both. Equations 6 and 7 of the paper that uses PMC as an E-step
// (principled EM) subtract the score and leave out the factor of the noise; as printed they converge to nothing useful.
// sigma, gamma and a follow the Schedule, alpha is Problem.PriorWeight. Chains start at uniform noise on [-1, 1].
type PMC struct {
	set            kernels.Set
	op             physics.Operator
	s              PMCSettings
	mean           mean
	z, d, ax, grad *physics.Scratch
}

// NewPMC works with every operator.
func NewPMC(set kernels.Set, op physics.Operator, s PMCSettings) (*PMC, error) {
	if s.Form != PnP && s.Form != RED {
		return nil, fmt.Errorf("posterior: pmc has no form %q: use pnp or red", s.Form)
	}
	if s.Schedule == nil {
		return nil, fmt.Errorf("posterior: pmc needs a schedule")
	}
	if err := s.Schedule.validate(); err != nil {
		return nil, err
	}
	if s.MeanLast < 0 || s.MeanLast > s.Schedule.Steps() {
		return nil, fmt.Errorf("posterior: pmc cannot average the last %d of %d iterates", s.MeanLast, s.Schedule.Steps())
	}
	return &PMC{set, op, s, mean{s.MeanLast, physics.NewScratch(set)},
		physics.NewScratch(set), physics.NewScratch(set), physics.NewScratch(set), physics.NewScratch(set)}, nil
}

// Name is "pmc".
func (s *PMC) Name() string { return "pmc" }

// NFE is the number of steps, and one more for the final denoiser call.
func (s *PMC) NFE() int {
	if s.s.FinalDenoise {
		return s.s.Schedule.Steps() + 1
	}
	return s.s.Schedule.Steps()
}

// langevin is one step: relax is gamma alpha a/sigma^2, the rate at which the prior pulls toward D.
type langevin struct{ sigma, gamma, relax float64 }

// plan returns the steps for a likelihood of variance v, or an error if they cannot be stable.
func (s *PMC) plan(v, alpha float64) ([]langevin, error) {
	steps := make([]langevin, s.s.Schedule.Steps())
	for k := range steps {
		sigma, gamma, a := s.s.Schedule.At(k, v, s.op.NormSquared())
		steps[k] = langevin{sigma, gamma, gamma * alpha * a / (sigma * sigma)}
		data, prior := gamma*s.op.NormSquared()/v, steps[k].relax
		if s.s.Form == RED && data+prior >= 2 || data >= 2 || prior >= 2 {
			return nil, fmt.Errorf("posterior: pmc diverges at sigma = %g, where a step moves %.3g of the way to the data and %.3g to the prior: choose a smaller step", sigma, data, prior)
		}
	}
	return steps, nil
}

// Sample fills x with the last iterate, or with the mean of the last ones.
func (s *PMC) Sample(x kernels.Buffer, p Problem) error {
	if err := p.check(s.op); err != nil {
		return err
	}
	if err := p.positiveWeight(); err != nil {
		return err
	}
	v := math.Pow(math.Max(physics.LikelihoodSigma(p.SigmaY), s.s.MinSigmaY), 2)
	steps, err := s.plan(v, p.weight())
	if err != nil {
		return err
	}
	c := newChain(s.set, s.op, p, s.NFE())
	z, d, ax, grad := s.z.Floats(c.size()), s.d.Floats(c.size()), s.ax.Floats(c.size()), s.grad.Floats(c.size())
	s.start(c, x, z)
	for k, l := range steps {
		s.op.Apply(ax, x)
		c.combine(ax, ax, p.Y, 1, -1)
		s.op.Adjoint(grad, ax)
		noise, random := math.Sqrt(2*l.gamma), c.random(streamPMC, uint32(k+1))
		if s.s.Form == PnP {
			c.update(z, x, nil, grad, 1, 0, -l.gamma/v, 0, kernels.Random{})
			c.denoise(d, z, l.sigma)
			c.update(x, z, d, nil, 1-l.relax, l.relax, 0, noise, random)
		} else {
			c.denoise(d, x, l.sigma)
			c.update(x, x, d, grad, 1-l.relax, l.relax, -l.gamma/v, noise, random)
		}
		s.mean.add(c, x, k, len(steps))
	}
	s.mean.into(c, x)
	if s.s.FinalDenoise {
		c.denoise(d, x, steps[len(steps)-1].sigma)
		c.combine(x, x, d, 1-p.weight(), p.weight())
	}
	return nil
}

// start fills x with uniform noise on [-1, 1]; u is a work buffer.
func (s *PMC) start(c *chain, x, u kernels.Buffer) {
	s.set.Uniform(u, c.p.Batch.IDs, kernels.Draw{N: c.n, Len: c.len, Random: c.random(streamPMC, 0)})
	s.set.Fill(x, -1, kernels.Elementwise{Len: c.size()})
	s.set.Axpy(x, u, 2, kernels.Elementwise{Len: c.size()})
}

// Close frees the work buffers.
func (s *PMC) Close() {
	for _, b := range []*physics.Scratch{s.mean.sum, s.z, s.d, s.ax, s.grad} {
		b.Free()
	}
}
