package host

import "unsafe"

var neonMatrix = matrixKernels{
	winograd: neonWinograd, transpose8: transpose8NEON, finish: finishNEON, peak: peakNEON, peakFLOPs: 2 * 4 * assemblyPeak,
	cols: 16,
	panel: [3][2]func(*panelArgs){
		{panel6x16NEON, panel6x8NEON},
		{panel4x16NEON, panel4x8NEON},
		{panel1x16NEON, panel1x8NEON},
	},
	panelRows: [3]int{6, 4, 1},
	outer: [4][2]func(*outerArgs){
		{outer6x16NEON, outer6x8NEON},
		{outer4x16NEON, outer4x8NEON},
		{outer2x16NEON, outer2x8NEON},
		{outer1x16NEON, outer1x8NEON},
	},
	outerRows: [4]int{6, 4, 2, 1},
}

//go:noescape
func panel6x16NEON(args *panelArgs)

//go:noescape
func panel6x8NEON(args *panelArgs)

//go:noescape
func panel4x16NEON(args *panelArgs)

//go:noescape
func panel4x8NEON(args *panelArgs)

//go:noescape
func panel1x16NEON(args *panelArgs)

//go:noescape
func panel1x8NEON(args *panelArgs)

//go:noescape
func outer6x16NEON(args *outerArgs)

//go:noescape
func outer6x8NEON(args *outerArgs)

//go:noescape
func outer4x16NEON(args *outerArgs)

//go:noescape
func outer4x8NEON(args *outerArgs)

//go:noescape
func outer2x16NEON(args *outerArgs)

//go:noescape
func outer2x8NEON(args *outerArgs)

//go:noescape
func outer1x16NEON(args *outerArgs)

//go:noescape
func outer1x8NEON(args *outerArgs)

//go:noescape
func finishNEON(args *finishArgs)

//go:noescape
func transpose8NEON(dst, src unsafe.Pointer, dstPitch, srcPitch, blocks int)
