package kerneltest

import "emdiff/kernels"

// A family with every field in use; both halves of the seed matter.
var family = kernels.Random{Seed: 0x9e3779b97f4a7c15, Stream: 3, Step: 17, FirstImage: 5}

func randomFamily(d *dice) kernels.Random {
	r := family
	r.Stream, r.Step, r.FirstImage = uint32(d.next()), uint32(d.next()), uint32(d.next())<<24
	return r
}

var drawShapes = []kernels.Draw{
	{N: 3, Len: 35, Random: family}, {N: 2, Len: 64, Random: family}, {N: 1, Len: 1}, {N: 5, Len: 3, Random: family}, {N: 2, Len: 1021, Random: family}, {N: 2, Len: 3072, Random: family},
}

var wrongDraws = []kernels.Draw{{}, {N: 1}}

func randomDraw(d *dice) kernels.Draw {
	return kernels.Draw{N: d.between(1, 4), Len: d.between(1, 130), Random: randomFamily(d)}
}

func oneDraw(p kernels.Draw, n int) kernels.Draw {
	p.N = 1
	p.FirstImage += uint32(n)
	return p
}

func drawImages(p kernels.Draw) int { return p.N }

var withoutIDs = [][]string{{"ids"}}

func randomOps() []op {
	return []op{
		define(spec[kernels.Draw]{
			name: "Normal", shapes: drawShapes, wrong: wrongDraws, random: randomDraw, without: withoutIDs,
			args: func(_ Case, p kernels.Draw) []arg {
				return []arg{tensor(output, "y", p.N, p.Len, 0).images().bits(), imageIDs(p.N)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Draw) { s.Normal(b["y"], b["ids"], p) },
			images: drawImages, image: oneDraw,
		}),
		define(spec[kernels.Draw]{
			name: "Uniform", shapes: drawShapes, wrong: wrongDraws, random: randomDraw, without: withoutIDs,
			args: func(_ Case, p kernels.Draw) []arg {
				return []arg{tensor(output, "y", p.N, p.Len, 0).images().bits(), imageIDs(p.N)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Draw) { s.Uniform(b["y"], b["ids"], p) },
			images: drawImages, image: oneDraw,
		}),
		define(spec[kernels.Dropout]{
			name: "Dropout", without: withoutIDs, inPlace: []string{"x"},
			shapes: []kernels.Dropout{
				{N: 3, Len: 35, Rate: 0.3, Random: family}, {N: 2, Len: 64, Rate: 0.1, Random: family}, {N: 1, Len: 1, Rate: 0.5}, {N: 2, Len: 3, Random: family}, {N: 2, Len: 2048, Rate: 0.13, Random: family},
			},
			wrong: []kernels.Dropout{{}, {N: 1, Len: 1, Rate: 1}, {N: 1, Len: 1, Rate: -0.5}},
			args: func(_ Case, p kernels.Dropout) []arg {
				y := tensor(output, "y", p.N, p.Len, 0).images()
				y.zeros = true
				return []arg{y, tensor(input, "x", p.N, p.Len, 0).images(), imageIDs(p.N)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Dropout) { s.Dropout(b["y"], b["x"], b["ids"], p) },
			images: func(p kernels.Dropout) int { return p.N },
			image: func(p kernels.Dropout, n int) kernels.Dropout {
				p.N = 1
				p.FirstImage += uint32(n)
				return p
			},
			random: func(d *dice) kernels.Dropout {
				return kernels.Dropout{N: d.between(1, 4), Len: d.between(1, 130), Rate: float32(d.upTo(9)) / 10, Random: randomFamily(d)}
			},
		}),
		define(spec[kernels.Update]{
			name:    "Update",
			without: [][]string{{"d"}, {"e"}, {"scale"}, {"ids"}, {"e", "scale"}, {"d", "e", "scale", "ids"}},
			inPlace: []string{"x", "d", "e"},
			shapes: []kernels.Update{
				{N: 3, Len: 35, A: 0.9, B: 0.2, C: -0.3, Noise: 0.5, Random: family}, {N: 2, Len: 64, A: 1, B: -1, C: 0.01, Random: family},
				{N: 1, Len: 1, A: 1, Noise: 1}, {N: 4, Len: 17, A: 0.7, B: 0.3, C: 2, Noise: 1e-3, Random: family}, {N: 2, Len: 3072, A: 0.99, B: 0.01, C: -0.1, Noise: 0.1, Random: family},
			},
			wrong: []kernels.Update{{}, {N: 1, Len: 1, Noise: -1}},
			args: func(_ Case, p kernels.Update) []arg {
				image := func(r role, name string) arg { return tensor(r, name, p.N, p.Len, 0).images() }
				return []arg{image(output, "y"), image(input, "x"), image(input, "d"), image(input, "e"), scalars(input, "scale", p.N), imageIDs(p.N)}
			},
			call: func(s kernels.Set, b buffers, p kernels.Update) {
				s.Update(b["y"], b["x"], b["d"], b["e"], b["scale"], b["ids"], p)
			},
			images: func(p kernels.Update) int { return p.N },
			image: func(p kernels.Update, n int) kernels.Update {
				p.N = 1
				p.FirstImage += uint32(n)
				return p
			},
			random: func(d *dice) kernels.Update {
				return kernels.Update{N: d.between(1, 4), Len: d.between(1, 130), A: float32(d.between(1, 9)) / 7, B: float32(d.between(-9, 9)) / 7,
					C: float32(d.between(-9, 9)) / 7, Noise: float32(d.upTo(3)) / 3, Random: randomFamily(d)}
			},
		}),
	}
}
