package nn

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCIFAR10NetworkHasThePublishedSize(t *testing.T) {
	cost, err := DDPMCIFAR10().Cost(4)
	require.NoError(t, err)
	assert.Equal(t, 35_746_307, cost.Parameters)
	one, err := DDPMCIFAR10().Cost(1)
	require.NoError(t, err)
	assert.InEpsilon(t, 4*one.Forward.FLOPs, cost.Forward.FLOPs, 1e-6)
	assert.Equal(t, one.ForwardLaunches, cost.ForwardLaunches)
	const products = 12_443_713_536 // bench/peers/golden/flops.py; norms and activations come on top
	assert.Greater(t, one.Forward.FLOPs, float64(products))
	assert.Less(t, one.Forward.FLOPs, 1.005*products)
	assert.InEpsilon(t, one.Forward.FLOPs, one.VJP.FLOPs, 0.06)
	assert.InEpsilon(t, 2*one.Forward.FLOPs, one.Backward.FLOPs, 0.06)
}
