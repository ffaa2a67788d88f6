package kerneltest

import (
	"fmt"
	"hash/fnv"

	"emdiff/kernels"
)

// Case is one call of one op. Its data are drawn from a seed made of its own fields, so the literal that a failure
// prints is all it takes to repeat it.
type Case struct {
	Op      string   // a method of kernels.Set
	Params  any      // its parameter struct, or the struct of this package that adds its scalar arguments
	Without []string // optional arguments that are left out (nil)
	InPlace string   // the input that is the same view as the first destination
	Data    Data     // how the free inputs are distributed
}

// Data is a distribution of inputs.
type Data string

// The distributions.
const (
	Normal    Data = ""           // standard normal
	Offset    Data = "offset"     // 30 + standard normal: cancellation
	Large     Data = "large"      // 30 times standard normal: saturated exponentials
	Wide      Data = "wide"       // magnitudes from 1e-3 at the start to 1e4 at the end of each array
	NotFinite Data = "not finite" // standard normal, but one NaN or infinity
	Skip      Data = "skip"       // AdamW only: the gradient is marked as not finite
)

// Conv2D is the parameters of kernels.Set.Conv2D and the scalars of its epilogue.
type Conv2D struct {
	kernels.Conv
	ResidualStride int
	Act            kernels.Act
}

// Linear is the parameters of kernels.Set.Linear and the scalars of its epilogue.
type Linear struct {
	kernels.Linear
	ResidualStride int
	Act            kernels.Act
}

// Axpy is the arguments of kernels.Set.Axpy.
type Axpy struct {
	kernels.Elementwise
	Alpha float32
}

// Fill is the arguments of kernels.Set.Fill.
type Fill struct {
	kernels.Elementwise
	Value float32
}

// Cast is a round trip through a 16-bit type.
type Cast struct {
	kernels.Elementwise
	Through kernels.DType
}

// Gather is the arguments of kernels.Set.Gather.
type Gather struct {
	kernels.PerImage
	Rows int
}

// Cost is the least that the call takes: the FLOPs of its parameters, those of a gradient where they count them apart, and every argument
// that is there moved once, twice where it is added to.
func (c Case) Cost() kernels.Cost {
	cost := c.Params.(params).Cost()
	o := table[c.Op]
	if g, ok := c.Params.(interface{ GradCost() kernels.Cost }); ok && o.gradient {
		cost = g.GradCost()
	}
	cost.Bytes = 0
	for _, a := range o.present(c) {
		bytes := float64(a.count() * a.dtype.Size())
		if a.role == update || a.role == scratch {
			bytes *= 2
		}
		cost.Bytes += bytes
	}
	return cost
}

// String returns the case as a Go literal.
func (c Case) String() string { return fmt.Sprintf("%#v", c) }

// seed is a hash of the case, different for each stream.
func (c Case) seed(stream string) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, c, stream)
	return h.Sum64()
}

type params interface {
	Validate() error
	Cost() kernels.Cost
}
