package cuda

import (
	"math"

	"emdiff/kernels"
)

func (s *set) Upsample2x(y, x kernels.Buffer, p kernels.Resize) { s.resize("forward", y, x, p) }

func (s *set) Upsample2xGrad(dx, dy kernels.Buffer, p kernels.Resize) { s.resize("grad", dx, dy, p) }

func (s *set) resize(direction string, to, from kernels.Buffer, p kernels.Resize) {
	xs, ys := stride(p.XStride, p.C), stride(p.YStride, p.C)
	suffix, values := s.vec4(fours(p.C, xs, ys))
	n := p.N * p.H * p.W * p.C
	s.launch("upsample2x_"+direction+"_f32"+suffix, flat(ceil(n, values)), to, from, n, p.W, p.C, xs, ys, p.Accumulate)
}

func (s *set) PixelUnshuffle(y, x kernels.Buffer, p kernels.Shuffle) {
	s.shuffle("pixelunshuffle", y, x, p)
}

func (s *set) PixelShuffle(y, x kernels.Buffer, p kernels.Shuffle) {
	s.shuffle("pixelshuffle", y, x, p)
}

func (s *set) shuffle(op string, y, x kernels.Buffer, p kernels.Shuffle) {
	n := p.N * p.H * p.W * p.C
	s.launch(op+"_forward_f32_naive", flat(n), y, x, n, p.H/p.R, p.W/p.R, p.C, p.R)
}

func (s *set) CopyChannels(y, x kernels.Buffer, p kernels.Channels) {
	xs, ys := stride(p.XStride, p.C), stride(p.YStride, p.C)
	suffix, values := s.vec4(fours(p.C, xs, ys, p.XOffset, p.YOffset))
	s.launch("copychannels_forward_f32"+suffix, flat(ceil(p.Rows*p.C, values)), y, x, p.Rows*p.C, p.C, xs, ys, p.XOffset, p.YOffset, p.Accumulate)
}

func (s *set) Gather(y, x, ids kernels.Buffer, _ int, p kernels.PerImage) {
	suffix, values := s.vec4(fours(p.Len))
	s.launch("gather_forward_f32"+suffix, flat(ceil(p.N*p.Len, values)), y, x, ids, p.N*p.Len, p.Len, p.Accumulate)
}

func (s *set) TimeEmbedding(y, t kernels.Buffer, p kernels.TimeEmbedding) {
	half := p.Dim / 2
	rate := -math.Log(float64(p.MaxPeriod)) / (float64(half) - float64(p.FreqShift))
	s.launch("timeembedding_forward_f32_naive", flat(p.N*half), y, t, p.N, half, rate, p.CosFirst)
}
