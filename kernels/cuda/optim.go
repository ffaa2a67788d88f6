package cuda

import (
	"math"

	"emdiff/kernels"
)

// normChunk is CHUNK of optim.cu: values of the gradient per block.
const normChunk = 64 * threads

func (s *set) GradNorm(out, g kernels.Buffer, p kernels.GradNorm) {
	if s.options.Rung == "naive" {
		s.launch("gradnorm_forward_f32_naive", grid{x: 1}, out, g, p.Len, p.MaxNorm)
		return
	}
	blocks := ceil(p.Len, normChunk)
	parts := s.scratch(2*blocks, "GradNorm")
	defer s.release(parts)
	s.launch("gradnorm_partial_f32_vec4", grid{x: blocks}, parts, g, p.Len)
	s.launch("gradnorm_finish_f32_vec4", grid{x: 1}, out, parts, blocks, p.MaxNorm)
}

func (s *set) AdamW(w, m, v, ema, g, norm kernels.Buffer, p kernels.AdamW) {
	suffix, values := s.vec4(true)
	bias := func(beta float32) float64 { return 1 - math.Pow(float64(beta), float64(p.Step)) }
	s.launch("adamw_forward_f32"+suffix, flat(ceil(p.Len, values)), w, m, v, ema, g, norm, p.Len, p.LR, p.Beta1, p.Beta2, p.Eps, p.WeightDecay,
		p.EMADecay, float32(float64(p.LR)/bias(p.Beta1)), float32(bias(p.Beta2)))
}
