package posterior

import (
	"math"

	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"emdiff/kernels"
)

// fitSweeps is the number of subspace iterations of a Fit. EM calls Fit again and again with hardly changed images and
// each starts from the directions of the last, so few are enough.
const fitSweeps = 3

// leastR keeps the covariance invertible where images lie in a subspace.
const leastR = 1e-2

// Fit takes mean, F and R from n images: the mean, and probabilistic PCA of their covariance C. With its largest
// eigenvalues l_j and their vectors q_j (subspace iteration, starting from the present F or, where that is 0, from random
// directions), R^2 is the mean of the other eigenvalues and F_j = sqrt(l_j - R^2) q_j: the maximum of the likelihood.
// There must be more pixels than rank.
func (g *Gaussian) Fit(images kernels.Buffer, n int, seed uint64) {
	moments := newMoments(g, images, n)
	q := g.directions(seed)
	var w *mat.Dense
	for range fitSweeps {
		w = moments.project(q)
		q = orthonormal(moments.back(w))
	}
	w = moments.project(q)
	var c mat.SymDense
	c.SymOuterK(1/float64(n), w.T())
	var eigen mat.EigenSym
	if !eigen.Factorize(&c, true) {
		panic("posterior: the covariance of the images has no eigenvalues: NaN in the images")
	}
	values := eigen.Values(nil)
	var rotation mat.Dense
	eigen.VectorsTo(&rotation)
	rest := moments.variance
	for _, v := range values {
		rest -= v
	}
	g.R = float64(float32(math.Max(leastR, math.Sqrt(math.Max(0, rest/float64(g.len-g.rank)))))) // as Values keeps it
	var f mat.Dense
	f.Mul(rotation.T(), q)
	basis := make([]float32, 0, (g.rank+1)*g.len)
	for j, v := range values {
		size := math.Sqrt(math.Max(0, v-g.R*g.R))
		for _, x := range f.RawRowView(j) {
			basis = append(basis, float32(size*x))
		}
	}
	for _, x := range moments.mean {
		basis = append(basis, float32(x))
	}
	g.set.Upload(g.basis, basis)
}

// directions are where the subspace iteration starts: orthonormal rows, those of F where it has any.
func (g *Gaussian) directions(seed uint64) *mat.Dense {
	values := g.download(g.basis, g.rank*g.len)
	blank := true
	for _, v := range values {
		blank = blank && v == 0
	}
	if blank {
		random := g.set.Alloc(kernels.F32, len(values))
		defer g.set.Free(random)
		g.set.Normal(random, nil, kernels.Draw{N: 1, Len: len(values), Random: kernels.Random{Seed: seed, Stream: streamGaussianFit}})
		values = g.download(random, len(values))
	}
	return orthonormal(mat.NewDense(g.rank, g.len, values))
}

// orthonormal returns an orthonormal basis of the span of the rows; rows that depend on others become further directions.
func orthonormal(rows *mat.Dense) *mat.Dense {
	r, _ := rows.Dims()
	q := mat.DenseCopyOf(rows.T())
	tau := make([]float64, r)
	workspace(func(work []float64, size int) { lapack64.Geqrf(q.RawMatrix(), tau, work, size) })
	workspace(func(work []float64, size int) { lapack64.Orgqr(q.RawMatrix(), tau, work, size) })
	return mat.DenseCopyOf(q.T())
}

// workspace calls f for the size of its workspace and then with one.
func workspace(f func(work []float64, size int)) {
	size := []float64{0}
	f(size, -1)
	f(make([]float64, int(size[0])), int(size[0]))
}

// moments are the mean and, as products with few directions, the covariance of images on the device.
type moments struct {
	g        *Gaussian
	images   kernels.Buffer
	n        int
	mean     []float64
	variance float64 // trace of the covariance
}

func newMoments(g *Gaussian, images kernels.Buffer, n int) moments {
	m := moments{g: g, images: images, n: n}
	ones := mat.NewDense(n, 1, nil)
	for i := range n {
		ones.Set(i, 0, 1/float64(n))
	}
	m.mean = m.back(ones).RawRowView(0)
	squares := g.rhs.Floats(n)
	g.set.Dot(squares, images, images, kernels.PerImage{N: n, Len: g.len})
	for _, v := range g.download(squares, n) {
		m.variance += v / float64(n)
	}
	for _, v := range m.mean {
		m.variance -= v * v
	}
	return m
}

// project returns the centred images times q^T, [n][rank].
func (m moments) project(q *mat.Dense) *mat.Dense {
	g := m.g
	rank, _ := q.Dims()
	directions, out := m.upload(q), g.rhs.Floats(m.n*rank)
	defer g.set.Free(directions)
	g.set.MatMul(out, m.images, directions, kernels.MatMul{Batch: 1, M: m.n, N: rank, K: g.len, TransB: true, Alpha: 1})
	w := mat.NewDense(m.n, rank, g.download(out, m.n*rank))
	for j := range rank {
		column := w.ColView(j).(*mat.VecDense)
		mean := mat.Sum(column) / float64(m.n)
		for i := range m.n {
			column.SetVec(i, column.AtVec(i)-mean)
		}
	}
	return w
}

// back returns w^T times the images, [columns][len]; columns of w that sum to 0 make it that of the centred images.
func (m moments) back(w *mat.Dense) *mat.Dense {
	g := m.g
	_, k := w.Dims()
	weights, out := m.upload(w), g.set.Alloc(kernels.F32, k*g.len)
	defer g.set.Free(weights)
	defer g.set.Free(out)
	g.set.MatMul(out, weights, m.images, kernels.MatMul{Batch: 1, M: k, N: g.len, K: m.n, TransA: true, Alpha: 1})
	return mat.NewDense(k, g.len, g.download(out, k*g.len))
}

func (m moments) upload(d *mat.Dense) kernels.Buffer {
	r, c := d.Dims()
	single := make([]float32, 0, r*c)
	for i := range r {
		for _, v := range d.RawRowView(i) {
			single = append(single, float32(v))
		}
	}
	b := m.g.set.Alloc(kernels.F32, r*c)
	m.g.set.Upload(b, single)
	return b
}
