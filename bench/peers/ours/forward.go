package main

import "emdiff/nn"

// newForward is the network's output for a batch of images.
func newForward(n *network) work {
	x, t := n.images(forwardBatch, 1), n.times(forwardBatch)
	tape := nn.NewTape(n.set, nn.Inference)
	var y *nn.Tensor
	run := func() error {
		tape.Reset()
		y = n.Forward(tape, x, t)
		return n.set.Sync()
	}
	return work{run: run, export: func(dir string) error {
		if err := run(); err != nil {
			return err
		}
		return n.export(dir, []nn.TensorSource{n.storedImages("x", x), stored(n.set, "t", t.Buf, t.N), n.storedImages("y", y)}, nil)
	}}
}
