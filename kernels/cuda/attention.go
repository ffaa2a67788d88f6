package cuda

import "emdiff/kernels"

// attentionTile is SIDE of attention.cu: tokens and channels of a tile.
const attentionTile = 64

// tokens is the launch of an attention kernel and its rung: one block per tile of tokens and 64 channels, or, naively, one per token with
// `rows` rows of HeadDim floats of shared memory.
func (s *set) tokens(p kernels.Attention, rows int) (g grid, rung string) {
	switch {
	case s.options.Rung == "naive":
		return grid{x: p.N * p.Heads * p.T, block: attentionThreads, shared: 4 * rows * p.HeadDim}, "naive"
	case fours(p.HeadDim, stride(p.QKVStride, p.Channels()), stride(p.OStride, p.Channels())) && s.options.Rung != "any64":
		rung = "tile64"
	default:
		rung = "any64"
	}
	return grid{x: p.N * p.Heads * ceil(p.T, attentionTile), y: ceil(p.HeadDim, attentionTile)}, rung
}

// headsArgs are the arguments HEADS_PARAMS.
func headsArgs(p kernels.Attention) []any {
	return []any{p.T, p.Heads, p.HeadDim, stride(p.QKVStride, p.Channels()), stride(p.OStride, p.Channels()), p.Scale}
}

func (s *set) Attention(o, q, k, v, lse kernels.Buffer, p kernels.Attention) {
	g, rung := s.tokens(p, 2)
	s.launch("attention_forward_f32_"+rung, g, append([]any{o, lse, q, k, v}, headsArgs(p)...)...)
}

func (s *set) AttentionGrad(dq, dk, dv, do, q, k, v, o, lse kernels.Buffer, p kernels.Attention) {
	rows := p.N * p.Heads * p.T
	delta := s.scratch(rows, "AttentionGrad")
	defer s.release(delta)
	s.launch("attention_delta_f32_naive", grid{x: ceil(rows, attentionThreads), block: attentionThreads},
		delta, do, o, rows, p.T, p.Heads, p.HeadDim, stride(p.OStride, p.Channels()))
	g, rung := s.tokens(p, 3)
	s.launch("attention_querygrad_f32_"+rung, g, append([]any{dq, do, q, k, v, lse, delta}, headsArgs(p)...)...)
	g, rung = s.tokens(p, 4)
	s.launch("attention_keygrad_f32_"+rung, g, append([]any{dk, dv, do, q, k, v, lse, delta}, headsArgs(p)...)...)
}
