package ref

import "emdiff/kernels"

// gainIndex returns where the gain of channel c of pixel r of image n is kept.
func gainIndex(p kernels.Gain, n, r, c int) int {
	return (n%p.GainN*p.HW+r)*p.GainC + c%p.GainC
}

func (s *set[S, A]) Gain(y, x, gain kernels.Buffer, p kernels.Gain) {
	ys, xs, gains := values[S](y), values[S](x), values[S](gain)
	for n := range p.N {
		for r := range p.HW {
			for c := range p.C {
				i := (n*p.HW+r)*p.C + c
				store(ys, i, A(gains[gainIndex(p, n, r, c)])*A(xs[i]), p.Accumulate)
			}
		}
	}
}

func (s *set[S, A]) GaussianPosterior(x, z, y, gain, ids kernels.Buffer, p kernels.GaussianPosterior) {
	xs, zs, ys, gains := values[S](x), values[S](z), values[S](y), values[S](gain)
	normal := draws(kernels.NormalBlock, p.Random, ids)
	likelihood, prior := 1/(A(p.SigmaY)*A(p.SigmaY)), 1/(A(p.R)*A(p.R))
	for n := range p.N {
		for r := range p.HW {
			for c := range p.C {
				i, a := (n*p.HW+r)*p.C+c, A(1)
				if gains != nil {
					a = A(gains[gainIndex(p.Gain, n, r, c)])
				}
				variance := 1 / (a*a*likelihood + prior)
				mean := variance * (a*A(ys[i])*likelihood + A(zs[i])*prior)
				if p.Temperature > 0 {
					mean += A(p.Temperature) * sqrt(variance) * A(normal(n, r*p.C+c))
				}
				xs[i] = S(mean)
			}
		}
	}
}

func (s *set[S, A]) Blur(y, x, taps kernels.Buffer, p kernels.Blur) {
	ys, xs, ts := values[S](y), values[S](x), values[S](taps)
	for n := range p.N {
		for i := range p.H {
			for j := range p.W {
				for c := range p.C {
					var sum A
					for a := range p.K {
						for b := range p.K {
							sum += A(ts[a]) * A(ts[b]) * A(xs[blurSource(p, n, i, j, a, b)*p.C+c])
						}
					}
					ys[((n*p.H+i)*p.W+j)*p.C+c] = S(sum)
				}
			}
		}
	}
}

// The adjoint sends every value back to the pixels it was made of.
func (s *set[S, A]) BlurAdjoint(y, x, taps kernels.Buffer, p kernels.Blur) {
	xs, ts := values[S](x), values[S](taps)
	sum := make([]A, p.N*p.H*p.W*p.C)
	for n := range p.N {
		for i := range p.H {
			for j := range p.W {
				for c := range p.C {
					for a := range p.K {
						for b := range p.K {
							sum[blurSource(p, n, i, j, a, b)*p.C+c] += A(ts[a]) * A(ts[b]) * A(xs[((n*p.H+i)*p.W+j)*p.C+c])
						}
					}
				}
			}
		}
	}
	convert(values[S](y), sum)
}

// blurSource returns the pixel that tap a, b of output pixel i, j of image n reads.
func blurSource(p kernels.Blur, n, i, j, a, b int) int {
	return (n*p.H+reflect(i+a-p.K/2, p.H))*p.W + reflect(j+b-p.K/2, p.W)
}

// reflect mirrors an index at the edge pixels, which are not repeated.
func reflect(i, n int) int {
	if i < 0 {
		return -i
	}
	if i >= n {
		return 2*(n-1) - i
	}
	return i
}
