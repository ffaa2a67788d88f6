package kerneltest

import "emdiff/kernels"

var gainShapes = []kernels.Gain{
	{N: 3, HW: 7, C: 3, GainN: 3, GainC: 3}, {N: 2, HW: 16, C: 4, GainN: 2, GainC: 1}, {N: 1, HW: 1, C: 1, GainN: 1, GainC: 1},
	{N: 3, HW: 11, C: 3, GainN: 1, GainC: 1}, {N: 2, HW: 64, C: 3, GainN: 1, GainC: 3, Accumulate: true}, {N: 2, HW: 64, C: 3, GainN: 2, GainC: 1, Accumulate: true}, {N: 2, HW: 1024, C: 3, GainN: 2, GainC: 1},
}

func randomGain(d *dice) kernels.Gain {
	p := kernels.Gain{N: d.between(1, 4), HW: d.between(1, 70), C: d.between(1, 5), GainN: 1, GainC: 1}
	if d.yes() {
		p.GainN = p.N
	}
	if d.yes() {
		p.GainC = p.C
	}
	return p
}

var wrongGains = []kernels.Gain{{}, {N: 3, HW: 1, C: 1, GainN: 2, GainC: 1}, {N: 1, HW: 1, C: 3, GainN: 1, GainC: 2}}

func gainArg(p kernels.Gain) arg {
	a := tensor(input, "gain", p.GainN, p.HW*p.GainC, 0)
	a.perImage = p.GainN == p.N
	return a.drawn(func(r *source, _ Data, i int) float32 {
		return []float32{0, 1, r.Float32()}[r.IntN(3)] // unseen, seen, attenuated
	})
}

func pixels(r role, name string, p kernels.Gain) arg {
	return tensor(r, name, p.N, p.HW*p.C, 0).images()
}

func oneGain(p kernels.Gain) kernels.Gain {
	p.N, p.GainN = 1, 1
	return p
}

func posteriorOf(g kernels.Gain) kernels.GaussianPosterior {
	g.Accumulate = false
	return kernels.GaussianPosterior{Gain: g, SigmaY: 0.1, R: 0.3, Temperature: 1, Random: family}
}

func posteriorShapes() []kernels.GaussianPosterior {
	shapes := []kernels.GaussianPosterior{}
	for _, g := range gainShapes {
		shapes = append(shapes, posteriorOf(g))
	}
	mean := posteriorOf(gainShapes[0])
	mean.Temperature, mean.SigmaY, mean.R = 0, 2, 0.01
	return append(shapes, mean)
}

var blurShapes = []kernels.Blur{
	{N: 3, H: 5, W: 7, C: 3, K: 5}, {N: 2, H: 8, W: 8, C: 3, K: 9}, {N: 1, H: 1, W: 1, C: 1, K: 1}, {N: 2, H: 4, W: 5, C: 17, K: 7}, {N: 1, H: 16, W: 16, C: 3, K: 9},
}

func randomBlur(d *dice) kernels.Blur {
	p := kernels.Blur{N: d.between(1, 3), C: d.between(1, 9), K: 1 + 2*d.upTo(3)}
	p.H, p.W = d.between(p.K/2+1, 10), d.between(p.K/2+1, 10)
	return p
}

var wrongBlurs = []kernels.Blur{{}, {N: 1, H: 4, W: 4, C: 1, K: 2}, {N: 1, H: 4, W: 2, C: 1, K: 5}}

func blurArgs(_ Case, p kernels.Blur) []arg {
	taps := flat(input, "taps", p.K).drawn(func(r *source, _ Data, _ int) float32 { return (0.5 + r.Float32()) / float32(p.K) })
	image := func(r role, name string) arg { return tensor(r, name, p.N, p.H*p.W*p.C, 0).images() }
	return []arg{image(output, "y"), image(input, "x"), taps}
}

func oneBlur(p kernels.Blur, _ int) kernels.Blur { p.N = 1; return p }

func blurImages(p kernels.Blur) int { return p.N }

func physicsOps() []op {
	return []op{
		define(spec[kernels.Gain]{
			name: "Gain", shapes: gainShapes, wrong: wrongGains, inPlace: []string{"x"},
			args: func(_ Case, p kernels.Gain) []arg {
				y := pixels(writes(p.Accumulate), "y", p)
				y.zeros = !p.Accumulate
				return []arg{y, pixels(input, "x", p), gainArg(p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Gain) { s.Gain(b["y"], b["x"], b["gain"], p) },
			images: func(p kernels.Gain) int { return p.N },
			image:  func(p kernels.Gain, _ int) kernels.Gain { return oneGain(p) },
			random: func(d *dice) kernels.Gain {
				p := randomGain(d)
				p.Accumulate = d.yes()
				return p
			},
		}),
		define(spec[kernels.GaussianPosterior]{
			name: "GaussianPosterior", shapes: posteriorShapes(), without: [][]string{{"gain"}, {"ids"}, {"gain", "ids"}}, inPlace: []string{"z", "y"},
			wrong: []kernels.GaussianPosterior{{}, {Gain: gainShapes[0], R: 1}, {Gain: gainShapes[0], SigmaY: 1}, {Gain: gainShapes[0], SigmaY: 1, R: 1, Temperature: -1}},
			args: func(_ Case, p kernels.GaussianPosterior) []arg {
				return []arg{pixels(output, "x", p.Gain), pixels(input, "z", p.Gain), pixels(input, "y", p.Gain), gainArg(p.Gain), imageIDs(p.N)}
			},
			call: func(s kernels.Set, b buffers, p kernels.GaussianPosterior) {
				s.GaussianPosterior(b["x"], b["z"], b["y"], b["gain"], b["ids"], p)
			},
			images: func(p kernels.GaussianPosterior) int { return p.N },
			image: func(p kernels.GaussianPosterior, n int) kernels.GaussianPosterior {
				p.Gain = oneGain(p.Gain)
				p.FirstImage += uint32(n)
				return p
			},
			random: func(d *dice) kernels.GaussianPosterior {
				p := posteriorOf(randomGain(d))
				p.SigmaY, p.R, p.Temperature, p.Random = float32(d.between(1, 9))/9, float32(d.between(1, 9))/9, float32(d.upTo(1)), randomFamily(d)
				return p
			},
		}),
		define(spec[kernels.Blur]{
			name: "Blur", shapes: blurShapes, wrong: wrongBlurs, random: randomBlur, args: blurArgs,
			call:   func(s kernels.Set, b buffers, p kernels.Blur) { s.Blur(b["y"], b["x"], b["taps"], p) },
			images: blurImages, image: oneBlur,
		}),
		define(spec[kernels.Blur]{
			name: "BlurAdjoint", shapes: blurShapes, wrong: wrongBlurs, random: randomBlur, args: blurArgs,
			call:   func(s kernels.Set, b buffers, p kernels.Blur) { s.BlurAdjoint(b["y"], b["x"], b["taps"], p) },
			images: blurImages, image: oneBlur,
		}),
	}
}
