package cuda

import "emdiff/kernels"

// elementwise launches an op of elementwise.cu: a and b are its inputs, lo and hi its scalars.
func (s *set) elementwise(op string, y, a, b kernels.Buffer, lo, hi float32, n int, accumulate bool) {
	suffix, values := s.vec4(true)
	s.launch(op+"_f32"+suffix, flat(ceil(n, values)), y, a, b, lo, hi, n, accumulate)
}

func (s *set) SiLU(y, x kernels.Buffer, p kernels.Elementwise) {
	s.elementwise("silu_forward", y, x, nil, 0, 0, p.Len, p.Accumulate)
}

func (s *set) SiLUGrad(dx, dy, x kernels.Buffer, p kernels.Elementwise) {
	s.elementwise("silu_grad", dx, dy, x, 0, 0, p.Len, p.Accumulate)
}

func (s *set) Add(y, a, b kernels.Buffer, p kernels.Elementwise) {
	s.elementwise("add_forward", y, a, b, 0, 0, p.Len, p.Accumulate)
}

func (s *set) Axpy(y, x kernels.Buffer, alpha float32, p kernels.Elementwise) {
	s.elementwise("axpy_forward", y, x, nil, alpha, 0, p.Len, true)
}

func (s *set) Fill(y kernels.Buffer, value float32, p kernels.Elementwise) {
	s.elementwise("fill_forward", y, nil, nil, value, 0, p.Len, p.Accumulate)
}

func (s *set) Copy(y, x kernels.Buffer, p kernels.Elementwise) {
	s.elementwise("copy_forward", y, x, nil, 0, 0, p.Len, p.Accumulate)
}

func (s *set) Clamp(y, x kernels.Buffer, p kernels.Clamp) {
	s.elementwise("clamp_forward", y, x, nil, p.Lo, p.Hi, p.Len, false)
}

func (s *set) ClampGrad(dx, dy, x kernels.Buffer, p kernels.Clamp) {
	s.elementwise("clamp_grad", dx, dy, x, p.Lo, p.Hi, p.Len, p.Accumulate)
}

func (s *set) Cast(y, x kernels.Buffer, p kernels.Elementwise) {
	half := func(d kernels.DType) string {
		if d == kernels.BF16 {
			return "bf16_naive"
		}
		return "f16_naive"
	}
	kernel := "cast_back_" + half(x.DType())
	if x.DType() == kernels.F32 {
		kernel = "cast_forward_" + half(y.DType())
	}
	s.launch(kernel, flat(p.Len), y, x, p.Len)
}
