package learn

import (
	"time"

	"emdiff/emdiff/diffusion"
	"emdiff/kernels"
	"emdiff/nn"
)

// Speed is how fast a configuration runs on a Set.
type Speed struct {
	TrainStep      time.Duration // one optimiser step
	Denoise        time.Duration // one denoiser call, per image
	CallsPerDraw   int           // denoiser calls of a posterior draw; a gradient of dps counts as two more
	CallsPerSample int           // denoiser calls of a clean image
}

// measuredBatch is how many images at most Measure works on at once; the time of larger batches is in proportion.
const measuredBatch = 16

// Measure times a few training steps and denoiser calls of a configuration, after one of each to warm up.
func Measure(set kernels.Set, c Config, images Images) (Speed, error) {
	net, err := nn.NewUNet(set, c.Network)
	if err != nil {
		return Speed{}, err
	}
	defer net.Close()
	net.Init(c.Seed)
	h, w, ch := images.Train.H, images.Train.W, images.Train.C
	precond := c.Prior.Precond()
	loss := diffusion.NewLoss(set, net, precond, 0, h, w, ch)
	defer loss.Close()
	loss.Checkpoint = c.Train.checkpoint()
	prior := diffusion.NewNetwork(set, net, precond, h, w, ch)
	defer prior.Close()
	op, err := c.Task.Operator(set, h, w, ch, 1, c.Seed, Camera{Kernel: images.Camera.Kernel})
	if err != nil {
		return Speed{}, err
	}
	defer op.Close()
	sampler, err := c.EStep.Build(set, op, c.Task.Sigma)
	if err != nil {
		return Speed{}, err
	}
	defer sampler.Close()
	s := Speed{CallsPerDraw: sampler.NFE(), CallsPerSample: c.Prior.SampleSteps}
	if c.EStep.Sampler == "dps" {
		s.CallsPerDraw *= 3
	}
	if c.Prior.Sampler == string(diffusion.Heun) {
		s.CallsPerSample = 2*c.Prior.SampleSteps - 1
	}

	trained, denoised := min(c.Train.Batch, measuredBatch), min(c.EStep.Batch, measuredBatch)
	x := set.Alloc(kernels.F32, max(trained, denoised)*h*w*ch)
	defer set.Free(x)
	step, err := typical(set, func(step int) {
		loss.Gradients(x, nil, trained, kernels.Random{Seed: c.Seed, Step: uint32(step)})
		c.Train.adam().Step(net.Params, step+1, 0.9)
	})
	if err != nil {
		return s, err
	}
	s.TrainStep = step * time.Duration(c.Train.Batch) / time.Duration(trained)
	call, err := typical(set, func(int) { prior.Denoise(x, x, denoised, 1) })
	s.Denoise = call / time.Duration(denoised)
	return s, err
}

// typical is the shortest of three runs of f after a first one.
func typical(set kernels.Set, f func(step int)) (time.Duration, error) {
	var best time.Duration
	for i := range 4 {
		start := time.Now()
		f(i)
		if err := set.Sync(); err != nil {
			return 0, err
		}
		if d := time.Since(start); i == 1 || i > 1 && d < best {
			best = d
		}
	}
	return best, nil
}
