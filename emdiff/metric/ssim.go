package metric

import (
	"fmt"
	"math"

	"emdiff/kernels"
)

const (
	ssimWindow = 11
	ssimSigma  = 1.5
	ssimC1     = (0.01 * dataRange) * (0.01 * dataRange)
	ssimC2     = (0.03 * dataRange) * (0.03 * dataRange)
)

// SSIM is the mean structural similarity of two NHWC images of h x w pixels and c channels
// (Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 13(4), 2004),
//
//	SSIM = mean over channels and windows of
//	       (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)),
//	C1 = (0.01 L)^2,  C2 = (0.03 L)^2,  L = 2,
//
// of the images plus 1, in [0, 2]: the term of the means is made for intensities that start at 0
// for black (on [-1, 1] an image and its negative would score as alike), and so the result is the
// one that the same images give as 8-bit files with L = 255, up to their rounding.
//
// where the means mx, my, variances sx^2, sy^2 (population, not sample) and covariance sxy are
// weighted by a Gaussian window of 11 x 11 pixels and standard deviation 1.5, at every place where
// the window lies wholly inside the image. That is scikit-image's structural_similarity with
// gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=2, given x+1 and ref+1.
//
// In an image below 11 pixels along a side, the window shrinks along that side to the largest odd
// number that fits, with its weights normalised again; such values compare only among images of
// that size.
//
// It is 1 for equal images and lies in [-1, 1]; NaN where x or ref holds NaN. Cost: about
// 110 multiply-adds per value, and 5 float64 of memory per pixel. It panics with
// *kernels.ShapeError where a length is not h*w*c.
func SSIM(x, ref []float32, h, w, c int) float64 {
	if h <= 0 || w <= 0 || c <= 0 {
		panic(&kernels.ShapeError{Op: "SSIM", Arg: "h, w, c", Got: fmt.Sprintf("%dx%dx%d", h, w, c), Want: "positive"})
	}
	needSameLen("SSIM", "x", len(x), h*w*c)
	needSameLen("SSIM", "ref", len(ref), h*w*c)

	rows, cols := ssimWeights(h), ssimWeights(w)
	oh, ow := h-len(rows)+1, w-len(cols)+1
	var moments [5][]float64 // windowed means of x, y, x^2, y^2, xy, with y the reference
	for i := range moments {
		moments[i] = make([]float64, h*ow)
	}
	var sum float64
	for ch := range c {
		blurRows(&moments, x, ref, cols, w, c, ch)
		for i := range oh {
			for j := range ow {
				var m [5]float64
				for k, weight := range rows {
					at := (i+k)*ow + j
					for q := range m {
						m[q] += weight * moments[q][at]
					}
				}
				mx, my := m[0], m[1]
				varX, varY, cov := m[2]-mx*mx, m[3]-my*my, m[4]-mx*my
				sum += (2*mx*my + ssimC1) * (2*cov + ssimC2) / ((mx*mx + my*my + ssimC1) * (varX + varY + ssimC2))
			}
		}
	}
	return sum / float64(c*oh*ow)
}

// blurRows applies the window along the rows of channel ch: moments[q][i*ow+j] is the weighted
// mean of quantity q over the len(weights) pixels of row i from column j on.
func blurRows(moments *[5][]float64, x, ref []float32, weights []float64, w, c, ch int) {
	ow := w - len(weights) + 1
	for at := range moments[0] {
		first := (at/ow*w+at%ow)*c + ch
		var m [5]float64
		for k, weight := range weights {
			a, b := float64(x[first+k*c])+1, float64(ref[first+k*c])+1
			m[0] += weight * a
			m[1] += weight * b
			m[2] += weight * a * a
			m[3] += weight * b * b
			m[4] += weight * a * b
		}
		for q := range m {
			moments[q][at] = m[q]
		}
	}
}

// ssimWeights is the one-dimensional window for a side of n pixels; its sum is 1.
func ssimWeights(n int) []float64 {
	size := min(ssimWindow, n-1+n%2) // the largest odd number up to n
	weights := make([]float64, size)
	var sum float64
	for i := range weights {
		d := float64(i - size/2)
		weights[i] = math.Exp(-d * d / (2 * ssimSigma * ssimSigma))
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
	return weights
}
