package posterior

import (
	"fmt"
	"math"
)

// Schedule plans the steps of PMC: the noise level of the prior, the step size, and how much the prior's score counts.
type Schedule interface {
	// Steps is the number of Langevin steps.
	Steps() int
	// At returns for step k the noise level sigma at which the prior is seen, the step size gamma and the factor a of
	// the prior's score, given the variance v of the likelihood and ||A||^2.
	At(k int, v, normSquared float64) (sigma, gamma, a float64)

	validate() error
}

// Annealed is Langevin sampling of the exact targets p(y | x) p_sigma(x) for noise levels falling geometrically from
// SigmaMax to SigmaMin: a = 1 and
//
//	gamma = min(DataStep v/||A||^2, PriorStep sigma^2)
//
// which is stable for any v and sigma while DataStep + PriorStep < 2.
type Annealed struct {
	SigmaMax, SigmaMin  float64
	Levels              int // noise levels
	StepsPerLevel       int // Langevin steps at each
	DataStep, PriorStep float64
}

// DefaultAnnealed takes 300 steps from sigma = 2 to 0.1.
func DefaultAnnealed() Annealed {
	return Annealed{SigmaMax: 2, SigmaMin: .1, Levels: 300, StepsPerLevel: 1, DataStep: .2, PriorStep: .2}
}

// Steps is Levels times StepsPerLevel.
func (s Annealed) Steps() int { return s.Levels * s.StepsPerLevel }

// At implements Schedule.
func (s Annealed) At(k int, v, normSquared float64) (sigma, gamma, a float64) {
	sigma = s.SigmaMax
	if s.Levels > 1 {
		u := float64(k/s.StepsPerLevel) / float64(s.Levels-1)
		sigma *= math.Pow(s.SigmaMin/s.SigmaMax, u)
	}
	return sigma, math.Min(s.DataStep*v/normSquared, s.PriorStep*sigma*sigma), 1
}

func (s Annealed) validate() error {
	if s.Levels < 1 || s.StepsPerLevel < 1 {
		return fmt.Errorf("posterior: pmc with %d levels of %d steps: both must be positive", s.Levels, s.StepsPerLevel)
	}
	if !(s.SigmaMin > 0 && s.SigmaMax >= s.SigmaMin && s.DataStep > 0 && s.PriorStep > 0) {
		return fmt.Errorf("posterior: pmc with sigma from %g to %g and steps %g, %g: sigma must fall and all be positive", s.SigmaMax, s.SigmaMin, s.DataStep, s.PriorStep)
	}
	return nil
}

// Literal is the schedule of the public PMC code: a constant gamma,
//
//	sigma_k = max(SigmaMax Decay^k, SigmaMin),  a = max(Alpha sigma_k^2, 1),  gamma = DataStep v/||A||^2
//
// Its configurations have Alpha = 1/SigmaMin^2, SigmaMin^2 near v, Decay 0.99 and DataStep 0.1, so that the prior's move
// is a relaxation toward D at the constant rate gamma/SigmaMin^2. With SigmaMin^2 far below v the prior drowns the data.
type Literal struct {
	SigmaMax, SigmaMin, Decay float64
	Alpha                     float64
	DataStep                  float64
	N                         int // steps
}

// DefaultLiteral keeps that balance for a likelihood of standard deviation sigma: SigmaMin = sigma/2, Alpha = 1/SigmaMin^2.
func DefaultLiteral(sigma float64) Literal {
	return Literal{SigmaMax: 80, SigmaMin: sigma / 2, Decay: .99, Alpha: 4 / (sigma * sigma), DataStep: .1, N: 1500}
}

// Steps is N.
func (s Literal) Steps() int { return s.N }

// At implements Schedule.
func (s Literal) At(k int, v, normSquared float64) (sigma, gamma, a float64) {
	sigma = math.Max(s.SigmaMax*math.Pow(s.Decay, float64(k)), s.SigmaMin)
	return sigma, s.DataStep * v / normSquared, math.Max(s.Alpha*sigma*sigma, 1)
}

func (s Literal) validate() error {
	if s.N < 1 {
		return fmt.Errorf("posterior: pmc with %d steps: the number must be positive", s.N)
	}
	if !(s.SigmaMin > 0 && s.SigmaMax >= s.SigmaMin && s.Decay > 0 && s.Decay <= 1 && s.Alpha >= 0 && s.DataStep > 0) {
		return fmt.Errorf("posterior: pmc with sigma from %g to %g, decay %g, alpha %g, step %g: sigma must fall, the decay lie in (0, 1], the rest be positive", s.SigmaMax, s.SigmaMin, s.Decay, s.Alpha, s.DataStep)
	}
	return nil
}
