package kerneltest

import "emdiff/kernels"

func optimOps() []op {
	return []op{
		define(spec[kernels.GradNorm]{
			name: "GradNorm", data: []Data{Large, NotFinite},
			shapes: []kernels.GradNorm{{Len: 105, MaxNorm: 1}, {Len: 64}, {Len: 1, MaxNorm: 100}, {Len: 17, MaxNorm: 1e-3}, {Len: 4099, MaxNorm: 1}},
			wrong:  []kernels.GradNorm{{}, {Len: 1, MaxNorm: -1}},
			args: func(_ Case, p kernels.GradNorm) []arg {
				out := flat(output, "out", 3)
				out.parts = 3
				return []arg{out, flat(input, "g", p.Len)}
			},
			call: func(s kernels.Set, b buffers, p kernels.GradNorm) { s.GradNorm(b["out"], b["g"], p) },
			random: func(d *dice) kernels.GradNorm {
				return kernels.GradNorm{Len: d.between(1, 250), MaxNorm: float32(d.upTo(5))}
			},
		}),
		define(spec[kernels.AdamW]{
			name: "AdamW", data: []Data{Skip},
			shapes: []kernels.AdamW{
				{Len: 105, LR: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, EMADecay: 0.99, Step: 3},
				{Len: 64, LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, EMADecay: 0.9999, Step: 1},
				{Len: 1, LR: 0.1, Beta1: 0.5, Beta2: 0.5, Eps: 1e-3, EMADecay: 1, Step: 1},
				{Len: 4099, LR: 1e-4, Beta1: 0.95, Beta2: 0.999, Eps: 1e-6, WeightDecay: 1e-6, EMADecay: 0, Step: 100000},
			},
			wrong: []kernels.AdamW{{}, {Len: 1, Eps: 1e-8}, {Len: 1, Eps: 1e-8, Step: 1, Beta1: 1}, {Len: 1, Step: 1}},
			args: func(c Case, p kernels.AdamW) []arg {
				state := func(name string) arg {
					a := flat(update, name, p.Len)
					a.exact = c.Data == Skip
					return a
				}
				plain := flat(input, "g", p.Len)
				gradient := plain.drawn(func(r *source, d Data, i int) float32 {
					if d == Skip {
						d = NotFinite
					}
					return plain.value(r, d, i)
				})
				norm := flat(input, "norm", 3).drawn(func(r *source, d Data, i int) float32 {
					switch {
					case d == Skip:
						return 0
					case i == 1:
						return 0.7
					}
					return 1
				})
				// The second moment is an average of squares; away from zero, for Adam divides by its root.
				second := state("v").drawn(func(r *source, _ Data, _ int) float32 { return 0.1 + r.Float32() })
				return []arg{state("w"), state("m"), second, state("ema"), gradient, norm}
			},
			call: func(s kernels.Set, b buffers, p kernels.AdamW) {
				s.AdamW(b["w"], b["m"], b["v"], b["ema"], b["g"], b["norm"], p)
			},
			random: func(d *dice) kernels.AdamW {
				return kernels.AdamW{Len: d.between(1, 250), LR: 0.01, Beta1: float32(d.upTo(9)) / 10, Beta2: float32(d.upTo(9)) / 10, Eps: 1e-6,
					WeightDecay: float32(d.upTo(2)) / 10, EMADecay: float32(d.upTo(10)) / 10, Step: d.between(1, 9)}
			},
		}),
	}
}
