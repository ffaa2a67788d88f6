package cuda

import "emdiff/kernels"

// Shared memory of a block that needs no permission, less what the norm kernels declare themselves.
const residentBytes = 48<<10 - 2<<10 - 256

// normArgs are the arguments NORM_PARAMS.
func normArgs(gamma, beta, scaleShift kernels.Buffer, p kernels.GroupNorm) []any {
	return []any{p.HW, p.C, p.C / p.Groups, stride(p.XStride, p.C), stride(p.YStride, p.C), gamma, beta, scaleShift}
}

// groups is the launch of one block per group, with `floats` floats of shared memory per value where that fits, and the rung's suffix.
func (s *set) groups(p kernels.GroupNorm, floats int) (g grid, suffix string) {
	bytes := 4 * floats * p.HW * (p.C / p.Groups)
	g = grid{x: p.N * p.Groups}
	suffix, _ = s.rung(bytes <= residentBytes, "resident", 1)
	if suffix == "_resident" {
		g.shared = bytes
	}
	return g, suffix
}

func (s *set) GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	g, suffix := s.groups(p, 1)
	args := append([]any{y, x, mean, rstd}, normArgs(gamma, beta, scaleShift, p)...)
	s.launch("groupnorm_forward_f32"+suffix, g, append(args, p.Eps, p.SiLU)...)
}

func (s *set) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	sums := s.scratch(2*p.N*p.C, "GroupNormGrad")
	defer s.release(sums)
	g, suffix := s.groups(p, 2)
	args := append([]any{dx, sums, dy, x, mean, rstd}, normArgs(gamma, beta, scaleShift, p)...)
	s.launch("groupnorm_grad_f32"+suffix, g, append(args, p.SiLU, p.Accumulate)...)
	if dgamma != nil {
		s.launch("groupnorm_paramgrad_f32_naive", flat(p.C), dgamma, dbeta, sums, scaleShift, p.N, p.C, p.AccumulateParams)
	}
	if dscaleShift != nil {
		s.launch("groupnorm_scaleshiftgrad_f32_naive", flat(p.N*p.C), dscaleShift, sums, gamma, beta, p.N, p.C, p.AccumulateParams)
	}
}
