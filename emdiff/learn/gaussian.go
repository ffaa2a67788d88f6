package learn

import (
	"context"

	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
)

// startR is the standard deviation of the Gaussian that the fit starts from: grey images of any contrast in [-1, 1].
const startR = 0.5

// fit finds the Gaussian whose measurements are most like those of the first subset, by EM: draw x ~ p(x | y) for each, then
// take the moments of the draws.
func (em *EM) fit(ctx context.Context) error {
	s := &em.State
	subset := em.subset()
	em.makeRoom(len(subset))
	total := em.Config.Init.Iterations
	em.Observer.Phase(s.Round, s.Phase, s.Position, total)
	for s.Position < total {
		if err := em.checkpoint(ctx); err != nil {
			return err
		}
		size := kernels.AlignUp(em.Config.EStep.Batch)
		for start := 0; start < len(subset); start += size {
			n := min(size, len(subset)-start)
			batch, y := em.train.take(subset[start : start+n])
			x := em.draws.Slice(start*em.train.len, n*em.train.len)
			em.gaussian.Sample(x, batch, y, em.train.sigma, 1, kernels.Random{Seed: em.seed(forGaussian, 0), Step: uint32(s.Position)})
		}
		em.gaussian.Fit(em.draws, len(subset), em.seed(forGaussian, 1))
		if err := em.set.Sync(); err != nil {
			return err
		}
		s.Position++
		em.Observer.Advance(1)
	}
	return nil
}

// drawGaussian is draw under the Gaussian, which knows no weight of the prior. What the latents do not span stays at its
// mean: drawn, it would be white noise, and EM unlearns texture that is not there far more slowly than it learns texture
// that is missing does harm (docs/results.md).
func (em *EM) drawGaussian(x, y kernels.Buffer, b physics.Batch, _ float64, seed uint64) error {
	em.gaussian.Sample(x, b, y, em.train.sigma, 0, kernels.Random{Seed: seed})
	return nil
}

// logLikelihood is that of the held-out measurements per measured value under a Gaussian with the moments of n images, in
// nats; 0 where no rank is set.
func (em *EM) logLikelihood(images kernels.Buffer, n int) float64 {
	if em.Config.Init.Rank < 1 || em.Config.Init.Rank >= em.held.len {
		return 0
	}
	g := posterior.NewGaussian(em.set, em.held.op, em.Config.Init.Rank, startR)
	defer g.Close()
	for range 2 { // the second starts from the directions of the first
		g.Fit(images, n, em.seed(forGaussian, 1))
	}
	total, values := 0.0, 0.0
	for start := 0; start < em.held.count; start += em.Config.EStep.Batch {
		batch, y := em.held.take(sequence(start, min(em.Config.EStep.Batch, em.held.count-start)))
		for _, l := range g.LogDensity(batch, y, em.held.sigma) {
			total += l
		}
		inverse := make([]float32, batch.N)
		em.set.Download(inverse, em.held.op.InverseCount())
		for _, v := range inverse {
			values += 1 / float64(v)
		}
	}
	return total / values
}
