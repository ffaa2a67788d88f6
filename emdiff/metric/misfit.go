package metric

import "math"

// minSigmaY keeps the misfit of noise-free measurements finite: an error of a thousandth of the
// grey scale's half counts as one standard deviation there.
const minSigmaY = 1e-3

// Misfit is how badly A x explains the measurement y, in units of what noise of standard deviation
// sigmaY explains,
//
//	misfit = sum_observed (Ax - y)^2 / (m max(sigmaY, 1e-3)^2),   m = number of observed values.
//
// It is 1 on average for the true image: above 1 the restoration contradicts its measurement, well
// below 1 it has fitted the noise. observed marks, with any value but 0, the entries of y that
// were measured; nil means all. With no entry observed there is nothing to fit, and the result is
// NaN. It panics with *kernels.ShapeError where lengths differ.
func Misfit(ax, y, observed []float32, sigmaY float64) float64 {
	needSameLen("Misfit", "ax", len(ax), len(y))
	if observed != nil {
		needSameLen("Misfit", "observed", len(observed), len(y))
	}
	var sum float64
	m := 0
	for i, v := range ax {
		if observed == nil || observed[i] != 0 {
			d := float64(v) - float64(y[i])
			sum += d * d
			m++
		}
	}
	sigma := math.Max(sigmaY, minSigmaY)
	return sum / (float64(m) * sigma * sigma)
}
