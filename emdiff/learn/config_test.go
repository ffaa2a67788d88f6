package learn

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDPSNeedsItsSettings(t *testing.T) {
	for _, c := range []struct {
		change func(*SamplerConfig)
		says   string
	}{
		{func(s *SamplerConfig) { s.Zeta = 0 }, "estep.zeta = 0"},
		{func(s *SamplerConfig) { s.SigmaMax = s.SigmaMin }, "sigma_max above sigma_min"},
		{func(s *SamplerConfig) { s.Sampler = "dpss" }, "use reverse-sde, split-gibbs, pmc-pnp, pmc-red or dps"},
	} {
		config := tiny()
		config.EStep.Sampler = "dps"
		require.NoError(t, config.Validate(Camera{}))
		c.change(&config.EStep)
		assert.ErrorContains(t, config.Validate(Camera{}), c.says)
	}
}

func TestOnlySamplersThatWeighThePriorTakeAnAlpha(t *testing.T) {
	for sampler, may := range map[string]bool{"pmc-pnp": true, "pmc-red": true, "dps": true, "reverse-sde": false, "split-gibbs": false} {
		config := tiny()
		config.EStep.Sampler, config.EM.AlphaFirst = sampler, .1
		if may {
			assert.NoError(t, config.Validate(Camera{}), sampler)
		} else {
			assert.ErrorContains(t, config.Validate(Camera{}), "em.alpha_first = 0.1", sampler)
		}
	}
}

func TestAlphaReachesDPS(t *testing.T) {
	set := openHost(t, 0)
	draws := func(alpha float64) []float32 {
		config := tiny()
		config.EStep.Sampler, config.EM.AlphaFirst, config.EM.AlphaLast = "dps", alpha, alpha
		config.EM.Rounds, config.EM.ResetRounds = 1, 0
		em, err := NewEM(set, config, tinyImages(), &memoryStore{}, &recorder{})
		require.NoError(t, err)
		defer em.Close()
		require.NoError(t, em.Run(context.Background()))
		x := make([]float32, em.drawn*em.train.len)
		set.Download(x, em.draws)
		return x
	}
	assert.NotEqual(t, draws(1), draws(.5))
}
