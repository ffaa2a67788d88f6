package kerneltest

import "emdiff/kernels"

// padded is a 3x3 convolution that keeps the size.
func padded(n, h, w, cin, cout int) kernels.Conv {
	return kernels.Conv{N: n, H: h, W: w, Cin: cin, Cout: cout, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}
}

// pointwise is a 1x1 convolution.
func pointwise(n, h, w, cin, cout int) kernels.Conv {
	return kernels.Conv{N: n, H: h, W: w, Cin: cin, Cout: cout, KH: 1, KW: 1, Stride: 1}
}

func with(p kernels.Conv, change func(p *kernels.Conv)) kernels.Conv {
	change(&p)
	return p
}

var convShapes = []kernels.Conv{
	padded(3, 5, 7, 3, 5),
	padded(2, 8, 8, 16, 32),
	pointwise(1, 1, 1, 1, 1),
	pointwise(3, 4, 5, 24, 48),
	padded(1, 1, 1, 7, 13),
	padded(2, 3, 2, 17, 31),
	padded(2, 6, 6, 4, 4),
	// The downsampling of diffusers pads below and to the right only.
	{N: 2, H: 8, W: 8, Cin: 8, Cout: 16, KH: 3, KW: 3, Stride: 2, PadBottom: 1, PadRight: 1},
	{N: 1, H: 7, W: 9, Cin: 5, Cout: 6, KH: 3, KW: 3, Stride: 2, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1},
	{N: 2, H: 7, W: 8, Cin: 3, Cout: 17, KH: 2, KW: 3, Stride: 3, PadLeft: 2},
	{N: 1, H: 6, W: 5, Cin: 2, Cout: 3, KH: 5, KW: 5, Stride: 1, PadTop: 2, PadBottom: 2, PadLeft: 2, PadRight: 2},
	{N: 1, H: 3, W: 4, Cin: 2, Cout: 9, KH: 3, KW: 3, Stride: 1, PadTop: 4, PadBottom: 3, PadLeft: 5, PadRight: 3}, // taps that see only padding
	{N: 2, H: 9, W: 9, Cin: 8, Cout: 8, KH: 3, KW: 3, Stride: 1},                                                   // no padding
	// Channel slices of wider tensors: concat is a strided write, split a strided read.
	with(padded(2, 4, 5, 6, 10), func(p *kernels.Conv) { p.XStride, p.YStride = 11, 16 }),
	with(padded(2, 4, 4, 16, 16), func(p *kernels.Conv) { p.XStride, p.YStride = 48, 32 }),
	with(pointwise(2, 3, 3, 16, 32), func(p *kernels.Conv) { p.XStride, p.YStride = 17, 33 }),
	// Layers of the U-Net at a small size.
	padded(1, 8, 8, 3, 128),
	padded(2, 8, 8, 128, 3),
	padded(1, 8, 8, 128, 128),
	padded(2, 4, 4, 256, 128),
	pointwise(2, 4, 4, 384, 256),
	// Reduced precision; skipped by a Set that has none.
	with(padded(2, 8, 8, 16, 32), func(p *kernels.Conv) { p.Precision = kernels.PrecisionTF32 }),
	with(padded(1, 5, 7, 24, 40), func(p *kernels.Conv) { p.Precision = kernels.PrecisionTF32 }),
	with(padded(2, 8, 8, 16, 32), func(p *kernels.Conv) { p.Precision = kernels.PrecisionBF16 }),
	with(padded(1, 5, 7, 24, 40), func(p *kernels.Conv) { p.Precision = kernels.PrecisionBF16 }),
}

// convGradientShapes overwrite and accumulate in turn.
func convGradientShapes() []kernels.Conv {
	shapes := []kernels.Conv{}
	for i, p := range convShapes {
		p.Accumulate = i%2 == 1
		shapes = append(shapes, p)
	}
	return shapes
}

var wrongConvs = []kernels.Conv{
	{},
	with(padded(1, 4, 4, 4, 4), func(p *kernels.Conv) { p.Stride = 0 }),
	with(padded(1, 4, 4, 4, 4), func(p *kernels.Conv) { p.XStride = 3 }),
	with(padded(1, 4, 4, 4, 4), func(p *kernels.Conv) { p.YStride = 3 }),
	with(padded(1, 4, 4, 4, 4), func(p *kernels.Conv) { p.PadLeft = -1 }),
	with(padded(1, 4, 4, 4, 4), func(p *kernels.Conv) { p.KH = 7 }),
}

func randomConv(d *dice) kernels.Conv {
	p := kernels.Conv{N: d.between(1, 3), Cin: d.between(1, 20), Cout: d.between(1, 36), Stride: d.between(1, 3)}
	p.KH, p.KW = d.between(1, 4), d.between(1, 4)
	p.PadTop, p.PadBottom, p.PadLeft, p.PadRight = d.upTo(2), d.upTo(2), d.upTo(2), d.upTo(2)
	p.H, p.W = d.between(max(1, p.KH-p.PadTop-p.PadBottom), 9), d.between(max(1, p.KW-p.PadLeft-p.PadRight), 9)
	p.XStride, p.YStride = d.stride(p.Cin), d.stride(p.Cout)
	return p
}

func randomConvGradient(d *dice) kernels.Conv {
	p := randomConv(d)
	p.Accumulate = d.yes()
	return p
}

func convX(r role, name string, p kernels.Conv) arg {
	return tensor(r, name, p.N*p.H*p.W, p.Cin, p.XStride).images()
}

func convY(r role, name string, p kernels.Conv) arg {
	return tensor(r, name, p.N*p.OutH()*p.OutW(), p.Cout, p.YStride).images()
}

func convW(r role, name string, p kernels.Conv) arg { return flat(r, name, p.WLen()) }

func oneConv(p kernels.Conv, _ int) kernels.Conv { p.N = 1; return p }

func convImages(p kernels.Conv) int { return p.N }

// Every way to leave out parts of an epilogue.
var withoutEpilogue = [][]string{{"Bias"}, {"ImageBias"}, {"Residual"}, {"Bias", "ImageBias", "Residual"}}

func epilogueArgs(images, rows, c, residualStride int) []arg {
	return []arg{
		flat(input, "Bias", c),
		tensor(input, "ImageBias", images, c, 0).images(),
		tensor(input, "Residual", rows, c, residualStride).images(),
	}
}

func epilogue(b buffers, residualStride int, act kernels.Act) kernels.Epilogue {
	return kernels.Epilogue{Bias: b["Bias"], ImageBias: b["ImageBias"], Residual: b["Residual"], ResidualStride: residualStride, Act: act}
}

func convOps() []op {
	forward := []Conv2D{}
	for i, p := range convShapes {
		forward = append(forward, Conv2D{Conv: p, ResidualStride: p.YStride, Act: kernels.Act((i + 1) % 2)})
	}
	forward = append(forward, Conv2D{Conv: padded(2, 3, 3, 4, 20), ResidualStride: 37, Act: kernels.ActSiLU})
	wrong := []Conv2D{}
	for _, p := range wrongConvs {
		wrong = append(wrong, Conv2D{Conv: p})
	}
	return []op{
		define(spec[Conv2D]{
			name: "Conv2D", shapes: forward, wrong: wrong, without: withoutEpilogue, inPlace: []string{"Residual"},
			args: func(_ Case, p Conv2D) []arg {
				args := []arg{convY(output, "y", p.Conv), convX(input, "x", p.Conv), convW(input, "w", p.Conv)}
				return append(args, epilogueArgs(p.N, p.N*p.OutH()*p.OutW(), p.Cout, p.ResidualStride)...)
			},
			call: func(s kernels.Set, b buffers, p Conv2D) {
				s.Conv2D(b["y"], b["x"], b["w"], epilogue(b, p.ResidualStride, p.Act), p.Conv)
			},
			images: func(p Conv2D) int { return p.N },
			image:  func(p Conv2D, n int) Conv2D { p.N = 1; return p },
			random: func(d *dice) Conv2D {
				p := randomConv(d)
				return Conv2D{Conv: p, ResidualStride: d.stride(p.Cout), Act: kernels.Act(d.upTo(1))}
			},
		}),
		define(spec[kernels.Conv]{
			name: "Conv2DInputGrad", gradient: true, shapes: convGradientShapes(), wrong: wrongConvs,
			args: func(_ Case, p kernels.Conv) []arg {
				return []arg{convX(writes(p.Accumulate), "dx", p), convY(input, "dy", p), convW(input, "w", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Conv) { s.Conv2DInputGrad(b["dx"], b["dy"], b["w"], p) },
			images: convImages, image: oneConv, random: randomConvGradient,
		}),
		define(spec[kernels.Conv]{
			name: "Conv2DWeightGrad", gradient: true, shapes: convGradientShapes(), wrong: wrongConvs,
			args: func(_ Case, p kernels.Conv) []arg {
				return []arg{convW(writes(p.Accumulate), "dw", p), convX(input, "x", p), convY(input, "dy", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Conv) { s.Conv2DWeightGrad(b["dw"], b["x"], b["dy"], p) },
			random: randomConvGradient,
		}),
	}
}
