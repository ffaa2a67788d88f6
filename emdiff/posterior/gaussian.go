package posterior

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// Gaussian is the prior N(mean, F^T F + R^2 I), F [rank][pixels]: the variance along a few directions, and one variance
// for all others. It needs no network and is fitted to measurements by EM, so that learning can start without a clean
// image (Rozet et al., NeurIPS 2024; the M-step is probabilistic PCA, Tipping and Bishop 1999).
//
// With x = mean + F^T z + R e, z ~ N(0, I), its posterior given y = A x + n is exact for every operator:
//
//	B = R^2 A A^T + S                  what z does not explain of y; physics.Operator knows its algebra
//	M = I + F A^T B^-1 A F^T           the precision of z given y, rank x rank
//	z | y ~ N(M^-1 F A^T B^-1 (y - A mean), M^-1),   x | z, y: Operator.PosteriorGaussian around mean + F^T z
type Gaussian struct {
	R float64 // standard deviation outside the span of F

	set       kernels.Set
	op        physics.Operator
	rank, len int
	basis     kernels.Buffer // [rank+1][len]: F, then the mean
	rows      kernels.Buffer // numbers of rows of the basis
	room      int            // of rows

	z, white, rhs, precision *physics.Scratch // [n][rank+1], [n][rank], [n][rank] and [n][rank][rank]
	ax, ay, direction        *physics.Scratch // [n][len] each
}

// NewGaussian starts from mean 0 and covariance r^2 I. Fit changes it.
func NewGaussian(set kernels.Set, op physics.Operator, rank int, r float64) *Gaussian {
	h, w, c := op.Shape()
	g := &Gaussian{R: r, set: set, op: op, rank: rank, len: h * w * c}
	g.basis = set.Alloc(kernels.F32, (rank+1)*g.len)
	for _, s := range g.scratch() {
		*s = physics.NewScratch(set)
	}
	return g
}

func (g *Gaussian) scratch() []**physics.Scratch {
	return []**physics.Scratch{&g.z, &g.white, &g.rhs, &g.precision, &g.ay, &g.ax, &g.direction}
}

// Close frees the memory; the operator is the caller's.
func (g *Gaussian) Close() {
	for _, s := range g.scratch() {
		(*s).Free()
	}
	g.set.Free(g.basis)
	g.freeRows()
}

// Values are R, then F and the mean row by row: all that SetValues needs.
func (g *Gaussian) Values() []float32 {
	v := make([]float32, 1+(g.rank+1)*g.len)
	v[0] = float32(g.R)
	g.set.Download(v[1:], g.basis)
	return v
}

// SetValues restores what Values returned.
func (g *Gaussian) SetValues(v []float32) {
	g.R = float64(v[0])
	g.set.Upload(g.basis, v[1:])
}

// NumValues is the length of Values for a rank and images of length values.
func NumValues(rank, length int) int { return 1 + (rank+1)*length }

// Sample fills x with a draw from p(x | y) for each image of b; x must not be y. The temperature is that of what the latents
// do not span: 1 for a draw, 0 for its mean given the latents.
func (g *Gaussian) Sample(x kernels.Buffer, b physics.Batch, y kernels.Buffer, sigmaY, temperature float64, r kernels.Random) {
	g.op.Select(b)
	p := g.project(b, y, sigmaY)
	white := g.white.Floats(b.N * g.rank)
	r.Stream = streamGaussianLatent
	g.set.Normal(white, b.IDs, kernels.Draw{N: b.N, Len: g.rank, Random: r})
	noise := g.download(white, b.N*g.rank)
	z := make([]float32, b.N*(g.rank+1))
	for i := range b.N {
		mean := p.solve(i)
		draw := mat.NewVecDense(g.rank, nil)
		for j := range g.rank {
			draw.SetVec(j, noise[i*g.rank+j])
		}
		// L^-T w has covariance M^-1 = (L L^T)^-1
		blas64.Trsv(blas.Trans, p.factor(i).RawTriangular(), draw.RawVector())
		for j := range g.rank {
			z[i*(g.rank+1)+j] = float32(mean.AtVec(j) + draw.AtVec(j))
		}
		z[i*(g.rank+1)+g.rank] = 1
	}
	latent := g.z.Floats(len(z))
	g.set.Upload(latent, z)
	g.combine(x, latent, b.N)
	r.Stream = streamGaussianImage
	g.op.PosteriorGaussian(x, x, y, physics.GaussianDraw{SigmaY: sigmaY, R: g.R, Temperature: temperature, Random: r})
}

// LogDensity returns log p(y) under the prior for each image of b, over its measured values:
//
//	log N(y; A mean, B + A F^T F A^T)
//
// by the determinant lemma and Woodbury's identity.
func (g *Gaussian) LogDensity(b physics.Batch, y kernels.Buffer, sigmaY float64) []float64 {
	g.op.Select(b)
	p := g.project(b, y, sigmaY)
	s := physics.LikelihoodSigma(sigmaY)
	// r^T B^-1 r with B^-1 r = (r - A R^2 A^T B^-1 r)/s^2; project left r in ax and R^2 A^T B^-1 r in direction.
	n := b.N * g.len
	r, back := g.ax.Floats(n), g.ay.Floats(n)
	g.op.Apply(back, g.direction.Floats(n))
	g.subtract(back, r, back, b.N)
	g.op.Restrict(back)
	dots := g.rhs.Floats(b.N)
	g.set.Dot(dots, r, back, kernels.PerImage{N: b.N, Len: g.len})
	quadratic := g.download(dots, b.N)
	inverse := g.download(g.op.InverseCount(), b.N)
	logDet := g.op.LogDet(g.R, sigmaY)
	out := make([]float64, b.N)
	for i := range out {
		f := p.factor(i)
		det := logDet[i]
		for j := range g.rank {
			det += 2 * math.Log(f.At(j, j))
		}
		q := quadratic[i]/(s*s) - mat.Dot(p.solve(i), p.rhs(i))
		out[i] = -0.5 * (q + det + math.Log(2*math.Pi)/inverse[i])
	}
	return out
}

// projection is what the latents of a batch follow: precisions M and right-hand sides F A^T B^-1 (y - A mean).
type projection struct {
	rank    int
	factors []*mat.TriDense // Cholesky factors L of M = L L^T, one for all images or one each
	values  []float64       // [n][rank]
}

func (p projection) factor(i int) *mat.TriDense { return p.factors[min(i, len(p.factors)-1)] }

func (p projection) rhs(i int) *mat.VecDense {
	return mat.NewVecDense(p.rank, p.values[i*p.rank:(i+1)*p.rank])
}

// solve returns M^-1 rhs of image i.
func (p projection) solve(i int) *mat.VecDense {
	x := mat.VecDenseCopyOf(p.rhs(i))
	l := p.factor(i).RawTriangular()
	blas64.Trsv(blas.NoTrans, l, x.RawVector())
	blas64.Trsv(blas.Trans, l, x.RawVector())
	return x
}

// project computes the projection of the selected batch. It leaves y - A mean in ax and R^2 A^T B^-1 of that in direction.
func (g *Gaussian) project(b physics.Batch, y kernels.Buffer, sigmaY float64) projection {
	n := b.N
	p := projection{rank: g.rank, factors: g.precisions(b, sigmaY)}
	residual, mean := g.ax.Floats(n*g.len), g.direction.Floats(n*g.len)
	g.repeat(mean, g.rank, n)
	g.op.Apply(residual, mean)
	g.subtract(residual, y, residual, n)
	g.op.Restrict(residual)
	g.back(mean, residual, n, sigmaY)
	rhs := g.rhs.Floats(n * g.rank)
	g.product(rhs, mean, n)
	p.values = g.download(rhs, n*g.rank)
	return p
}

// precisions returns the Cholesky factors of M: one where all images share A, else one for each image of b.
func (g *Gaussian) precisions(b physics.Batch, sigmaY float64) []*mat.TriDense {
	images, rows := 1, g.rank
	if g.op.PerImage() {
		images, rows = b.N, b.N
	} else {
		g.op.Select(physics.Batch{N: g.rank})
		defer g.op.Select(b)
	}
	size := g.rank * g.rank
	m := g.precision.Floats(images * size)
	ax, x := g.ax.Floats(rows*g.len), g.direction.Floats(rows*g.len)
	if !g.op.PerImage() { // all directions at once
		g.op.Apply(ax, g.basis)
		g.back(x, ax, g.rank, sigmaY)
		g.product(m, x, g.rank)
	} else { // direction by direction, for all images at once: row j of each M, which is symmetric
		row := g.rhs.Floats(b.N * g.rank)
		for j := range g.rank {
			g.repeat(x, j, b.N)
			g.op.Apply(ax, x)
			g.back(x, ax, b.N, sigmaY)
			g.product(row, x, b.N)
			g.set.CopyChannels(m, row, kernels.Channels{Rows: b.N, C: g.rank, YStride: size, YOffset: j * g.rank})
		}
	}
	values := g.download(m, images*size)
	factors := make([]*mat.TriDense, images)
	for i := range factors {
		factors[i] = cholesky(values[i*size:(i+1)*size], g.rank)
	}
	return factors
}

// cholesky returns L of I + v = L L^T for a v that is symmetric and not negative but for rounding.
func cholesky(v []float64, n int) *mat.TriDense {
	m := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			m.SetSym(i, j, (v[i*n+j]+v[j*n+i])/2)
		}
		m.SetSym(i, i, m.At(i, i)+1)
	}
	var c mat.Cholesky
	if !c.Factorize(m) {
		panic("posterior: the precision of the latents is not positive: NaN in the measurements or the Gaussian")
	}
	var l mat.TriDense
	c.LTo(&l)
	return &l
}

// back computes x = R^2 A^T B^-1 y for n images: the mean of the Gaussian draw around 0.
func (g *Gaussian) back(x, y kernels.Buffer, n int, sigmaY float64) {
	g.set.Fill(x, 0, kernels.Elementwise{Len: n * g.len})
	g.op.PosteriorGaussian(x, x, y, physics.GaussianDraw{SigmaY: sigmaY, R: g.R})
}

// product computes out = x F^T / R^2 for n images.
func (g *Gaussian) product(out, x kernels.Buffer, n int) {
	g.set.MatMul(out, x, g.basis, kernels.MatMul{Batch: 1, M: n, N: g.rank, K: g.len, TransB: true, Alpha: float32(1 / (g.R * g.R))})
}

// combine computes x = mean + F^T z for n images, z [n][rank+1] ending in ones.
func (g *Gaussian) combine(x, z kernels.Buffer, n int) {
	g.set.MatMul(x, z, g.basis, kernels.MatMul{Batch: 1, M: n, N: g.len, K: g.rank + 1, Alpha: 1})
}

// repeat copies a row of the basis n times.
func (g *Gaussian) repeat(x kernels.Buffer, row, n int) {
	if n > g.room {
		g.freeRows()
		g.rows, g.room = g.set.Alloc(kernels.I32, n), n
	}
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(row)
	}
	g.set.UploadInts(g.rows, ids)
	g.set.Gather(x, g.basis, g.rows, g.rank+1, kernels.PerImage{N: n, Len: g.len})
}

func (g *Gaussian) freeRows() {
	if g.room > 0 {
		g.set.Free(g.rows)
	}
	g.room = 0
}

// subtract computes y = a - b for n images.
func (g *Gaussian) subtract(y, a, b kernels.Buffer, n int) {
	g.set.Update(y, a, b, nil, nil, nil, kernels.Update{N: n, Len: g.len, A: 1, B: -1})
}

// download returns the first n values of b in float64.
func (g *Gaussian) download(b kernels.Buffer, n int) []float64 {
	single := make([]float32, n)
	g.set.Download(single, b)
	double := make([]float64, n)
	for i, v := range single {
		double[i] = float64(v)
	}
	return double
}
