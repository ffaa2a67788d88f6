package ref

import (
	"math"

	"emdiff/kernels"
)

func (s *set[S, A]) GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	ys, xs, means, rstds := values[S](y), values[S](x), values[S](mean), values[S](rstd)
	affine := newAffine[S, A](gamma, beta, scaleShift, p)
	xStride, yStride := stride(p.XStride, p.C), stride(p.YStride, p.C)
	width := p.C / p.Groups
	count := A(p.HW * width)
	for n := range p.N {
		for g := range p.Groups {
			var sum, squares A
			for r := n * p.HW; r < (n+1)*p.HW; r++ {
				for c := g * width; c < (g+1)*width; c++ {
					sum += A(xs[r*xStride+c])
				}
			}
			m := sum / count
			for r := n * p.HW; r < (n+1)*p.HW; r++ {
				for c := g * width; c < (g+1)*width; c++ {
					d := A(xs[r*xStride+c]) - m
					squares += d * d
				}
			}
			inverse := 1 / sqrt(squares/count+A(p.Eps))
			for r := n * p.HW; r < (n+1)*p.HW; r++ {
				for c := g * width; c < (g+1)*width; c++ {
					_, z := affine.apply((A(xs[r*xStride+c])-m)*inverse, n, c)
					if p.SiLU {
						z *= sigmoid(z)
					}
					ys[r*yStride+c] = S(z)
				}
			}
			means[n*p.Groups+g], rstds[n*p.Groups+g] = S(m), S(inverse)
		}
	}
}

func (s *set[S, A]) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	dxs, dys, xs := values[S](dx), values[S](dy), values[S](x)
	means, rstds := values[S](mean), values[S](rstd)
	affine := newAffine[S, A](gamma, beta, scaleShift, p)
	xStride, yStride := stride(p.XStride, p.C), stride(p.YStride, p.C)
	width := p.C / p.Groups

	// at returns xhat, t = xhat*gamma + beta and the cotangent of z at pixel r (of image n), channel c.
	at := func(n, r, c int) (xhat, t, dz A) {
		g := n*p.Groups + c/width
		xhat = (A(xs[r*xStride+c]) - A(means[g])) * A(rstds[g])
		t, z := affine.apply(xhat, n, c)
		dz = A(dys[r*yStride+c])
		if p.SiLU {
			dz *= siluSlope(z)
		}
		return xhat, t, dz
	}

	if dx != nil {
		count := A(p.HW * width)
		for n := range p.N {
			for g := range p.Groups {
				var sum, projection A
				for r := n * p.HW; r < (n+1)*p.HW; r++ {
					for c := g * width; c < (g+1)*width; c++ {
						xhat, _, dz := at(n, r, c)
						dxhat := dz * affine.slope(n, c)
						sum += dxhat
						projection += dxhat * xhat
					}
				}
				for r := n * p.HW; r < (n+1)*p.HW; r++ {
					for c := g * width; c < (g+1)*width; c++ {
						xhat, _, dz := at(n, r, c)
						d := dz*affine.slope(n, c) - sum/count - xhat*(projection/count)
						store(dxs, r*xStride+c, A(rstds[n*p.Groups+g])*d, p.Accumulate)
					}
				}
			}
		}
	}
	if dgamma != nil {
		for c := range p.C {
			var dg, db A
			for n := range p.N {
				for r := n * p.HW; r < (n+1)*p.HW; r++ {
					xhat, _, dz := at(n, r, c)
					dt := dz * affine.scale(n, c)
					dg += dt * xhat
					db += dt
				}
			}
			store(values[S](dgamma), c, dg, p.AccumulateParams)
			store(values[S](dbeta), c, db, p.AccumulateParams)
		}
	}
	if dscaleShift != nil {
		for n := range p.N {
			for c := range p.C {
				var ds, dh A
				for r := n * p.HW; r < (n+1)*p.HW; r++ {
					_, t, dz := at(n, r, c)
					ds += dz * t
					dh += dz
				}
				store(values[S](dscaleShift), n*2*p.C+c, ds, p.AccumulateParams)
				store(values[S](dscaleShift), n*2*p.C+p.C+c, dh, p.AccumulateParams)
			}
		}
	}
}

// affine is the map from xhat to z: gamma and beta, then the scale and shift of the image.
type affine[S, A float] struct {
	gamma, beta, scaleShift []S
	channels                int
}

func newAffine[S, A float](gamma, beta, scaleShift kernels.Buffer, p kernels.GroupNorm) affine[S, A] {
	return affine[S, A]{values[S](gamma), values[S](beta), values[S](scaleShift), p.C}
}

// apply returns t = xhat*gamma + beta and z = t*scale + shift.
func (m affine[S, A]) apply(xhat A, n, c int) (t, z A) {
	t = xhat*A(m.gamma[c]) + A(m.beta[c])
	if m.scaleShift == nil {
		return t, t
	}
	return t, t*m.scale(n, c) + A(m.scaleShift[n*2*m.channels+m.channels+c])
}

// scale is dz/dt.
func (m affine[S, A]) scale(n, c int) A {
	if m.scaleShift == nil {
		return 1
	}
	return 1 + A(m.scaleShift[n*2*m.channels+c])
}

// slope is dz/dxhat.
func (m affine[S, A]) slope(n, c int) A { return m.scale(n, c) * A(m.gamma[c]) }

func sqrt[A float](x A) A { return A(math.Sqrt(float64(x))) }

func exp[A float](x A) A { return A(math.Exp(float64(x))) }

func sigmoid[A float](x A) A { return 1 / (1 + exp(-x)) }

// siluSlope is the derivative of x sigmoid(x).
func siluSlope[A float](x A) A {
	q := sigmoid(x)
	return q * (1 + x*(1-q))
}
