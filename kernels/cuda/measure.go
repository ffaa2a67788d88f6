package cuda

import (
	"errors"
	"slices"

	"emdiff/gpu"
	"emdiff/kernels"
)

// What tools that measure kernels need of a Set that New returned.

// Rungs lists the rungs that a convolution in the direction of op may take on the device of s, and the one that it takes if nothing
// else is asked for.
func Rungs(s kernels.Set, op string, p kernels.Conv) (rungs []string, taken string) {
	inner := kernels.Unwrap(s).(*set)
	l := newLayer(p)
	shape := l.forward()
	switch op {
	case "Conv2DInputGrad":
		shape = l.inputGrad()
	case "Conv2DWeightGrad":
		shape = l.weightGrad()
	}
	for _, v := range productVariants[p.Precision] {
		if inner.fits(v, shape) {
			rungs = append(rungs, v.name)
		}
	}
	return rungs, inner.chosen(shape).name
}

// SameBits reports whether a rung adds in the order of the others of its precision.
func SameBits(rung string) bool { return rung != "tensor3" }

// SetRung changes Options.Rung of s from the next op on.
func SetRung(s kernels.Set, rung string) { kernels.Unwrap(s).(*set).options.Rung = rung }

// Clock measures work on the stream of a Set by the device's own clock.
type Clock struct {
	set        *set
	start, end gpu.Event
}

// NewClock returns a clock of s.
func NewClock(s kernels.Set) (*Clock, error) {
	c := &Clock{set: kernels.Unwrap(s).(*set)}
	var err error
	if c.start, err = c.set.driver.NewEvent(); err != nil {
		return nil, err
	}
	c.end, err = c.set.driver.NewEvent()
	return c, err
}

// Milliseconds runs queue, which calls ops of the Set, and returns how long the device took for them.
func (c *Clock) Milliseconds(queue func()) (float64, error) {
	if err := c.start.Record(c.set.stream); err != nil {
		return 0, err
	}
	queue()
	if err := c.end.Record(c.set.stream); err != nil {
		return 0, errors.Join(c.set.err, err)
	}
	if err := c.set.Sync(); err != nil {
		return 0, err
	}
	return c.end.Elapsed(c.start)
}

// Close gives the events back.
func (c *Clock) Close() error { return errors.Join(c.start.Close(), c.end.Close()) }

// rungOf is the rung that was asked for a product by name: by the options, else by the table of the options; "" leaves it open.
func (s *set) rungOf(p product) string {
	if s.options.Rung != "" || len(s.tuned) == 0 {
		return s.options.Rung
	}
	return s.tuned[p.shape]
}

// AllRungs lists the names of all rungs, for Options.Rung.
func AllRungs() (names []string) {
	names = []string{"any64", "naive", "tile64"} // of attention and matrix products, too
	for _, table := range productVariants {
		names = append(names, rungNames(table)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Repeat is after how many output pixels (input pixels for Conv2DInputGrad) the work of a convolution in the direction of op repeats
// itself, the widest tile: what it executes is affine in whole repeats beyond the first. 0 says that its sum is split, so that it is not.
func Repeat(op string, p kernels.Conv) int {
	l := newLayer(p)
	if shape := l.weightGrad(); op == "Conv2DWeightGrad" && l.outputs() > weightChunk(shape.rows, shape.columns) {
		return 0
	}
	return widestTile
}

// widestTile is a multiple of the tiles of all rungs and of the terms that they add up per step.
const widestTile = 128
