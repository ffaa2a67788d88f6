package host

import "unsafe"

// portableMatrix serves every architecture: plain Go, blocked for registers, with no bounds to check in the inner loops.
//
// Ladder (3x384 deep tile, one core of a 3.4 GHz Xeon, share of PeakFMA):
//
//	1 one row of 8 columns    0.70   9 loads per 8 products
//	2 2x4 blocks              0.74   6 loads per 8 products; more on arm64, which fuses
//	  4x4 blocks              0.51   too many for 16 registers: spills
var portableMatrix = matrixKernels{
	cols:       8,
	panel:      [3][2]func(*panelArgs){{panel2x8Portable, panel2x4Portable}, {panel2x8Portable, panel2x4Portable}, {panel2x8Portable, panel2x4Portable}},
	panelRows:  [3]int{2, 2, 2},
	outer:      [4][2]func(*outerArgs){{outer1x8Portable, outer1x4Portable}, {outer1x8Portable, outer1x4Portable}, {outer1x8Portable, outer1x4Portable}, {outer1x8Portable, outer1x4Portable}},
	outerRows:  [4]int{1, 1, 1, 1},
	finish:     finishPortable,
	peak:       peakPortable,
	peakFLOPs:  portablePeakFLOPs,
	winograd:   portableWinograd,
	transpose8: transpose8Portable,
}

func panel2x8Portable(args *panelArgs) {
	panelColumns(args, 0, 8*4)
	panelColumns(args, 4*4, 8*4)
}

func panel2x4Portable(args *panelArgs) { panelColumns(args, 0, 4*4) }

// panelColumns computes two rows of the four columns that lie col bytes into a panel of rows of wRow bytes.
func panelColumns(args *panelArgs, col, wRow int) {
	b := (*[4]float32)(unsafe.Add(args.bias, col))
	c00, c01, c02, c03 := b[0], b[1], b[2], b[3]
	c10, c11, c12, c13 := b[0], b[1], b[2], b[3]
	depth := -args.negDepth / 4
	offsets := (*[2]int64)(unsafe.Pointer(args.offsets))
	row0, row1, w := offsets[0], offsets[1], col
	for _, step := range unsafe.Slice(args.steps, args.taps) {
		x := unsafe.Slice((*float32)(unsafe.Add(args.a, row0)), depth)
		y := unsafe.Slice((*float32)(unsafe.Add(args.a, row1)), depth)[:len(x)]
		for k, x := range x {
			y := y[k]
			v := (*[4]float32)(unsafe.Add(args.w, w))
			w += wRow
			c00 += x * v[0]
			c10 += y * v[0]
			c01 += x * v[1]
			c11 += y * v[1]
			c02 += x * v[2]
			c12 += y * v[2]
			c03 += x * v[3]
			c13 += y * v[3]
		}
		row0 += step
		row1 += step
	}
	c := unsafe.Add(args.c, col)
	*(*[4]float32)(c) = [4]float32{c00, c01, c02, c03}
	*(*[4]float32)(unsafe.Add(c, args.cStride)) = [4]float32{c10, c11, c12, c13}
}

func outer1x8Portable(args *outerArgs) {
	c := (*[8]float32)(args.from)
	c0, c1, c2, c3, c4, c5, c6, c7 := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
	b := unsafe.Slice((*[8]float32)(args.b), args.count)
	for p, offset := range unsafe.Slice(args.offsets, args.count) {
		x := *(*float32)(unsafe.Add(args.a, offset))
		v := &b[p]
		c0 += x * v[0]
		c1 += x * v[1]
		c2 += x * v[2]
		c3 += x * v[3]
		c4 += x * v[4]
		c5 += x * v[5]
		c6 += x * v[6]
		c7 += x * v[7]
	}
	*(*[8]float32)(args.c) = [8]float32{c0, c1, c2, c3, c4, c5, c6, c7}
}

func outer1x4Portable(args *outerArgs) {
	c := (*[4]float32)(args.from)
	c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
	b := unsafe.Slice((*[4]float32)(args.b), args.count)
	for p, offset := range unsafe.Slice(args.offsets, args.count) {
		x := *(*float32)(unsafe.Add(args.a, offset))
		v := &b[p]
		c0 += x * v[0]
		c1 += x * v[1]
		c2 += x * v[2]
		c3 += x * v[3]
	}
	*(*[4]float32)(args.c) = [4]float32{c0, c1, c2, c3}
}

func finishPortable(args *finishArgs) {
	row := func(p unsafe.Pointer, stride, r int) []float32 {
		return unsafe.Slice((*float32)(unsafe.Add(p, r*stride)), args.cols)
	}
	add := row(args.add, 0, 0)
	for r := range args.rows {
		y, t, res := row(args.y, args.yStride, r), row(args.t, args.tStride, r), row(args.res, args.rStride, r)
		for i := range y {
			y[i] = t[i] + add[i] + res[i]
		}
	}
}

func transpose8Portable(dst, src unsafe.Pointer, dstPitch, srcPitch, blocks int) {
	for j := range 8 {
		row := unsafe.Slice((*float32)(unsafe.Add(src, j*srcPitch)), 8*blocks)
		for k, v := range row {
			*(*float32)(unsafe.Add(dst, k*dstPitch+4*j)) = v
		}
	}
}
