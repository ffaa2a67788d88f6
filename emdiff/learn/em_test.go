package learn

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A run is interrupted in the middle or at the start of every phase of every round, its memory is thrown away, and it
// continues from the checkpoint: each must end as the uninterrupted run does, bit for bit.
func TestInterruptedRunsEndAsUninterruptedOnes(t *testing.T) {
	set := openHost(t, 0)
	want := complete(t, set, tiny())
	type stop struct {
		round int
		phase Phase
	}
	for _, at := range []stop{{0, Init}, {0, Evaluate}, {1, EStep}, {1, MStep}, {1, Evaluate}, {2, EStep}, {2, MStep}, {2, Evaluate}, {2, Final}} {
		t.Run(fmt.Sprintf("round %d %s", at.round, at.phase), func(t *testing.T) {
			store := &memoryStore{}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			first := &recorder{}
			here := false
			first.onPhase = func(round int, phase Phase) { here = stop{round, phase} == at }
			first.onAdvance = func() {
				if here {
					cancel()
				}
			}
			em, err := NewEM(set, tiny(), tinyImages(), store, first)
			require.NoError(t, err)
			require.ErrorIs(t, em.Run(ctx), ErrInterrupted)
			assert.Equal(t, at, stop{em.State.Round, em.State.Phase}, "where the run stopped")
			em.Close()

			second := &recorder{}
			em, err = NewEM(set, tiny(), tinyImages(), store, second)
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
