package ref

import "emdiff/kernels"

func (s *set[S, A]) SiLU(y, x kernels.Buffer, p kernels.Elementwise) {
	ys, xs := values[S](y), values[S](x)
	for i := range p.Len {
		store(ys, i, A(xs[i])*sigmoid(A(xs[i])), p.Accumulate)
	}
}

func (s *set[S, A]) SiLUGrad(dx, dy, x kernels.Buffer, p kernels.Elementwise) {
	dxs, dys, xs := values[S](dx), values[S](dy), values[S](x)
	for i := range p.Len {
		store(dxs, i, A(dys[i])*siluSlope(A(xs[i])), p.Accumulate)
	}
}

func (s *set[S, A]) Add(y, a, b kernels.Buffer, p kernels.Elementwise) {
	ys, as, bs := values[S](y), values[S](a), values[S](b)
	for i := range p.Len {
		store(ys, i, A(as[i])+A(bs[i]), p.Accumulate)
	}
}

func (s *set[S, A]) Axpy(y, x kernels.Buffer, alpha float32, p kernels.Elementwise) {
	ys, xs := values[S](y), values[S](x)
	for i := range p.Len {
		store(ys, i, A(alpha)*A(xs[i]), true)
	}
}

func (s *set[S, A]) Fill(y kernels.Buffer, value float32, p kernels.Elementwise) {
	ys := values[S](y)
	for i := range p.Len {
		store(ys, i, A(value), p.Accumulate)
	}
}

func (s *set[S, A]) Copy(y, x kernels.Buffer, p kernels.Elementwise) {
	ys, xs := values[S](y), values[S](x)
	for i := range p.Len {
		store(ys, i, A(xs[i]), p.Accumulate)
	}
}

func (s *set[S, A]) Clamp(y, x kernels.Buffer, p kernels.Clamp) {
	ys, xs := values[S](y), values[S](x)
	for i := range p.Len {
		ys[i] = min(max(xs[i], S(p.Lo)), S(p.Hi))
	}
}

func (s *set[S, A]) ClampGrad(dx, dy, x kernels.Buffer, p kernels.Clamp) {
	dxs, dys, xs := values[S](dx), values[S](dy), values[S](x)
	for i := range p.Len {
		var d A
		if S(p.Lo) <= xs[i] && xs[i] <= S(p.Hi) {
			d = A(dys[i])
		}
		store(dxs, i, d, p.Accumulate)
	}
}
