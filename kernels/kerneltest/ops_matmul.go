package kerneltest

import "emdiff/kernels"

var linearShapes = []kernels.Linear{
	{Rows: 3, K: 5, M: 7},
	{Rows: 4, K: 32, M: 64},
	{Rows: 1, K: 1, M: 1},
	{Rows: 17, K: 13, M: 31},
	{Rows: 5, K: 16, M: 16, XStride: 21, YStride: 48},
	{Rows: 9, K: 7, M: 3, XStride: 16, YStride: 5},
	{Rows: 2, K: 128, M: 512}, // time embedding
	{Rows: 64, K: 128, M: 384},
	{Rows: 8, K: 48, M: 32, Precision: kernels.PrecisionTF32},
	{Rows: 8, K: 48, M: 32, Precision: kernels.PrecisionBF16},
}

func linearGradientShapes() []kernels.Linear {
	shapes := []kernels.Linear{}
	for i, p := range linearShapes {
		p.Accumulate = i%2 == 1
		shapes = append(shapes, p)
	}
	return shapes
}

var wrongLinears = []kernels.Linear{{}, {Rows: 1, K: 4, M: 4, XStride: 3}, {Rows: 1, K: 4, M: 4, YStride: 3}}

func randomLinear(d *dice) kernels.Linear {
	p := kernels.Linear{Rows: d.between(1, 20), K: d.between(1, 70), M: d.between(1, 70)}
	p.XStride, p.YStride = d.stride(p.K), d.stride(p.M)
	return p
}

func randomLinearGradient(d *dice) kernels.Linear {
	p := randomLinear(d)
	p.Accumulate = d.yes()
	return p
}

func linearX(r role, name string, p kernels.Linear) arg {
	return tensor(r, name, p.Rows, p.K, p.XStride).images()
}

func linearY(r role, name string, p kernels.Linear) arg {
	return tensor(r, name, p.Rows, p.M, p.YStride).images()
}

func linearW(r role, name string, p kernels.Linear) arg { return flat(r, name, p.K*p.M) }

func matmulOps() []op {
	forward, wrong := []Linear{}, []Linear{}
	for i, p := range linearShapes {
		forward = append(forward, Linear{Linear: p, ResidualStride: p.YStride, Act: kernels.Act(i % 2)})
	}
	for _, p := range wrongLinears {
		wrong = append(wrong, Linear{Linear: p})
	}
	return []op{
		define(spec[Linear]{
			name: "Linear", shapes: forward, wrong: wrong, without: withoutEpilogue, inPlace: []string{"Residual"},
			args: func(_ Case, p Linear) []arg {
				args := []arg{linearY(output, "y", p.Linear), linearX(input, "x", p.Linear), linearW(input, "w", p.Linear)}
				return append(args, epilogueArgs(p.Rows, p.Rows, p.M, p.ResidualStride)...)
			},
			call: func(s kernels.Set, b buffers, p Linear) {
				s.Linear(b["y"], b["x"], b["w"], epilogue(b, p.ResidualStride, p.Act), p.Linear)
			},
			images: func(p Linear) int { return p.Rows },
			image:  func(p Linear, n int) Linear { p.Rows = 1; return p },
			random: func(d *dice) Linear {
				p := randomLinear(d)
				return Linear{Linear: p, ResidualStride: d.stride(p.M), Act: kernels.Act(d.upTo(1))}
			},
		}),
		define(spec[kernels.Linear]{
			name: "LinearInputGrad", gradient: true, shapes: linearGradientShapes(), wrong: wrongLinears,
			args: func(_ Case, p kernels.Linear) []arg {
				return []arg{linearX(writes(p.Accumulate), "dx", p), linearY(input, "dy", p), linearW(input, "w", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Linear) { s.LinearInputGrad(b["dx"], b["dy"], b["w"], p) },
			images: func(p kernels.Linear) int { return p.Rows },
			image:  func(p kernels.Linear, n int) kernels.Linear { p.Rows = 1; return p },
			random: randomLinearGradient,
		}),
		define(spec[kernels.Linear]{
			name: "LinearWeightGrad", gradient: true, shapes: linearGradientShapes(), wrong: wrongLinears,
			args: func(_ Case, p kernels.Linear) []arg {
				return []arg{linearW(writes(p.Accumulate), "dw", p), linearX(input, "x", p), linearY(input, "dy", p)}
			},
			call:   func(s kernels.Set, b buffers, p kernels.Linear) { s.LinearWeightGrad(b["dw"], b["x"], b["dy"], p) },
			random: randomLinearGradient,
		}),
		define(spec[kernels.MatMul]{
			name: "MatMul",
			shapes: []kernels.MatMul{
				{Batch: 3, M: 5, N: 7, K: 4, StrideA: 20, StrideB: 28, StrideC: 35, Alpha: 1},
				{Batch: 2, M: 16, N: 32, K: 8, TransB: true, StrideA: 128, StrideB: 256, StrideC: 512, Alpha: 0.5, Accumulate: true},
				{Batch: 1, M: 1, N: 1, K: 1, Alpha: -2},
				{Batch: 4, M: 9, N: 17, K: 31, TransA: true, StrideA: 300, StrideC: 153, Alpha: 1},
				{Batch: 2, M: 17, N: 9, K: 5, TransA: true, TransB: true, StrideB: 47, StrideC: 160, Alpha: 1, Accumulate: true},
				{Batch: 2, M: 64, N: 64, K: 32, TransB: true, StrideA: 2048, StrideB: 2048, StrideC: 4096, Alpha: 0.25},
				{Batch: 3, M: 32, N: 96, K: 32, StrideB: 32 * 96, StrideC: 32 * 96, Alpha: 1}, // one factor for all: the blur's SVD
				{Batch: 2, M: 8, N: 16, K: 24, StrideA: 192, StrideB: 384, StrideC: 128, Alpha: 1, Precision: kernels.PrecisionTF32},
				{Batch: 2, M: 8, N: 16, K: 24, StrideA: 192, StrideB: 384, StrideC: 128, Alpha: 1, Precision: kernels.PrecisionBF16},
			},
			wrong: []kernels.MatMul{{}, {Batch: 2, M: 2, N: 2, K: 2, StrideC: 3}, {Batch: 1, M: 2, N: 2, K: 2, StrideA: -1}},
			args: func(_ Case, p kernels.MatMul) []arg {
				return []arg{
					tensor(writes(p.Accumulate), "c", p.Batch, p.M*p.N, p.StrideC).images(),
					matrices("a", p.Batch, p.M*p.K, p.StrideA), matrices("b", p.Batch, p.K*p.N, p.StrideB),
				}
			},
			call:   func(s kernels.Set, b buffers, p kernels.MatMul) { s.MatMul(b["c"], b["a"], b["b"], p) },
			images: func(p kernels.MatMul) int { return p.Batch },
			image:  func(p kernels.MatMul, n int) kernels.MatMul { p.Batch = 1; return p },
			random: func(d *dice) kernels.MatMul {
				p := kernels.MatMul{Batch: d.between(1, 4), M: d.between(1, 36), N: d.between(1, 36), K: d.between(1, 36)}
				p.TransA, p.TransB, p.Accumulate = d.yes(), d.yes(), d.yes()
				p.Alpha = float32(d.between(1, 4)) / 2
				p.StrideA, p.StrideB, p.StrideC = p.M*p.K+d.upTo(5), p.K*p.N+d.upTo(5), p.M*p.N+d.upTo(5)
				if d.yes() {
					p.StrideA = 0
				}
				return p
			},
		}),
	}
}

// matrices is a batch of input matrices; a stride of 0 is one matrix for the whole batch.
func matrices(name string, batch, elements, stride int) arg {
	if stride == 0 {
		return flat(input, name, elements)
	}
	return tensor(input, name, batch, elements, stride).images()
}
