package kerneltest

import "emdiff/kernels"

// Work is what a call does at the least: the operations of the direct algorithm, and the bytes of its very arguments, inputs
// read once, outputs written once, and what is updated or used for scratch both.
func (c Case) Work() kernels.Cost {
	cost := c.Cost()
	switch c.Op {
	case "GroupNormGrad":
		cost = cost.Scale(2)
	case "AttentionGrad":
		cost = cost.Scale(2.5)
	}
	cost.Bytes = 0
	for _, a := range table[c.Op].present(c) {
		n := float64(a.count() * a.dtype.Size())
		if a.role == update || a.role == scratch {
			n *= 2
		}
		cost.Bytes += n
	}
	return cost
}
