package learn

import (
	"math"

	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
)

// weighsPrior reports whether the sampler can weight the prior.
func (s SamplerConfig) weighsPrior() bool {
	return s.Sampler == "pmc-pnp" || s.Sampler == "pmc-red" || s.Sampler == "dps"
}

// Build makes the sampler for an operator and measurements of noise sigmaY.
func (s SamplerConfig) Build(set kernels.Set, op physics.Operator, sigmaY float64) (posterior.Sampler, error) {
	switch s.Sampler {
	case "reverse-sde":
		return posterior.NewReverseSDE(set, op, posterior.ReverseSDESettings{Steps: s.Steps, SigmaMin: s.SigmaMin})
	case "split-gibbs":
		return posterior.NewSplitGibbs(set, op, posterior.SplitGibbsSettings{Iterations: s.Steps, RhoMax: s.RhoMax, RhoMin: s.RhoMin,
			Decay: s.RhoDecay, Steps: s.Inner, SigmaMin: s.SigmaMin,
			// a coupling above the noise leaves measured entries further from y than the noise allows
			DataFinish: s.RhoMin*math.Sqrt(op.NormSquared()) > sigmaY})
	case "dps":
		return posterior.NewDPS(set, op, posterior.DPSSettings{Steps: s.Steps, SigmaMax: s.SigmaMax, SigmaMin: s.SigmaMin, Zeta: s.Zeta, Clamp: s.Clamp})
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

// DefaultSampler are settings of a sampler that suit most images, for those who choose one without a run's.
func DefaultSampler(name string, batch int) (SamplerConfig, error) {
	s := SamplerConfig{Sampler: name, Batch: batch}
	switch name {
	case "reverse-sde":
		d := posterior.DefaultReverseSDE()
		s.Steps, s.SigmaMin = d.Steps, d.SigmaMin
	case "split-gibbs":
		d := posterior.DefaultSplitGibbs()
		s.Steps, s.Inner, s.SigmaMin, s.RhoMax, s.RhoMin, s.RhoDecay = d.Iterations, d.Steps, d.SigmaMin, d.RhoMax, d.RhoMin, d.Decay
	case "pmc-pnp", "pmc-red":
		d := posterior.DefaultAnnealed()
		s.Steps, s.SigmaMin, s.SigmaMax, s.StepSize = d.Steps(), d.SigmaMin, d.SigmaMax, d.DataStep
	case "dps":
		d := posterior.DefaultDPS()
		s.Steps, s.SigmaMin, s.SigmaMax, s.Zeta, s.Clamp = d.Steps, d.SigmaMin, d.SigmaMax, d.Zeta, d.Clamp
	}
	return s, s.validate()
}
