package learn

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// A run is interrupted in the middle or at the start of every phase of every round, its memory is thrown away, and it
// continues from the checkpoint: each must end as the uninterrupted run does, bit for bit.
func TestInterruptedRunsEndAsUninterruptedOnes(t *testing.T) {
	type stop struct {
		round int
		phase Phase
	}
	t.Run("from clean images", func(t *testing.T) {
		set, c := openHost(t, 0), tiny()
		want := complete(t, set, c)
		for _, at := range []stop{{0, Init}, {0, Evaluate}, {1, EStep}, {1, MStep}, {1, Evaluate}, {2, EStep}, {2, MStep}, {2, Evaluate}, {2, Final}} {
			requireContinuation(t, set, c, at.round, at.phase, want)
		}
	})
	t.Run("from a Gaussian", func(t *testing.T) {
		set, c := openHost(t, 0), tinyFromGaussian()
		c.EM.Rounds, c.EM.ResetRounds = 1, 0
		want := complete(t, set, c)
		for _, at := range []stop{{0, Fit}, {0, EStep}, {0, Init}, {0, Evaluate}, {1, EStep}} {
			requireContinuation(t, set, c, at.round, at.phase, want)
		}
	})
}

// requireContinuation stops a run in a phase, continues it from the checkpoint and compares the end.
func requireContinuation(t *testing.T, set kernels.Set, c Config, round int, phase Phase, want outcome) {
	t.Run(fmt.Sprintf("round %d %s", round, phase), func(t *testing.T) {
		store := &memoryStore{}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		first := &recorder{}
		here := false
		first.onPhase = func(r int, p Phase) { here = r == round && p == phase }
		first.onAdvance = func() {
			if here {
				cancel()
			}
		}
		em, err := NewEM(set, c, tinyImages(), store, first)
		require.NoError(t, err)
		require.ErrorIs(t, em.Run(ctx), ErrInterrupted)
		assert.Equal(t, round, em.State.Round)
		assert.Equal(t, phase, em.State.Phase)
		em.Close()

		second := &recorder{}
		em, err = NewEM(set, c, tinyImages(), store, second)
		require.NoError(t, err)
		defer em.Close()
		ok, err := em.Resume()
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, em.Run(context.Background()))
		if len(second.generated) == 0 { // stopped after the last evaluation
			second.generated = first.generated
		}
		requireSame(t, want, em.outcome(second))
	})
}

func TestResultsDoNotDependOnThreads(t *testing.T) {
	requireSame(t, complete(t, openHost(t, 1), tiny()), complete(t, openHost(t, 2), tiny()))
}

// The batch of the E-step is a matter of memory alone.
func TestResultsDoNotDependOnTheSamplersBatch(t *testing.T) {
	set := openHost(t, 0)
	for _, task := range []struct{ name, sampler string }{{"denoise", "reverse-sde"}, {"inpaint", "split-gibbs"}, {"deblur", "pmc-pnp"}, {"deblur", "dps"}} {
		c := tiny()
		c.Task.Name, c.EStep.Sampler, c.Train.Ambient = task.name, task.sampler, false
		c.EM.Rounds = 1
		c.EStep.Batch = 1
		one := complete(t, set, c)
		c.EStep.Batch = 32
		requireSame(t, one, complete(t, set, c))
	}
}

func TestEveryPriorLearnsWithEverySampler(t *testing.T) {
	set := openHost(t, 0)
	for _, kind := range []string{"vp-linear", "vp-cosine"} {
		c := tiny()
		c.Prior.Kind, c.Prior.Sampler, c.EM.Rounds, c.EM.ResetRounds = kind, "ddim", 1, 0
		got := complete(t, set, c)
		assert.Greater(t, got.final.PSNRFinal, got.final.PSNRMeasurements-6, kind)
	}
}

// Masks differ between images, blur is the same for all: both ways of a Gaussian.
func TestAStartFromAGaussianDoesNotDependOnTheSamplersBatch(t *testing.T) {
	set := openHost(t, 0)
	for _, task := range []string{"inpaint", "deblur"} {
		c := tinyFromGaussian()
		c.Task.Name, c.EStep.Sampler, c.Train.Ambient = task, "split-gibbs", false
		c.EM.Rounds, c.EM.ResetRounds = 0, 0
		c.EStep.Batch = 1
		one := complete(t, set, c)
		c.EStep.Batch = 32
		requireSame(t, one, complete(t, set, c))
	}
}

// Without a clean image the Gaussian already explains masked images better than grey does, and EM goes on from there.
func TestMeasurementsAloneAreEnough(t *testing.T) {
	c := tinyFromGaussian()
	c.Task.Name, c.Task.Sigma, c.EStep.Sampler, c.Train.Ambient = "inpaint", 0.1, "split-gibbs", false
	c.Init.Steps, c.EM.Rounds, c.EM.ResetRounds, c.EM.Steps = 150, 1, 0, 150
	c.EM.Subset, c.Eval.Draws, c.EStep.Steps, c.EStep.Inner = 0, 4, 6, 4
	set := openHost(t, 0)
	seen := complete(t, set, c)
	assert.Greater(t, seen.final.PSNRFinalMean, seen.final.PSNRMeasurements+3)
	assert.Greater(t, seen.final.PSNRFinalMean, seen.final.PSNRTikhonov)
	assert.NotZero(t, seen.results[1].LogLikelihood)

	// The same measurements without their truth give the same prior, and no score that needs the truth.
	em, err := NewEM(set, c, tinyImages(), &memoryStore{}, &recorder{})
	require.NoError(t, err)
	images := tinyImages()
	images.Clean, images.Measured = nil, true
	images.Masks = make([]float32, 41*64)
	for i := range 41 {
		physics.RandomMask(images.Masks[i*64:(i+1)*64], 32, c.Seed, uint32(i))
	}
	images.Train.Pixels, images.Held.Pixels = em.train.pixels(), em.held.pixels()
	em.Close()
	blind := &recorder{}
	em, err = NewEM(set, c, images, &memoryStore{}, blind)
	require.NoError(t, err)
	defer em.Close()
	require.NoError(t, em.Run(context.Background()))
	got := em.outcome(blind)
	requireBits(t, "weights", seen.weights, got.weights)
	for _, r := range got.results {
		assert.Zero(t, r.PSNRMeasurements+r.PSNRDraw+r.SSIMDraw)
		assert.Positive(t, r.SpreadDraw)
	}
	assert.Equal(t, seen.results[1].LogLikelihood, got.results[1].LogLikelihood)
	assert.Equal(t, seen.final.SpreadFinal, got.final.SpreadFinal)
	assert.Zero(t, got.final.PSNRFinalMean+got.final.PSNRTikhonov)
}

// With a few clean images of a simple kind and enough steps, EM must improve on the measurements and on the first prior.
func TestEMImprovesOnItsMeasurements(t *testing.T) {
	c := tiny()
	c.Network.Channels = []int{16, 32}
	c.Init.Steps, c.EM.Steps, c.EM.FinalSteps = 150, 150, 300
	c.EM.Subset = 0
	c.Eval.Draws = 4
	c.EStep.Steps = 10
	got := complete(t, openHost(t, 0), c)
	assert.Greater(t, got.final.PSNRFinalMean, got.final.PSNRMeasurements+3)
	assert.Greater(t, got.final.PSNRFinal, got.final.PSNRInitPrior)
}

func TestALossThatIsNotFiniteStopsTheRunAndKeepsTheLastGoodState(t *testing.T) {
	c := tiny()
	c.Train.LR, c.Train.ClipNorm, c.Train.Warmup = 1e30, 0, 0
	store := &memoryStore{}
	em, err := NewEM(openHost(t, 0), c, tinyImages(), store, &recorder{})
	require.NoError(t, err)
	defer em.Close()
	require.ErrorContains(t, em.Run(context.Background()), "lower train.lr")
	assert.Zero(t, store.saves, "a state with broken weights was saved")
}
