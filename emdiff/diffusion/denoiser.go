package diffusion

import "emdiff/kernels"

// Denoiser is D(x, sigma) = E[x0 | x0 + sigma e = x], e ~ N(0, I): all that a sampler needs to know of a prior. The
// score of the smoothed prior is (D(x, sigma) - x)/sigma^2.
//
// x and D hold n images of H*W*C values each (NHWC, contiguous). Image i of the result depends on image i of x alone.
type Denoiser interface {
	// Shape returns height, width and channels of an image.
	Shape() (h, w, c int)
	// Denoise computes d = D(x, sigma); d may be x.
	Denoise(d, x kernels.Buffer, n int, sigma float64)
	// Linearize computes d = D(x, sigma), d not x, and returns the vector-Jacobian product at x:
	// vjp(g, v) sets g = J^T v with J = dD/dx. It may be called several times, until the next call of a method of this
	// Denoiser.
	Linearize(d, x kernels.Buffer, n int, sigma float64) (vjp func(g, v kernels.Buffer))
}
