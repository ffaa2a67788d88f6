package ref

import "emdiff/kernels"

func (s *set[S, A]) ScaleImages(y, a, x, b, z kernels.Buffer, p kernels.PerImage) {
	ys, as, xs, bs, zs := values[S](y), values[S](a), values[S](x), values[S](b), values[S](z)
	for n := range p.N {
		for i := n * p.Len; i < (n+1)*p.Len; i++ {
			v := A(as[n]) * A(xs[i])
			if bs != nil {
				v += A(bs[n]) * A(zs[i])
			}
			store(ys, i, v, p.Accumulate)
		}
	}
}

func (s *set[S, A]) Dot(out, a, b kernels.Buffer, p kernels.PerImage) {
	as, bs := values[S](a), values[S](b)
	for n := range p.N {
		store(values[S](out), n, dot[S, A](as[n*p.Len:(n+1)*p.Len], bs[n*p.Len:(n+1)*p.Len]), p.Accumulate)
	}
}

func (s *set[S, A]) Sum(out, x kernels.Buffer, p kernels.PerImage) {
	xs := values[S](x)
	for n := range p.N {
		var sum A
		for _, v := range xs[n*p.Len : (n+1)*p.Len] {
			sum += A(v)
		}
		store(values[S](out), n, sum, p.Accumulate)
	}
}

func (s *set[S, A]) SquaredError(loss, dx, x, ref, weight kernels.Buffer, p kernels.PerImage) {
	dxs, xs, refs, weights := values[S](dx), values[S](x), values[S](ref), values[S](weight)
	for n := range p.N {
		var sum A
		for i := n * p.Len; i < (n+1)*p.Len; i++ {
			d := A(xs[i]) - A(refs[i])
			sum += d * d
			if dxs != nil {
				store(dxs, i, 2*A(weights[n])*d, p.Accumulate)
			}
		}
		store(values[S](loss), n, A(weights[n])*sum, p.Accumulate)
	}
}

func (s *set[S, A]) SumRows(y, x kernels.Buffer, p kernels.SumRows) {
	ys, xs := values[S](y), values[S](x)
	for g := range p.Groups {
		for c := range p.C {
			var sum A
			for r := range p.Rows {
				sum += A(xs[(g*p.Rows+r)*stride(p.XStride, p.C)+c])
			}
			store(ys, g*p.C+c, sum, p.Accumulate)
		}
	}
}
