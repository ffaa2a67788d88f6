// Package learn holds the ways to learn a prior from corrupted images. Expectation-maximisation is a state machine:
//
//	initialise            train on a few clean images
//	for every round       E-step: draw x ~ p(x | y) for each measurement y with the current prior
//	                      M-step: train the prior on those draws
//	                      evaluate on held-out measurements
//
// Its whole state is a State and a few arrays that a Store keeps, so a run can stop anywhere and continue bit-identically.
// Progress and results go to an Observer; nothing here touches files or prints.
//
// It imports posterior, diffusion, physics, nn, data, metric and kernels.
package learn
