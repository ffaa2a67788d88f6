package learn

import (
	"fmt"
	"strings"

	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
	"emdiff/nn"
)

// Passes are the kinds of work that Pass does.
func Passes() []string { return []string{"forward", "train", "pmc"} }

// Pass queues some rounds of one kind of work of a run on set, for those who count or time what it takes: a forward pass of the network,
// a training step of loss, gradients and optimiser, or a step of the PMC sampler with its denoiser call. Images are blank.
func (c Config) Pass(set kernels.Set, kind string, images, rounds int) error {
	net, err := nn.NewUNet(set, c.Network)
	if err != nil {
		return err
	}
	defer net.Close()
	net.Init(c.Seed)
	h, w, ch := c.Network.ImageSize, c.Network.ImageSize, c.Network.InChannels
	switch kind {
	case "forward":
		return c.forwardPasses(set, net, images, rounds)
	case "train":
		x := set.Alloc(kernels.F32, images*h*w*ch)
		defer set.Free(x)
		loss := diffusion.NewLoss(set, net, c.Prior.Precond(), 0, h, w, ch)
		defer loss.Close()
		for step := range rounds {
			loss.Gradients(x, nil, images, kernels.Random{Seed: c.Seed, Step: uint32(step)})
			c.Train.adam().Step(net.Params, step+1, 0.9)
		}
		return set.Sync()
	case "pmc":
		prior := diffusion.NewNetwork(set, net, c.Prior.Precond(), h, w, ch)
		defer prior.Close()
		return c.pmcSteps(set, prior, images, rounds)
	}
	return fmt.Errorf("there is no pass %q: choose from %s", kind, strings.Join(Passes(), ", "))
}

func (c Config) forwardPasses(set kernels.Set, net *nn.UNet, images, rounds int) error {
	tape := nn.NewTape(set, nn.Inference)
	defer tape.Close()
	for range rounds {
		tape.Reset()
		x := tape.NewTensor(images, c.Network.ImageSize, c.Network.ImageSize, c.Network.InChannels)
		net.Forward(tape, x, tape.NewTensor(images, 1, 1, 1))
	}
	return set.Sync()
}

// pmcSteps draws with as many steps as rounds.
func (c Config) pmcSteps(set kernels.Set, prior *diffusion.Network, images, rounds int) error {
	h, w, ch := prior.Shape()
	op, err := c.Task.Operator(set, h, w, ch, images, c.Seed, Camera{})
	if err != nil {
		return err
	}
	defer op.Close()
	estep := c.EStep
	estep.Sampler, estep.Steps = "pmc-pnp", rounds
	sampler, err := estep.Build(set, op, c.Task.Sigma)
	if err != nil {
		return err
	}
	defer sampler.Close()
	x, y := set.Alloc(kernels.F32, images*h*w*ch), set.Alloc(kernels.F32, images*h*w*ch)
	defer set.Free(x)
	defer set.Free(y)
	ids := set.Alloc(kernels.I32, images)
	defer set.Free(ids)
	set.UploadInts(ids, numbers(images))
	batch := physics.Batch{N: images, IDs: ids}
	op.Select(batch)
	if err := sampler.Sample(x, posterior.Problem{Prior: prior, Batch: batch, Y: y, SigmaY: c.Task.Sigma, Seed: c.Seed}); err != nil {
		return err
	}
	return set.Sync()
}

// numbers are 0, 1, ... n-1.
func numbers(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}
