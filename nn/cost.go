package nn

import "emdiff/kernels"

// UNetCost is what a network takes at one batch size, counted by running its ops without memory or arithmetic. Bytes of a
// kernels.Cost are the least traffic of the ops, and FLOPs those of the direct algorithms.
type UNetCost struct {
	Parameters int
	Forward    kernels.Cost // one forward pass
	VJP        kernels.Cost // one VJP with respect to the images
	Backward   kernels.Cost // one backward pass for the parameters
	// Launches are the ops of a forward and of a backward pass.
	ForwardLaunches, BackwardLaunches int
	// ParamBytes is the memory of weights, gradients, moments and moving average, a fifth each.
	ParamBytes int64
	// InferenceBytes and TrainingBytes are the memory of the tapes, without images: see UNetConfig.Memory.
	InferenceBytes, TrainingBytes int64
}

// Cost counts a batch of n images of c.ImageSize.
func (c UNetConfig) Cost(n int) (UNetCost, error) {
	checked, dry := newDrySet()
	u, err := NewUNet(checked, c)
	if err != nil {
		return UNetCost{}, err
	}
	cost := UNetCost{Parameters: u.Params.Count(), ParamBytes: 4 * int64(slots) * int64(u.Params.Len())}
	images := func(t *Tape, channels int) *Tensor { return t.NewTensor(n, c.ImageSize, c.ImageSize, channels) }

	tape := newDryTape(checked, Inference)
	u.Forward(tape, images(tape, c.InChannels), tape.NewTensor(n, 1, 1, 1))
	cost.Forward, cost.ForwardLaunches = dry.take()

	tape = newDryTape(checked, Training)
	x := images(tape, c.InChannels)
	y := u.Forward(tape, x, tape.NewTensor(n, 1, 1, 1))
	dy := images(tape, c.OutChannels)
	dry.take()
	tape.VJP(y, dy, x)
	cost.VJP, _ = dry.take()
	tape.Backward(y, dy)
	cost.Backward, cost.BackwardLaunches = dry.take()
	for mode, bytes := range map[Mode]*int64{Inference: &cost.InferenceBytes, Training: &cost.TrainingBytes} {
		m, err := c.Memory(n, c.ImageSize, c.ImageSize, MemoryOptions{Mode: mode})
		if err != nil {
			return UNetCost{}, err
		}
		*bytes = m.Bytes
	}
	return cost, nil
}
