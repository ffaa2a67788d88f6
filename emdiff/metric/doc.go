// Package metric scores images: PSNR and SSIM against the truth, and the misfit of an image to
// the measurement it was restored from.
//
// Images are float32 on [-1, 1], so the data range is 2.0 throughout. Values are scored as they
// are, without clipping, rounding or stretching; sums are float64. The same functions score
// measurements, so that "before" and "after" compare.
//
// The package may import kernels and nn.
package metric
