package kernels

// Cost is what one call of an op must do at the least: floating-point operations of the direct algorithm (a fused
// multiply-add is two) and bytes moved when every operand is read or written once.
type Cost struct {
	FLOPs float64
	Bytes float64
}

// Add returns the sum of two costs.
func (c Cost) Add(d Cost) Cost { return Cost{c.FLOPs + d.FLOPs, c.Bytes + d.Bytes} }

// Scale returns k times the cost.
func (c Cost) Scale(k float64) Cost { return Cost{k * c.FLOPs, k * c.Bytes} }

// Intensity is the arithmetic intensity in FLOP per byte.
func (c Cost) Intensity() float64 {
	if c.Bytes == 0 {
		return 0
	}
	return c.FLOPs / c.Bytes
}

// floats is the cost of flops operations over n float32 values moved.
func floats(flops float64, n int) Cost { return Cost{FLOPs: flops, Bytes: 4 * float64(n)} }
