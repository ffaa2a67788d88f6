package host

var neonWinograd = winogradKernels{
	input: winogradInputNEON, output: winogradOutputNEON, outputGrad: winogradOutputGradNEON,
	weights: winogradWeightsNEON, weightsGrad: winogradWeightsGradNEON,
}

//go:noescape
func winogradInputNEON(args *winogradInputArgs)

//go:noescape
func winogradOutputNEON(args *winogradOutputArgs)

//go:noescape
func winogradOutputGradNEON(args *winogradOutputArgs)

//go:noescape
func winogradWeightsNEON(args *winogradWeightArgs)

//go:noescape
func winogradWeightsGradNEON(args *winogradWeightArgs)
