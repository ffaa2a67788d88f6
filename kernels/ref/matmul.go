package ref

import "emdiff/kernels"

// A linear layer is a 1x1 convolution whose images are single pixels.

func (s *set[S, A]) Linear(y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Linear) {
	s.Conv2D(y, x, w, e, p.Conv())
}

func (s *set[S, A]) LinearInputGrad(dx, dy, w kernels.Buffer, p kernels.Linear) {
	s.Conv2DInputGrad(dx, dy, w, p.Conv())
}

func (s *set[S, A]) LinearWeightGrad(dw, x, dy kernels.Buffer, p kernels.Linear) {
	s.Conv2DWeightGrad(dw, x, dy, p.Conv())
}

func (s *set[S, A]) MatMul(c, a, b kernels.Buffer, p kernels.MatMul) {
	cs, as, bs := values[S](c), s.operand(a, p.Precision), s.operand(b, p.Precision)
	aRow, aCol := p.K, 1
	if p.TransA {
		aRow, aCol = 1, p.M
	}
	bRow, bCol := p.N, 1
	if p.TransB {
		bRow, bCol = 1, p.K
	}
	for batch := range p.Batch {
		for i := range p.M {
			for j := range p.N {
				var sum A
				for k := range p.K {
					sum += A(as[batch*p.StrideA+i*aRow+k*aCol]) * A(bs[batch*p.StrideB+k*bRow+j*bCol])
				}
				store(cs, batch*p.StrideC+i*p.N+j, A(p.Alpha)*sum, p.Accumulate)
			}
		}
	}
}
