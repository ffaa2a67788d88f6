package physics

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"emdiff/kernels"
)

// GaussianBlur blurs every channel along both axes under reflect padding (kernels.Blur). With B_n the n x n matrix of the
// 1-D blur of a line of n pixels, A = B_H (x) B_W (x) I_C. From B_n = U_n S_n V_n^T, A has the singular vectors
// U_H (x) U_W and V_H (x) V_W and the gains S_H[i] S_W[j], which makes the posterior draw diagonal.
type GaussianBlur struct {
	frame
	k            int
	taps         kernels.Buffer // [k]
	in, out      basis          // V and U
	singular     []float64      // [H*W] singular values
	norm         float64
	whitened     map[noise]whitened
	a, b, rotate *Scratch
}

// noise is what the S of a draw depends on.
type noise struct{ sigmaY, compensated float64 }

// whitened are S^(-1/2) and S^(-1/2) times the singular values, [H*W] each, in the singular basis.
type whitened struct{ scale, gains kernels.Buffer }

// NewGaussianBlur makes a blur with the k taps of GaussianTaps(k, std) for images of h x w x c; k/2 must be smaller than
// both sides. The papers use k = 9, std = 2.
func NewGaussianBlur(set kernels.Set, h, w, c, k int, std float64) (*GaussianBlur, error) {
	f, err := newFrame(set, h, w, c)
	if err != nil {
		return nil, err
	}
	exact, err := GaussianTaps(k, std)
	if err != nil {
		return nil, err
	}
	if k/2 >= min(h, w) {
		return nil, fmt.Errorf("physics: a blur of %d taps reflects more than a %dx%d image has: choose at most %d taps", k, h, w, 2*min(h, w)-1)
	}
	taps, rounded := make([]float32, k), make([]float64, k)
	for i, t := range exact {
		taps[i] = float32(t)
		rounded[i] = float64(taps[i])
	}
	rows, err := decompose(h, rounded)
	if err != nil {
		return nil, err
	}
	cols, err := decompose(w, rounded)
	if err != nil {
		return nil, err
	}
	singular := make([]float64, 0, h*w)
	for _, s := range rows.values {
		for _, t := range cols.values {
			singular = append(singular, s*t)
		}
	}
	norm := rows.values[0] * cols.values[0] // in descending order
	g := &GaussianBlur{frame: f, k: k, singular: singular, norm: norm * norm, whitened: map[noise]whitened{},
		a: NewScratch(set), b: NewScratch(set), rotate: NewScratch(set)}
	g.taps = g.upload(taps)
	g.in = basis{g.upload(spread(&rows.v, 1)), g.upload(spread(&cols.v, c))}
	g.out = basis{g.upload(spread(&rows.u, 1)), g.upload(spread(&cols.u, c))}
	return g, nil
}

// line is the decomposition of the blur of one line of pixels, values in descending order.
type line struct {
	u, v   mat.Dense
	values []float64
}

// correlation is the n x n matrix of the correlation of a line with taps: row i holds taps[a] at column r(i + a - K/2).
func correlation(n int, taps []float64) *mat.Dense {
	b := mat.NewDense(n, n, nil)
	for i := range n {
		for a, t := range taps {
			j := foldReflect(i+a-len(taps)/2, n)
			b.Set(i, j, b.At(i, j)+t)
		}
	}
	return b
}

// decompose factorises the matrix of the 1-D blur.
func decompose(n int, taps []float64) (*line, error) {
	var svd mat.SVD
	if !svd.Factorize(correlation(n, taps), mat.SVDFull) {
		return nil, fmt.Errorf("physics: the blur of a line of %d pixels has no singular value decomposition: choose another blur", n)
	}
	d := &line{values: svd.Values(nil)}
	svd.UTo(&d.u)
	svd.VTo(&d.v)
	return d, nil
}

// foldReflect maps -n < i < 2n-1 to 0..n-1 by reflection that does not repeat the edges: 2, 1 | 0, 1, ..., n-1 | n-2, ...
func foldReflect(i, n int) int {
	if i < 0 {
		i = -i
	}
	if i >= n {
		i = 2*(n-1) - i
	}
	return i
}

// spread returns m (x) I_c, row-major.
func spread(m *mat.Dense, c int) []float32 {
	n, _ := m.Dims()
	s := make([]float32, n*c*n*c)
	for i := range n {
		for j := range n {
			for k := range c {
				s[(i*c+k)*n*c+j*c+k] = float32(m.At(i, j))
			}
		}
	}
	return s
}

// Name is "blur".
func (g *GaussianBlur) Name() string { return "blur" }

func (g *GaussianBlur) params() kernels.Blur {
	return kernels.Blur{N: g.batch.N, H: g.h, W: g.w, C: g.c, K: g.k}
}

// Apply blurs x.
func (g *GaussianBlur) Apply(y, x kernels.Buffer) { g.set.Blur(y, x, g.taps, g.params()) }

// Adjoint applies the transpose, which differs from the blur near the border.
func (g *GaussianBlur) Adjoint(x, y kernels.Buffer) { g.set.BlurAdjoint(x, y, g.taps, g.params()) }

// NormSquared is the largest gain squared; reflection makes it exceed 1 slightly.
func (g *GaussianBlur) NormSquared() float64 { return g.norm }

// PosteriorGaussian turns z and y to the singular bases, draws entry by entry there with y scaled to unit noise, and
// turns back: six products with small matrices.
func (g *GaussianBlur) PosteriorGaussian(x, z, y kernels.Buffer, p GaussianDraw) {
	n := g.batch.N * g.len()
	zs, ys := g.a.Floats(n), g.b.Floats(n)
	white := g.whiten(p)
	g.turn(zs, z, g.rotate, g.in, true, false)
	g.turn(ys, y, g.rotate, g.out, true, false)
	g.set.Gain(ys, ys, white.scale, g.gain(1))
	g.set.GaussianPosterior(zs, zs, ys, white.gains, g.batch.IDs, p.kernel(g.gain(1), 1))
	g.turn(x, zs, g.rotate, g.in, false, false)
}

// LogDet adds up the singular values.
func (g *GaussianBlur) LogDet(r, sigmaY float64) []float64 {
	sum := 0.0
	for _, s := range g.singular {
		sum += logVariance(r, sigmaY, s*s)
	}
	return repeat(float64(g.c)*sum, g.batch.N)
}

// whiten returns the gains for the noise of p. They are kept: a sampler comes back with the same few noises.
func (g *GaussianBlur) whiten(p GaussianDraw) whitened {
	key := noise{sigmaY: p.SigmaY}
	if p.Compensate {
		key.compensated = p.R
	}
	white, ok := g.whitened[key]
	if !ok {
		scale, gains := make([]float32, len(g.singular)), make([]float32, len(g.singular))
		for i, s := range g.singular {
			sd := p.noise(s)
			scale[i], gains[i] = float32(1/sd), float32(s/sd)
		}
		white = whitened{g.upload(scale), g.upload(gains)}
		g.whitened[key] = white
	}
	return white
}

// Close frees the matrices.
func (g *GaussianBlur) Close() {
	g.frame.Close()
	for _, s := range []*Scratch{g.a, g.b, g.rotate} {
		s.Free()
	}
	for _, b := range []kernels.Buffer{g.taps, g.in.left, g.in.right, g.out.left, g.out.right} {
		g.set.Free(b)
	}
	for _, white := range g.whitened {
		g.set.Free(white.scale)
		g.set.Free(white.gains)
	}
}
