package learn

import (
	"fmt"
	"math"

	"emdiff/nn"
)

// Config is everything that decides what a run computes. Its TOML keys are the names users set; Validate names them in
// its messages.
type Config struct {
	Seed    uint64        `toml:"seed"`
	Task    TaskConfig    `toml:"task"`
	Network nn.UNetConfig `toml:"network"`
	Prior   PriorConfig   `toml:"prior"`
	Train   TrainConfig   `toml:"train"`
	Init    InitConfig    `toml:"init"`
	EM      EMConfig      `toml:"em"`
	EStep   SamplerConfig `toml:"estep"`
	Eval    EvalConfig    `toml:"eval"`
}

// TaskConfig is the corruption y = A x + sigma n.
type TaskConfig struct {
	Name     string  `toml:"name"`      // denoise, inpaint or deblur
	Sigma    float64 `toml:"sigma"`     // standard deviation of the noise, images in [-1, 1]
	Masked   float64 `toml:"masked"`    // inpaint: fraction of the pixels that are hidden
	BlurSize int     `toml:"blur_size"` // deblur: taps along one side, odd
	BlurStd  float64 `toml:"blur_std"`  // deblur: standard deviation in pixels
}

// PriorConfig is the noise process of the diffusion prior and how clean images are drawn from it.
type PriorConfig struct {
	Kind          string  `toml:"kind"`           // edm, vp-linear or vp-cosine
	SigmaData     float64 `toml:"sigma_data"`     // edm: standard deviation of the images
	NoiseMean     float64 `toml:"noise_mean"`     // edm: mean of ln sigma in training
	NoiseStd      float64 `toml:"noise_std"`      // edm: standard deviation of ln sigma in training
	SigmaMin      float64 `toml:"sigma_min"`      // edm: lowest noise level
	SigmaMax      float64 `toml:"sigma_max"`      // edm: highest noise level
	Sampler       string  `toml:"sampler"`        // heun, ddim or ddpm
	SampleSteps   int     `toml:"sample_steps"`   // noise levels of that sampler
	SamplesClip   bool    `toml:"samples_clip"`   // limit D to [-1, 1] while generating
	ScheduleSteps int     `toml:"schedule_steps"` // vp: steps of the schedule
}

// TrainConfig is the optimiser, used by the initialisation and by every M-step.
type TrainConfig struct {
	Batch       int     `toml:"batch"`
	LR          float64 `toml:"lr"`
	Warmup      int     `toml:"warmup"` // steps over which the learning rate rises from 0, each time training starts
	Decay       bool    `toml:"decay"`  // let the learning rate fall to 0 along a cosine over each training phase
	WeightDecay float64 `toml:"weight_decay"`
	ClipNorm    float64 `toml:"clip_norm"` // 0 = no clipping
	EMA         float64 `toml:"ema"`       // decay of the averaged weights; warmed up as min(ema, (1+k)/(10+k))
	// Ambient trains noise levels above the measurements' noise on the measurements themselves (denoising only; the
	// ambient-Tweedie loss of diffusion.Loss), instead of on reconstructions.
	Ambient bool `toml:"ambient"`
	// Checkpoint says what a training step computes twice to take less memory: none ("" too), norms or blocks. Results do
	// not change.
	Checkpoint string `toml:"checkpoint"`
}

// checkpoint is the choice that Checkpoint names.
func (t TrainConfig) checkpoint() nn.Checkpoint {
	c, _ := nn.ParseCheckpoint(t.Checkpoint)
	return c
}

// InitConfig is what starts EM: training on clean images or, where there are none, on draws under a Gaussian prior that is
// fitted to the measurements by an EM of its own (posterior.Gaussian).
type InitConfig struct {
	Clean      int `toml:"clean"` // clean images; 0 = start from the Gaussian
	Steps      int `toml:"steps"`
	Rank       int `toml:"rank"`       // Gaussian: directions with a variance of their own
	Iterations int `toml:"iterations"` // Gaussian: EM iterations
}

// gaussian reports whether EM starts without clean images.
func (i InitConfig) gaussian() bool { return i.Clean == 0 }

// EMConfig is the outer loop. Early rounds fine-tune on a subset; the last ResetRounds start from fresh weights and use
// FinalSubset measurements.
type EMConfig struct {
	Rounds      int     `toml:"rounds"`
	ResetRounds int     `toml:"reset_rounds"`
	Subset      int     `toml:"subset"`       // measurements of an early round; 0 = all
	FinalSubset int     `toml:"final_subset"` // measurements of a reset round; 0 = all
	Steps       int     `toml:"steps"`        // training steps of an early round
	FinalSteps  int     `toml:"final_steps"`  // training steps of a reset round
	AlphaFirst  float64 `toml:"alpha_first"`  // PMC and DPS: weight of the prior in the first round ...
	AlphaLast   float64 `toml:"alpha_last"`   // ... and in the last, geometric in between
}

// SamplerConfig chooses and tunes the sampler of p(x | y).
type SamplerConfig struct {
	Sampler  string  `toml:"sampler"`   // reverse-sde (denoising only), split-gibbs, pmc-pnp, pmc-red or dps
	Batch    int     `toml:"batch"`     // images sampled at once; does not change the result
	Steps    int     `toml:"steps"`     // reverse-sde, dps: noise levels; split-gibbs: iterations; pmc: Langevin steps
	SigmaMin float64 `toml:"sigma_min"` // the last noise level (split-gibbs: of each prior draw)
	SigmaMax float64 `toml:"sigma_max"` // pmc, dps: the first noise level
	StepSize float64 `toml:"step_size"` // pmc: gamma = step_size * min(v/|A|^2, sigma^2)
	Zeta     float64 `toml:"zeta"`      // dps: guidance of a step; it matters times steps
	Clamp    bool    `toml:"clamp"`     // dps: limit D to [-1, 1]
	RhoMax   float64 `toml:"rho_max"`   // split-gibbs: the first coupling,
	RhoMin   float64 `toml:"rho_min"`   // the least,
	RhoDecay float64 `toml:"rho_decay"` // and the factor from one iteration to the next
	Inner    int     `toml:"inner"`     // split-gibbs: noise levels of each prior draw
}

// EvalConfig is the evaluation on images that no training sees.
type EvalConfig struct {
	HeldOut   int `toml:"held_out"`  // images
	Draws     int `toml:"draws"`     // posterior draws averaged at the end
	Generated int `toml:"generated"` // clean images drawn from the prior after each round
	Shown     int `toml:"shown"`     // held-out images in the grid
}

// Validate returns one sentence about the first setting that cannot be, for the camera that goes with them: what the
// user's files say is not asked of the settings.
func (c Config) Validate(camera Camera) error {
	task := func() error { return c.Task.validate(camera) }
	for _, check := range []func() error{task, c.Prior.validate, c.Train.validate, c.Init.validate, c.EM.validate, c.EStep.validate, c.validateTogether} {
		if err := check(); err != nil {
			return err
		}
	}
	if err := c.Network.Validate(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	return nil
}

func (t TaskConfig) validate(camera Camera) error {
	if t.Sigma < 0 || t.Sigma > 10 {
		return fmt.Errorf("task.sigma = %g: the noise level must lie in [0, 10], on images in [-1, 1]", t.Sigma)
	}
	switch t.Name {
	case "denoise":
		if t.Sigma == 0 {
			return fmt.Errorf("task.sigma = 0: there is nothing to denoise; set it to the noise of the measurements")
		}
	case "inpaint":
		if camera.Masks == nil && !(t.Masked > 0 && t.Masked < 1) {
			return fmt.Errorf("task.masked = %g: the hidden fraction must lie between 0 and 1", t.Masked)
		}
	case "deblur":
		if camera.Kernel == nil && (t.BlurSize < 1 || t.BlurSize%2 == 0 || !(t.BlurStd > 0)) {
			return fmt.Errorf("task.blur_size = %d, task.blur_std = %g: the size must be odd and the width positive", t.BlurSize, t.BlurStd)
		}
	default:
		return fmt.Errorf("task.name = %q is unknown: use denoise, inpaint or deblur", t.Name)
	}
	return nil
}

func (p PriorConfig) validate() error {
	switch p.Kind {
	case "edm":
		if !(p.SigmaData > 0 && p.NoiseStd > 0 && p.SigmaMin > 0 && p.SigmaMax > p.SigmaMin) {
			return fmt.Errorf("prior.sigma_data = %g, noise_std = %g, sigma_min = %g, sigma_max = %g: all must be positive and sigma_max above sigma_min",
				p.SigmaData, p.NoiseStd, p.SigmaMin, p.SigmaMax)
		}
	case "vp-linear", "vp-cosine":
		if p.ScheduleSteps < 2 {
			return fmt.Errorf("prior.schedule_steps = %d: a VP schedule needs at least 2 (1000 is usual)", p.ScheduleSteps)
		}
	default:
		return fmt.Errorf("prior.kind = %q is unknown: use edm, vp-linear or vp-cosine", p.Kind)
	}
	switch p.Sampler {
	case "heun", "ddim", "ddpm":
	default:
		return fmt.Errorf("prior.sampler = %q is unknown: use heun, ddim or ddpm", p.Sampler)
	}
	if p.SampleSteps < 1 {
		return fmt.Errorf("prior.sample_steps = %d must be positive", p.SampleSteps)
	}
	return nil
}

func (t TrainConfig) validate() error {
	if t.Batch < 1 || t.Warmup < 0 {
		return fmt.Errorf("train.batch = %d must be positive and train.warmup = %d not negative", t.Batch, t.Warmup)
	}
	if !(t.LR > 0) || math.IsInf(t.LR, 0) || t.WeightDecay < 0 || t.ClipNorm < 0 || t.EMA < 0 || t.EMA >= 1 {
		return fmt.Errorf("train.lr = %g must be positive, weight_decay = %g and clip_norm = %g not negative, ema = %g in [0, 1)",
			t.LR, t.WeightDecay, t.ClipNorm, t.EMA)
	}
	if _, ok := nn.ParseCheckpoint(t.Checkpoint); !ok && t.Checkpoint != "" {
		return fmt.Errorf("train.checkpoint = %q is unknown: use none, norms or blocks", t.Checkpoint)
	}
	return nil
}

func (i InitConfig) validate() error {
	if i.Clean < 0 || i.Steps < 0 {
		return fmt.Errorf("init.clean = %d and init.steps = %d must not be negative", i.Clean, i.Steps)
	}
	if i.gaussian() && (i.Rank < 1 || i.Iterations < 1) {
		return fmt.Errorf("init.rank = %d and init.iterations = %d must be positive to start without clean images (64 and 16 are usual)", i.Rank, i.Iterations)
	}
	return nil
}

func (e EMConfig) validate() error {
	if e.Rounds < 0 || e.ResetRounds < 0 || e.ResetRounds > e.Rounds {
		return fmt.Errorf("em.rounds = %d, em.reset_rounds = %d: want 0 <= reset_rounds <= rounds", e.Rounds, e.ResetRounds)
	}
	if e.Subset < 0 || e.FinalSubset < 0 || e.Steps < 0 || e.FinalSteps < 0 {
		return fmt.Errorf("em.subset = %d, final_subset = %d, steps = %d, final_steps = %d must not be negative", e.Subset, e.FinalSubset, e.Steps, e.FinalSteps)
	}
	if !(e.AlphaFirst > 0 && e.AlphaFirst <= e.AlphaLast && e.AlphaLast <= 1) {
		return fmt.Errorf("em.alpha_first = %g, em.alpha_last = %g: want 0 < alpha_first <= alpha_last <= 1", e.AlphaFirst, e.AlphaLast)
	}
	return nil
}

func (s SamplerConfig) validate() error {
	switch s.Sampler {
	case "reverse-sde", "split-gibbs", "pmc-pnp", "pmc-red":
	case "dps":
		if !(s.SigmaMax > s.SigmaMin && s.Zeta > 0) || math.IsInf(s.SigmaMax, 0) || math.IsInf(s.Zeta, 0) {
			return fmt.Errorf("estep.sigma_max = %g, estep.zeta = %g: dps needs sigma_max above sigma_min = %g and a positive zeta (80 and 1 are usual)",
				s.SigmaMax, s.Zeta, s.SigmaMin)
		}
	default:
		return fmt.Errorf("estep.sampler = %q is unknown: use reverse-sde, split-gibbs, pmc-pnp, pmc-red or dps", s.Sampler)
	}
	if s.Batch < 1 || s.Steps < 1 || !(s.SigmaMin > 0) {
		return fmt.Errorf("estep.batch = %d, estep.steps = %d, estep.sigma_min = %g must be positive", s.Batch, s.Steps, s.SigmaMin)
	}
	return nil
}

// validateTogether checks settings against each other.
func (c Config) validateTogether() error {
	if c.Train.Ambient && c.Task.Name != "denoise" {
		return fmt.Errorf("train.ambient learns from noisy but complete measurements; task.name = %q has none", c.Task.Name)
	}
	if !c.EStep.weighsPrior() && c.EM.AlphaFirst != 1 {
		return fmt.Errorf("em.alpha_first = %g: only pmc-pnp, pmc-red and dps weight the prior; estep.sampler = %q needs 1", c.EM.AlphaFirst, c.EStep.Sampler)
	}
	if c.Eval.HeldOut < 1 || c.Eval.Draws < 1 || c.Eval.Generated < 0 || c.Eval.Shown < 0 {
		return fmt.Errorf("eval.held_out = %d and eval.draws = %d must be positive, eval.generated and eval.shown not negative", c.Eval.HeldOut, c.Eval.Draws)
	}
	return nil
}

// Alpha is the prior's weight in round k of 1..Rounds.
func (e EMConfig) Alpha(k int) float64 {
	if e.Rounds == 1 {
		return e.AlphaLast
	}
	u := float64(k-1) / float64(e.Rounds-1)
	return e.AlphaFirst * math.Pow(e.AlphaLast/e.AlphaFirst, u)
}

// Round is the plan of one EM round over total measurements.
type Round struct {
	Subset, Steps int
	Reset         bool
	Alpha         float64
}

// Plan returns what round k of 1..Rounds does, or how many draws under a Gaussian round 0 trains on.
func (e EMConfig) Plan(k, total int) Round {
	r := Round{Subset: e.Subset, Steps: e.Steps, Alpha: e.Alpha(k)}
	if k > 0 && k > e.Rounds-e.ResetRounds {
		r.Subset, r.Steps, r.Reset = e.FinalSubset, e.FinalSteps, true
	}
	if r.Subset == 0 || r.Subset > total {
		r.Subset = total
	}
	return r
}
