package main

import (
	"fmt"
	"math"

	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
	"emdiff/nn"
)

// The compared E-step.
const (
	estepImages = 64
	estepSteps  = 50
)

// streamPMC is the random stream of posterior.PMC, which keeps it to itself: with another one the outputs disagree.
const streamPMC = 0x706f7300

// pmcStep is one Langevin step in the plug-and-play form, in numbers: z = x - data (x - y), then the denoiser D(z) by the
// coefficients of its preconditioning, then x = z + relax (D - z) + noise w.
type pmcStep struct {
	Skip, Out, In, Conditioning float64
	Data, Relax, Noise          float64
}

// newEStep draws a batch from the posterior of noisy images by PMC with a final denoiser call, as emdiff does: the prior is
// the moving average of the weights, which equal the weights here.
func newEStep(n *network) (work, error) {
	c := n.Config
	if n.settings.Task.Name != "denoise" {
		return work{}, fmt.Errorf("the compared E-step removes noise: choose a network of a preset for task.name = denoise")
	}
	op, err := physics.NewDenoise(n.set, c.ImageSize, c.ImageSize, c.InChannels)
	if err != nil {
		return work{}, err
	}
	settings := posterior.DefaultPMC()
	schedule := posterior.DefaultAnnealed()
	schedule.Levels = estepSteps
	settings.Schedule = schedule
	pmc, err := posterior.NewPMC(n.set, op, settings)
	if err != nil {
		return work{}, err
	}
	precond := n.settings.Prior.Precond()
	y := n.images(estepImages, 1)
	n.set.Clamp(y.Buf, y.Buf, kernels.Clamp{Len: y.Len(), Lo: -1, Hi: 1})
	x := nn.Wrap(n.vector(y.Len()), y.N, y.H, y.W, y.C)
	problem := posterior.Problem{Prior: diffusion.NewNetwork(n.set, n.UNet, precond, y.H, y.W, y.C), Batch: physics.Batch{N: y.N},
		Y: y.Buf, SigmaY: n.settings.Task.Sigma, Seed: 7}
	run := func() error {
		if err := pmc.Sample(x.Buf, problem); err != nil {
			return err
		}
		return n.set.Sync()
	}
	return work{run: run, export: func(dir string) error {
		if err := run(); err != nil {
			return err
		}
		tensors := []nn.TensorSource{n.storedImages("y", y), n.storedImages("x", x)}
		var steps []pmcStep
		v := problem.SigmaY * problem.SigmaY
		for k := range schedule.Steps() {
			sigma, gamma, a := schedule.At(k, v, op.NormSquared())
			p := precond.At(sigma)
			steps = append(steps, pmcStep{Skip: p.Skip, Out: p.Out, In: p.In, Conditioning: p.Noise,
				Data: gamma / v, Relax: gamma * a / (sigma * sigma), Noise: math.Sqrt(2 * gamma)})
		}
		// number 0 is the uniform start
		for k := range schedule.Steps() + 1 {
			draw := kernels.Draw{N: y.N, Len: y.Len() / y.N, Random: kernels.Random{Seed: problem.Seed, Stream: streamPMC, Step: uint32(k)}}
			noise := nn.Wrap(n.vector(y.Len()), y.N, y.H, y.W, y.C)
			if k == 0 {
				n.set.Uniform(noise.Buf, nil, draw)
			} else {
				n.set.Normal(noise.Buf, nil, draw)
			}
			tensors = append(tensors, n.storedImages(fmt.Sprintf("noise.%d", k), noise))
		}
		return n.export(dir, tensors, map[string]any{"steps": steps})
	}}, nil
}
