package host

import (
	"math"

	"emdiff/kernels"
)

// vectorConstants holds what the assembly reads, one cache line each, in the order of the CONST_ offsets in vec_amd64.h.
var vectorConstants = [...][16]uint32{
	lanes(1),                        // ONE
	lanes(-math.Log2E),              // NLOG2E
	lanes(math.Ln2),                 // EXPLN2
	lanes(expCoef[0]),               // EXP2
	lanes(expCoef[1]),               // EXP3
	lanes(expCoef[2]),               // EXP4
	lanes(expCoef[3]),               // EXP5
	lanes(expCoef[4]),               // EXP6
	lanes(expLow),                   // EXPLOW
	lanes(-expLow),                  // EXPHIGH
	lanes(siluLow),                  // SILULOW
	words(1 << 31),                  // SIGN
	lanes(0.5),                      // HALF
	lanes(0x1p-23),                  // ULP
	words(0x3f3504f3),               // SQRTHALF
	lanes(-1),                       // NONE
	lanes(kernels.NormalLogCoef[0]), // LOG0
	lanes(kernels.NormalLogCoef[1]), // LOG1
	lanes(kernels.NormalLogCoef[2]), // LOG2
	lanes(kernels.NormalLogCoef[3]), // LOG3
	lanes(kernels.NormalLn2),        // LN2
	lanes(-2),                       // NTWO
	words(1 << 21),                  // EIGHTH
	words(1<<22 - 1),                // QUARTERMASK
	lanes(kernels.NormalQuarter),    // QUARTER
	lanes(kernels.NormalSinCoef[0]), // SIN0
	lanes(kernels.NormalSinCoef[1]), // SIN1
	lanes(kernels.NormalSinCoef[2]), // SIN2
	lanes(kernels.NormalSinCoef[3]), // SIN3
	lanes(kernels.NormalCosCoef[0]), // COS0
	lanes(kernels.NormalCosCoef[1]), // COS1
	lanes(kernels.NormalCosCoef[2]), // COS2
	lanes(kernels.NormalCosCoef[3]), // COS3
	words(1 << 22),                  // QUARTERTURN
	{0, 0, 4, 0, 1, 0, 5, 0, 2, 0, 6, 0, 3, 0, 7, 0}, // BLOCKS8
	words(8),                 // STEP8
	{0, 0, 2, 0, 1, 0, 3, 0}, // BLOCKS4
	words(4),                 // STEP4
	words(kernels.PhiloxM0),  // M0
	words(kernels.PhiloxM1),  // M1
	thirds(16, 0),            // THIRDS16
	thirds(16, 1),
	thirds(16, 2),
	thirds(8, 0), // THIRDS8
	thirds(8, 1),
	thirds(8, 2),
}

// tailMask is read at 8-n words to mask n lanes of 8.
var tailMask = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

func words(w uint32) (v [16]uint32) {
	for i := range v {
		v[i] = w
	}
	return v
}

// thirds are the places of the values of vector k in a third as many.
func thirds(width, k int) (lanes [16]uint32) {
	for i := range width {
		lanes[i] = uint32((k*width + i) / 3)
	}
	return lanes
}

func lanes(x float32) [16]uint32 { return words(math.Float32bits(x)) }

var avx2Vector = vectorKernels{
	past:         &avx2Past,
	silu:         siluAVX2,
	weigh:        weighAVX2,
	dscores:      dscoresAVX2,
	maximum:      maximumAVX2,
	scale:        scaleAVX2,
	triple:       tripleAVX2,
	clamp:        clampAVX2,
	add:          addAVX2,
	mul:          mulAVX2,
	addScaled:    addScaledAVX2,
	combine:      combineAVX2,
	difference:   differenceAVX2,
	siluGrad:     siluGradAVX2,
	clampGrad:    clampGradAVX2,
	dropout:      dropoutAVX2,
	posterior:    posteriorAVX2,
	adam:         adamAVX2,
	fir:          firAVX2,
	dot:          dotAVX2,
	distance:     distanceAVX2,
	sum:          sumAVX2,
	squares:      squaresAVX2,
	sumRows:      sumRowsAVX2,
	moments:      momentsAVX2,
	norm:         normAVX2,
	normSiLU:     normSiLUAVX2,
	normSums:     normSumsAVX2,
	normSumsSiLU: normSumsSiLUAVX2,
	normKeepSiLU: normKeepSiLUAVX2,
	normDx:       normDxAVX2,
	normDxSiLU:   normDxSiLUAVX2,
	uniforms:     uniformsAVX2,
	normals:      normalsAVX2,
	update:       updateAVX2,
}

//go:noescape
func siluAVX2(dst, src []float32)

//go:noescape
func weighAVX2(x []float32, scale, shift float32) (ret float32)

//go:noescape
func dscoresAVX2(dst, w []float32, rowSum, scale float32)

//go:noescape
func maximumAVX2(x []float32) (ret float32)

//go:noescape
func streamAVX2(dst, src []float32)

//go:noescape
func tripleAVX2(dst, src []float32)

//go:noescape
func scaleAVX2(dst, src []float32, alpha float32)

//go:noescape
func clampAVX2(dst, src []float32, lo, hi float32)

//go:noescape
func addAVX2(dst, a, b []float32)

//go:noescape
func mulAVX2(dst, a, b []float32)

//go:noescape
func addScaledAVX2(dst, a, b []float32, alpha float32)

//go:noescape
func combineAVX2(dst, a, b []float32, alpha, beta float32)

//go:noescape
func differenceAVX2(dst, a, b []float32, alpha float32)

//go:noescape
func siluGradAVX2(dst, dy, x []float32)

//go:noescape
func clampGradAVX2(dst, dy, x []float32, lo, hi float32)

//go:noescape
func dropoutAVX2(dst, x, u []float32, rate, alpha float32)

//go:noescape
func posteriorAVX2(dst, z, y, gain, w []float32, k, noise float32)

//go:noescape
func adamAVX2(w, m, v, ema, g []float32, c *adamCoefficients)

//go:noescape
func firAVX2(dst, src, taps []float32, step int)

//go:noescape
func dotAVX2(a, b []float32) (ret float32)

//go:noescape
func distanceAVX2(a, b []float32) (ret float32)

//go:noescape
func sumAVX2(x []float32) (ret float32)

//go:noescape
func squaresAVX2(x []float32) (ret float64)

//go:noescape
func sumRowsAVX2(dst, x []float32, rows, stride int)

//go:noescape
func momentsAVX2(sum, squares, pivot, x []float32, rows, stride int)

//go:noescape
func normAVX2(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normSiLUAVX2(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normSumsAVX2(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normSumsSiLUAVX2(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normKeepSiLUAVX2(s1, s2, du, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normDxAVX2(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

//go:noescape
func normDxSiLUAVX2(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

//go:noescape
func uniformsAVX2(dst []float32, s *philoxState)

//go:noescape
func normalsAVX2(dst []float32, s *philoxState)

var avx512Vector = vectorKernels{
	past:         &avx512Past,
	silu:         siluAVX512,
	weigh:        weighAVX512,
	dscores:      dscoresAVX512,
	maximum:      maximumAVX512,
	scale:        scaleAVX512,
	triple:       tripleAVX512,
	clamp:        clampAVX512,
	add:          addAVX512,
	mul:          mulAVX512,
	addScaled:    addScaledAVX512,
	combine:      combineAVX512,
	difference:   differenceAVX512,
	siluGrad:     siluGradAVX512,
	clampGrad:    clampGradAVX512,
	dropout:      dropoutAVX512,
	posterior:    posteriorAVX512,
	adam:         adamAVX512,
	fir:          firAVX512,
	dot:          dotAVX512,
	distance:     distanceAVX512,
	sum:          sumAVX512,
	squares:      squaresAVX512,
	sumRows:      sumRowsAVX512,
	moments:      momentsAVX512,
	norm:         normAVX512,
	normSiLU:     normSiLUAVX512,
	normSums:     normSumsAVX512,
	normSumsSiLU: normSumsSiLUAVX512,
	normKeepSiLU: normKeepSiLUAVX512,
	normDx:       normDxAVX512,
	normDxSiLU:   normDxSiLUAVX512,
	uniforms:     uniformsAVX512,
	normals:      normalsAVX512,
	update:       updateAVX512,
}

//go:noescape
func siluAVX512(dst, src []float32)

//go:noescape
func weighAVX512(x []float32, scale, shift float32) (ret float32)

//go:noescape
func dscoresAVX512(dst, w []float32, rowSum, scale float32)

//go:noescape
func maximumAVX512(x []float32) (ret float32)

//go:noescape
func streamAVX512(dst, src []float32)

//go:noescape
func tripleAVX512(dst, src []float32)

//go:noescape
func scaleAVX512(dst, src []float32, alpha float32)

//go:noescape
func clampAVX512(dst, src []float32, lo, hi float32)

//go:noescape
func addAVX512(dst, a, b []float32)

//go:noescape
func mulAVX512(dst, a, b []float32)

//go:noescape
func addScaledAVX512(dst, a, b []float32, alpha float32)

//go:noescape
func combineAVX512(dst, a, b []float32, alpha, beta float32)

//go:noescape
func differenceAVX512(dst, a, b []float32, alpha float32)

//go:noescape
func siluGradAVX512(dst, dy, x []float32)

//go:noescape
func clampGradAVX512(dst, dy, x []float32, lo, hi float32)

//go:noescape
func dropoutAVX512(dst, x, u []float32, rate, alpha float32)

//go:noescape
func posteriorAVX512(dst, z, y, gain, w []float32, k, noise float32)

//go:noescape
func adamAVX512(w, m, v, ema, g []float32, c *adamCoefficients)

//go:noescape
func firAVX512(dst, src, taps []float32, step int)

//go:noescape
func dotAVX512(a, b []float32) (ret float32)

//go:noescape
func distanceAVX512(a, b []float32) (ret float32)

//go:noescape
func sumAVX512(x []float32) (ret float32)

//go:noescape
func squaresAVX512(x []float32) (ret float64)

//go:noescape
func sumRowsAVX512(dst, x []float32, rows, stride int)

//go:noescape
func momentsAVX512(sum, squares, pivot, x []float32, rows, stride int)

//go:noescape
func normAVX512(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normSiLUAVX512(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normSumsAVX512(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normSumsSiLUAVX512(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normKeepSiLUAVX512(s1, s2, du, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normDxAVX512(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

//go:noescape
func normDxSiLUAVX512(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

//go:noescape
func uniformsAVX512(dst []float32, s *philoxState)

//go:noescape
func normalsAVX512(dst []float32, s *philoxState)

//go:noescape
func siluPastAVX2(dst, src []float32)

//go:noescape
func scalePastAVX2(dst, src []float32, alpha float32)

//go:noescape
func clampPastAVX2(dst, src []float32, lo, hi float32)

//go:noescape
func addPastAVX2(dst, a, b []float32)

//go:noescape
func mulPastAVX2(dst, a, b []float32)

//go:noescape
func addScaledPastAVX2(dst, a, b []float32, alpha float32)

//go:noescape
func combinePastAVX2(dst, a, b []float32, alpha, beta float32)

//go:noescape
func differencePastAVX2(dst, a, b []float32, alpha float32)

//go:noescape
func siluGradPastAVX2(dst, dy, x []float32)

//go:noescape
func clampGradPastAVX2(dst, dy, x []float32, lo, hi float32)

//go:noescape
func dropoutPastAVX2(dst, x, u []float32, rate, alpha float32)

//go:noescape
func posteriorPastAVX2(dst, z, y, gain, w []float32, k, noise float32)

//go:noescape
func normPastAVX2(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normSiLUPastAVX2(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normDxPastAVX2(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

// avx2Past are the kernels of avx2Vector that have a twin writing past the caches.
var avx2Past = vectorKernels{
	silu:       siluPastAVX2,
	scale:      scalePastAVX2,
	clamp:      clampPastAVX2,
	add:        addPastAVX2,
	mul:        mulPastAVX2,
	addScaled:  addScaledPastAVX2,
	combine:    combinePastAVX2,
	difference: differencePastAVX2,
	siluGrad:   siluGradPastAVX2,
	clampGrad:  clampGradPastAVX2,
	dropout:    dropoutPastAVX2,
	posterior:  posteriorPastAVX2,
	update:     updatePastAVX2,
	norm:       normPastAVX2,
	normSiLU:   normSiLUPastAVX2,
	normDx:     normDxPastAVX2,
	stream:     streamAVX2,
}

//go:noescape
func siluPastAVX512(dst, src []float32)

//go:noescape
func scalePastAVX512(dst, src []float32, alpha float32)

//go:noescape
func clampPastAVX512(dst, src []float32, lo, hi float32)

//go:noescape
func addPastAVX512(dst, a, b []float32)

//go:noescape
func mulPastAVX512(dst, a, b []float32)

//go:noescape
func addScaledPastAVX512(dst, a, b []float32, alpha float32)

//go:noescape
func combinePastAVX512(dst, a, b []float32, alpha, beta float32)

//go:noescape
func differencePastAVX512(dst, a, b []float32, alpha float32)

//go:noescape
func siluGradPastAVX512(dst, dy, x []float32)

//go:noescape
func clampGradPastAVX512(dst, dy, x []float32, lo, hi float32)

//go:noescape
func dropoutPastAVX512(dst, x, u []float32, rate, alpha float32)

//go:noescape
func posteriorPastAVX512(dst, z, y, gain, w []float32, k, noise float32)

//go:noescape
func normPastAVX512(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normSiLUPastAVX512(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normDxPastAVX512(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

// avx512Past are the kernels of avx512Vector that have a twin writing past the caches.
var avx512Past = vectorKernels{
	silu:       siluPastAVX512,
	scale:      scalePastAVX512,
	clamp:      clampPastAVX512,
	add:        addPastAVX512,
	mul:        mulPastAVX512,
	addScaled:  addScaledPastAVX512,
	combine:    combinePastAVX512,
	difference: differencePastAVX512,
	siluGrad:   siluGradPastAVX512,
	clampGrad:  clampGradPastAVX512,
	dropout:    dropoutPastAVX512,
	posterior:  posteriorPastAVX512,
	update:     updatePastAVX512,
	norm:       normPastAVX512,
	normSiLU:   normSiLUPastAVX512,
	normDx:     normDxPastAVX512,
	stream:     streamAVX512,
}

//go:noescape
func updateAVX2(dst, src, d, e []float32, c *updateCoefficients, s *philoxState)

//go:noescape
func updatePastAVX2(dst, src, d, e []float32, c *updateCoefficients, s *philoxState)

//go:noescape
func updateAVX512(dst, src, d, e []float32, c *updateCoefficients, s *philoxState)

//go:noescape
func updatePastAVX512(dst, src, d, e []float32, c *updateCoefficients, s *philoxState)
