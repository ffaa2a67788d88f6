package ref

import "emdiff/kernels"

// draw returns element e of image n of a family of draws.
type draw func(n, e int) float32

// draws looks elements up in the blocks that block (kernels.NormalBlock or UniformBlock) makes.
func draws(block func(kernels.Random, uint32, uint32) [4]float32, r kernels.Random, ids kernels.Buffer) draw {
	list := values[int32](ids)
	return func(n, e int) float32 {
		id := r.FirstImage + uint32(n)
		if list != nil {
			id = uint32(list[n])
		}
		return block(r, id, uint32(e/4))[e%4]
	}
}

func (s *set[S, A]) Normal(y, ids kernels.Buffer, p kernels.Draw) {
	fill(values[S](y), draws(kernels.NormalBlock, p.Random, ids), p)
}

func (s *set[S, A]) Uniform(y, ids kernels.Buffer, p kernels.Draw) {
	fill(values[S](y), draws(kernels.UniformBlock, p.Random, ids), p)
}

func fill[S float](y []S, value draw, p kernels.Draw) {
	for n := range p.N {
		for e := range p.Len {
			y[n*p.Len+e] = S(value(n, e))
		}
	}
}

func (s *set[S, A]) Dropout(y, x, ids kernels.Buffer, p kernels.Dropout) {
	ys, xs := values[S](y), values[S](x)
	uniform := draws(kernels.UniformBlock, p.Random, ids)
	for n := range p.N {
		for e := range p.Len {
			i := n*p.Len + e
			if uniform(n, e) >= p.Rate {
				ys[i] = S(A(xs[i]) * (1 / (1 - A(p.Rate))))
			} else {
				ys[i] = 0
			}
		}
	}
}

func (s *set[S, A]) Update(y, x, d, e, scale, ids kernels.Buffer, p kernels.Update) {
	ys, xs, ds, es, scales := values[S](y), values[S](x), values[S](d), values[S](e), values[S](scale)
	normal := draws(kernels.NormalBlock, p.Random, ids)
	for n := range p.N {
		for k := range p.Len {
			i := n*p.Len + k
			v := A(p.A) * A(xs[i])
			if ds != nil {
				v += A(p.B) * A(ds[i])
			}
			if es != nil {
				c := A(p.C)
				if scales != nil {
					c *= A(scales[n])
				}
				v += c * A(es[i])
			}
			if p.Noise > 0 {
				v += A(p.Noise) * A(normal(n, k))
			}
			ys[i] = S(v)
		}
	}
}
