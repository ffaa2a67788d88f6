package ref

import "emdiff/kernels"

func (s *set[S, A]) Conv2D(y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
	ys, xs, ws := values[S](y), s.operand(x, p.Precision), s.operand(w, p.Precision)
	finish := epilogue[S, A](e, p.Cout)
	xStride, yStride := stride(p.XStride, p.Cin), stride(p.YStride, p.Cout)
	for n := range p.N {
		for i := range p.OutH() {
			for j := range p.OutW() {
				row := (n*p.OutH()+i)*p.OutW() + j
				for o := range p.Cout {
					var z A
					for a := range p.KH {
						for b := range p.KW {
							h, v := i*p.Stride+a-p.PadTop, j*p.Stride+b-p.PadLeft
							if h < 0 || h >= p.H || v < 0 || v >= p.W {
								continue
							}
							pixel := xs[((n*p.H+h)*p.W+v)*xStride:]
							tap := ws[(a*p.KW+b)*p.Cin*p.Cout:]
							for c := range p.Cin {
								z += A(pixel[c]) * A(tap[c*p.Cout+o])
							}
						}
					}
					ys[row*yStride+o] = S(finish(z, n, row, o))
				}
			}
		}
	}
}

// epilogue returns act(z + bias + image bias + residual) for channel o of pixel row, which belongs to image n.
func epilogue[S, A float](e kernels.Epilogue, c int) func(z A, n, row, o int) A {
	bias, imageBias, residual := values[S](e.Bias), values[S](e.ImageBias), values[S](e.Residual)
	residualStride := stride(e.ResidualStride, c)
	return func(z A, n, row, o int) A {
		if bias != nil {
			z += A(bias[o])
		}
		if imageBias != nil {
			z += A(imageBias[n*c+o])
		}
		if residual != nil {
			z += A(residual[row*residualStride+o])
		}
		if e.Act == kernels.ActSiLU {
			z *= sigmoid(z)
		}
		return z
	}
}

func (s *set[S, A]) Conv2DInputGrad(dx, dy, w kernels.Buffer, p kernels.Conv) {
	dxs, dys, ws := values[S](dx), s.operand(dy, p.Precision), s.operand(w, p.Precision)
	xStride, yStride := stride(p.XStride, p.Cin), stride(p.YStride, p.Cout)
	for n := range p.N {
		for h := range p.H {
			for v := range p.W {
				for c := range p.Cin {
					var sum A
					for a := range p.KH {
						for b := range p.KW {
							// The output pixel that saw this input pixel through tap a, b, if there is one.
							i, j := h+p.PadTop-a, v+p.PadLeft-b
							if i < 0 || j < 0 || i%p.Stride != 0 || j%p.Stride != 0 || i/p.Stride >= p.OutH() || j/p.Stride >= p.OutW() {
								continue
							}
							pixel := dys[((n*p.OutH()+i/p.Stride)*p.OutW()+j/p.Stride)*yStride:]
							tap := ws[((a*p.KW+b)*p.Cin+c)*p.Cout:]
							for o := range p.Cout {
								sum += A(pixel[o]) * A(tap[o])
							}
						}
					}
					store(dxs, ((n*p.H+h)*p.W+v)*xStride+c, sum, p.Accumulate)
				}
			}
		}
	}
}

func (s *set[S, A]) Conv2DWeightGrad(dw, x, dy kernels.Buffer, p kernels.Conv) {
	dws, xs, dys := values[S](dw), s.operand(x, p.Precision), s.operand(dy, p.Precision)
	xStride, yStride := stride(p.XStride, p.Cin), stride(p.YStride, p.Cout)
	for a := range p.KH {
		for b := range p.KW {
			for c := range p.Cin {
				for o := range p.Cout {
					var sum A
					for n := range p.N {
						for i := range p.OutH() {
							for j := range p.OutW() {
								h, v := i*p.Stride+a-p.PadTop, j*p.Stride+b-p.PadLeft
								if h < 0 || h >= p.H || v < 0 || v >= p.W {
									continue
								}
								sum += A(xs[((n*p.H+h)*p.W+v)*xStride+c]) * A(dys[((n*p.OutH()+i)*p.OutW()+j)*yStride+o])
							}
						}
					}
					store(dws, ((a*p.KW+b)*p.Cin+c)*p.Cout+o, sum, p.Accumulate)
				}
			}
		}
	}
}
