package physics

import (
	"fmt"
	"math"
)

// GaussianTaps returns the k taps of the 1-D Gaussian blur of standard deviation std: what scipy's gaussian_filter
// makes of a unit impulse in the middle of k points. The Gaussian is sampled out to int(4 std + 0.5), normalised, and its
// tails beyond the k points are folded back by reflection at the ends (edges repeated), so the taps sum to 1. The outer
// product of the taps with themselves is the 9x9, std 2 kernel of the papers (EMDiffusion, Bai et al. 2024).
func GaussianTaps(k int, std float64) ([]float64, error) {
	if k <= 0 || k%2 == 0 {
		return nil, fmt.Errorf("physics: a blur of %d taps has no middle: choose an odd number", k)
	}
	if !(std > 0) || math.IsInf(std, 0) {
		return nil, fmt.Errorf("physics: a blur of standard deviation %g is impossible: choose a positive number", std)
	}
	radius := int(4*std + 0.5)
	taps := make([]float64, k)
	total := 0.0
	for d := -radius; d <= radius; d++ {
		g := math.Exp(-0.5 * float64(d*d) / (std * std))
		taps[foldRepeat(k/2+d, k)] += g
		total += g
	}
	for i := range taps {
		taps[i] /= total
	}
	return taps, nil
}

// foldRepeat maps any integer to 0..n-1 by reflection that repeats the edges: ..., 1, 0 | 0, 1, ..., n-1 | n-1, ...
func foldRepeat(i, n int) int {
	i = ((i % (2 * n)) + 2*n) % (2 * n)
	if i >= n {
		i = 2*n - 1 - i
	}
	return i
}
