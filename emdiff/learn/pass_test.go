package learn

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
	"emdiff/nn"
)

func TestPassesAreTheWorkOfARun(t *testing.T) {
	c := tiny()
	calls := func(kind string, rounds int) map[string]int {
		var r kerneltest.Recorder
		require.NoError(t, c.Pass(r.Set(), kind, 2, rounds))
		count := map[string]int{}
		for _, k := range r.Take() {
			count[k.Op]++
		}
		return count
	}
	sum := func(m map[string]int) (n int) {
		for _, v := range m {
			n += v
		}
		return n
	}
	cost, err := c.Network.Cost(2)
	require.NoError(t, err)
	one, two := calls("forward", 1), calls("forward", 2)
	assert.Equal(t, cost.ForwardLaunches, sum(two)-sum(one))

	one, two = calls("train", 1), calls("train", 2)
	assert.Equal(t, 1, two["AdamW"]-one["AdamW"])
	assert.Equal(t, 1, two["SquaredError"]-one["SquaredError"])
	assert.GreaterOrEqual(t, sum(two)-sum(one), cost.ForwardLaunches+cost.BackwardLaunches)

	two, three := calls("pmc", 2), calls("pmc", 3)
	assert.Zero(t, three["Uniform"]-two["Uniform"], "the start of the chain is no step")
	assert.Equal(t, 1, three["TimeEmbedding"]-two["TimeEmbedding"], "one call of the denoiser")
	assert.Greater(t, sum(three)-sum(two), cost.ForwardLaunches)

	var r kerneltest.Recorder
	assert.EqualError(t, c.Pass(r.Set(), "nap", 1, 1), `there is no pass "nap": choose from forward, train, pmc`)
	c.Network = nn.UNetConfig{}
	assert.Error(t, c.Pass(r.Set(), "forward", 1, 1))
}

// transfers counts the values that cross between host and device.
type transfers struct {
	kernels.Set
	up, down int
}

func (s *transfers) Upload(dst kernels.Buffer, src []float32)   { s.up += len(src) }
func (s *transfers) UploadInts(dst kernels.Buffer, src []int32) { s.up += len(src) }
func (s *transfers) Download(dst []float32, src kernels.Buffer) { s.down += len(dst) }

func TestNoTensorLeavesTheDeviceDuringAStep(t *testing.T) {
	c := tiny()
	for kind, most := range map[string]int{"forward": 0, "train": 9 * kernels.AlignUp(2), "pmc": 0} { // the coefficients of a batch's noise levels
		var count [2]transfers
		for i := range count {
			var r kerneltest.Recorder
			count[i].Set = r.Set()
			require.NoError(t, c.Pass(&count[i], kind, 2, 2+i))
		}
		assert.Zero(t, count[1].down, kind)
		assert.LessOrEqual(t, count[1].up-count[0].up, most, kind)
	}
}
