package nn

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels/ref"
)

func TestInitIsPyTorchsAndDependsOnTheSeedOnly(t *testing.T) {
	set := ref.New()
	cfg := small()
	cfg.Channels = []int{32, 64}
	u := newNetwork(t, set, cfg)
	fanIn := map[string]float64{"conv_in.weight": 4 * 9, "conv_in.bias": 4 * 9, "time_embedding.linear_1.weight": 32,
		"mid_block.attentions.0.to_k.weight": 64, "mid_block.resnets.0.conv1.weight": 64 * 9}
	for name, n := range fanIn {
		v, err := u.Params.Download(Weights, name)
		require.NoError(t, err)
		bound := 1 / math.Sqrt(n)
		sum, squares := 0.0, 0.0
		for _, x := range v {
			assert.LessOrEqual(t, math.Abs(float64(x)), bound*(1+1e-6), name)
			sum += float64(x)
			squares += float64(x) * float64(x)
		}
		count := float64(len(v))
		// Mean 0 and variance bound^2/3; standard errors bound/sqrt(3n) and bound^2 sqrt(4/45)/sqrt(n).
		assert.Less(t, math.Abs(sum/count), 5*bound/math.Sqrt(3*count), name)
		assert.Less(t, math.Abs(squares/count-bound*bound/3), 5*bound*bound*math.Sqrt(4.0/45/count), name)
	}
	for name, want := range map[string]float32{"conv_norm_out.weight": 1, "conv_norm_out.bias": 0} {
		v, err := u.Params.Download(Weights, name)
		require.NoError(t, err)
		for _, x := range v {
			assert.Equal(t, want, x)
		}
	}
	assert.NotEqual(t, fetch(t, u, Weights, "mid_block.resnets.0.conv1.weight"), fetch(t, u, Weights, "mid_block.resnets.1.conv1.weight"))
	first := slot(u.Params, Weights)
	assert.Equal(t, first, slot(u.Params, EMA), "the moving average starts at the weights")
	u.Init(4)
	assert.NotEqual(t, first, slot(u.Params, Weights))
	u.Init(3)
	assert.Equal(t, first, slot(u.Params, Weights))
}

func TestZeroInitMakesBlocksTheIdentity(t *testing.T) {
	set := ref.New()
	cfg := small()
	cfg.ZeroInit = true
	u := newNetwork(t, set, cfg)
	for _, name := range []string{"conv_out.weight", "conv_out.bias", "mid_block.resnets.1.conv2.weight", "down_blocks.0.attentions.0.to_out.0.weight"} {
		v, err := u.Params.Download(Weights, name)
		require.NoError(t, err)
		assert.Equal(t, make([]float32, len(v)), v, name)
	}
	v, err := u.Params.Download(Weights, "conv_in.weight")
	require.NoError(t, err)
	assert.NotEqual(t, make([]float32, len(v)), v)
}

func TestVersionsChangeWithTheContentsAndAreNeverShared(t *testing.T) {
	set := ref.New()
	u, w := newNetwork(t, set, small()), newNetwork(t, set, small())
	seen := map[uint64]bool{0: true}
	fresh := func(v uint64) {
		t.Helper()
		assert.False(t, seen[v])
		seen[v] = true
	}
	fresh(u.Params.Version(Weights))
	fresh(u.Params.Version(EMA))
	fresh(w.Params.Version(Weights))
	AdamW{LR: 1, Eps: 1, Beta1: 0.5, Beta2: 0.5}.Step(u.Params, 1, 0.5)
	fresh(u.Params.Version(Weights))
	fresh(u.Params.Version(EMA))
	require.NoError(t, u.Params.Upload(Weights, "conv_out.bias", []float32{1, 2, 3, 4}))
	fresh(u.Params.Version(Weights))
	u.Params.Copy(EMA, Weights)
	fresh(u.Params.Version(EMA))
	u.Params.Zero(Weights)
	fresh(u.Params.Version(Weights))
	assert.Equal(t, "moment2", Moment2.String())
}

func TestEntriesMoveBothWays(t *testing.T) {
	set := ref.New()
	u := newNetwork(t, set, small())
	for _, e := range u.Params.Entries() {
		values := normals(5, e.Len())
		require.NoError(t, u.Params.Upload(Moment1, e.Name, values))
		got, err := u.Params.Download(Moment1, e.Name)
		require.NoError(t, err)
		assert.Equal(t, values, got, e.Name)
	}
	_, err := u.Params.Download(Weights, "conv")
	assert.ErrorContains(t, err, `no parameter "conv"`)
	assert.ErrorContains(t, u.Params.Upload(Weights, "conv", nil), `no parameter "conv"`)
	assert.ErrorContains(t, u.Params.Upload(Weights, "conv_out.bias", nil), "tensor conv_out.bias has 0 values, want 4")
}

func TestAGradientThatIsNotFiniteChangesNothing(t *testing.T) {
	set := ref.New()
	u := newNetwork(t, set, small())
	g := normals(1, u.Params.Len())
	g[17] = float32(math.Inf(1))
	set.Upload(u.Params.Buffer(Grads), g)
	before := slot(u.Params, Weights)
	DefaultAdamW().Step(u.Params, 1, 0.9)
	assert.False(t, u.Params.LastNorm().Finite)
	assert.Equal(t, before, slot(u.Params, Weights))
	assert.Equal(t, before, slot(u.Params, EMA))
}

func TestEMAWarmupForgetsTheFirstWeightsQuickly(t *testing.T) {
	assert.Equal(t, float32(0.1), EMAWarmup(0.999, 0))
	assert.Equal(t, float32(0.5), EMAWarmup(0.999, 8))
	assert.Equal(t, float32(0.999), EMAWarmup(0.999, 1e6))
	assert.Equal(t, float32(0), EMAWarmup(0, 50))
}

func TestGapsStayZero(t *testing.T) {
	set := ref.New()
	u := trained(t, set)
	used := make([]bool, u.Params.Len())
	for _, w := range u.Params.list {
		for i := range w.Entries {
			w.visit(i, func(_, memory int) {
				assert.False(t, used[w.offset+memory], "no two values share a place")
				used[w.offset+memory] = true
			})
		}
	}
	gaps := 0
	for _, s := range []Slot{Weights, Grads, Moment1, Moment2, EMA} {
		for i, v := range slot(u.Params, s) {
			if !used[i] {
				gaps++
				assert.Zero(t, v, "%s at %d", s, i)
			}
		}
	}
	assert.NotZero(t, gaps)
	assert.Equal(t, u.Params.Count(), len(used)-gaps/5)
}
