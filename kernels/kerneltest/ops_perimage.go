package kerneltest

import "emdiff/kernels"

var perImageShapes = []kernels.PerImage{
	{N: 3, Len: 35}, {N: 2, Len: 64, Accumulate: true}, {N: 1, Len: 1}, {N: 5, Len: 3}, {N: 4, Len: 17, Accumulate: true}, {N: 2, Len: 1021}, {N: 3, Len: 3072},
}

var wrongPerImage = []kernels.PerImage{{}, {N: 1}, {Len: 1}}

func randomPerImage(d *dice) kernels.PerImage {
	return kernels.PerImage{N: d.between(1, 5), Len: d.between(1, 130), Accumulate: d.yes()}
}

func onePerImage(p kernels.PerImage, _ int) kernels.PerImage { p.N = 1; return p }

func perImageImages(p kernels.PerImage) int { return p.N }

// imagesOf is N images of Len values, scalars one value for each.
func imagesOf(r role, name string, p kernels.PerImage) arg {
	return tensor(r, name, p.N, p.Len, 0).images()
}

func scalars(r role, name string, n int) arg { return tensor(r, name, n, 1, 0).images() }

func perImageOps() []op {
	return []op{
		define(spec[kernels.PerImage]{
			name: "ScaleImages", shapes: perImageShapes, wrong: wrongPerImage, random: randomPerImage,
			without: [][]string{{"b", "z"}}, inPlace: []string{"x", "z"}, data: []Data{Wide},
			args: func(c Case, p kernels.PerImage) []arg {
				return []arg{
					imagesOf(writes(p.Accumulate), "y", p).split(c.Data), scalars(input, "a", p.N), imagesOf(input, "x", p),
					scalars(input, "b", p.N), imagesOf(input, "z", p),
				}
			},
			call: func(s kernels.Set, b buffers, p kernels.PerImage) {
				s.ScaleImages(b["y"], b["a"], b["x"], b["b"], b["z"], p)
			},
			images: perImageImages, image: onePerImage,
		}),
		define(spec[kernels.PerImage]{
			name: "Dot", shapes: perImageShapes, wrong: wrongPerImage, random: randomPerImage, data: []Data{Offset},
			args: func(_ Case, p kernels.PerImage) []arg {
				return []arg{scalars(writes(p.Accumulate), "out", p.N), imagesOf(input, "a", p), imagesOf(input, "b", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.PerImage) { s.Dot(b["out"], b["a"], b["b"], p) },
			images: perImageImages, image: onePerImage,
		}),
		define(spec[kernels.PerImage]{
			name: "Sum", shapes: perImageShapes, wrong: wrongPerImage, random: randomPerImage, data: []Data{Offset},
			args: func(_ Case, p kernels.PerImage) []arg {
				return []arg{scalars(writes(p.Accumulate), "out", p.N), imagesOf(input, "x", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.PerImage) { s.Sum(b["out"], b["x"], p) },
			images: perImageImages, image: onePerImage,
		}),
		define(spec[kernels.PerImage]{
			name: "SquaredError", shapes: perImageShapes, wrong: wrongPerImage, random: randomPerImage, without: [][]string{{"dx"}}, data: []Data{Offset},
			args: func(_ Case, p kernels.PerImage) []arg {
				w := writes(p.Accumulate)
				return []arg{scalars(w, "loss", p.N), imagesOf(w, "dx", p), imagesOf(input, "x", p), imagesOf(input, "ref", p), scalars(input, "weight", p.N)}
			},
			call: func(s kernels.Set, b buffers, p kernels.PerImage) {
				s.SquaredError(b["loss"], b["dx"], b["x"], b["ref"], b["weight"], p)
			},
			images: perImageImages, image: onePerImage,
		}),
		define(spec[kernels.SumRows]{
			name: "SumRows", data: []Data{Offset},
			shapes: []kernels.SumRows{
				{Groups: 3, Rows: 5, C: 7}, {Groups: 2, Rows: 16, C: 32, Accumulate: true}, {Groups: 1, Rows: 1, C: 1}, {Groups: 1, Rows: 301, C: 3},
				{Groups: 2, Rows: 9, C: 17, XStride: 23}, {Groups: 3, Rows: 4, C: 48, XStride: 64, Accumulate: true}, {Groups: 1, Rows: 256, C: 128},
			},
			wrong: []kernels.SumRows{{}, {Groups: 1, Rows: 1, C: 4, XStride: 3}},
			args: func(_ Case, p kernels.SumRows) []arg {
				return []arg{tensor(writes(p.Accumulate), "y", p.Groups, p.C, 0).images(), tensor(input, "x", p.Groups*p.Rows, p.C, p.XStride).images()}
			},
			call:   func(s kernels.Set, b buffers, p kernels.SumRows) { s.SumRows(b["y"], b["x"], p) },
			images: func(p kernels.SumRows) int { return p.Groups },
			image:  func(p kernels.SumRows, _ int) kernels.SumRows { p.Groups = 1; return p },
			random: func(d *dice) kernels.SumRows {
				p := kernels.SumRows{Groups: d.between(1, 4), Rows: d.between(1, 40), C: d.between(1, 40), Accumulate: d.yes()}
				p.XStride = d.stride(p.C)
				return p
			},
		}),
	}
}
