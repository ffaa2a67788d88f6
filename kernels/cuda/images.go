package cuda

import "emdiff/kernels"

func (s *set) ScaleImages(y, a, x, b, z kernels.Buffer, p kernels.PerImage) {
	suffix, values := s.vec4(fours(p.Len))
	s.launch("scaleimages_forward_f32"+suffix, flat(ceil(p.N*p.Len, values)), y, a, x, b, z, p.N, p.Len, p.Accumulate)
}

func (s *set) Dot(out, a, b kernels.Buffer, p kernels.PerImage) {
	suffix, _ := s.vec4(fours(p.Len))
	s.launch("dot_forward_f32"+suffix, grid{x: p.N}, out, a, b, p.Len, p.Accumulate)
}

func (s *set) Sum(out, x kernels.Buffer, p kernels.PerImage) {
	suffix, _ := s.vec4(fours(p.Len))
	s.launch("sum_forward_f32"+suffix, grid{x: p.N}, out, x, nil, p.Len, p.Accumulate)
}

func (s *set) SquaredError(loss, dx, x, ref, weight kernels.Buffer, p kernels.PerImage) {
	suffix, _ := s.vec4(fours(p.Len))
	s.launch("squarederror_forward_f32"+suffix, grid{x: p.N}, loss, dx, x, ref, weight, p.Len, p.Accumulate)
}

// rowChunk is how many rows a block of the split sum adds up.
const rowChunk = 256

func (s *set) SumRows(y, x kernels.Buffer, p kernels.SumRows) {
	xs := stride(p.XStride, p.C)
	if s.options.Rung == "naive" {
		s.launch("sumrows_forward_f32_naive", flat(p.Groups*p.C), y, x, p.Groups, p.Rows, p.C, xs, p.Accumulate)
		return
	}
	var from any = x
	rows := p.Rows
	for rows > rowChunk {
		chunks := ceil(rows, rowChunk)
		parts := s.scratch(p.Groups*chunks*p.C, "SumRows")
		defer s.release(parts)
		s.sumRows(parts, from, p, rows, xs, chunks, false)
		from, rows, xs = parts, chunks, p.C
	}
	s.sumRows(y, from, p, rows, xs, 1, p.Accumulate)
}

func (s *set) sumRows(y, x any, p kernels.SumRows, rows, xs, chunks int, accumulate bool) {
	const warp = 32 // columns of a block
	s.launch("sumrows_forward_f32_split", grid{x: ceil(p.C, warp), y: chunks, z: p.Groups}, y, x, rows, p.C, xs, rowChunk, chunks, accumulate)
}
