package cuda

import "emdiff/kernels"

// normArgs are the arguments NORM_PARAMS.
func normArgs(gamma, beta, scaleShift kernels.Buffer, p kernels.GroupNorm) []any {
	return []any{p.HW, p.C, p.C / p.Groups, stride(p.XStride, p.C), stride(p.YStride, p.C), gamma, beta, scaleShift}
}

// Shared memory of a block: what needs no permission, less what the scalar kernels declare themselves; the most that is worth taking, which
// leaves room for two blocks on an H100; and what the vec4 kernels declare.
const residentBytes, mostBytes, declaredBytes = 48<<10 - 9<<10, 104 << 10, 11 << 10

// groups is the launch of one block per group or pair of groups and the rung's name; a value kept in shared memory takes `floats` floats
// there.
func (s *set) groups(p kernels.GroupNorm, floats int) (g grid, rung string) {
	width := p.C / p.Groups
	if s.options.Rung == "" && fours(width, stride(p.XStride, p.C), stride(p.YStride, p.C)) {
		single, pair := width/4, width/2 // columns of four channels
		switch {
		case width == 4 && p.Groups%2 == 0:
			return s.quads(p, 2, pair, floats, "pair")
		case single <= 32 && threads%single == 0:
			return s.quads(p, 1, single, floats, "")
		case pair <= 32 && p.Groups%2 == 0:
			return s.quads(p, 2, pair, floats, "odd")
		}
	}
	g.x = p.N * p.Groups
	if bytes := 4 * floats * p.HW * width; bytes <= residentBytes && s.options.Rung != "naive" {
		g.shared = bytes
		return g, "resident"
	}
	return g, "naive"
}

// quads is a launch of the vec4 rungs: groups per block, and the columns of four channels that they are.
func (s *set) quads(p kernels.GroupNorm, groups, columns, floats int, prefix string) (g grid, rung string) {
	g.x = p.N * p.Groups / groups
	slots := ceil(p.HW, threads/columns) * threads
	if bytes := 16 * floats * slots; bytes <= min(mostBytes, s.driver.Properties().MaxSharedOptIn-declaredBytes) {
		g.shared = bytes
		return g, prefix + "vec4"
	}
	return g, prefix + "reread4"
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
