package nn

import (
	"fmt"
	"slices"
	"sync/atomic"

	"emdiff/kernels"
)

// Slot names one of the flat arrays of Params. All have the same layout.
type Slot uint8

// The slots.
const (
	Weights Slot = iota
	Grads        // of the last Backward
	Moment1      // Adam's m
	Moment2      // Adam's v
	EMA          // moving average of the weights
	slots
)

// String returns the slot's name.
func (s Slot) String() string {
	return [...]string{"weights", "grads", "moment1", "moment2", "ema"}[s]
}

// Entry is one named tensor of a checkpoint: diffusers' name and PyTorch's shape ([out][in][kh][kw] for convolutions,
// [out][in] for linear layers).
type Entry struct {
	Name  string
	Shape []int
}

// Len is the number of values.
func (e Entry) Len() int {
	n := 1
	for _, d := range e.Shape {
		n *= d
	}
	return n
}

// Param is one array that kernels read: a matrix [Rows][Cols] with the output channels in columns (a vector has one row).
// It holds one entry, or several side by side (the query, key and value weights of an attention layer are one product).
type Param struct {
	Rows, Cols int
	Entries    []Entry

	fanIn    int // of the layer, for the initialisation
	kind     paramKind
	offset   int // in the flat arrays
	params   *Params
	buffers  [slots]kernels.Buffer
	lastPass uint64 // the last reverse pass that wrote the gradient
}

type paramKind uint8

const (
	uniform   paramKind = iota // weights and biases of products: U(+-1/sqrt(fan in))
	normScale                  // gamma of a norm: 1
	normShift                  // beta of a norm: 0
)

// value returns the buffer that a forward pass reads and the version of its contents.
func (w *Param) value(ema bool) (kernels.Buffer, uint64) {
	slot := Weights
	if ema {
		slot = EMA
	}
	return w.buffers[slot], w.params.versions[slot]
}

// Params holds the parameters of a network with their gradients, Adam's moments and the moving average, each one flat
// array on the device, so that optimisers are one launch. Gaps between parameters are always zero.
type Params struct {
	set      kernels.Set
	list     []*Param
	flat     [slots]kernels.Buffer
	versions [slots]uint64
	norm     kernels.Buffer // output of GradNorm, for AdamW.Step
}

// NormBytes is what Params take beside their arrays.
const NormBytes = 12

// versions makes weight versions unique in the process, as packed copies are keyed by them.
var versions atomic.Uint64

// newParams allocates the arrays for list and binds the parameters to them.
func newParams(set kernels.Set, list []*Param) *Params {
	p := &Params{set: set, list: list, norm: set.Alloc(kernels.F32, NormBytes/4)}
	n := 0
	for _, w := range list {
		w.params, w.offset = p, n
		n += kernels.AlignUp(w.Rows * w.Cols)
	}
	for s := range p.flat {
		p.flat[s] = set.Alloc(kernels.F32, n)
		for _, w := range list {
			w.buffers[s] = p.flat[s].Slice(w.offset, w.Rows*w.Cols)
		}
		p.Touch(Slot(s))
	}
	return p
}

// Close frees the arrays.
func (p *Params) Close() {
	for _, b := range p.flat {
		p.set.Free(b)
	}
	p.set.Free(p.norm)
	p.flat, p.list = [slots]kernels.Buffer{}, nil
}

// Set is the Set that holds the arrays.
func (p *Params) Set() kernels.Set { return p.set }

// Buffer is the whole array of a slot. Call Touch after writing to it.
func (p *Params) Buffer(s Slot) kernels.Buffer { return p.flat[s] }

// Len is the length of each array, gaps included.
func (p *Params) Len() int { return p.flat[Weights].Len() }

// Count is the number of parameters.
func (p *Params) Count() int {
	n := 0
	for _, e := range p.Entries() {
		n += e.Len()
	}
	return n
}

// Version identifies the contents of a slot: never 0, unique in the process, different after every change.
func (p *Params) Version(s Slot) uint64 { return p.versions[s] }

// Touch says that a slot has changed.
func (p *Params) Touch(s Slot) { p.versions[s] = versions.Add(1) }

// Copy copies one slot to another; Copy(EMA, Weights) restarts the moving average.
func (p *Params) Copy(dst, src Slot) {
	p.set.Copy(p.flat[dst], p.flat[src], kernels.Elementwise{Len: p.Len()})
	p.Touch(dst)
}

// Zero clears a slot.
func (p *Params) Zero(s Slot) {
	p.set.Fill(p.flat[s], 0, kernels.Elementwise{Len: p.Len()})
	p.Touch(s)
}

// ResetOptimizer clears Adam's moments and restarts the moving average from the weights.
func (p *Params) ResetOptimizer() {
	p.Zero(Moment1)
	p.Zero(Moment2)
	p.Copy(EMA, Weights)
}

// Entries lists the named tensors in the order of the arrays.
func (p *Params) Entries() []Entry {
	var list []Entry
	for _, w := range p.list {
		list = append(list, w.Entries...)
	}
	return list
}

// Download returns one entry of a slot in PyTorch's layout.
func (p *Params) Download(s Slot, name string) ([]float32, error) {
	w, i, err := p.find(name)
	if err != nil {
		return nil, err
	}
	matrix := make([]float32, w.Rows*w.Cols)
	p.set.Download(matrix, w.buffers[s])
	values := make([]float32, w.Entries[i].Len())
	w.visit(i, func(file, memory int) { values[file] = matrix[memory] })
	return values, nil
}

// Upload sets one entry of a slot from PyTorch's layout.
func (p *Params) Upload(s Slot, name string, values []float32) error {
	w, i, err := p.find(name)
	if err != nil {
		return err
	}
	if want := w.Entries[i].Len(); len(values) != want {
		return fmt.Errorf("tensor %s has %d values, want %d (shape %v)", name, len(values), want, w.Entries[i].Shape)
	}
	matrix := make([]float32, w.Rows*w.Cols)
	if len(w.Entries) > 1 {
		p.set.Download(matrix, w.buffers[s])
	}
	w.visit(i, func(file, memory int) { matrix[memory] = values[file] })
	p.set.Upload(w.buffers[s], matrix)
	p.Touch(s)
	return nil
}

func (p *Params) find(name string) (*Param, int, error) {
	for _, w := range p.list {
		if i := slices.IndexFunc(w.Entries, func(e Entry) bool { return e.Name == name }); i >= 0 {
			return w, i, nil
		}
	}
	return nil, 0, fmt.Errorf("the network has no parameter %q", name)
}

// visit calls f with the position of every value of entry i in its file and in the matrix: [o][c][taps] in the file is
// row tap*cin + c, column first + o of the matrix, where first is the entry's first column (see Builder.Linear).
func (w *Param) visit(i int, f func(file, memory int)) {
	shape := w.Entries[i].Shape
	first := i * kernels.AlignUp(shape[0])
	out, in, taps := shape[0], 1, 1
	if len(shape) > 1 {
		in = shape[1]
	}
	if len(shape) > 2 {
		taps = shape[2] * shape[3]
	}
	file := 0
	for o := range out {
		for c := range in {
			for t := range taps {
				f(file, (t*in+c)*w.Cols+first+o)
				file++
			}
		}
	}
}
