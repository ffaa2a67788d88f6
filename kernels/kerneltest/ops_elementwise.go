package kerneltest

import "emdiff/kernels"

var elementwiseShapes = []kernels.Elementwise{
	{Len: 105}, {Len: 64}, {Len: 1}, {Len: 3}, {Len: 17}, {Len: 255, Accumulate: true}, {Len: 96, Accumulate: true}, {Len: 6007},
}

// overwriting is for the ops that have no accumulating form.
var overwriting = []kernels.Elementwise{{Len: 105}, {Len: 64}, {Len: 1}, {Len: 3}, {Len: 17}, {Len: 255}, {Len: 6007}}

var wrongElementwise = []kernels.Elementwise{{}, {Len: -1}}

func randomElementwise(d *dice) kernels.Elementwise {
	return kernels.Elementwise{Len: d.between(1, 200), Accumulate: d.yes()}
}

// thirds cuts an array into three images where its length allows: the value of an element must not depend on where in
// an array it lies, or the images of a batch would differ from the same images alone.
func thirds(n int) int {
	if n%3 == 0 {
		return 3
	}
	return 1
}

// elements is an array that thirds may cut.
func elements(r role, name string, n int) arg {
	k := thirds(n)
	return tensor(r, name, k, n/k, 0).images()
}

func elementwiseImages(p kernels.Elementwise) int { return thirds(p.Len) }

func elementwiseImage(p kernels.Elementwise, _ int) kernels.Elementwise {
	p.Len /= thirds(p.Len)
	return p
}

func clampShapes(gradient bool) []kernels.Clamp {
	shapes := []kernels.Clamp{}
	for _, p := range elementwiseShapes {
		shapes = append(shapes, kernels.Clamp{Len: p.Len, Lo: -0.5, Hi: 1, Accumulate: p.Accumulate && gradient})
	}
	return append(shapes, kernels.Clamp{Len: 33, Lo: 0.25, Hi: 0.25})
}

func randomClamp(d *dice) kernels.Clamp {
	lo := float32(d.between(-8, 8)) / 4
	return kernels.Clamp{Len: d.between(1, 200), Lo: lo, Hi: lo + float32(d.upTo(4))/4}
}

var wrongClamps = []kernels.Clamp{{}, {Len: 1, Lo: 1, Hi: 0}}

func oneClamp(p kernels.Clamp, _ int) kernels.Clamp {
	p.Len /= thirds(p.Len)
	return p
}

func clampImages(p kernels.Clamp) int { return thirds(p.Len) }

// onTheEdge puts a few of the inputs of a clamp exactly on its bounds, which belong to the interval.
func onTheEdge(p kernels.Clamp) arg {
	a := elements(input, "x", p.Len)
	return a.drawn(func(r *source, d Data, i int) float32 {
		switch i % 7 {
		case 3:
			return p.Lo
		case 5:
			return p.Hi
		}
		return float32(r.NormFloat64())
	})
}

func elementwiseOps() []op {
	return []op{
		define(spec[kernels.Elementwise]{
			name: "SiLU", shapes: elementwiseShapes, wrong: wrongElementwise, random: randomElementwise, inPlace: []string{"x"}, data: []Data{Large, Wide},
			args: func(c Case, p kernels.Elementwise) []arg {
				return []arg{elements(writes(p.Accumulate), "y", p.Len).split(c.Data), elements(input, "x", p.Len)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Elementwise) { s.SiLU(b["y"], b["x"], p) },
			images: elementwiseImages, image: elementwiseImage,
		}),
		define(spec[kernels.Elementwise]{
			name: "SiLUGrad", gradient: true, shapes: elementwiseShapes, wrong: wrongElementwise, random: randomElementwise,
			inPlace: []string{"dy", "x"}, data: []Data{Large, Wide},
			args: func(c Case, p kernels.Elementwise) []arg {
				return []arg{elements(writes(p.Accumulate), "dx", p.Len).split(c.Data), elements(input, "dy", p.Len), elements(input, "x", p.Len)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Elementwise) { s.SiLUGrad(b["dx"], b["dy"], b["x"], p) },
			images: elementwiseImages, image: elementwiseImage,
		}),
		define(spec[kernels.Elementwise]{
			// Two terms have one correctly rounded sum; with a third the order of the additions is free.
			name: "Add", shapes: elementwiseShapes, wrong: wrongElementwise, random: randomElementwise, inPlace: []string{"a", "b"}, data: []Data{Wide},
			args: func(c Case, p kernels.Elementwise) []arg {
				y := elements(writes(p.Accumulate), "y", p.Len).split(c.Data)
				y.exact = !p.Accumulate
				return []arg{y, elements(input, "a", p.Len), elements(input, "b", p.Len)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Elementwise) { s.Add(b["y"], b["a"], b["b"], p) },
			images: elementwiseImages, image: elementwiseImage,
		}),
		define(spec[Axpy]{
			name:   "Axpy",
			shapes: []Axpy{{kernels.Elementwise{Len: 105}, -0.7}, {kernels.Elementwise{Len: 64}, 1}, {kernels.Elementwise{Len: 1}, 0.3}, {kernels.Elementwise{Len: 6007}, 1.5}},
			wrong:  []Axpy{{}},
			data:   []Data{Wide},
			random: func(d *dice) Axpy {
				return Axpy{kernels.Elementwise{Len: d.between(1, 200)}, float32(d.between(-9, 9)) / 7}
			},
			args: func(c Case, p Axpy) []arg {
				return []arg{elements(update, "y", p.Len).split(c.Data), elements(input, "x", p.Len)}
			},
			call:   func(s kernels.Set, b buffers, p Axpy) { s.Axpy(b["y"], b["x"], p.Alpha, p.Elementwise) },
			images: func(p Axpy) int { return thirds(p.Len) },
			image:  func(p Axpy, _ int) Axpy { p.Len /= thirds(p.Len); return p },
		}),
		define(spec[Fill]{
			name:   "Fill",
			shapes: []Fill{{kernels.Elementwise{Len: 105}, -0.7}, {kernels.Elementwise{Len: 64}, 0}, {kernels.Elementwise{Len: 1}, 3}},
			wrong:  []Fill{{}},
			random: func(d *dice) Fill {
				return Fill{kernels.Elementwise{Len: d.between(1, 200)}, float32(d.between(-9, 9)) / 7}
			},
			args: func(_ Case, p Fill) []arg { return []arg{elements(output, "y", p.Len).bits()} },
			call: func(s kernels.Set, b buffers, p Fill) { s.Fill(b["y"], p.Value, p.Elementwise) },
		}),
		define(spec[kernels.Elementwise]{
			name: "Copy", shapes: elementwiseShapes, wrong: wrongElementwise, random: randomElementwise, data: []Data{Wide},
			args: func(_ Case, p kernels.Elementwise) []arg {
				return []arg{elements(writes(p.Accumulate), "y", p.Len).bits(), elements(input, "x", p.Len)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Elementwise) { s.Copy(b["y"], b["x"], p) },
			images: elementwiseImages, image: elementwiseImage,
		}),
		define(spec[kernels.Clamp]{
			name: "Clamp", shapes: clampShapes(false), wrong: wrongClamps, random: randomClamp, inPlace: []string{"x"},
			args:   func(_ Case, p kernels.Clamp) []arg { return []arg{elements(output, "y", p.Len).bits(), onTheEdge(p)} },
			call:   func(s kernels.Set, b buffers, p kernels.Clamp) { s.Clamp(b["y"], b["x"], p) },
			images: clampImages, image: oneClamp,
		}),
		define(spec[kernels.Clamp]{
			name: "ClampGrad", gradient: true, shapes: clampShapes(true), wrong: wrongClamps, inPlace: []string{"dy", "x"},
			args: func(_ Case, p kernels.Clamp) []arg {
				return []arg{elements(writes(p.Accumulate), "dx", p.Len).bits(), elements(input, "dy", p.Len), onTheEdge(p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Clamp) { s.ClampGrad(b["dx"], b["dy"], b["x"], p) },
			images: clampImages, image: oneClamp,
			random: func(d *dice) kernels.Clamp {
				p := randomClamp(d)
				p.Accumulate = d.yes()
				return p
			},
		}),
		define(spec[Cast]{
			name: "Cast",
			shapes: []Cast{
				{kernels.Elementwise{Len: 105}, kernels.BF16}, {kernels.Elementwise{Len: 105}, kernels.F16},
				{kernels.Elementwise{Len: 1}, kernels.BF16}, {kernels.Elementwise{Len: 6007}, kernels.BF16}, {kernels.Elementwise{Len: 6007}, kernels.F16},
			},
			wrong: []Cast{{Through: kernels.BF16}},
			data:  []Data{Wide, NotFinite},
			random: func(d *dice) Cast {
				return Cast{kernels.Elementwise{Len: d.between(1, 200)}, kernels.BF16 + kernels.DType(d.upTo(1))}
			},
			args: func(_ Case, p Cast) []arg {
				half := flat(scratch, "half", p.Len)
				half.dtype = p.Through
				return []arg{flat(output, "y", p.Len).bits(), half, roundable(p.Len)}
			},
			call: func(s kernels.Set, b buffers, p Cast) {
				s.Cast(b["half"], b["x"], p.Elementwise)
				s.Cast(b["y"], b["half"], p.Elementwise)
			},
		}),
	}
}

// roundable puts the hard cases of rounding among the inputs of a cast: ties, subnormals and overflow of both types.
func roundable(n int) arg {
	hard := []float32{0, 1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1p-11, 1 + 0x3p-11, 65504, 65519, 65520, 3.4e38, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-14 - 0x1p-26, 0x1p-130}
	a := flat(input, "x", n)
	return a.drawn(func(r *source, d Data, i int) float32 {
		if d == Normal && i%3 == 1 {
			return hard[r.IntN(len(hard))] * float32(1-2*r.IntN(2))
		}
		return a.value(r, d, i)
	})
}
