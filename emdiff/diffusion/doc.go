// Package diffusion is the prior: noise schedules, the preconditioning that makes a denoiser D(x, sigma) of a network,
// the losses that train it, and the samplers that draw clean images from it.
//
// Images are float32 in [-1, 1]; sigma is the standard deviation of the added noise on that scale (the VE convention).
// A network trained for the VP process is wrapped so that it is used on the same scale: x_t = sqrt(abar) (x + sigma e)
// with sigma = sqrt((1-abar)/abar). Samplers of p(x | y) see only the Denoiser interface.
//
// It imports nn and kernels.
package diffusion
