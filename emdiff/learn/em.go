package learn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"emdiff/emdiff/data"
	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
	"emdiff/nn"
)

// ErrInterrupted is returned by Run when its context ends; the state has been saved.
var ErrInterrupted = errors.New("interrupted; the state is saved")

// EM learns a prior by expectation-maximisation.
type EM struct {
	Config   Config
	State    State
	Store    Store
	Observer Observer
	// SaveEvery is the longest time between checkpoints inside a phase.
	SaveEvery time.Duration

	set     kernels.Set
	images  Images
	net     *nn.UNet
	adam    nn.AdamW
	prior   *diffusion.Network
	precond diffusion.Precond
	sampler posterior.Sampler
	train   *measurements // of Images.Train
	held    *measurements // of Images.Held
	// What starts EM, one of them: clean images, or a Gaussian.
	clean    kernels.Buffer
	gaussian *posterior.Gaussian
	mean     *posterior.MMSE // of the first E-step after a Gaussian, where measurements train the prior (see drawMean); else nil
	draws    kernels.Buffer  // reconstructions of this round's subset, in its order
	drawn    int             // images that draws has room for
	saved    time.Time
}

// Images are what a run works on. Train and Held are clean images, used through their simulated measurements alone; their
// pixels serve to report scores. Or, where Measured, they are measurements, and nobody knows the truth. Ids number all
// images of a run: those of Train first, then those of Held.
type Images struct {
	Clean    *data.Set // the clean images that start EM; nil where it starts from a Gaussian
	Train    *data.Set
	Held     *data.Set
	Measured bool
	Camera
}

func (i Images) validate(c InitConfig) error {
	sets := []struct {
		what string
		set  *data.Set
	}{{"training", i.Train}, {"held-out", i.Held}, {"clean", i.Clean}}
	if c.gaussian() {
		sets = sets[:2]
	}
	for _, s := range sets {
		if s.set == nil || s.set.Len() == 0 {
			return fmt.Errorf("there are no %s images: give more images or ask for fewer in the other parts", s.what)
		}
		if s.set.H != i.Train.H || s.set.W != i.Train.W || s.set.C != i.Train.C {
			return fmt.Errorf("the %s images are %dx%dx%d, the training ones %dx%dx%d: all must have one size",
				s.what, s.set.H, s.set.W, s.set.C, i.Train.H, i.Train.W, i.Train.C)
		}
	}
	if c.gaussian() && c.Rank >= i.Train.ImageLen() {
		return fmt.Errorf("init.rank = %d must be below the %d values of an image", c.Rank, i.Train.ImageLen())
	}
	return nil
}

// NewEM builds the network, the measurements and the samplers; Run starts or continues.
func NewEM(set kernels.Set, c Config, images Images, store Store, observer Observer) (*EM, error) {
	if err := c.Validate(images.Camera); err != nil {
		return nil, err
	}
	if err := images.validate(c.Init); err != nil {
		return nil, err
	}
	h, w, ch := images.Train.H, images.Train.W, images.Train.C
	net, err := nn.NewUNet(set, c.Network)
	if err != nil {
		return nil, err
	}
	em := &EM{Config: c, Store: store, Observer: observer, SaveEvery: time.Minute, set: set, images: images, net: net,
		adam: c.Train.adam(), precond: c.Prior.Precond()}
	em.prior = diffusion.NewNetwork(set, net, em.precond, h, w, ch)
	if em.train, em.held, err = measureAll(set, c, images); err != nil {
		return nil, err
	}
	if em.sampler, err = c.EStep.Build(set, em.train.op, c.Task.Sigma); err != nil {
		return nil, err
	}
	if c.Init.gaussian() {
		em.gaussian = posterior.NewGaussian(set, em.train.op, c.Init.Rank, startR)
		if c.Train.Ambient {
			if em.mean, err = posterior.NewMMSE(set, em.train.op); err != nil {
				return nil, err
			}
		}
	} else {
		em.clean = set.Alloc(kernels.F32, len(images.Clean.Pixels))
		set.Upload(em.clean, images.Clean.Pixels)
	}
	return em, nil
}

// HeldMeasurements are the measurements of the held-out images, NHWC.
func (em *EM) HeldMeasurements() []float32 { return em.held.pixels() }

// Close frees the memory of the run; its Set stays open.
func (em *EM) Close() {
	em.sampler.Close()
	em.prior.Close()
	em.net.Close()
	em.train.close()
	em.held.close()
	if em.gaussian != nil {
		em.gaussian.Close()
	}
	if em.clean != nil {
		em.set.Free(em.clean)
	}
	if em.draws != nil {
		em.set.Free(em.draws)
	}
	em.train.op.Close()
}

// Network is the U-Net being trained; its averaged weights are the prior.
func (em *EM) Network() *nn.UNet { return em.net }

// Prior is the current denoiser.
func (em *EM) Prior() *diffusion.Network { return em.prior }

// Resume takes the state of the Store's checkpoint. ok is false when there is none: Run then starts from the beginning.
func (em *EM) Resume() (ok bool, err error) {
	state, ok, err := em.Store.Load()
	if err != nil || !ok {
		return ok, err
	}
	em.State = state
	return true, em.restore()
}

// Run works until the end, an error, or the end of ctx, and returns nil, the error, or ErrInterrupted.
func (em *EM) Run(ctx context.Context) error {
	if em.State.Phase == "" {
		em.State = State{Phase: Init}
		if em.Config.Init.gaussian() {
			em.State.Phase = Fit
		}
		em.resetWeights()
	}
	em.saved = time.Now()
	for em.State.Phase != Done {
		start := time.Now()
		phase := em.State.Phase
		err := em.phase(ctx, phase)
		em.account(phase, time.Since(start).Seconds())
		if errors.Is(err, ErrInterrupted) {
			if saveErr := em.save(); saveErr != nil {
				return saveErr
			}
		}
		if err != nil {
			return err
		}
		if err := em.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (em *EM) phase(ctx context.Context, p Phase) error {
	switch p {
	case Fit:
		return em.fit(ctx)
	case Init:
		if !em.Config.Init.gaussian() {
			return em.trainPhase(ctx, em.clean, nil, em.images.Clean.Len(), em.Config.Init.Steps)
		}
		return em.mStep(ctx)
	case EStep:
		return em.eStep(ctx)
	case MStep:
		return em.mStep(ctx)
	case Evaluate:
		return em.evaluate(ctx)
	default:
		return em.final(ctx)
	}
}

// account adds the time of a stretch of work to the phase it belongs to.
func (em *EM) account(p Phase, seconds float64) {
	em.State.TotalSeconds += seconds
	switch p {
	case Fit, EStep:
		em.State.Seconds.EStep += seconds
	case Init, MStep:
		em.State.Seconds.MStep += seconds
	default:
		em.State.Seconds.Evaluate += seconds
	}
}

// advance moves to the next phase and saves.
func (em *EM) advance() error {
	s := &em.State
	s.Position = 0
	switch {
	case s.Phase == Init || s.Phase == MStep:
		s.Phase = Evaluate
	case s.Phase == Fit:
		s.Phase = EStep
	case s.Phase == EStep && s.Round == 0:
		s.Phase = Init
	case s.Phase == EStep:
		s.Phase, s.LossSum = MStep, 0
		em.startMStep()
	case s.Phase == Evaluate && s.Round < em.Config.EM.Rounds:
		s.Round++
		s.Phase, s.LossSum, s.Seconds = EStep, 0, PhaseSeconds{}
	case s.Phase == Evaluate:
		s.Phase = Final
	default:
		s.Phase = Done
	}
	return em.save()
}

// checkpoint saves when the last save is long ago, and reports the end of ctx.
func (em *EM) checkpoint(ctx context.Context) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	if time.Since(em.saved) > em.SaveEvery {
		return em.save()
	}
	return nil
}

// resetWeights draws fresh weights, the same for every reset of a run's round.
func (em *EM) resetWeights() {
	em.net.Init(em.seed(forWeights, em.State.Round))
}

// startMStep prepares the weights for a round's training: fresh ones in a reset round, else the averaged ones; moments
// start from zero either way.
func (em *EM) startMStep() {
	if em.plan().Reset {
		em.resetWeights()
		return
	}
	em.net.Params.Copy(nn.Weights, nn.EMA)
	em.net.Params.ResetOptimizer()
}

// plan is what the current round does; round 0 that of a start from a Gaussian.
func (em *EM) plan() Round {
	plan := em.Config.EM.Plan(em.State.Round, em.train.count)
	if em.State.Round == 0 {
		plan.Steps, plan.Reset, plan.Alpha = em.Config.Init.Steps, true, 1
	}
	return plan
}

func (em *EM) mStep(ctx context.Context) error {
	plan := em.plan()
	var measured kernels.Buffer
	if em.Config.Train.Ambient {
		measured = em.train.subset(em.subset())
		defer em.set.Free(measured)
	}
	return em.trainPhase(ctx, em.draws, measured, plan.Subset, plan.Steps)
}

// trainPhase runs training steps on count images until total are done; measured, when given, holds the measurements of the
// same images.
func (em *EM) trainPhase(ctx context.Context, images, measured kernels.Buffer, count, total int) error {
	s := &em.State
	sigmaY := 0.0
	if measured != nil {
		sigmaY = em.Config.Task.Sigma
	}
	h, w, c := em.prior.Shape()
	em.prior.Close() // the memory of drawing is that of training
	loss := diffusion.NewLoss(em.set, em.net, em.precond, sigmaY, h, w, c)
	defer loss.Close()
	loss.Checkpoint = em.Config.Train.checkpoint()
	loss.Above = s.Phase == Init && measured != nil
	batch := newBatcher(em.set, em.Config.Train.Batch, em.seed(forTraining, s.Round), count, h*w*c)
	defer batch.close()
	em.Observer.Phase(s.Round, s.Phase, s.Position, total)
	const report = 25
	for s.Position < total {
		clean, noisy := batch.take(s.Position, images, measured)
		loss.Gradients(clean, noisy, batch.n, kernels.Random{Seed: em.seed(forTraining, s.Round), Stream: streamLoss, Step: uint32(s.Position)})
		adam := em.adam
		adam.LR = float32(em.Config.Train.rate(s.Position, total))
		adam.Step(em.net.Params, s.Position+1, nn.EMAWarmup(float32(em.Config.Train.EMA), s.Position))
		s.Position++
		em.Observer.Advance(1)
		last := s.Position == total
		if s.Position%report == 0 || last {
			n := report
			if last && total%report != 0 {
				n = total % report
			}
			mean := loss.TakeMean()
			if math.IsNaN(mean) || math.IsInf(mean, 0) {
				return fmt.Errorf("round %d: the training loss is %v at step %d; the last good state is kept: lower train.lr or set train.clip_norm", s.Round, mean, s.Position)
			}
			s.LossSum += mean * float64(n)
			if err := em.Observer.Loss(s.Round, s.Phase, s.Position, mean); err != nil {
				return err
			}
			if err := em.set.Sync(); err != nil {
				return err
			}
			if err := em.checkpoint(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// rate is the learning rate of a step: a linear rise over Warmup steps, then constant or a cosine down to zero.
func (t TrainConfig) rate(step, total int) float64 {
	lr := t.LR * math.Min(1, float64(step+1)/float64(t.Warmup+1))
	if t.Decay {
		lr *= 0.5 * (1 + math.Cos(math.Pi*float64(step)/float64(total)))
	}
	return lr
}

func (t TrainConfig) adam() nn.AdamW {
	a := nn.DefaultAdamW()
	a.LR, a.WeightDecay, a.ClipNorm = float32(t.LR), float32(t.WeightDecay), float32(t.ClipNorm)
	return a
}

// Precond returns the preconditioning that the settings describe.
func (p PriorConfig) Precond() diffusion.Precond {
	switch p.Kind {
	case "vp-linear":
		return diffusion.Epsilon{VP: diffusion.LinearVP(p.ScheduleSteps, 1e-4*1000/float64(p.ScheduleSteps), 0.02*1000/float64(p.ScheduleSteps))}
	case "vp-cosine":
		return diffusion.Epsilon{VP: diffusion.CosineVP(p.ScheduleSteps)}
	}
	return diffusion.EDM{SigmaData: p.SigmaData, Mean: p.NoiseMean, Std: p.NoiseStd, Low: p.SigmaMin, High: p.SigmaMax}
}

// Generator returns the sampler of clean images that the settings describe.
func (p PriorConfig) Generator(set kernels.Set, prior diffusion.Denoiser) (*diffusion.Generator, error) {
	var grid []float64
	switch pre := p.Precond().(type) {
	case diffusion.Epsilon:
		grid = pre.VP.Grid(p.SampleSteps)
	default:
		grid = diffusion.EDMGrid(p.SampleSteps, p.SigmaMin, p.SigmaMax)
	}
	return diffusion.NewGenerator(set, prior, diffusion.Method(p.Sampler), grid, p.SamplesClip)
}
