package main

import (
	"emdiff/kernels"
	"emdiff/nn"
)

// trainSettings are what the other frameworks need to know of a training step.
type trainSettings struct {
	LR, Beta1, Beta2, Eps, WeightDecay, Clip, EMA float32
}

// newTraining is one step of training: forward, mean squared error, backward, clipping, AdamW and the moving average. The
// images and what they should become stay the same.
func newTraining(n *network) work {
	c := n.settings.Train
	x, target, t := n.images(c.Batch, 1), n.images(c.Batch, 2), n.times(c.Batch)
	length := x.Len() / x.N
	grad, loss, weight := n.vector(x.Len()), n.vector(x.N), n.vector(x.N)
	n.set.Fill(weight, 1/float32(x.Len()), kernels.Elementwise{Len: x.N})
	adam := nn.DefaultAdamW()
	adam.LR, adam.WeightDecay, adam.ClipNorm = float32(c.LR), float32(c.WeightDecay), float32(c.ClipNorm)
	tape := nn.NewTape(n.set, nn.Training)
	gradients := func() {
		tape.Reset()
		f := n.Forward(tape, x, t)
		n.set.SquaredError(loss, grad, f.Buf, target.Buf, weight, kernels.PerImage{N: x.N, Len: length})
		tape.Backward(f, nn.Wrap(grad, x.N, x.H, x.W, x.C))
	}
	step := 0
	run := func() error {
		step++
		gradients()
		adam.Step(n.Params, step, float32(c.EMA))
		return n.set.Sync()
	}
	return work{run: run, export: func(dir string) error {
		gradients()
		tensors := []nn.TensorSource{n.storedImages("x", x), n.storedImages("target", target), stored(n.set, "t", t.Buf, t.N), stored(n.set, "loss", loss, x.N)}
		for _, e := range n.Params.Entries() {
			tensors = append(tensors, nn.TensorSource{Entry: nn.Entry{Name: "grad." + e.Name, Shape: e.Shape},
				Values: func() ([]float32, error) { return n.Params.Download(nn.Grads, e.Name) }})
		}
		return n.export(dir, tensors, trainSettings{LR: adam.LR, Beta1: adam.Beta1, Beta2: adam.Beta2, Eps: adam.Eps,
			WeightDecay: adam.WeightDecay, Clip: adam.ClipNorm, EMA: float32(c.EMA)})
	}}
}
