package cuda

import "emdiff/kernels"

// attentionTile is SIDE of attention.cuh: tokens and channels of a tile.
const attentionTile = 64

// attentionGroups is the GROUPS of the wide rungs: tiles of channels whose sums a block keeps.
const attentionGroups = 4

// tokens is the launch of an attention kernel and the end of its name, type and rung: one block per tile of tokens and 64 or 256 channels,
// or, naively, one per token with `rows` rows of HeadDim floats of shared memory.
func (s *set) tokens(p kernels.Attention, rows int) (g grid, name string) {
	rung, groups, shared := s.attentionRung(p)
	if rung == "naive" {
		g = grid{x: p.N * p.Heads * p.T, block: attentionThreads, shared: 4 * rows * p.HeadDim}
	} else {
		g = grid{x: p.N * p.Heads * ceil(p.T, attentionTile), y: ceil(p.HeadDim, groups*attentionTile), shared: shared}
	}
	return g, p.Precision.String() + "_" + rung
}

// attentionRung is the rung that the options or the layout in memory ask for, with the tiles of channels and the bytes of dynamic shared
// memory of its blocks.
func (s *set) attentionRung(p kernels.Attention) (rung string, groups, shared int) {
	aligned := fours(stride(p.QKVStride, p.Channels()), stride(p.OStride, p.Channels()))
	eights := aligned && p.HeadDim%8 == 0
	width, groups := "64", 1
	if p.HeadDim > attentionTile {
		width, groups = "256", attentionGroups
	}
	wanted := s.options.Rung
	switch {
	case p.Precision != kernels.PrecisionF32 && (!eights || wanted == "anytensor"):
		return "anytensor", attentionGroups, attentionShared(p.Precision, 1)
	case p.Precision != kernels.PrecisionF32:
		return "tensor" + width, groups, attentionShared(p.Precision, 1)
	case wanted == "tensor3" && eights && attentionShared(p.Precision, 2) <= s.driver.Properties().MaxSharedOptIn:
		return "tensor3", attentionGroups, attentionShared(p.Precision, 2)
	case wanted == "naive":
		return "naive", 0, 0
	case aligned && p.HeadDim%4 == 0 && wanted != "any64":
		return "tile" + width, groups, 0
	}
	return "any" + width, groups, 0
}

// attentionShared is the dynamic shared memory of attentiontensor.cu: eight slots of 16 bytes per thread, and three tiles, each in `parts`
// words per value or, in bfloat16, pair of values.
func attentionShared(p kernels.Precision, parts int) int {
	words := attentionTile
	if p == kernels.PrecisionBF16 {
		words /= 2
	}
	return 8*16*threads + 3*parts*4*attentionTile*(words+8)
}

// headsArgs are the arguments HEADS_PARAMS.
func headsArgs(p kernels.Attention) []any {
	return []any{p.T, p.Heads, p.HeadDim, stride(p.QKVStride, p.Channels()), stride(p.OStride, p.Channels()), p.Scale}
}

func (s *set) Attention(o, q, k, v, lse kernels.Buffer, p kernels.Attention) {
	g, rung := s.tokens(p, 2)
	s.launch("attention_forward_"+rung, g, append([]any{o, lse, q, k, v}, headsArgs(p)...)...)
}

func (s *set) AttentionGrad(dq, dk, dv, do, q, k, v, o, lse kernels.Buffer, p kernels.Attention) {
	rows, block := p.N*p.Heads*p.T, attentionThreads
	if p.Precision != kernels.PrecisionF32 {
		block = threads
	}
	delta := s.scratch(rows, "AttentionGrad")
	defer s.release(delta)
	s.launch("attention_delta_"+p.Precision.String()+"_naive", grid{x: ceil(rows, block), block: block},
		delta, do, o, rows, p.T, p.Heads, p.HeadDim, stride(p.OStride, p.Channels()))
	g, rung := s.tokens(p, 3)
	s.launch("attention_querygrad_"+rung, g, append([]any{dq, do, q, k, v, lse, delta}, headsArgs(p)...)...)
	g, rung = s.tokens(p, 4)
	s.launch("attention_keygrad_"+rung, g, append([]any{dk, dv, do, q, k, v, lse, delta}, headsArgs(p)...)...)
}
