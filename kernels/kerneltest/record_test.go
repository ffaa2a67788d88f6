package kerneltest

import (
	"slices"
	"testing"

	"emdiff/kernels"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A case that is run on a Recorder is recorded as a case of the same op, arguments and cost.
func TestARecorderWritesDownEveryOp(t *testing.T) {
	for _, name := range Ops() {
		for _, c := range Cases(name) {
			var r Recorder
			if p, ok := c.Params.(kernels.MatMul); !ok {
				r.Precision = precision(c)
			} else {
				r.Precision = 2 - p.Precision // left alone
			}
			b := buffers{}
			for _, a := range table[name].present(c) {
				b[a.name] = r.Alloc(a.dtype, a.len())
			}
			table[name].call(r.Set(), b, c)
			calls := r.Take()
			require.NotEmpty(t, calls, c)
			if name == "Cast" { // there and back, each of them the whole case
				require.Len(t, calls, 2)
				calls = calls[:1]
			}
			require.Len(t, calls, 1)
			got, missing := calls[0], slices.Clone(c.Without)
			slices.Sort(missing)
			slices.Sort(got.Without)
			assert.Equal(t, name, got.Op)
			assert.ElementsMatch(t, missing, got.Without, c)
			assert.Equal(t, c.Cost(), got.Cost(), c)
			assert.Empty(t, r.Take())
		}
	}
}

// Least traffic of some ops, by hand: values of four bytes.
func TestTheCostOfACaseMovesEveryArgumentOnce(t *testing.T) {
	added := kernels.Elementwise{Len: 100, Accumulate: true}
	for _, c := range []struct {
		Case
		values float64
	}{
		{Case{Op: "SiLU", Params: kernels.Elementwise{Len: 100}}, 200},
		{Case{Op: "SiLUGrad", Params: kernels.Elementwise{Len: 100}}, 300},
		{Case{Op: "SiLUGrad", Params: added}, 400},
		{Case{Op: "SquaredError", Params: kernels.PerImage{N: 2, Len: 50}}, 2 + 100 + 100 + 100 + 2},
		{Case{Op: "SquaredError", Params: kernels.PerImage{N: 2, Len: 50}, Without: []string{"dx"}}, 2 + 100 + 100 + 2},
		{Case{Op: "GroupNormGrad", Params: kernels.GroupNorm{N: 1, HW: 10, C: 4, Groups: 2, Eps: 1}, Without: []string{"scaleShift", "dscaleShift"}},
			3*40 + 4*4 + 2*2},
		{Case{Op: "AdamW", Params: kernels.AdamW{Len: 100}}, 9*100 + 3},
		{Case{Op: "Cast", Params: Cast{kernels.Elementwise{Len: 100}, kernels.BF16}}, 100 + 100 + 100},
	} {
		assert.Equal(t, 4*c.values, c.Cost().Bytes, c.Case)
	}
	attention := kernels.Attention{N: 1, T: 4, Heads: 1, HeadDim: 8, Scale: 1}
	assert.Equal(t, 2.5*Case{Op: "Attention", Params: attention}.Cost().FLOPs, Case{Op: "AttentionGrad", Params: attention}.Cost().FLOPs)
}
