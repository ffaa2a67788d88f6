package learn

import (
	"context"
	"sort"

	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
)

// subset returns the positions of the measurements that a round works on: a random choice of its size, in order.
func (em *EM) subset() []int {
	plan := em.plan()
	order := permutation(em.train.count, kernels.Random{Seed: em.seed(forSubsets, em.State.Round)})
	chosen := order[:plan.Subset]
	sort.Ints(chosen)
	return chosen
}

// eStep draws one x ~ p(x | y) for every measurement of the round's subset into em.draws, in round 0 under the Gaussian.
func (em *EM) eStep(ctx context.Context) error {
	s := &em.State
	draw := em.draw
	if s.Round == 0 {
		draw = em.drawGaussian
	}
	if s.Round == 1 && em.mean != nil {
		draw = em.drawMean
	}
	subset := em.subset()
	em.makeRoom(len(subset))
	em.Observer.Phase(s.Round, s.Phase, s.Position, len(subset))
	size := kernels.AlignUp(em.Config.EStep.Batch) // keeps every batch's slice of draws aligned
	for s.Position < len(subset) {
		if err := em.checkpoint(ctx); err != nil {
			return err
		}
		n := min(size, len(subset)-s.Position)
		batch, y := em.train.take(subset[s.Position : s.Position+n])
		x := em.draws.Slice(s.Position*em.train.len, n*em.train.len)
		if err := draw(x, y, batch, em.plan().Alpha, em.seed(forTraining, s.Round)); err != nil {
			return err
		}
		if err := em.set.Sync(); err != nil {
			return err
		}
		s.Position += n
		em.Observer.Advance(n)
	}
	return nil
}

// drawMean is draw of the posterior mean instead.
func (em *EM) drawMean(x, y kernels.Buffer, b physics.Batch, _ float64, seed uint64) error {
	return em.mean.Sample(x, posterior.Problem{Prior: em.prior, Batch: b, Y: y, SigmaY: em.Config.Task.Sigma, Seed: seed})
}

// draw runs the posterior sampler on a batch whose operator is selected.
func (em *EM) draw(x, y kernels.Buffer, b physics.Batch, alpha float64, seed uint64) error {
	return em.sampler.Sample(x, posterior.Problem{Prior: em.prior, Batch: b, Y: y, SigmaY: em.Config.Task.Sigma, PriorWeight: alpha, Seed: seed})
}

// makeRoom gives em.draws room for n images.
func (em *EM) makeRoom(n int) {
	if n == em.drawn {
		return
	}
	if em.draws != nil {
		em.set.Free(em.draws)
	}
	em.draws, em.drawn = em.set.Alloc(kernels.F32, n*em.train.len), n
}
