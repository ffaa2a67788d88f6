package nn

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

func TestProductsAreEachListedOnceAndInEveryDirection(t *testing.T) {
	products, err := DDPMCIFAR10().Products(2)
	require.NoError(t, err)
	seen, ops := map[Product]bool{}, map[string]int{}
	for _, p := range products {
		assert.False(t, seen[p], "%v is there twice", p)
		seen[p] = true
		ops[p.Op]++
	}
	body := kernels.Conv{N: 2, H: 32, W: 32, Cin: 128, Cout: 128, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1, XStride: 128, YStride: 128}
	assert.True(t, seen[Product{"Conv2D", body}], "%v", products)
	for _, op := range []string{"Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad", "Linear", "LinearInputGrad", "LinearWeightGrad"} {
		assert.Positive(t, ops[op], op)
	}
	_, err = UNetConfig{}.Products(1)
	assert.ErrorContains(t, err, "in_channels")
}
