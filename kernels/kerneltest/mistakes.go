package kerneltest

import (
	"errors"
	"fmt"
	"slices"

	"emdiff/kernels"
)

// checkMistakes makes every mistake a caller can make with a Buffer or a parameter and returns those that do not panic
// with a *kernels.ShapeError naming op and argument.
func checkMistakes(s kernels.Set, ops []string) (failures []error) {
	if kernels.Unwrap(s) == s {
		return []error{errors.New("the set is not wrapped in kernels.Checked")}
	}
	for _, name := range ops {
		failures = append(failures, table[name].checkMistakes(s)...)
	}
	return failures
}

func (o op) checkMistakes(s kernels.Set) (failures []error) {
	valid := o.cases[0]
	b := buffers{}
	for _, a := range o.args(valid) {
		b[a.name] = s.Alloc(a.dtype, a.len())
		defer s.Free(b[a.name])
	}
	// try calls the op with some arguments replaced and wants arg to be blamed.
	try := func(what, arg string, c Case, replaced buffers) {
		changed := buffers{}
		for name := range b {
			changed[name] = b[name]
			if r, ok := replaced[name]; ok {
				changed[name] = r
			}
		}
		if err := mistake(func() { o.call(s, changed, c) }); err == nil {
			failures = append(failures, fmt.Errorf("%s: %s accepts %s", s.Name(), o.name, what))
		} else if err.Op != o.name || err.Arg != arg {
			failures = append(failures, fmt.Errorf("%s: %s with %s blames %s of %s: %w", s.Name(), o.name, what, err.Arg, err.Op, err))
		}
	}

	for _, a := range o.args(valid) {
		short := b[a.name].Slice(0, a.len()-1)
		try(a.name+" one element short", o.blamed(a, short), valid, buffers{a.name: short})
		if !slices.ContainsFunc(o.without, func(names []string) bool { return slices.Contains(names, a.name) }) {
			try("no "+a.name, o.blamed(a, nil), valid, buffers{a.name: nil})
		}
		other := kernels.I32
		if a.dtype == kernels.I32 {
			other = kernels.F32
		}
		wrong := s.Alloc(other, a.len())
		try(fmt.Sprintf("%s of type %s", a.name, other), o.blamed(a, wrong), valid, buffers{a.name: wrong})
		s.Free(wrong)
	}
	for _, c := range o.wrong {
		try(fmt.Sprintf("the parameters %+v", c.Params), "params", c, nil)
	}
	for _, pair := range incomplete[o.name] {
		try("no "+pair.missing+" alone", pair.blamed, valid, buffers{pair.missing: nil})
	}
	for _, c := range o.cases {
		if p := precision(c); !s.Supports(p) {
			try("the precision "+p.String()+", which it does not support", "Precision", c, nil)
			break
		}
	}
	return failures
}

// incomplete lists optional arguments that need each other.
var incomplete = map[string][]struct{ missing, blamed string }{
	"ScaleImages":   {{"b", "b"}, {"z", "z"}},
	"GroupNormGrad": {{"dgamma", "dgamma, dbeta"}, {"dbeta", "dgamma, dbeta"}, {"scaleShift", "scaleShift"}},
}

// blamed is the argument that the error names: for Cast, whose types depend on each other, it may be their pair.
func (o op) blamed(a arg, b kernels.Buffer) string {
	if o.name == "Cast" {
		if b == nil || b.DType() != a.dtype {
			return "types"
		}
		if a.role == scratch {
			return "y" // the first of the two casts writes it
		}
	}
	return a.name
}
