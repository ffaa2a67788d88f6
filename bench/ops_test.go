package bench

import (
	"testing"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

// benchmarkOp times an op at every level and shape, each after a check: products of the very arrays that are timed, other
// ops by the oracle on an image or a few of the same layer, for images never influence each other.
func benchmarkOp(b *testing.B, op string) {
	for _, t := range cases()[op] {
		onLevels(b, t.large, t.label(), func(b *testing.B, level string, s kernels.Set) {
			if isProduct(op) {
				benchmarkProduct(b, level, s, t)
				return
			}
			if err := kerneltest.Check(s, reduced(t.Case)); err != nil {
				b.Fatal(err)
			}
			call, err := kerneltest.NewCall(s, t.Case)
			if err != nil {
				b.Fatal(err)
			}
			call.Queue()
			measure(b, level, t.Work(), call.Queue)
		})
	}
}

// isProduct reports whether place knows the op.
func isProduct(op string) bool {
	switch op {
	case "Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad", "Linear", "LinearInputGrad", "LinearWeightGrad":
		return true
	}
	return false
}

func BenchmarkConv2D(b *testing.B)            { benchmarkOp(b, "Conv2D") }
func BenchmarkConv2DInputGrad(b *testing.B)   { benchmarkOp(b, "Conv2DInputGrad") }
func BenchmarkConv2DWeightGrad(b *testing.B)  { benchmarkOp(b, "Conv2DWeightGrad") }
func BenchmarkLinear(b *testing.B)            { benchmarkOp(b, "Linear") }
func BenchmarkLinearInputGrad(b *testing.B)   { benchmarkOp(b, "LinearInputGrad") }
func BenchmarkLinearWeightGrad(b *testing.B)  { benchmarkOp(b, "LinearWeightGrad") }
func BenchmarkMatMul(b *testing.B)            { benchmarkOp(b, "MatMul") }
func BenchmarkGroupNorm(b *testing.B)         { benchmarkOp(b, "GroupNorm") }
func BenchmarkGroupNormGrad(b *testing.B)     { benchmarkOp(b, "GroupNormGrad") }
func BenchmarkAttention(b *testing.B)         { benchmarkOp(b, "Attention") }
func BenchmarkAttentionGrad(b *testing.B)     { benchmarkOp(b, "AttentionGrad") }
func BenchmarkSiLU(b *testing.B)              { benchmarkOp(b, "SiLU") }
func BenchmarkSiLUGrad(b *testing.B)          { benchmarkOp(b, "SiLUGrad") }
func BenchmarkAdd(b *testing.B)               { benchmarkOp(b, "Add") }
func BenchmarkAxpy(b *testing.B)              { benchmarkOp(b, "Axpy") }
func BenchmarkFill(b *testing.B)              { benchmarkOp(b, "Fill") }
func BenchmarkCopy(b *testing.B)              { benchmarkOp(b, "Copy") }
func BenchmarkClamp(b *testing.B)             { benchmarkOp(b, "Clamp") }
func BenchmarkClampGrad(b *testing.B)         { benchmarkOp(b, "ClampGrad") }
func BenchmarkCast(b *testing.B)              { benchmarkOp(b, "Cast") }
func BenchmarkScaleImages(b *testing.B)       { benchmarkOp(b, "ScaleImages") }
func BenchmarkDot(b *testing.B)               { benchmarkOp(b, "Dot") }
func BenchmarkSum(b *testing.B)               { benchmarkOp(b, "Sum") }
func BenchmarkSquaredError(b *testing.B)      { benchmarkOp(b, "SquaredError") }
func BenchmarkSumRows(b *testing.B)           { benchmarkOp(b, "SumRows") }
func BenchmarkUpsample2x(b *testing.B)        { benchmarkOp(b, "Upsample2x") }
func BenchmarkUpsample2xGrad(b *testing.B)    { benchmarkOp(b, "Upsample2xGrad") }
func BenchmarkPixelUnshuffle(b *testing.B)    { benchmarkOp(b, "PixelUnshuffle") }
func BenchmarkPixelShuffle(b *testing.B)      { benchmarkOp(b, "PixelShuffle") }
func BenchmarkCopyChannels(b *testing.B)      { benchmarkOp(b, "CopyChannels") }
func BenchmarkGather(b *testing.B)            { benchmarkOp(b, "Gather") }
func BenchmarkTimeEmbedding(b *testing.B)     { benchmarkOp(b, "TimeEmbedding") }
func BenchmarkDropout(b *testing.B)           { benchmarkOp(b, "Dropout") }
func BenchmarkNormal(b *testing.B)            { benchmarkOp(b, "Normal") }
func BenchmarkUniform(b *testing.B)           { benchmarkOp(b, "Uniform") }
func BenchmarkUpdate(b *testing.B)            { benchmarkOp(b, "Update") }
func BenchmarkGradNorm(b *testing.B)          { benchmarkOp(b, "GradNorm") }
func BenchmarkAdamW(b *testing.B)             { benchmarkOp(b, "AdamW") }
func BenchmarkGain(b *testing.B)              { benchmarkOp(b, "Gain") }
func BenchmarkGaussianPosterior(b *testing.B) { benchmarkOp(b, "GaussianPosterior") }
func BenchmarkBlur(b *testing.B)              { benchmarkOp(b, "Blur") }
func BenchmarkBlurAdjoint(b *testing.B)       { benchmarkOp(b, "BlurAdjoint") }
