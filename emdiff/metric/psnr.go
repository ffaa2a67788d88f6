package metric

import (
	"fmt"
	"math"

	"emdiff/kernels"
)

// dataRange is the width of the interval that images live on, [-1, 1].
const dataRange = 2.0

// PSNR is the peak signal-to-noise ratio of x against ref in decibels,
//
//	PSNR = 10 log10(dataRange^2 / MSE),   MSE = mean((x - ref)^2),   dataRange = 2
//
// over all values of one image of any layout. Nothing is clipped. It is +Inf for equal images, and
// NaN where x or ref holds NaN. It panics with *kernels.ShapeError where the lengths differ or are
// zero.
func PSNR(x, ref []float32) float64 {
	needSameLen("PSNR", "x", len(x), len(ref))
	var sum float64
	for i, v := range x {
		d := float64(v) - float64(ref[i])
		sum += d * d
	}
	return 10 * math.Log10(dataRange*dataRange*float64(len(x))/sum)
}

// MeanPSNR is the mean of PSNR over images of imageLen values each, stored one after the other. It
// is the mean of decibels, as tables report it, and not the PSNR of the mean error, which weighs
// the worst images more and is never higher. It panics as PSNR does, and where the lengths are no
// multiple of imageLen.
func MeanPSNR(xs, refs []float32, imageLen int) float64 {
	needSameLen("MeanPSNR", "xs", len(xs), len(refs))
	if imageLen <= 0 || len(xs)%imageLen != 0 {
		panic(&kernels.ShapeError{Op: "MeanPSNR", Arg: "imageLen", Got: fmt.Sprint(imageLen), Want: fmt.Sprintf("a divisor of %d", len(xs))})
	}
	var sum float64
	for i := 0; i < len(xs); i += imageLen {
		sum += PSNR(xs[i:i+imageLen], refs[i:i+imageLen])
	}
	return sum / float64(len(xs)/imageLen)
}

// needSameLen panics unless arg has as many values as what it is compared with, and at least one.
func needSameLen(op, arg string, got, want int) {
	if got != want || got == 0 {
		panic(&kernels.ShapeError{Op: op, Arg: arg, Got: fmt.Sprintf("%d values", got), Want: fmt.Sprintf("%d, and at least 1", want)})
	}
}
