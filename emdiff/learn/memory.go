package learn

import (
	"emdiff/emdiff/diffusion"
	"emdiff/kernels"
	"emdiff/nn"
)

// Memory is the planned memory of a run's network in bytes: what it takes from the Set, without the images of the run and
// what a sampler keeps of its batch. Training and drawing follow each other, so the peak is that of one of them.
type Memory struct {
	Weights, Gradients int64
	Optimizer          int64 // moments and moving average
	Activations        int64 // of a training step, with their gradients and scratch: one slab
	Batch              int64 // of a training step
	Drawing            int64 // the largest call of the denoiser: its activations, one slab, and its batch
}

// Params is the part that stays.
func (m Memory) Params() int64 { return m.Weights + m.Gradients + m.Optimizer }

// Training is the peak of training.
func (m Memory) Training() int64 { return m.Params() + m.Activations + m.Batch }

// Sampling is the peak of drawing.
func (m Memory) Sampling() int64 { return m.Params() + m.Drawing }

// Memory plans for images of h x w x ch values; the denoiser sees at most draws of them at once.
func (c Config) Memory(h, w, ch, draws int) (Memory, error) {
	cost, err := c.Network.Cost(1)
	if err != nil {
		return Memory{}, err
	}
	slot := cost.ParamBytes / 5
	m := Memory{Weights: slot, Gradients: slot, Optimizer: 3*slot + nn.NormBytes}
	tape, batch, err := diffusion.LossMemory(c.Network, c.Train.checkpoint(), c.Train.Batch, h, w, ch)
	if err != nil {
		return Memory{}, err
	}
	m.Activations, m.Batch = tape.Bytes, batch+batcherBytes(c.Train.Batch, h*w*ch)
	tape, batch, err = diffusion.NetworkMemory(c.Network, nn.Inference, draws, h, w, ch)
	if err != nil {
		return Memory{}, err
	}
	m.Drawing = tape.Bytes + batch
	if c.EStep.Sampler == "dps" { // differentiates what it draws, on a tape of its own
		n := min(draws, kernels.AlignUp(c.EStep.Batch))
		if tape, _, err = diffusion.NetworkMemory(c.Network, nn.Differentiate, n, h, w, ch); err != nil {
			return Memory{}, err
		}
		m.Drawing += tape.Bytes
	}
	return m, nil
}
