package nn

import "emdiff/kernels"

// Conv2D is a convolution with bias. Pads are zeros around the image.
type Conv2D struct {
	Weight, Bias        *Param
	Cin, Cout           int
	Kernel, Stride      int
	PadBefore, PadAfter int // top and left, bottom and right
}

// Linear is y = x w + bias over the channels of every pixel. Out includes the gaps of a layer with several names.
type Linear struct {
	Weight, Bias *Param
	In, Out      int
}

// GroupNorm is kernels.GroupNorm with its parameters; SiLU follows the norm in the same launch.
type GroupNorm struct {
	Gamma, Beta *Param
	C, Groups   int
	Eps         float32
	SiLU        bool
}

// Builder collects the layers of a network; Params then allocates their parameters in the order of the calls. Names are
// prefixes: the entries are name.weight and name.bias.
type Builder struct {
	list []*Param
}

// Params allocates the parameters of all layers, zeroed, and binds the layers to them.
func (b *Builder) Params(set kernels.Set) *Params { return newParams(set, b.list) }

func (b *Builder) add(rows, cols, fanIn int, kind paramKind, entries ...Entry) *Param {
	w := &Param{Rows: rows, Cols: cols, Entries: entries, fanIn: fanIn, kind: kind}
	b.list = append(b.list, w)
	return w
}

// Conv2D adds a kernel x kernel convolution of stride 1 that keeps the size.
func (b *Builder) Conv2D(name string, cin, cout, kernel int) *Conv2D {
	fanIn := cin * kernel * kernel
	return &Conv2D{
		Weight: b.add(fanIn, cout, fanIn, uniform, Entry{name + ".weight", []int{cout, cin, kernel, kernel}}),
		Bias:   b.add(1, cout, fanIn, uniform, Entry{name + ".bias", []int{cout}}),
		Cin:    cin, Cout: cout, Kernel: kernel, Stride: 1, PadBefore: kernel / 2, PadAfter: kernel / 2,
	}
}

// Downsample adds a 3x3 convolution of stride 2. Padding 1 pads all sides; padding 0 pads the bottom and right only, as
// diffusers does for downsample_padding = 0.
func (b *Builder) Downsample(name string, c, padding int) *Conv2D {
	l := b.Conv2D(name, c, c, 3)
	l.Stride, l.PadBefore, l.PadAfter = 2, padding, 1
	return l
}

// Linear adds a linear layer. Several names share one product: their outputs, each of width out, stand side by side at
// multiples of kernels.AlignUp(out), and the columns between them are always zero.
func (b *Builder) Linear(in, out int, names ...string) *Linear {
	weights, biases := make([]Entry, len(names)), make([]Entry, len(names))
	for i, name := range names {
		weights[i] = Entry{name + ".weight", []int{out, in}}
		biases[i] = Entry{name + ".bias", []int{out}}
	}
	if len(names) > 1 {
		out = len(names) * kernels.AlignUp(out)
	}
	return &Linear{Weight: b.add(in, out, in, uniform, weights...), Bias: b.add(1, out, in, uniform, biases...), In: in, Out: out}
}

// GroupNorm adds a group norm.
func (b *Builder) GroupNorm(name string, c, groups int, eps float32, silu bool) *GroupNorm {
	return &GroupNorm{
		Gamma: b.add(1, c, c, normScale, Entry{name + ".weight", []int{c}}),
		Beta:  b.add(1, c, c, normShift, Entry{name + ".bias", []int{c}}),
		C:     c, Groups: groups, Eps: eps, SiLU: silu,
	}
}
