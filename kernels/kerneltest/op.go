package kerneltest

import (
	"slices"

	"emdiff/kernels"
)

// spec describes one op: its arguments, how it is called, and the shapes worth trying.
type spec[P params] struct {
	name     string
	gradient bool
	args     func(c Case, p P) []arg
	call     func(s kernels.Set, b buffers, p P)
	// prepare computes the inputs that are saved outputs of the forward pass.
	prepare func(s kernels.Set, b buffers, p P)
	// images is the number of independent images, image the same call for image n alone. Nil where a batch has no meaning.
	images func(p P) int
	image  func(p P, n int) P

	shapes  []P             // the first two also run with every variant below
	without [][]string      // legal sets of omitted arguments
	inPlace []string        // inputs that may be the destination
	data    []Data          // distributions besides Normal
	random  func(d *dice) P // any small shape
	wrong   []P             // parameters that must be rejected
}

// op is a spec whose parameter type is hidden.
type op struct {
	name     string
	gradient bool
	args     func(c Case) []arg
	call     func(s kernels.Set, b buffers, c Case)
	prepare  func(s kernels.Set, b buffers, c Case)
	images   func(c Case) int
	image    func(c Case, n int) Case
	cases    []Case
	random   func(d *dice) Case
	wrong    []Case
	without  [][]string
}

// buffers holds the arguments of a call by name; one that is left out is nil.
type buffers map[string]kernels.Buffer

const randomShapes = 12 // per op, from a fixed seed

func define[P params](s spec[P]) op {
	o := op{name: s.name, gradient: s.gradient, without: s.without}
	o.args = func(c Case) []arg { return s.args(c, c.Params.(P)) }
	o.call = func(set kernels.Set, b buffers, c Case) { s.call(set, b, c.Params.(P)) }
	o.prepare = func(set kernels.Set, b buffers, c Case) {
		if s.prepare != nil {
			s.prepare(set, b, c.Params.(P))
		}
	}
	o.images = func(c Case) int {
		if s.images == nil {
			return 1
		}
		return s.images(c.Params.(P))
	}
	o.image = func(c Case, n int) Case { c.Params = s.image(c.Params.(P), n); return c }

	for i, p := range s.shapes {
		c := Case{Op: s.name, Params: p}
		o.cases = append(o.cases, c)
		if i > 1 {
			continue
		}
		for _, names := range s.without {
			o.cases = append(o.cases, Case{Op: s.name, Params: p, Without: names})
		}
		for _, name := range s.inPlace {
			if o.mayShare(c, name) {
				o.cases = append(o.cases, Case{Op: s.name, Params: p, InPlace: name})
			}
		}
		for _, d := range s.data {
			o.cases = append(o.cases, Case{Op: s.name, Params: p, Data: d})
		}
	}
	o.random = func(d *dice) Case {
		c := Case{Op: s.name, Params: s.random(d)}
		if k := d.upTo(len(s.without)); k > 0 {
			c.Without = s.without[k-1]
		}
		if k := d.upTo(len(s.inPlace)); k > 0 && o.mayShare(c, s.inPlace[k-1]) {
			c.InPlace = s.inPlace[k-1]
		}
		if k := d.upTo(len(s.data)); k > 0 {
			c.Data = s.data[k-1]
		}
		return c
	}
	d := seededDice(s.name)
	for range randomShapes {
		o.cases = append(o.cases, o.random(d))
	}
	for _, p := range s.wrong {
		o.wrong = append(o.wrong, Case{Op: s.name, Params: p})
	}
	return o
}

// mayShare reports whether the first destination is overwritten and has the layout of the named input.
func (o op) mayShare(c Case, name string) bool {
	args := o.present(c)
	y := args[0]
	i := slices.IndexFunc(args, func(a arg) bool { return a.name == name })
	if i < 0 || y.role != output {
		return false
	}
	x := args[i]
	return y.rows == x.rows && y.cols == x.cols && y.stride == x.stride && y.offset == x.offset
}

// present returns the arguments of a case that are not left out.
func (o op) present(c Case) []arg {
	return slices.DeleteFunc(o.args(c), func(a arg) bool { return slices.Contains(c.Without, a.name) })
}

// destinations returns the arguments of a case that the op writes.
func (o op) destinations(c Case) []arg {
	return slices.DeleteFunc(o.present(c), func(a arg) bool { return !a.written() })
}

var table = func() map[string]op {
	m := map[string]op{}
	for _, group := range [][]op{convOps(), matmulOps(), normOps(), elementwiseOps(), perImageOps(), layoutOps(), randomOps(), optimOps(), physicsOps()} {
		for _, o := range group {
			m[o.name] = o
		}
	}
	return m
}()

// Ops lists the ops of kernels.Set that the suite covers, which is all of them, in alphabetical order.
func Ops() []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Cases returns the cases of an op: hand-picked shapes, of which the first two run with every optional argument left
// out, in place and under other distributions, then random ones.
func Cases(op string) []Case { return slices.Clone(table[op].cases) }
