package learn

import (
	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
)

// isPMC reports whether the sampler is one of the Langevin samplers, which can weight the prior.
func (s SamplerConfig) isPMC() bool { return s.Sampler == "pmc-pnp" || s.Sampler == "pmc-red" }

// build makes the sampler for an operator.
func (s SamplerConfig) build(set kernels.Set, op physics.Operator) (posterior.Sampler, error) {
	switch s.Sampler {
	case "reverse-sde":
		return posterior.NewReverseSDE(set, op, posterior.ReverseSDESettings{Steps: s.Steps, SigmaMin: s.SigmaMin})
	case "split-gibbs":
		return posterior.NewSplitGibbs(set, op, posterior.SplitGibbsSettings{Iterations: s.Steps, RhoMax: s.RhoMax, RhoMin: s.RhoMin,
			Decay: s.RhoDecay, Steps: s.Inner, SigmaMin: s.SigmaMin})
	}
	return posterior.NewPMC(set, op, s.pmc())
}

// pmc are the settings of the annealed Langevin sampler.
func (s SamplerConfig) pmc() posterior.PMCSettings {
	p := posterior.DefaultPMC()
	if s.Sampler == "pmc-red" {
		p.Form = posterior.RED
	}
	p.Schedule = posterior.Annealed{SigmaMax: s.SigmaMax, SigmaMin: s.SigmaMin, Levels: s.Steps, StepsPerLevel: 1,
		DataStep: s.StepSize, PriorStep: s.StepSize}
	return p
}
