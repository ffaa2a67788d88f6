package cuda

import "emdiff/kernels"

// gainArgs are the arguments that locate gains.
func gainArgs(p kernels.Gain) []any { return []any{p.N, p.HW, p.C, p.GainN, p.GainC} }

// perPixel is the launch of an op on the values of images with gains, and its rung.
func (s *set) perPixel(p kernels.Gain) (g grid, suffix string) {
	suffix, values := s.vec4(fours(p.HW * p.C))
	return flat(ceil(p.N*p.HW*p.C, values)), suffix
}

func (s *set) Gain(y, x, gain kernels.Buffer, p kernels.Gain) {
	g, suffix := s.perPixel(p)
	args := append([]any{y, x, gain}, gainArgs(p)...)
	s.launch("gain_forward_f32"+suffix, g, append(args, p.Accumulate)...)
}

func (s *set) GaussianPosterior(x, z, y, gain, ids kernels.Buffer, p kernels.GaussianPosterior) {
	g, suffix := s.perPixel(p.Gain)
	inverseSquare := func(v float32) float32 { return float32(1 / (float64(v) * float64(v))) }
	args := append([]any{x, z, y, gain, ids, p.FirstImage}, gainArgs(p.Gain)...)
	args = append(args, inverseSquare(p.SigmaY), inverseSquare(p.R), p.Temperature)
	s.launch("posterior_forward_f32"+suffix, g, append(args, family(p.Random)...)...)
}

func (s *set) Blur(y, x, taps kernels.Buffer, p kernels.Blur) { s.blur("blur_forward", y, x, taps, p) }

func (s *set) BlurAdjoint(y, x, taps kernels.Buffer, p kernels.Blur) {
	s.blur("blur_grad", y, x, taps, p)
}

// TILE, MAX_TAPS and CHANNELS of physics.cu.
const blurTile, blurMaxTaps, blurChannels = 16, 17, 4

func (s *set) blur(op string, y, x, taps kernels.Buffer, p kernels.Blur) {
	if suffix, _ := s.rung(p.K <= blurMaxTaps, "shared", 1); suffix == "_shared" {
		tilesW := ceil(p.W, blurTile)
		s.launch(op+"_f32_shared", grid{x: ceil(p.H, blurTile) * tilesW, y: ceil(p.C, blurChannels), z: p.N}, y, x, taps, p.H, p.W, p.C, p.K, tilesW)
		return
	}
	n := p.N * p.H * p.W * p.C
	s.launch(op+"_f32_naive", flat(n), y, x, taps, n, p.H, p.W, p.C, p.K)
}
