package physics

import (
	"math"

	"emdiff/kernels"
)

// plan is what a draw of a PSF does for one pair of noises.
type plan struct {
	scale float64   // S^(1/2) where it is a multiple of the identity
	root  []float64 // Chebyshev series of S^(1/2) in A A^T otherwise
	// K^-1 is solve applied to ratio (A A^T), a Chebyshev series, or to the residual itself where that is nil.
	ratio []float64
	shift float64 // solve inverts R^2 A A^T + shift I; with no steps, shift I
	solve semiIteration
}

const (
	// solveError is the error of a draw along any singular vector, in standard deviations of the draw, that the
	// iteration leaves; float32 leaves more.
	solveError = 1e-4
	// Degrees of the series: at least seriesDegree, and seriesPerGain for every unit of R ||A||/sigma_y.
	seriesDegree  = 96
	seriesPerGain = 8
	// clipFree is the excess of R^2 ||A||^2 + MinSigmaY^2 over sigma_y^2 up to which K is taken as sigma_y^2 I.
	clipFree = 1e-3
)

// newPlan derives the polynomials from the noises and the norm alone. With l an eigenvalue of A A^T:
//
// Without compensation S = s^2 and K = R^2 l + s^2 need no series. With it, S^(1/2) = sqrt(max(sigma^2 - R^2 l, Min^2))
// does. While R ||A|| <= sigma, K = sigma^2 I and nothing is to be solved. Beyond, K = max(sigma^2, R^2 l + Min^2) has a
// kink. Since K^-1 = (R^2 l + sigma^2)^-1 times a ratio between 1 and 2, the polynomial approximates that ratio
// alone, and the well-conditioned iteration does the rest: a polynomial for K^-1 itself would lose the small values
// of K^-1 in the rounding of its large ones.
func newPlan(d GaussianDraw, norm float64) plan {
	top := d.R * d.R * norm
	s2, least := d.SigmaY*d.SigmaY, MinSigmaY*MinSigmaY
	if !d.Compensate || s2 <= least {
		s := LikelihoodSigma(d.SigmaY)
		condition := 1 + top/(s*s)
		return plan{scale: s, shift: s * s, solve: newSemiIteration(s*s, s*s+top, solveError/math.Sqrt(condition))}
	}
	degree := max(seriesDegree, int(math.Ceil(seriesPerGain*math.Sqrt(top/s2))))
	p := plan{shift: s2, root: chebyshev(func(l float64) float64 { return d.noise(math.Sqrt(l)) }, norm, degree)}
	if top+least <= s2*(1+clipFree) {
		return p
	}
	p.ratio = chebyshev(func(l float64) float64 {
		return (d.R*d.R*l + s2) / math.Max(s2, d.R*d.R*l+least)
	}, norm, degree)
	p.solve = newSemiIteration(s2, s2+top, solveError/math.Sqrt(1+top/s2))
	return p
}

// PosteriorGaussian draws small images in the eigenbasis of A^T A, exactly (drawDense), and large ones by Matheron's rule: with K = R^2 A A^T + S and normals w1 and w2,
//
//	x = t + R^2 A^T K^-1 (y - A t - S^(1/2) w2),  t = z + R w1
//
// K^-1 and S^(1/2) are polynomials in A A^T whose degrees follow from SigmaY, R and ||A|| alone. Every degree costs
// a product with A and one with A^T. With q = R ||A||/LikelihoodSigma(SigmaY) there are about q (5 + ln(q)/2) of them; with
// Compensate max(96, 8 q) more for S^(1/2), and as many again while q > 1, where S is clipped.
//
// Without Compensate, and with it up to q = 1, the law of the draws is exact to 1e-4 standard deviations and the rounding of
// float32. A clipped S has a kink, which the series smooth: on the 6x5 images of the tests the mean and covariance are
// then off by up to 0.002 standard deviations at q = 4 and 0.16 at q = 120. A standard deviation is then MinSigmaY/||A||
// in the directions that are measured best, small against SigmaY.
func (p *PSF) PosteriorGaussian(x, z, y kernels.Buffer, d GaussianDraw) {
	if e := p.eigen(); e != nil {
		p.drawDense(e, x, z, y, d)
		return
	}
	plan := p.plan(d)
	n := p.batch.N * p.len()
	t, r := p.start.Floats(n), p.residual.Floats(n)
	if d.Temperature == 0 {
		p.set.Copy(t, z, p.elements())
		p.difference(r, y, t)
	} else {
		white := p.white.Floats(2 * n) // of each image w1, then w2
		w := p.work.Floats(n)
		p.set.Normal(white, p.batch.IDs, kernels.Draw{N: p.batch.N, Len: 2 * p.len(), Random: d.Random})
		p.part(w, white, 0)
		p.combine(t, z, w, nil, 1, d.R*d.Temperature, 0)
		p.difference(r, y, t)
		p.part(w, white, p.len())
		scale := plan.scale
		if plan.root != nil {
			p.polynomial(w, plan.root)
			scale = 1
		}
		p.combine(r, r, w, nil, 1, -scale*d.Temperature, 0)
	}
	if plan.ratio != nil {
		p.polynomial(r, plan.ratio)
	}
	if len(plan.solve.keep) > 0 {
		p.combine(x, t, p.regress(r, plan, d.R), nil, 1, 1, 0)
		return
	}
	back := p.back.Floats(n)
	p.Adjoint(back, r)
	p.combine(x, t, back, nil, 1, d.R*d.R/plan.shift, 0)
}

func (p *PSF) plan(d GaussianDraw) plan {
	key := GaussianDraw{SigmaY: d.SigmaY, R: d.R, Compensate: d.Compensate}
	made, ok := p.plans[key]
	if !ok {
		made = newPlan(d, p.norm)
		p.plans[key] = made
	}
	return made
}

// combine computes y = a x + b d + c e; d and e may be nil.
func (p *PSF) combine(y, x, d, e kernels.Buffer, a, b, c float64) {
	p.set.Update(y, x, d, e, nil, nil, kernels.Update{N: p.batch.N, Len: p.len(), A: float32(a), B: float32(b), C: float32(c)})
}

// difference computes r = y - A x.
func (p *PSF) difference(r, y, x kernels.Buffer) {
	p.Apply(r, x)
	p.combine(r, y, r, nil, 1, -1, 0)
}

// part copies half of the normals of each image.
func (p *PSF) part(w, white kernels.Buffer, offset int) {
	p.set.CopyChannels(w, white, kernels.Channels{Rows: p.batch.N, C: p.len(), XStride: 2 * p.len(), XOffset: offset})
}

// polynomial replaces v by the sum of c[k] T_k(2 A A^T/||A||^2 - I) v, by the recurrence T_(k+1) = 2 X T_k - T_(k-1).
func (p *PSF) polynomial(v kernels.Buffer, c []float64) {
	n := p.batch.N * p.len()
	sum, now, product := p.sums.Floats(n), p.u.Floats(n), p.d.Floats(n)
	last := v
	p.gram(product, v)
	p.combine(now, product, v, nil, 2/p.norm, -1, 0)
	p.combine(sum, v, now, nil, c[0], c[1], 0)
	for _, ck := range c[2:] {
		p.gram(product, now)
		p.combine(last, product, now, last, 4/p.norm, -2, -1)
		now, last = last, now
		p.set.Axpy(sum, now, float32(ck), p.elements())
	}
	p.set.Copy(v, sum, p.elements())
}

// regress returns (R^2 A^T A + shift I)^-1 R^2 A^T b, which is R^2 A^T (R^2 A A^T + shift I)^-1 b. Its iterates are as
// large as the correction of x; those of the second form would be larger by 1/shift, and so their rounding.
func (p *PSF) regress(b kernels.Buffer, plan plan, r float64) kernels.Buffer {
	n := p.batch.N * p.len()
	v, d, residual, back := p.u.Floats(n), p.d.Floats(n), p.sums.Floats(n), p.back.Floats(n)
	p.Adjoint(back, b)
	p.combine(d, back, nil, nil, r*r/plan.solve.middle, 0, 0)
	p.set.Copy(v, d, p.elements())
	for k, keep := range plan.solve.keep {
		p.difference(residual, b, v)
		p.Adjoint(back, residual)
		p.combine(residual, back, v, nil, r*r, -plan.shift, 0)
		p.combine(d, d, residual, nil, keep, plan.solve.take[k], 0)
		p.set.Axpy(v, d, 1, p.elements())
	}
	return v
}
