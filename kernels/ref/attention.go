package ref

import (
	"math"

	"emdiff/kernels"
)

func (s *set[S, A]) Attention(o, q, k, v, lse kernels.Buffer, p kernels.Attention) {
	os, lses := values[S](o), values[S](lse)
	qs, ks, vs := s.operand(q, p.Precision), s.operand(k, p.Precision), s.operand(v, p.Precision)
	round := s.rounding(p.Precision)
	in, out := stride(p.QKVStride, p.Channels()), stride(p.OStride, p.Channels())
	weight := make([]A, p.T)
	for n := range p.N {
		for h := range p.Heads {
			for i := range p.T {
				largest := A(math.Inf(-1))
				for j := range p.T {
					weight[j] = A(p.Scale) * dot[S, A](token(qs, n, i, h, in, p), token(ks, n, j, h, in, p))
					largest = max(largest, weight[j])
				}
				var sum A
				for j := range p.T {
					weight[j] = exp(weight[j] - largest)
					sum += weight[j]
					weight[j] = round(weight[j])
				}
				for c := range p.HeadDim {
					var z A
					for j := range p.T {
						z += weight[j] * A(token(vs, n, j, h, in, p)[c])
					}
					token(os, n, i, h, out, p)[c] = S(z / sum)
				}
				lses[(n*p.Heads+h)*p.T+i] = S(largest + A(math.Log(float64(sum))))
			}
		}
	}
}

// With weights w = exp(Scale q k^T - lse): dv = w^T do, and the cotangent of the scores is
// w * (do v^T - rowsum(do * o)).
func (s *set[S, A]) AttentionGrad(dq, dk, dv, do, q, k, v, o, lse kernels.Buffer, p kernels.Attention) {
	dqs, dks, dvs := values[S](dq), values[S](dk), values[S](dv)
	os, lses := values[S](o), values[S](lse)
	dos, qs, ks, vs := s.operand(do, p.Precision), s.operand(q, p.Precision), s.operand(k, p.Precision), s.operand(v, p.Precision)
	round := s.rounding(p.Precision)
	in, out := stride(p.QKVStride, p.Channels()), stride(p.OStride, p.Channels())
	weight, dscore := make([]A, p.T*p.T), make([]A, p.T*p.T)
	for n := range p.N {
		for h := range p.Heads {
			for i := range p.T {
				doi := token(dos, n, i, h, out, p)
				rowSum := dot[S, A](doi, token(os, n, i, h, out, p))
				for j := range p.T {
					score := A(p.Scale) * dot[S, A](token(qs, n, i, h, in, p), token(ks, n, j, h, in, p))
					w := exp(score - A(lses[(n*p.Heads+h)*p.T+i]))
					weight[i*p.T+j] = round(w)
					dscore[i*p.T+j] = round(w * (dot[S, A](doi, token(vs, n, j, h, in, p)) - rowSum))
				}
			}
			for i := range p.T {
				for c := range p.HeadDim {
					var sq, sk, sv A
					for j := range p.T {
						sq += dscore[i*p.T+j] * A(token(ks, n, j, h, in, p)[c])
						sk += dscore[j*p.T+i] * A(token(qs, n, j, h, in, p)[c])
						sv += weight[j*p.T+i] * A(token(dos, n, j, h, out, p)[c])
					}
					token(dqs, n, i, h, in, p)[c] = S(A(p.Scale) * sq)
					token(dks, n, i, h, in, p)[c] = S(A(p.Scale) * sk)
					token(dvs, n, i, h, in, p)[c] = S(sv)
				}
			}
		}
	}
}

// token returns the HeadDim values of head h of token i of image n.
func token[S float](x []S, n, i, h, stride int, p kernels.Attention) []S {
	return x[(n*p.T+i)*stride+h*p.HeadDim:][:p.HeadDim]
}

func dot[S, A float](a, b []S) A {
	var sum A
	for i := range a {
		sum += A(a[i]) * A(b[i])
	}
	return sum
}
