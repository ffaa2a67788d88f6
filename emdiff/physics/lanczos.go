package physics

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"emdiff/kernels"
)

// stencil is the A of a PSF for one channel, on the host in float64.
type stencil struct {
	h, w       int
	kernel     *mat.Dense
	rows, cols [][]int // pixel that tap a of output row i, or tap b of output column j, reads
}

func newStencil(h, w int, kernel *mat.Dense) stencil {
	kh, kw := kernel.Dims()
	return stencil{h, w, kernel, reads(h, kh), reads(w, kw)}
}

func reads(n, taps int) [][]int {
	list := make([][]int, n)
	for i := range list {
		list[i] = make([]int, taps)
		for a := range taps {
			list[i][a] = foldReflect(i+a-taps/2, n)
		}
	}
	return list
}

// adjoint returns A^T v.
func (s stencil) adjoint(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, rows := range s.rows {
		for j, cols := range s.cols {
			at := v[i*s.w+j]
			if at == 0 {
				continue
			}
			for a, r := range rows {
				for b, k := range s.kernel.RawRowView(a) {
					out[r*s.w+cols[b]] += k * at
				}
			}
		}
	}
	return out
}

// apply returns A v.
func (s stencil) apply(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, rows := range s.rows {
		for j, cols := range s.cols {
			sum := 0.0
			for a, r := range rows {
				for b, k := range s.kernel.RawRowView(a) {
					sum += k * v[r*s.w+cols[b]]
				}
			}
			out[i*s.w+j] = sum
		}
	}
	return out
}

// gram returns A A^T v.
func (s stencil) gram(v []float64) []float64 { return s.apply(s.adjoint(v)) }

// lanczos returns the nodes and weights of the Gauss quadrature that A A^T and the start make of a function f:
// start^T f(A A^T) start = |start|^2 sum of weights[i] f(nodes[i]), exact for polynomials up to degree 2 steps - 1.
// Vectors are kept orthogonal to all before, so that no node appears twice.
func (s stencil) lanczos(start []float64, steps int) (nodes, weights []float64) {
	n := len(start)
	steps = min(steps, n)
	v := append([]float64(nil), start...)
	floats.Scale(1/floats.Norm(v, 2), v)
	var basis [][]float64
	t := mat.NewSymDense(steps, nil)
	size := 0
	for k := range steps {
		basis = append(basis, v)
		size = k + 1
		next := s.gram(v)
		t.SetSym(k, k, floats.Dot(next, v))
		for range 2 { // twice is enough
			for _, b := range basis {
				floats.AddScaled(next, -floats.Dot(next, b), b)
			}
		}
		length := floats.Norm(next, 2)
		if k+1 == steps || length <= 1e-13*t.At(0, 0) { // the space is exhausted
			break
		}
		t.SetSym(k, k+1, length)
		floats.Scale(1/length, next)
		v = next
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(t.SliceSym(0, size), true) {
		panic("physics: a finite tridiagonal matrix has no eigenvalues")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	nodes = eigen.Values(nil)
	for i := range nodes {
		nodes[i] = math.Max(nodes[i], 0)
		weights = append(weights, vectors.At(0, i)*vectors.At(0, i))
	}
	return nodes, weights
}

// probe returns random signs.
func (s stencil) probe(k int) []float64 {
	v := make([]float64, s.h*s.w)
	for i := range v {
		words := kernels.Philox(kernels.Random{Stream: StreamProbe}, uint32(k), uint32(i/128))
		v[i] = 2*float64(words[i/32%4]>>(i%32)&1) - 1
	}
	return v
}

const (
	// normSteps finds the largest eigenvalue of an n x n matrix from a random start to 0.103 (ln n/(steps - 1))^2 on
	// average in the worst case (Kuczynski and Wozniakowski, 1992), 2e-4 for 64x64 pixels.
	normSteps = 200
	// normMargin makes that an upper bound, outside of which polynomials in A A^T would explode.
	normMargin = 5e-4
)

// normSquared is ||A||^2, from the side of normMargin that is not too small.
func (s stencil) normSquared() float64 {
	nodes, _ := s.lanczos(s.probe(0), normSteps)
	return nodes[len(nodes)-1] * (1 + normMargin)
}

// quadrature estimates the trace of a function of A A^T: stochastic Lanczos quadrature (Ubaru, Chen and Saad, 2017). The
// error of log(r^2 l + s^2) for each pixel does not grow with the image, since small ones take more probes: the tests
// hold it to 0.1, where the value itself is -3 to -4.
type quadrature struct {
	nodes, weights [][]float64 // of each probe
	pixels         int
}

const (
	probePixels = 1 << 15 // pixels of all probes together
	leastProbes = 16
	mostProbes  = 64
	probeSteps  = 100
)

func (s stencil) spectrum() *quadrature {
	q := &quadrature{pixels: s.h * s.w}
	for k := range min(mostProbes, max(leastProbes, probePixels/q.pixels)) {
		nodes, weights := s.lanczos(s.probe(k), probeSteps)
		q.nodes, q.weights = append(q.nodes, nodes), append(q.weights, weights)
	}
	return q
}

// trace estimates tr f(A A^T), one channel.
func (q *quadrature) trace(f func(l float64) float64) float64 {
	sum := 0.0
	for k, nodes := range q.nodes {
		for i, l := range nodes {
			sum += q.weights[k][i] * f(l)
		}
	}
	return sum * float64(q.pixels) / float64(len(q.nodes))
}
