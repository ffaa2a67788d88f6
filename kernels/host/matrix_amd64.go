package host

import "unsafe"

var avx512Matrix = matrixKernels{
	winograd: avx512Winograd, transpose8: transpose8AVX2, finish: finishAVX512, peak: peakAVX512, peakFLOPs: 2 * 16 * assemblyPeak,
	cols: 32,
	panel: [3][2]func(*panelArgs){
		{panel12x32AVX512, panel12x16AVX512},
		{panel4x32AVX512, panel4x16AVX512},
		{panel1x32AVX512, panel1x16AVX512},
	},
	panelRows: [3]int{12, 4, 1},
	outer: [4][2]func(*outerArgs){
		{outer12x32AVX512, outer12x16AVX512},
		{outer8x32AVX512, outer8x16AVX512},
		{outer4x32AVX512, outer4x16AVX512},
		{outer1x32AVX512, outer1x16AVX512},
	},
	outerRows: [4]int{12, 8, 4, 1},
}

var avx2Matrix = matrixKernels{
	winograd: avx2Winograd, transpose8: transpose8AVX2, finish: finishAVX2, peak: peakAVX2, peakFLOPs: 2 * 8 * assemblyPeak,
	cols: 16,
	panel: [3][2]func(*panelArgs){
		{panel6x16AVX2, panel6x8AVX2},
		{panel4x16AVX2, panel4x8AVX2},
		{panel1x16AVX2, panel1x8AVX2},
	},
	panelRows: [3]int{6, 4, 1},
	outer: [4][2]func(*outerArgs){
		{outer6x16AVX2, outer6x8AVX2},
		{outer4x16AVX2, outer4x8AVX2},
		{outer2x16AVX2, outer2x8AVX2},
		{outer1x16AVX2, outer1x8AVX2},
	},
	outerRows: [4]int{6, 4, 2, 1},
}

//go:noescape
func panel12x32AVX512(args *panelArgs)

//go:noescape
func panel12x16AVX512(args *panelArgs)

//go:noescape
func panel4x32AVX512(args *panelArgs)

//go:noescape
func panel4x16AVX512(args *panelArgs)

//go:noescape
func panel1x32AVX512(args *panelArgs)

//go:noescape
func panel1x16AVX512(args *panelArgs)

//go:noescape
func outer12x32AVX512(args *outerArgs)

//go:noescape
func outer12x16AVX512(args *outerArgs)

//go:noescape
func outer8x32AVX512(args *outerArgs)

//go:noescape
func outer8x16AVX512(args *outerArgs)

//go:noescape
func outer4x32AVX512(args *outerArgs)

//go:noescape
func outer4x16AVX512(args *outerArgs)

//go:noescape
func outer1x32AVX512(args *outerArgs)

//go:noescape
func outer1x16AVX512(args *outerArgs)

//go:noescape
func panel6x16AVX2(args *panelArgs)

//go:noescape
func panel6x8AVX2(args *panelArgs)

//go:noescape
func panel4x16AVX2(args *panelArgs)

//go:noescape
func panel4x8AVX2(args *panelArgs)

//go:noescape
func panel1x16AVX2(args *panelArgs)

//go:noescape
func panel1x8AVX2(args *panelArgs)

//go:noescape
func outer6x16AVX2(args *outerArgs)

//go:noescape
func outer6x8AVX2(args *outerArgs)

//go:noescape
func outer4x16AVX2(args *outerArgs)

//go:noescape
func outer4x8AVX2(args *outerArgs)

//go:noescape
func outer2x16AVX2(args *outerArgs)

//go:noescape
func outer2x8AVX2(args *outerArgs)

//go:noescape
func outer1x16AVX2(args *outerArgs)

//go:noescape
func outer1x8AVX2(args *outerArgs)

//go:noescape
func finishAVX512(args *finishArgs)

//go:noescape
func finishAVX2(args *finishArgs)

//go:noescape
func transpose8AVX2(dst, src unsafe.Pointer, dstPitch, srcPitch, blocks int)
