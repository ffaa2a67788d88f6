package learn

import "emdiff/kernels"

// purpose separates what random numbers are used for: each purpose and repetition has a seed of its own.
type purpose uint64

const (
	forWeights purpose = iota
	forTraining
	forEvaluation
	forGeneration
	forSubsets
	forGaussian
)

// Streams of this package, below a seed of its own; the samplers, the network's dropout and physics have theirs.
const (
	streamBatches  uint32 = 0x6c656100 + 2*iota // order of the training images
	streamLoss                                  // noise levels (and the next stream: noise) of training
	streamGenerate                              // clean images
)

// seed returns the seed of a purpose's repetition (a round, a draw): 64 bits of Philox keyed by the run's seed.
func (em *EM) seed(p purpose, repeat int) uint64 {
	w := kernels.Philox(kernels.Random{Seed: em.Config.Seed, Stream: uint32(p)}, uint32(repeat), 0)
	return uint64(w[1])<<32 | uint64(w[0])
}
