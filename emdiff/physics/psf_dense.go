package physics

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"emdiff/kernels"
)

// denseLimit is the most pixels of an image whose A^T A is decomposed as a whole: 32 x 32, which takes the order of ten
// seconds once and 4 MiB, growing with the third and the second power.
const denseLimit = 32 * 32

// eigen is A^T A = V diag(values) V^T for one channel of a PSF.
type eigen struct {
	vectors  kernels.Buffer // V, [HW][HW]
	values   []float64
	whitened map[noise]whitened
}

// eigen returns the decomposition, made when it is first asked for, or nil for large images.
func (p *PSF) eigen() *eigen {
	n := p.h * p.w
	if p.dense != nil || n > p.limit {
		return p.dense
	}
	rows := mat.NewDense(n, n, nil) // row i is what A^T makes of pixel i
	unit := make([]float64, n)
	for i := range n {
		unit[i] = 1
		rows.SetRow(i, p.pixels.adjoint(unit))
		unit[i] = 0
	}
	var gram mat.SymDense
	gram.SymOuterK(1, rows.T())
	var f mat.EigenSym
	if !f.Factorize(&gram, true) {
		panic("physics: a matrix of finite values has no eigenvalues")
	}
	var v mat.Dense
	f.VectorsTo(&v)
	p.dense = &eigen{vectors: p.upload(spread(&v, 1)), values: f.Values(nil), whitened: map[noise]whitened{}}
	for i, l := range p.dense.values { // rounding
		p.dense.values[i] = math.Max(l, 0)
	}
	return p.dense
}

// drawDense draws in the eigenbasis, where with c = V^T A^T y, an eigenvalue l = g^2, and S along it, the posterior of a
// coefficient is that of a measurement c/(g S^(1/2)) with gain g/S^(1/2) and unit noise, and z V its prior's mean.
func (p *PSF) drawDense(e *eigen, x, z, y kernels.Buffer, d GaussianDraw) {
	n := p.batch.N * p.len()
	t, back := p.start.Floats(n), p.back.Floats(n)
	white := p.whiten(e, d)
	p.Adjoint(back, y)
	c := p.residual.Floats(n)
	p.rotate(c, back, e, true)
	p.rotate(t, z, e, true)
	p.set.Gain(c, c, white.scale, p.gain(1))
	p.set.GaussianPosterior(t, t, c, white.gains, p.batch.IDs, d.kernel(p.gain(1), 1))
	p.rotate(x, t, e, false)
}

// whiten returns 1/(g S^(1/2)) and g/S^(1/2), both 0 where nothing is seen. They are kept: a sampler comes back with the same
// few noises.
func (p *PSF) whiten(e *eigen, d GaussianDraw) whitened {
	key := noise{sigmaY: d.SigmaY}
	if d.Compensate {
		key.compensated = d.R
	}
	white, ok := e.whitened[key]
	if ok {
		return white
	}
	scale, gains := make([]float32, len(e.values)), make([]float32, len(e.values))
	for i, l := range e.values {
		if g := math.Sqrt(l); g > blind {
			sd := d.noise(g)
			scale[i], gains[i] = float32(1/(g*sd)), float32(g/sd)
		}
	}
	white = whitened{p.upload(scale), p.upload(gains)}
	e.whitened[key] = white
	return white
}

// blind is the gain below which float32 sees nothing: c/g would be rounding.
const blind = 1e-7

// rotate computes dst = V^T src (into) or V src for every image.
func (p *PSF) rotate(dst, src kernels.Buffer, e *eigen, into bool) {
	hw := p.h * p.w
	if p.c == 1 { // images are rows
		p.set.MatMul(dst, src, e.vectors, kernels.MatMul{Batch: 1, M: p.batch.N, N: hw, K: hw, TransB: !into, Alpha: 1})
		return
	}
	p.set.MatMul(dst, e.vectors, src, kernels.MatMul{Batch: p.batch.N, M: hw, N: p.c, K: hw, TransA: into, StrideB: p.len(), StrideC: p.len(), Alpha: 1})
}

func (e *eigen) close(set kernels.Set) {
	set.Free(e.vectors)
	for _, w := range e.whitened {
		set.Free(w.scale)
		set.Free(w.gains)
	}
}
