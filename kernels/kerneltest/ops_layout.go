package kerneltest

import "emdiff/kernels"

func resizeShapes() []kernels.Resize {
	return []kernels.Resize{
		{N: 3, H: 2, W: 3, C: 5}, {N: 2, H: 4, W: 4, C: 16, Accumulate: true}, {N: 1, H: 1, W: 1, C: 1}, {N: 2, H: 1, W: 5, C: 17},
		{N: 2, H: 3, W: 2, C: 6, XStride: 9, YStride: 13}, {N: 2, H: 3, W: 3, C: 16, XStride: 32, YStride: 48, Accumulate: true}, {N: 1, H: 8, W: 8, C: 64},
	}
}

func randomResize(d *dice) kernels.Resize {
	p := kernels.Resize{N: d.between(1, 3), H: d.between(1, 6), W: d.between(1, 6), C: d.between(1, 40), Accumulate: d.yes()}
	p.XStride, p.YStride = d.stride(p.C), d.stride(p.C)
	return p
}

var wrongResizes = []kernels.Resize{{}, {N: 1, H: 1, W: 1, C: 4, XStride: 3}, {N: 1, H: 1, W: 1, C: 4, YStride: 3}}

func small(r role, name string, p kernels.Resize) arg {
	return tensor(r, name, p.N*p.H*p.W, p.C, p.XStride).images()
}

func large(r role, name string, p kernels.Resize) arg {
	return tensor(r, name, 4*p.N*p.H*p.W, p.C, p.YStride).images()
}

func oneResize(p kernels.Resize, _ int) kernels.Resize { p.N = 1; return p }

func resizeImages(p kernels.Resize) int { return p.N }

var shuffleShapes = []kernels.Shuffle{
	{N: 3, H: 4, W: 6, C: 3, R: 2}, {N: 2, H: 8, W: 8, C: 16, R: 2}, {N: 1, H: 1, W: 1, C: 1, R: 1}, {N: 2, H: 9, W: 3, C: 5, R: 3}, {N: 1, H: 16, W: 16, C: 4, R: 4},
}

func randomShuffle(d *dice) kernels.Shuffle {
	p := kernels.Shuffle{N: d.between(1, 3), C: d.between(1, 20), R: d.between(1, 3)}
	p.H, p.W = p.R*d.between(1, 4), p.R*d.between(1, 4)
	return p
}

var wrongShuffles = []kernels.Shuffle{{}, {N: 1, H: 3, W: 4, C: 1, R: 2}}

func shuffled(r role, name string, p kernels.Shuffle) arg {
	return tensor(r, name, p.N, p.H*p.W*p.C, 0).images()
}

func oneShuffle(p kernels.Shuffle, _ int) kernels.Shuffle { p.N = 1; return p }

func shuffleImages(p kernels.Shuffle) int { return p.N }

func layoutOps() []op {
	return []op{
		define(spec[kernels.Resize]{
			name: "Upsample2x", shapes: resizeShapes(), wrong: wrongResizes, random: randomResize,
			args: func(_ Case, p kernels.Resize) []arg {
				return []arg{large(writes(p.Accumulate), "y", p).bits(), small(input, "x", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Resize) { s.Upsample2x(b["y"], b["x"], p) },
			images: resizeImages, image: oneResize,
		}),
		define(spec[kernels.Resize]{
			name: "Upsample2xGrad", gradient: true, shapes: resizeShapes(), wrong: wrongResizes, random: randomResize,
			args: func(_ Case, p kernels.Resize) []arg {
				return []arg{small(writes(p.Accumulate), "dx", p), large(input, "dy", p)}
			},
			call: func(s kernels.Set, b buffers, p kernels.Resize) {
				s.Upsample2xGrad(b["dx"], b["dy"], p)
			},
			images: resizeImages, image: oneResize,
		}),
		define(spec[kernels.Shuffle]{
			name: "PixelUnshuffle", shapes: shuffleShapes, wrong: wrongShuffles, random: randomShuffle,
			args: func(_ Case, p kernels.Shuffle) []arg {
				return []arg{shuffled(output, "y", p).bits(), shuffled(input, "x", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Shuffle) { s.PixelUnshuffle(b["y"], b["x"], p) },
			images: shuffleImages, image: oneShuffle,
		}),
		define(spec[kernels.Shuffle]{
			name: "PixelShuffle", shapes: shuffleShapes, wrong: wrongShuffles, random: randomShuffle,
			args: func(_ Case, p kernels.Shuffle) []arg {
				return []arg{shuffled(output, "y", p).bits(), shuffled(input, "x", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Shuffle) { s.PixelShuffle(b["y"], b["x"], p) },
			images: shuffleImages, image: oneShuffle,
		}),
		define(spec[kernels.Channels]{
			name: "CopyChannels",
			shapes: []kernels.Channels{
				{Rows: 7, C: 5, XStride: 9, YStride: 13, XOffset: 3, YOffset: 8}, {Rows: 16, C: 32, XStride: 32, YStride: 64, YOffset: 32},
				{Rows: 1, C: 1}, {Rows: 5, C: 17}, {Rows: 16, C: 32, XStride: 96, XOffset: 32, Accumulate: true}, {Rows: 3, C: 2, YStride: 11, YOffset: 1, Accumulate: true},
			},
			wrong: []kernels.Channels{{}, {Rows: 1, C: 4, XStride: 4, XOffset: 1}, {Rows: 1, C: 4, YOffset: -1}},
			args: func(_ Case, p kernels.Channels) []arg {
				y, x := tensor(writes(p.Accumulate), "y", p.Rows, p.C, p.YStride).bits(), tensor(input, "x", p.Rows, p.C, p.XStride)
				y.offset, x.offset = p.YOffset, p.XOffset
				return []arg{y, x}
			},
			call: func(s kernels.Set, b buffers, p kernels.Channels) { s.CopyChannels(b["y"], b["x"], p) },
			random: func(d *dice) kernels.Channels {
				p := kernels.Channels{Rows: d.between(1, 20), C: d.between(1, 40), XOffset: d.upTo(20), YOffset: d.upTo(20), Accumulate: d.yes()}
				p.XStride, p.YStride = p.C+p.XOffset+d.upTo(9), p.C+p.YOffset+d.upTo(9)
				return p
			},
		}),
		define(spec[Gather]{
			name: "Gather",
			shapes: []Gather{
				{kernels.PerImage{N: 5, Len: 7}, 3}, {kernels.PerImage{N: 3, Len: 64}, 9}, {kernels.PerImage{N: 1, Len: 1}, 1},
				{kernels.PerImage{N: 4, Len: 33, Accumulate: true}, 6}, {kernels.PerImage{N: 2, Len: 3072}, 5},
			},
			wrong: []Gather{{Rows: 1}},
			args: func(_ Case, p Gather) []arg {
				return []arg{
					imagesOf(writes(p.Accumulate), "y", p.PerImage).bits(), tensor(input, "x", p.Rows, p.Len, 0),
					integers("ids", p.N, func(r *source) int32 { return r.Int32N(int32(p.Rows)) }),
				}
			},
			call:   func(s kernels.Set, b buffers, p Gather) { s.Gather(b["y"], b["x"], b["ids"], p.Rows, p.PerImage) },
			images: func(p Gather) int { return p.N },
			image:  func(p Gather, _ int) Gather { p.N = 1; return p },
			random: func(d *dice) Gather { return Gather{randomPerImage(d), d.between(1, 9)} },
		}),
		define(spec[kernels.TimeEmbedding]{
			name: "TimeEmbedding",
			shapes: []kernels.TimeEmbedding{
				{N: 3, Dim: 10, FreqShift: 1, MaxPeriod: 10000}, {N: 2, Dim: 128, MaxPeriod: 10000, CosFirst: true}, {N: 1, Dim: 2, MaxPeriod: 100},
				{N: 5, Dim: 34, MaxPeriod: 10000}, {N: 16, Dim: 256, FreqShift: 1, MaxPeriod: 10000},
			},
			wrong: []kernels.TimeEmbedding{{}, {N: 1, Dim: 3, MaxPeriod: 10}, {N: 1, Dim: 2, FreqShift: 1, MaxPeriod: 10}, {N: 1, Dim: 4, MaxPeriod: 1}},
			args: func(_ Case, p kernels.TimeEmbedding) []arg {
				steps := scalars(input, "t", p.N).drawn(func(r *source, _ Data, i int) float32 { return float32(i%2) * 1000 * r.Float32() })
				return []arg{tensor(output, "y", p.N, p.Dim, 0).images(), steps}
			},
			call:   func(s kernels.Set, b buffers, p kernels.TimeEmbedding) { s.TimeEmbedding(b["y"], b["t"], p) },
			images: func(p kernels.TimeEmbedding) int { return p.N },
			image:  func(p kernels.TimeEmbedding, _ int) kernels.TimeEmbedding { p.N = 1; return p },
			random: func(d *dice) kernels.TimeEmbedding {
				return kernels.TimeEmbedding{N: d.between(1, 5), Dim: 2 * d.between(2, 40), FreqShift: float32(d.upTo(1)), MaxPeriod: 10000, CosFirst: d.yes()}
			},
		}),
	}
}
