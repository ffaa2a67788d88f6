package physics

import "emdiff/kernels"

// Measure computes y = A x + sigmaY n, n ~ N(0, I), for the images of b, and leaves 0 where nothing is measured. The
// noise is a function of seed and image id: an image has one measurement for ever. y must not be x.
func Measure(set kernels.Set, op Operator, b Batch, y, x kernels.Buffer, sigmaY float64, seed uint64) {
	h, w, c := op.Shape()
	op.Select(b)
	op.Apply(y, x)
	set.Update(y, y, nil, nil, nil, b.IDs, kernels.Update{N: b.N, Len: h * w * c, A: 1, Noise: float32(sigmaY),
		Random: kernels.Random{Seed: seed, Stream: StreamMeasure}})
	op.Restrict(y)
}

// Misfit computes out[n] = sum over measured entries of (A x - y)^2 / (m s^2), s = LikelihoodSigma(sigmaY), m the number
// of those entries: 1 on average for the true image. y must hold 0 where nothing is measured. ax is a work buffer
// as large as y, left holding A x; out has b.N values.
func Misfit(set kernels.Set, op Operator, b Batch, out, ax, x, y kernels.Buffer, sigmaY float64) {
	h, w, c := op.Shape()
	s := LikelihoodSigma(sigmaY)
	op.Select(b)
	op.Apply(ax, x)
	set.SquaredError(out, nil, ax, y, op.InverseCount(), kernels.PerImage{N: b.N, Len: h * w * c})
	set.Update(out, out, nil, nil, nil, nil, kernels.Update{N: b.N, Len: 1, A: float32(1 / (s * s))})
}
