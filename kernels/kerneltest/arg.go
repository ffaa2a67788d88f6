package kerneltest

import (
	"math"
	"math/rand/v2"

	"emdiff/kernels"
)

// role is what an op does with an argument.
type role int

const (
	input   role = iota
	output       // overwritten: it arrives full of NaN
	update       // read and written
	scratch      // written and read back by the same case, never looked at
)

// arg describes a Buffer argument: rows of cols elements, stride elements apart, after the first offset elements.
type arg struct {
	name                       string
	dtype                      kernels.DType
	role                       role
	rows, cols, stride, offset int
	perImage                   bool                                    // the rows are divided equally among the images
	fill                       func(r *source, d Data, values []int32) // integers only
	draw                       func(r *source, d Data, i int) float32  // replaces the distribution of the case
	saved                      bool                                    // an input computed by the forward op
	exact                      bool                                    // every bit of this output is determined
	zeros                      bool                                    // which values are zero is determined
	independent                int                                     // values whose errors are independent; 0 = all of them
	parts                      int                                     // equal parts with a data scale of their own; 0 = one
}

// tensor is an argument of rows x cols values; a stride of 0 means contiguous.
func tensor(r role, name string, rows, cols, stride int) arg {
	if stride == 0 {
		stride = cols
	}
	return arg{name: name, role: r, rows: rows, cols: cols, stride: stride}
}

// flat is an argument of n contiguous values in one row.
func flat(r role, name string, n int) arg { return tensor(r, name, 1, n, 0) }

// writes returns the role of a destination.
func writes(accumulate bool) role {
	if accumulate {
		return update
	}
	return output
}

func (a arg) images() arg { a.perImage = true; return a }

func (a arg) bits() arg { a.exact = true; return a }

func (a arg) kept() arg { a.saved = true; return a }

func (a arg) drawn(f func(r *source, d Data, i int) float32) arg { a.draw = f; return a }

// sharing says that only n values of a destination have independent errors, for the others share a weight or a mean.
func (a arg) sharing(n int) arg { a.independent = n; return a }

// split gives every decade of Wide data a scale of its own, so that the large values do not hide errors in the small.
func (a arg) split(d Data) arg {
	if d == Wide {
		a.parts = decades
	}
	return a
}

// imageIDs is the optional ids argument of the random ops.
func imageIDs(n int) arg {
	return integers("ids", n, func(r *source) int32 { return r.Int32() })
}

func integers(name string, n int, value func(r *source) int32) arg {
	a := tensor(input, name, n, 1, 0).images()
	a.dtype = kernels.I32
	a.fill = func(r *source, _ Data, values []int32) {
		for i := range values {
			values[i] = value(r)
		}
	}
	return a
}

// written reports whether the argument is a destination.
func (a arg) written() bool { return a.role == output || a.role == update }

// len is the number of elements that the argument spans, gaps included.
func (a arg) len() int { return a.offset + (a.rows-1)*a.stride + a.cols }

// at returns the position of element i, counted without gaps.
func (a arg) at(i int) int { return a.offset + i/a.cols*a.stride + i%a.cols }

// count is the number of elements without gaps.
func (a arg) count() int { return a.rows * a.cols }

// part returns the part that element i belongs to.
func (a arg) part(i int) int { return i * max(a.parts, 1) / a.count() }

// gaps marks the elements of a span that do not belong to the argument.
func (a arg) gaps() []bool {
	gap := make([]bool, a.len())
	for i := range gap {
		gap[i] = i < a.offset || (i-a.offset)%a.stride >= a.cols
	}
	return gap
}

// source is the generator behind the data of a case.
type source = rand.Rand

const decades = 8 // magnitudes 10^-3 ... 10^4

// value draws element i.
func (a arg) value(r *source, d Data, i int) float32 {
	if a.draw != nil {
		return a.draw(r, d, i)
	}
	z := r.NormFloat64()
	switch d {
	case Offset:
		z += 30
	case Large:
		z *= 30
	case Wide:
		z = math.Copysign(math.Pow(10, float64(i*decades/a.count())-3)*(0.1+r.Float64()), z)
	case NotFinite:
		if i == a.count()/2 {
			z = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)]
		}
	}
	return float32(z)
}

// standard draws a standard normal whatever the distribution of the case.
func standard(r *source, _ Data, _ int) float32 { return float32(r.NormFloat64()) }

// span draws the whole argument; gaps hold filler.
func (a arg) span(r *source, d Data, filler float32) []float32 {
	v := make([]float32, a.len())
	for i := range v {
		v[i] = filler
	}
	for i := range a.count() {
		v[a.at(i)] = a.value(r, d, i)
	}
	return v
}
