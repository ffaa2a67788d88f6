package ref

import (
	"math"

	"emdiff/kernels"
)

func (s *set[S, A]) GradNorm(out, g kernels.Buffer, p kernels.GradNorm) {
	finite := A(1)
	gs := values[S](g)[:p.Len]
	for _, v := range gs {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			finite = 0
		}
	}
	norm, clip := sqrt(dot[S, A](gs, gs)), A(1)
	if p.MaxNorm > 0 {
		clip = min(1, A(p.MaxNorm)/norm)
	}
	convert(values[S](out), []A{norm, clip, finite})
}

func (s *set[S, A]) AdamW(w, m, v, ema, g, norm kernels.Buffer, p kernels.AdamW) {
	ws, ms, vs, emas, gs, measured := values[S](w), values[S](m), values[S](v), values[S](ema), values[S](g), values[S](norm)
	if measured[2] == 0 {
		return
	}
	b1, b2 := A(p.Beta1), A(p.Beta2)
	bias1 := A(1 - math.Pow(float64(p.Beta1), float64(p.Step)))
	bias2 := A(1 - math.Pow(float64(p.Beta2), float64(p.Step)))
	for i := range p.Len {
		grad := A(measured[1]) * A(gs[i])
		m1 := b1*A(ms[i]) + (1-b1)*grad
		m2 := b2*A(vs[i]) + (1-b2)*grad*grad
		weight := A(ws[i]) - A(p.LR)*A(p.WeightDecay)*A(ws[i])
		weight -= A(p.LR) / bias1 * m1 / (sqrt(m2/bias2) + A(p.Eps))
		ms[i], vs[i], ws[i] = S(m1), S(m2), S(weight)
		emas[i] = S(A(p.EMADecay)*A(emas[i]) + (1-A(p.EMADecay))*weight)
	}
}
