package host

import (
	"math"

	"emdiff/kernels"
)

// squaresJob sums squares in float64: a sum of float32 squares cannot overflow, so it is finite when every value is.
type squaresJob struct {
	vector *vectorKernels
	cut    cut
	x      []float32
	sums   []float64
}

func (j *squaresJob) part(_, i int) {
	_, lo, hi := j.cut.at(i)
	j.sums[i] = j.vector.squares(j.x[lo:hi])
}

// GradNorm computes the norm, the clip coefficient and the finite flag of the flat gradient g.
func (s *Set) GradNorm(out, g kernels.Buffer, p kernels.GradNorm) {
	c := newCut(1, p.Len)
	s.squares = squaresJob{&s.level.vector, c, f32(g), s.partial(c.parts())}
	s.pool.run(c.parts(), &s.squares)
	norm := math.Sqrt(total(s.squares.sums))
	clip, finite := 1.0, float32(1)
	if p.MaxNorm > 0 {
		clip = min(1, float64(p.MaxNorm)/norm)
	}
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		finite = 0
	}
	copy(f32(out), []float32{float32(norm), float32(clip), finite})
}

type adamJob struct {
	vector          *vectorKernels
	cut             cut
	w, m, v, ema, g []float32
	coefficients    adamCoefficients
}

func (j *adamJob) part(_, i int) {
	_, lo, hi := j.cut.at(i)
	j.vector.adam(j.w[lo:hi], j.m[lo:hi], j.v[lo:hi], j.ema[lo:hi], j.g[lo:hi], &j.coefficients)
}

// AdamW updates w, m, v and ema from g and norm, the output of GradNorm.
func (s *Set) AdamW(w, m, v, ema, g, norm kernels.Buffer, p kernels.AdamW) {
	measured := f32(norm)
	if measured[2] == 0 {
		return
	}
	unbias := func(beta float32) float64 { return 1 / (1 - math.Pow(float64(beta), float64(p.Step))) }
	s.adam = adamJob{&s.level.vector, newCut(1, p.Len), f32(w), f32(m), f32(v), f32(ema), f32(g), adamCoefficients{
		Clip: measured[1], Beta1: p.Beta1, Rest1: 1 - p.Beta1, Beta2: p.Beta2, Rest2: 1 - p.Beta2,
		Unbias2: float32(unbias(p.Beta2)), Eps: p.Eps, Decay: p.LR * p.WeightDecay, Step: float32(float64(p.LR) * unbias(p.Beta1)),
		EMA: p.EMADecay, RestEMA: 1 - p.EMADecay,
	}}
	s.pool.run(s.adam.cut.parts(), &s.adam)
}
