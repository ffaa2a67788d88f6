package cuda

import "emdiff/kernels"

// perBlock is the launch of an op that draws and its rung: one thread per Philox block of four elements, or per element.
func (s *set) perBlock(n, length int) (g grid, suffix string) {
	suffix, values := s.vec4(true)
	return flat(n * ceil(length, values)), suffix
}

func (s *set) Normal(y, ids kernels.Buffer, p kernels.Draw) { s.draw("normal", y, ids, p) }

func (s *set) Uniform(y, ids kernels.Buffer, p kernels.Draw) { s.draw("uniform", y, ids, p) }

func (s *set) draw(op string, y, ids kernels.Buffer, p kernels.Draw) {
	g, suffix := s.perBlock(p.N, p.Len)
	s.launch(op+"_forward_f32"+suffix, g, append([]any{y, ids, p.FirstImage, p.N, p.Len}, family(p.Random)...)...)
}

func (s *set) Dropout(y, x, ids kernels.Buffer, p kernels.Dropout) {
	g, suffix := s.perBlock(p.N, p.Len)
	s.launch("dropout_forward_f32"+suffix, g, append([]any{y, x, ids, p.FirstImage, p.N, p.Len, p.Rate}, family(p.Random)...)...)
}

func (s *set) Update(y, x, d, e, scale, ids kernels.Buffer, p kernels.Update) {
	g, suffix := s.perBlock(p.N, p.Len)
	s.launch("update_forward_f32"+suffix, g,
		append([]any{y, x, d, e, scale, ids, p.FirstImage, p.N, p.Len, p.A, p.B, p.C, p.Noise}, family(p.Random)...)...)
}
