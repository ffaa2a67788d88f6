package host

var avx512Winograd = winogradKernels{
	input: winogradInputAVX512, output: winogradOutputAVX512, outputGrad: winogradOutputGradAVX512,
	weights: winogradWeightsAVX512, weightsGrad: winogradWeightsGradAVX512,
}

var avx2Winograd = winogradKernels{
	input: winogradInputAVX2, output: winogradOutputAVX2, outputGrad: winogradOutputGradAVX2,
	weights: winogradWeightsAVX2, weightsGrad: winogradWeightsGradAVX2,
}

//go:noescape
func winogradInputAVX512(args *winogradInputArgs)

//go:noescape
func winogradOutputAVX512(args *winogradOutputArgs)

//go:noescape
func winogradOutputGradAVX512(args *winogradOutputArgs)

//go:noescape
func winogradWeightsAVX512(args *winogradWeightArgs)

//go:noescape
func winogradWeightsGradAVX512(args *winogradWeightArgs)

//go:noescape
func winogradInputAVX2(args *winogradInputArgs)

//go:noescape
func winogradOutputAVX2(args *winogradOutputArgs)

//go:noescape
func winogradOutputGradAVX2(args *winogradOutputArgs)

//go:noescape
func winogradWeightsAVX2(args *winogradWeightArgs)

//go:noescape
func winogradWeightsGradAVX2(args *winogradWeightArgs)
