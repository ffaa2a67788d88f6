package cuda

import "emdiff/kernels"

// normArgs are the arguments NORM_PARAMS.
func normArgs(gamma, beta, scaleShift kernels.Buffer, p kernels.GroupNorm) []any {
	return []any{p.HW, p.C, p.C / p.Groups, stride(p.XStride, p.C), stride(p.YStride, p.C), gamma, beta, scaleShift}
}

// Shared memory of a block: what needs no permission, less what the norm kernels declare themselves, and the most that is worth taking.
const residentBytes, mostBytes = 48<<10 - 9<<10, 96 << 10

// groups is the launch of one block per group or pair of groups and the rung's name; a value kept in shared memory takes `floats` floats
// there.
func (s *set) groups(p kernels.GroupNorm, floats int) (g grid, rung string) {
	width := p.C / p.Groups
	groups, prefix := 1, ""
	if width == 4 && p.Groups%2 == 0 {
		groups, prefix = 2, "pair"
	}
	columns := groups * width / 4
	if s.options.Rung == "" && fours(width, stride(p.XStride, p.C), stride(p.YStride, p.C)) && columns <= 32 && threads%columns == 0 {
		g.x = p.N * p.Groups / groups
		slots := ceil(p.HW*columns, threads) * threads
		if bytes := 16 * floats * slots; bytes <= min(mostBytes, s.driver.Properties().MaxSharedOptIn-9<<10) {
			g.shared = bytes
			return g, prefix + "vec4"
		}
		return g, prefix + "reread4"
	}
	g.x = p.N * p.Groups
	if bytes := 4 * floats * p.HW * width; bytes <= residentBytes && s.options.Rung != "naive" {
		g.shared = bytes
		return g, "resident"
	}
	return g, "naive"
}

func (s *set) GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	g, rung := s.groups(p, 1)
	args := append([]any{y, x, mean, rstd}, normArgs(gamma, beta, scaleShift, p)...)
	s.launch("groupnorm_forward_f32_"+rung, g, append(args, p.Eps, p.SiLU)...)
}

func (s *set) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	sums := s.scratch(2*p.N*p.C, "GroupNormGrad")
	defer s.release(sums)
	g, rung := s.groups(p, 2)
	args := append([]any{dx, sums, dy, x, mean, rstd}, normArgs(gamma, beta, scaleShift, p)...)
	s.launch("groupnorm_grad_f32_"+rung, g, append(args, p.SiLU, p.Accumulate)...)
	if dgamma != nil {
		s.launch("groupnorm_paramgrad_f32_naive", flat(p.C), dgamma, dbeta, sums, scaleShift, p.N, p.C, p.AccumulateParams)
	}
	if dscaleShift != nil {
		s.launch("groupnorm_scaleshiftgrad_f32_naive", flat(p.N*p.C), dscaleShift, sums, gamma, beta, p.N, p.C, p.AccumulateParams)
	}
}
