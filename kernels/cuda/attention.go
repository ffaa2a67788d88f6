package cuda

import "emdiff/kernels"

// perToken is the launch of one block per token, image and head, with `rows` rows of HeadDim floats of shared memory.
func perToken(p kernels.Attention, rows int) grid {
	return grid{x: p.N * p.Heads * p.T, block: attentionThreads, shared: 4 * rows * p.HeadDim}
}

// headsArgs are the arguments HEADS_PARAMS.
func headsArgs(p kernels.Attention) []any {
	return []any{p.T, p.Heads, p.HeadDim, stride(p.QKVStride, p.Channels()), stride(p.OStride, p.Channels()), p.Scale}
}

func (s *set) Attention(o, q, k, v, lse kernels.Buffer, p kernels.Attention) {
	s.launch("attention_forward_f32_naive", perToken(p, 2), append([]any{o, lse, q, k, v}, headsArgs(p)...)...)
}

func (s *set) AttentionGrad(dq, dk, dv, do, q, k, v, o, lse kernels.Buffer, p kernels.Attention) {
	rows := p.N * p.Heads * p.T
	delta := s.scratch(rows, "AttentionGrad")
	defer s.release(delta)
	s.launch("attention_delta_f32_naive", grid{x: ceil(rows, attentionThreads), block: attentionThreads}, delta, do, o, rows, p.T, p.Heads, p.HeadDim, stride(p.OStride, p.Channels()))
	s.launch("attention_querygrad_f32_naive", perToken(p, 3), append([]any{dq, do, q, k, v, lse, delta}, headsArgs(p)...)...)
	s.launch("attention_keygrad_f32_naive", perToken(p, 4), append([]any{dk, dv, do, q, k, v, lse, delta}, headsArgs(p)...)...)
}
