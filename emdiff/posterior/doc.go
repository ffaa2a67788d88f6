// Package posterior draws images from p(x | y), one sampler per file:
//
//	pmc.go          plug-and-play Monte Carlo: Langevin steps with the exact likelihood gradient, any operator
//	reverse_sde.go  the reverse diffusion started at the measurement: exact for denoising
//	split_gibbs.go  alternating exact draws of the likelihood and of the prior, any operator
//	dps.go          ancestral steps pulled toward y by a gradient through the network, any operator; approximate
//	mmse.go         the posterior mean of a noisy image in one call
//
// A sampler sees a prior only as a diffusion.Denoiser and a camera only as a physics.Operator. Randomness is keyed by
// seed, step and image id, so that a draw does not depend on the batch it is made in; nothing is read back to the host
// between the steps, except one norm per image by dps.
//
// It imports diffusion, physics and kernels.
package posterior
