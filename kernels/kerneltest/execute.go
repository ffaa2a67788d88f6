package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

// data holds what the arguments of a case contain before the call, by name: the whole span, gaps included. Arguments of
// integers have ints instead of floats.
type data map[string]contents

type contents struct {
	floats []float32
	ints   []int32
}

// result holds the spans of the destinations after the call.
type result map[string][]float64

// imageRange is the span of image n in an argument of a batch, whose argument for the image alone is given.
func imageRange(batch, alone arg, n, images int) (start, end int) {
	start = n * (batch.rows / images) * batch.stride
	return start, start + alone.len()
}

// image cuts image n out; what is not per image is shared.
func (v contents) image(batch, alone arg, n, images int) contents {
	start, end := imageRange(batch, alone, n, images)
	switch {
	case !batch.perImage || batch.role == scratch:
		return v
	case v.ints != nil:
		return contents{ints: v.ints[start:end]}
	}
	return contents{floats: v.floats[start:end]}
}

const (
	guard    = 64                  // elements around every view that nobody may touch
	sentinel = float32(-7777.0625) // what they hold around and between destinations
)

// poison fills what an op must not use: guards and gaps of inputs, destinations that are overwritten.
var poison = float32(math.NaN())

// data draws the data of a case; replicas differ in the draws alone.
func (o op) data(c Case, replica int) data {
	in := data{}
	for _, a := range o.present(c) {
		r := rand.New(rand.NewPCG(c.seed(a.name), uint64(replica)))
		switch {
		case a.dtype == kernels.I32:
			ints := make([]int32, a.len())
			a.fill(r, c.Data, ints)
			in[a.name] = contents{ints: ints}
		case a.role == input:
			in[a.name] = contents{floats: a.span(r, c.Data, poison)}
		case a.role == update:
			in[a.name] = contents{floats: a.span(r, c.Data, sentinel)}
		case a.role == output:
			blank := a.drawn(func(*source, Data, int) float32 { return poison })
			in[a.name] = contents{floats: blank.span(r, c.Data, sentinel)}
		}
	}
	o.fillSaved(c, in)
	return in
}

// fillSaved lets the oracle compute the inputs that the forward pass saves.
func (o op) fillSaved(c Case, in data) {
	if !slices.ContainsFunc(o.present(c), func(a arg) bool { return a.saved }) {
		return
	}
	s := ref.Float64()
	b := buffers{}
	for _, a := range o.present(c) {
		b[a.name] = s.Alloc(a.dtype, a.len())
		if v := in[a.name].floats; v != nil {
			s.Upload(b[a.name], v)
		}
	}
	o.prepare(s, b, c)
	for _, a := range o.present(c) {
		if a.saved {
			for i := range a.count() {
				in[a.name].floats[a.at(i)] = float32(ref.Values(b[a.name])[a.at(i)])
			}
		}
	}
}

// operand is an argument in the memory of a Set: a view in the middle of a larger buffer.
type operand struct {
	arg
	parent, view kernels.Buffer
	start        int       // of the view in the parent
	before       []float32 // the whole parent, guards included
}

// execute runs a case on the data and returns its destinations, or what the call did that it may not do: panic, fail,
// write outside its destinations.
func execute(s kernels.Set, o op, c Case, in data) (out result, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panics: %v\n%s", r, debug.Stack())
		}
	}()
	operands, b := place(s, o, c, in)
	defer func() {
		for _, x := range operands {
			s.Free(x.parent)
		}
	}()
	o.call(s, b, c)
	if err := s.Sync(); err != nil {
		return nil, fmt.Errorf("Sync: %w", err)
	}
	out = result{}
	for _, x := range operands {
		if x.dtype != kernels.F32 {
			continue
		}
		after := make([]float32, x.parent.Len())
		s.Download(after, x.parent)
		if err := x.untouched(after); err != nil {
			return nil, err
		}
		if x.written() {
			out[x.name] = x.read(after)
		}
	}
	return out, nil
}

// place allocates and fills the arguments of a case.
func place(s kernels.Set, o op, c Case, in data) ([]operand, buffers) {
	operands, b := []operand{}, buffers{}
	for i, a := range o.present(c) {
		if i == 0 && c.InPlace != "" {
			continue // its first destination is the view of an input
		}
		x := operand{arg: a, start: kernels.SliceAlign / a.dtype.Size() * (1 + i%3)}
		x.parent = s.Alloc(a.dtype, x.start+a.len()+guard)
		x.view = x.parent.Slice(x.start, a.len())
		filler := sentinel
		if a.role == input {
			filler = poison
		}
		switch a.dtype {
		case kernels.F32:
			x.before = make([]float32, x.parent.Len())
			for k := range x.before {
				x.before[k] = filler
			}
			copy(x.before[x.start:], in[a.name].floats)
			s.Upload(x.parent, x.before)
		case kernels.I32:
			s.UploadInts(x.view, in[a.name].ints)
		}
		b[a.name] = x.view
		operands = append(operands, x)
	}
	if c.InPlace != "" {
		first := o.present(c)[0]
		b[first.name] = b[c.InPlace]
		for i := range operands {
			if operands[i].name == c.InPlace {
				operands[i].arg = first
			}
		}
	}
	return operands, b
}

// untouched checks every element that the op may not write: all of an input, the surroundings and gaps of a destination.
func (x operand) untouched(after []float32) error {
	gap := x.gaps()
	for i := range after {
		k := i - x.start
		inside := k >= 0 && k < x.len()
		if x.role != input && inside && !gap[k] {
			continue
		}
		if math.Float32bits(after[i]) == math.Float32bits(x.before[i]) {
			continue
		}
		place := fmt.Sprintf("element %d of the input", k)
		switch {
		case k < 0:
			place = fmt.Sprintf("element %d before the start", k)
		case !inside:
			place = fmt.Sprintf("element %d, %d past the end", k, k-x.len()+1)
		case gap[k]:
			place = fmt.Sprintf("element %d, between the pixels", k)
		}
		return fmt.Errorf("writes to %s: %s changed from %g to %g", x.name, place, x.before[i], after[i])
	}
	return nil
}

// read returns the span of the view, from the oracle without the rounding of Download.
func (x operand) read(after []float32) []float64 {
	if exact := ref.Values(x.view); exact != nil {
		return append([]float64(nil), exact...)
	}
	v := make([]float64, x.len())
	for i := range v {
		v[i] = float64(after[x.start+i])
	}
	return v
}
