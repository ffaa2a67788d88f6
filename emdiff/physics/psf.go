package physics

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"emdiff/kernels"
)

// PSF correlates every channel with a point-spread function of any shape under the reflect padding of GaussianBlur:
//
//	y[i,j] = sum over a,b of k[a,b] x[r(i+a-KH/2), r(j+b-KW/2)]
//
// From the singular vectors of the KH x KW matrix k = sum u_t v_t^T, A = sum B_H(u_t) (x) B_W(v_t) (x) I_C, B_n(u) the
// matrix of the correlation of a line of n pixels: every term is two products with small matrices, and its adjoint two
// with their transposes. The terms do not share singular vectors. For images of up to denseLimit pixels A^T A is
// decomposed as a whole, seconds once, which makes draws as exact and cheap as those of GaussianBlur; larger ones need
// polynomials in A A^T: see PosteriorGaussian for what they cost.
type PSF struct {
	frame
	limit  int    // of pixels
	dense  *eigen // nil for large images, or until it is needed
	terms  []basis
	pixels stencil // one channel, on the host
	norm   float64
	rule   *quadrature            // of LogDet, made when it is first asked for
	dets   map[[2]float64]float64 // by r and sigma_y
	plans  map[GaussianDraw]plan  // by SigmaY, R and Compensate

	half, back, work                   *Scratch // of the products
	white, start, residual, u, d, sums *Scratch // of draws
}

// NewPSF makes a correlation with kernel [kh][kw] for images of h x w x c; kh and kw are odd, kh/2 < h and kw/2 < w.
func NewPSF(set kernels.Set, h, w, c int, kernel []float32, kh, kw int) (*PSF, error) {
	f, err := newFrame(set, h, w, c)
	if err != nil {
		return nil, err
	}
	if err := checkKernel(h, w, kernel, kh, kw); err != nil {
		return nil, err
	}
	k := mat.NewDense(kh, kw, nil)
	for i, v := range kernel {
		k.Set(i/kw, i%kw, float64(v))
	}
	var svd mat.SVD
	if !svd.Factorize(k, mat.SVDThin) {
		return nil, fmt.Errorf("physics: a %dx%d point-spread function has no singular value decomposition: choose another", kh, kw)
	}
	work := func() *Scratch { return NewScratch(set) }
	p := &PSF{frame: f, limit: denseLimit, pixels: newStencil(h, w, k), dets: map[[2]float64]float64{}, plans: map[GaussianDraw]plan{},
		half: work(), back: work(), work: work(),
		white: work(), start: work(), residual: work(), u: work(), d: work(), sums: work()}
	p.norm = p.pixels.normSquared()
	var u, v mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	values := svd.Values(nil)
	for t, s := range values {
		if s < termFloor*values[0] {
			break
		}
		p.terms = append(p.terms, basis{
			p.upload(spread(correlation(h, column(&u, t, math.Sqrt(s))), 1)),
			p.upload(spread(correlation(w, column(&v, t, math.Sqrt(s))), c))})
	}
	return p, nil
}

// termFloor is the least singular value of a kernel, relative to the largest, that a sum of float32 products can hold.
const termFloor = 1e-8

func checkKernel(h, w int, kernel []float32, kh, kw int) error {
	if kh <= 0 || kw <= 0 || kh%2 == 0 || kw%2 == 0 {
		return fmt.Errorf("physics: a point-spread function of %dx%d has no middle: both sides must be odd", kh, kw)
	}
	if len(kernel) != kh*kw {
		return fmt.Errorf("physics: a point-spread function of %dx%d has %d values: give %d", kh, kw, len(kernel), kh*kw)
	}
	if kh/2 >= h || kw/2 >= w {
		return fmt.Errorf("physics: a point-spread function of %dx%d reflects more than a %dx%d image has: crop it to at most %dx%d", kh, kw, h, w, 2*h-1, 2*w-1)
	}
	sum, size := 0.0, 0.0
	for i, v := range kernel {
		x := float64(v)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("physics: the point-spread function holds %g at row %d, column %d: every value must be finite", v, i/kw, i%kw)
		}
		sum += x
		size += math.Abs(x)
	}
	if math.Abs(sum) <= 1e-6*size { // the rounding of float32 values that cancel
		return fmt.Errorf("physics: the values of the point-spread function add up to 0, so that it shows no grey: choose one with a positive sum")
	}
	return nil
}

// column returns s times column t of m.
func column(m *mat.Dense, t int, s float64) []float64 {
	v := mat.Col(nil, t, m)
	for i := range v {
		v[i] *= s
	}
	return v
}

// Name is "psf".
func (p *PSF) Name() string { return "psf" }

// Apply correlates x.
func (p *PSF) Apply(y, x kernels.Buffer) { p.product(y, x, false) }

// Adjoint applies the transpose.
func (p *PSF) Adjoint(x, y kernels.Buffer) { p.product(x, y, true) }

func (p *PSF) product(dst, src kernels.Buffer, transpose bool) {
	for i, t := range p.terms {
		p.turn(dst, src, p.half, t, transpose, i > 0)
	}
}

// gram computes dst = A A^T src; dst may be src.
func (p *PSF) gram(dst, src kernels.Buffer) {
	back := p.back.Floats(p.batch.N * p.len())
	p.Adjoint(back, src)
	p.Apply(dst, back)
}

// NormSquared is an estimate by Lanczos' method, raised by normMargin: it exceeds the truth by at most that much.
func (p *PSF) NormSquared() float64 { return p.norm }

// LogDet is exact for small images, and an estimate by stochastic Lanczos quadrature with probes that all images share for
// large ones: see quadrature for its accuracy. The first call costs seconds, further ones nothing.
func (p *PSF) LogDet(r, sigmaY float64) []float64 {
	if e := p.eigen(); e != nil {
		det := 0.0
		for _, l := range e.values {
			det += logVariance(r, sigmaY, l)
		}
		return repeat(float64(p.c)*det, p.batch.N)
	}
	key := [2]float64{r, sigmaY}
	det, ok := p.dets[key]
	if !ok {
		if p.rule == nil {
			p.rule = p.pixels.spectrum()
		}
		det = p.rule.trace(func(l float64) float64 { return logVariance(r, sigmaY, l) })
		p.dets[key] = det
	}
	return repeat(float64(p.c)*det, p.batch.N)
}

// Close frees the matrices.
func (p *PSF) Close() {
	p.frame.Close()
	if p.dense != nil {
		p.dense.close(p.set)
	}
	for _, s := range []*Scratch{p.half, p.back, p.work, p.white, p.start, p.residual, p.u, p.d, p.sums} {
		s.Free()
	}
	for _, t := range p.terms {
		p.set.Free(t.left)
		p.set.Free(t.right)
	}
}
