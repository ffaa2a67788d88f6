package inspect

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

func passCounter(t *testing.T) *PassCounter {
	n, err := NewPassCounter()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, n.Close()) })
	return n
}

// smallPass is the layers of a small network, as a Trace.
func smallPass(images int) ([]kerneltest.Case, error) {
	conv := kernels.Conv{N: images, H: 4, W: 4, Cin: 32, Cout: 32, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}
	down := kernels.Conv{N: images, H: 8, W: 8, Cin: 16, Cout: 32, KH: 3, KW: 3, Stride: 2, PadBottom: 1, PadRight: 1, Precision: kernels.PrecisionBF16}
	linear := kernels.Linear{Rows: 16 * images, K: 32, M: 64, Precision: kernels.PrecisionTF32}
	attention := kernels.Attention{N: images, T: 16, Heads: 2, HeadDim: 16, Scale: 0.25}
	norm := kernels.GroupNorm{N: images, HW: 64, C: 96, Groups: 8, Eps: 1e-5, SiLU: true}
	bias := []string{"ImageBias", "Residual"}
	return []kerneltest.Case{
		{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: conv}, Without: bias}, {Op: "Conv2DInputGrad", Params: conv}, {Op: "Conv2DWeightGrad", Params: conv},
		{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: down}, Without: bias}, {Op: "Conv2DInputGrad", Params: down}, {Op: "Conv2DWeightGrad", Params: down},
		{Op: "Linear", Params: kerneltest.Linear{Linear: linear}, Without: bias}, {Op: "LinearWeightGrad", Params: linear},
		{Op: "Attention", Params: attention}, {Op: "AttentionGrad", Params: attention},
		{Op: "GroupNorm", Params: norm}, {Op: "GroupNormGrad", Params: norm},
		{Op: "Upsample2x", Params: kernels.Resize{N: images, H: 4, W: 4, C: 48}}, {Op: "Upsample2xGrad", Params: kernels.Resize{N: images, H: 4, W: 4, C: 48}},
		{Op: "CopyChannels", Params: kernels.Channels{Rows: 16 * images, C: 48, YStride: 96, YOffset: 48}},
		{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: conv}, Without: bias}, // again
	}, nil
}

func TestWhatIsExtrapolatedIsExact(t *testing.T) {
	for _, images := range []int{32, 37} {
		whole, cut := passCounter(t), passCounter(t)
		whole.long, cut.long = math.Inf(1), 0
		want, err := whole.Count(images, smallPass)
		require.NoError(t, err)
		got, err := cut.Count(images, smallPass)
		require.NoError(t, err)
		require.Len(t, got.Calls, 15)
		shorter := 0
		for i, c := range got.Calls {
			if len(c.CountedImages) == 2 {
				shorter++
				assert.Less(t, c.CountedImages[1], images)
			}
			assert.Equal(t, want.Calls[i].Launches, c.Launches, "%s from %v", c.Shape, c.CountedImages)
		}
		assert.Equal(t, 15, shorter)
		assert.Equal(t, want.Total, got.Total)
		assert.Equal(t, 2, got.Calls[0].Calls)
	}
}

// The rung that one call is held to must not stay for the next.
func TestEveryCallRunsOnTheRungThatItWouldTake(t *testing.T) {
	conv := func(n int) kerneltest.Case {
		p := kernels.Conv{N: n, H: 16, W: 16, Cin: 4, Cout: 96, KH: 1, KW: 1, Stride: 1}
		return kerneltest.Case{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: p}, Without: []string{"Bias", "ImageBias", "Residual"}}
	}
	calls := []kerneltest.Case{conv(1), conv(8), conv(2)}
	p, err := passCounter(t).Count(1, func(int) ([]kerneltest.Case, error) { return calls, nil })
	require.NoError(t, err)
	for i, c := range calls {
		alone, err := countCase(c)
		require.NoError(t, err)
		assert.Equal(t, alone, p.Calls[i].Launches)
	}
	assert.NotEqual(t, p.Calls[0].Launches[0].Kernel, p.Calls[1].Launches[0].Kernel, "a case in which it would show")
}

func TestLongArraysOfTheOptimiserAreExtrapolatedExactly(t *testing.T) {
	c := kerneltest.Case{Op: "GradNorm", Params: kernels.GradNorm{Len: 13<<20 + 77, MaxNorm: 1}}
	got, err := passCounter(t).Count(1, func(int) ([]kerneltest.Case, error) { return []kerneltest.Case{c}, nil })
	require.NoError(t, err)
	whole, err := countCase(c)
	require.NoError(t, err)
	assert.Equal(t, whole, got.Calls[0].Launches)
}

func TestThePredictionIsTheRoofline(t *testing.T) {
	tensor := map[string]int64{"tensor": 1}
	for _, c := range []struct {
		bytes    float64
		launches []LaunchCount
		want     Prediction
	}{
		{3e6, []LaunchCount{{Kernel: "silu_forward_f32_vec4", Sectors: 3e6 / 32, FLOPs: 100}}, Prediction{1, 1, 0}},
		{3e6, []LaunchCount{{Kernel: "conv2d_forward_f32_tile64", Sectors: 9e6 / 32, FLOPs: 120e6, WarpInstructions: 1875e3}}, Prediction{2, 3, 2}},
		{3, []LaunchCount{{Kernel: "conv2d_forward_f32_tensor3", FLOPs: 300e6, ByClass: tensor}}, Prediction{1, 1, 0}},
		{3, []LaunchCount{{Kernel: "conv2d_forward_tf32_tensor", FLOPs: 300e6, ByClass: tensor}}, Prediction{1, 1, 0}},
		{3, []LaunchCount{{Kernel: "conv2d_forward_bf16_tensor", FLOPs: 600e6, ByClass: tensor}, {Kernel: "reduce", FLOPs: 60e6}}, Prediction{2, 2, 0}},
	} {
		got := predict(kernels.Cost{Bytes: c.bytes}, c.launches)
		assert.InDeltaSlice(t, []float64{c.want.Roof, c.want.Uncached, c.want.Issue}, []float64{got.Roof, got.Uncached, got.Issue}, 1e-5, c.launches[0].Kernel)
	}
}

func TestATraceIsWhatOneMoreRoundDoes(t *testing.T) {
	fill := func(n int) kerneltest.Case {
		return kerneltest.Case{Op: "Fill", Params: kerneltest.Fill{Elementwise: kernels.Elementwise{Len: n}}}
	}
	assert.Equal(t, []kerneltest.Case{fill(2), fill(3)},
		Difference([]kerneltest.Case{fill(1), fill(2), fill(3)}, []kerneltest.Case{fill(1), fill(2), fill(3), fill(2), fill(3)}))
}

func TestAPassIsPrintedByKernelAndByShape(t *testing.T) {
	p, err := passCounter(t).Count(1, smallPass)
	require.NoError(t, err)
	for shapes, lines := range map[bool]int{false: 2 + 15, true: 2 + 15} {
		var out bytes.Buffer
		require.NoError(t, PrintPass(&out, p, shapes))
		assert.Equal(t, lines, strings.Count(out.String(), "\n"), out.String())
	}
}

// The text of a shape is read back as the shape.
func TestShapesAreWrittenAsTheyAreRead(t *testing.T) {
	cases, err := smallPass(3)
	require.NoError(t, err)
	for _, c := range append(slices.Clone(cases), kerneltest.Cases("Update")...) {
		read, err := parseShape(shapeOf(c))
		require.NoError(t, err)
		assert.Equal(t, c.Cost().FLOPs, read.Cost().FLOPs, shapeOf(c))
	}
}

var benchmarked sync.Map

// BenchmarkCount reports what the kernels of a shape execute, which is exact and the same on every machine, and what an H100 needs for it
// by its roofline.
func BenchmarkCount(b *testing.B) {
	for _, shape := range defaultShapes {
		c, err := parseShape(shape)
		require.NoError(b, err)
		b.Run(strings.Replace(shape, ":", "/", 1), func(b *testing.B) {
			launches, ok := benchmarked.Load(shape)
			if !ok { // once, however often the loop runs
				n, err := NewPassCounter()
				require.NoError(b, err)
				p, err := n.Count(1, func(int) ([]kerneltest.Case, error) { return []kerneltest.Case{c}, nil })
				require.NoError(b, err)
				require.NoError(b, n.Close())
				launches = p.Calls[0]
				benchmarked.Store(shape, launches)
			}
			s := sum([]CallCount{launches.(CallCount)})
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(s.instructions, "instructions")
			if s.costFLOPs > 0 {
				b.ReportMetric(s.flops/s.costFLOPs, "FLOPs/Cost")
			}
			b.ReportMetric(32*s.sectors/s.costBytes, "bytes/Cost")
			b.ReportMetric(float64(s.conflicts), "conflicts")
			b.ReportMetric(s.Prediction.Roof, "H100-us")
		})
	}
}
