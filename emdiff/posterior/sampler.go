package posterior

import (
	"fmt"

	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// Sampler draws images from the posterior of measurements y = A x + n, n ~ N(0, SigmaY^2 I), A being the operator that
// it was made with. It keeps work buffers between calls and is not safe for concurrent use.
type Sampler interface {
	// Name is the word for it in settings and reports.
	Name() string
	// NFE is the number of denoiser calls that Sample makes for each image: the cost of a draw.
	NFE() int
	// Sample fills x with one draw for each image of p.Batch; x must not be p.Y. The work is queued, not waited for:
	// failures of the device show in kernels.Memory.Sync. The error says what about p does not fit the sampler.
	Sample(x kernels.Buffer, p Problem) error
	// Close frees the work buffers; the operator and the set are the caller's.
	Close()
}

// Problem is what a sampler is asked: measurements and the prior to explain them with.
type Problem struct {
	Prior diffusion.Denoiser
	Batch physics.Batch  // which images; masks, noise and draws follow their ids
	Y     kernels.Buffer // measurements, 0 where nothing is measured
	// SigmaY is the standard deviation of the noise of Y. The likelihood uses physics.LikelihoodSigma of it.
	SigmaY float64
	// PriorWeight is alpha of the target p(y | x) p(x)^alpha; 0 stands for 1, the posterior. EM with PMC anneals it
	// from 1e-3 to 1 over its rounds, EMDiffusion does so with DPS (its lambda); the other samplers know only 1.
	PriorWeight float64
	// Seed names the draw: another seed gives an independent one.
	Seed uint64
	// Progress, if not nil, is called after each denoiser call with the calls made so far and NFE.
	Progress func(done, total int)
}

// weight returns the prior weight, 1 if it was not set.
func (p Problem) weight() float64 {
	if p.PriorWeight == 0 {
		return 1
	}
	return p.PriorWeight
}

// positiveWeight refuses weights that forbid or turn round the prior.
func (p Problem) positiveWeight() error {
	if !(p.weight() > 0) {
		return fmt.Errorf("posterior: the prior weight %g must be positive", p.PriorWeight)
	}
	return nil
}

// onlyPosterior refuses tempered targets.
func (p Problem) onlyPosterior(sampler string) error {
	if p.weight() != 1 {
		return fmt.Errorf("posterior: %s draws from the posterior itself and cannot weigh the prior by %g: use weight 1, pmc or dps", sampler, p.PriorWeight)
	}
	return nil
}

// check refuses a prior for images of another shape.
func (p Problem) check(op physics.Operator) error {
	h, w, c := op.Shape()
	if ph, pw, pc := p.Prior.Shape(); ph != h || pw != w || pc != c {
		return fmt.Errorf("posterior: the prior is for images of %dx%dx%d, the measurements are of %dx%dx%d", ph, pw, pc, h, w, c)
	}
	if !(p.SigmaY >= 0) {
		return fmt.Errorf("posterior: sigma_y = %g is not a standard deviation: it must not be negative", p.SigmaY)
	}
	return nil
}

// Random streams of this package.
const (
	streamPMC            uint32 = 0x706f7300 + iota // Langevin noise; step 0 is the start
	streamReverseSDE                                // steps of the reverse SDE
	streamLikelihood                                // split Gibbs: draws of z given x
	streamPrior                                     // split Gibbs: draws of x given z
	streamDPS                                       // steps of DPS; step 0 is the start
	streamGaussianLatent                            // Gaussian: latents,
	streamGaussianImage                             // and the rest of the image;
	streamGaussianFit                               // where its subspace iteration starts
)

// chain is the run of one Sample call: the batch it works on and how far it is.
type chain struct {
	set         kernels.Set
	p           Problem
	n, len      int
	done, total int
}

func newChain(set kernels.Set, op physics.Operator, p Problem, total int) *chain {
	h, w, c := op.Shape()
	op.Select(p.Batch)
	return &chain{set: set, p: p, n: p.Batch.N, len: h * w * c, total: total}
}

// size is the number of values of the batch.
func (c *chain) size() int { return c.n * c.len }

// random names draw number step of a stream.
func (c *chain) random(stream, step uint32) kernels.Random {
	return kernels.Random{Seed: c.p.Seed, Stream: stream, Step: step}
}

// denoise computes d = D(x, sigma) and reports progress.
func (c *chain) denoise(d, x kernels.Buffer, sigma float64) {
	c.p.Prior.Denoise(d, x, c.n, sigma)
	c.called()
}

// linearize is denoise with the vector-Jacobian product.
func (c *chain) linearize(d, x kernels.Buffer, sigma float64) (vjp func(g, v kernels.Buffer)) {
	vjp = c.p.Prior.Linearize(d, x, c.n, sigma)
	c.called()
	return vjp
}

// called reports progress after a denoiser call.
func (c *chain) called() {
	c.done++
	if c.p.Progress != nil {
		c.p.Progress(c.done, c.total)
	}
}

// update computes y = a x + b d + k e + noise w for the batch; d and e may be nil.
func (c *chain) update(y, x, d, e kernels.Buffer, a, b, k, noise float64, r kernels.Random) {
	c.set.Update(y, x, d, e, nil, c.p.Batch.IDs, kernels.Update{N: c.n, Len: c.len,
		A: float32(a), B: float32(b), C: float32(k), Noise: float32(noise), Random: r})
}

// combine is update without noise.
func (c *chain) combine(y, x, d kernels.Buffer, a, b float64) {
	c.update(y, x, d, nil, a, b, 0, 0, kernels.Random{})
}

// mean averages the last iterates of a chain.
type mean struct {
	last int // iterates to average; 0 or 1 keeps the last one alone
	sum  *physics.Scratch
}

// add takes iterate number i of total.
func (m *mean) add(c *chain, x kernels.Buffer, i, total int) {
	switch first := total - m.last; {
	case m.last <= 1 || i < first:
	case i == first:
		c.combine(m.sum.Floats(c.size()), x, nil, 1, 0)
	default:
		sum := m.sum.Floats(c.size())
		c.combine(sum, sum, x, 1, 1)
	}
}

// into replaces x by the mean.
func (m *mean) into(c *chain, x kernels.Buffer) {
	if m.last > 1 {
		c.combine(x, m.sum.Floats(c.size()), nil, 1/float64(m.last), 0)
	}
}
