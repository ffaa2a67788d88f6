package host

import (
	"math"

	"emdiff/kernels"
)

// neonConstants holds what the assembly reads, one vector each, in the order of the CONST_ offsets in vec_neon_arm64.s.
var neonConstants = [...][4]uint32{
	lanes(1),                        // ONE
	lanes(1.4426950408889634),       // LOG2E
	lanes(expLn2Hi),                 // LN2HI
	lanes(expLn2Lo),                 // LN2LO
	lanes(expCoef[0]),               // EXP2
	lanes(expCoef[1]),               // EXP3
	lanes(expCoef[2]),               // EXP4
	lanes(expCoef[3]),               // EXP5
	lanes(expCoef[4]),               // EXP6
	words(1 << 31),                  // SIGN
	lanes(expLow),                   // EXPLOW
	lanes(siluLow),                  // SILULOW
	lanes(slopeHigh),                // SLOPEHIGH
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
	{0, 1, 2, 3},                    // BLOCKS
	words(4),                        // STEP
	words(kernels.PhiloxM0),         // M0
	words(kernels.PhiloxM1),         // M1
}

func words(w uint32) (v [4]uint32) {
	for i := range v {
		v[i] = w
	}
	return v
}

func lanes(x float32) [4]uint32 { return words(math.Float32bits(x)) }

var neonVector = vectorKernels{
	silu:         siluNEON,
	weigh:        weighNEON,
	dscores:      dscoresNEON,
	triple:       tripleNEON,
	maximum:      maximumNEON,
	scale:        scaleNEON,
	clamp:        clampNEON,
	add:          addNEON,
	mul:          mulNEON,
	addScaled:    addScaledNEON,
	combine:      combineNEON,
	difference:   differenceNEON,
	siluGrad:     siluGradNEON,
	clampGrad:    clampGradNEON,
	dropout:      dropoutNEON,
	posterior:    posteriorNEON,
	adam:         adamNEON,
	fir:          firNEON,
	dot:          dotNEON,
	distance:     distanceNEON,
	sum:          sumNEON,
	squares:      squaresNEON,
	sumRows:      sumRowsNEON,
	moments:      momentsNEON,
	norm:         normNEON,
	normSiLU:     normSiLUNEON,
	normSums:     normSumsNEON,
	normSumsSiLU: normSumsSiLUNEON,
	normKeepSiLU: normKeepSiLUNEON,
	normDx:       normDxNEON,
	normDxSiLU:   normDxSiLUNEON,
	uniforms:     uniformsNEON,
	normals:      normalsNEON,
	update:       updateNEON,
}

//go:noescape
func siluNEON(dst, src []float32)

//go:noescape
func weighNEON(x []float32, scale, shift float32) (ret float32)

//go:noescape
func dscoresNEON(dst, w []float32, rowSum, scale float32)

//go:noescape
func tripleNEON(dst, src []float32)

//go:noescape
func maximumNEON(x []float32) (ret float32)

//go:noescape
func scaleNEON(dst, src []float32, alpha float32)

//go:noescape
func clampNEON(dst, src []float32, lo, hi float32)

//go:noescape
func addNEON(dst, a, b []float32)

//go:noescape
func mulNEON(dst, a, b []float32)

//go:noescape
func addScaledNEON(dst, a, b []float32, alpha float32)

//go:noescape
func combineNEON(dst, a, b []float32, alpha, beta float32)

//go:noescape
func differenceNEON(dst, a, b []float32, alpha float32)

//go:noescape
func siluGradNEON(dst, dy, x []float32)

//go:noescape
func clampGradNEON(dst, dy, x []float32, lo, hi float32)

//go:noescape
func dropoutNEON(dst, x, u []float32, rate, alpha float32)

//go:noescape
func posteriorNEON(dst, z, y, gain, w []float32, k, noise float32)

//go:noescape
func adamNEON(w, m, v, ema, g []float32, c *adamCoefficients)

//go:noescape
func firNEON(dst, src, taps []float32, step int)

//go:noescape
func dotNEON(a, b []float32) (ret float32)

//go:noescape
func distanceNEON(a, b []float32) (ret float32)

//go:noescape
func sumNEON(x []float32) (ret float32)

//go:noescape
func squaresNEON(x []float32) (ret float64)

//go:noescape
func sumRowsNEON(dst, x []float32, rows, stride int)

//go:noescape
func momentsNEON(sum, squares, pivot, x []float32, rows, stride int)

//go:noescape
func normNEON(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normSiLUNEON(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)

//go:noescape
func normSumsNEON(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normSumsSiLUNEON(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normKeepSiLUNEON(s1, s2, du, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)

//go:noescape
func normDxNEON(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

//go:noescape
func normDxSiLUNEON(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

//go:noescape
func uniformsNEON(dst []float32, s *philoxState)

//go:noescape
func normalsNEON(dst []float32, s *philoxState)

//go:noescape
func updateNEON(dst, src, d, e []float32, c *updateCoefficients, s *philoxState)
