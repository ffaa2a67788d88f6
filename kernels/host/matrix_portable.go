package host

import "unsafe"

// portableMatrix serves every architecture: tiles of 4x4 results that a compiler can keep in registers.
var portableMatrix = matrixKernels{
	cols:      8,
	panel:     [3][2]func(*panelArgs){{panelPortable8, panelPortable4}, {panelPortable8, panelPortable4}, {panelPortable8, panelPortable4}},
	panelRows: [3]int{1, 1, 1},
	outer:     [4][2]func(*outerArgs){{outerPortable8, outerPortable4}, {outerPortable8, outerPortable4}, {outerPortable8, outerPortable4}, {outerPortable8, outerPortable4}},
	outerRows: [4]int{1, 1, 1, 1},
	finish:    finishPortable,
	peak:      peakPortable,
	peakFLOPs: portablePeakFLOPs,
}

func panelPortable8(args *panelArgs) {
	b := (*[8]float32)(args.bias)
	c0, c1, c2, c3, c4, c5, c6, c7 := b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]
	depth := -args.negDepth / 4
	offset := *args.offsets
	steps := unsafe.Slice(args.steps, args.taps)
	w := unsafe.Slice((*[8]float32)(args.w), args.taps*depth)
	for _, step := range steps {
		row := w[:depth]
		w = w[depth:]
		for k, x := range unsafe.Slice((*float32)(unsafe.Add(args.a, offset)), depth) {
			v := &row[k]
			c0 += x * v[0]
			c1 += x * v[1]
			c2 += x * v[2]
			c3 += x * v[3]
			c4 += x * v[4]
			c5 += x * v[5]
			c6 += x * v[6]
			c7 += x * v[7]
		}
		offset += step
	}
	*(*[8]float32)(args.c) = [8]float32{c0, c1, c2, c3, c4, c5, c6, c7}
}

func panelPortable4(args *panelArgs) {
	b := (*[4]float32)(args.bias)
	c0, c1, c2, c3 := b[0], b[1], b[2], b[3]
	depth := -args.negDepth / 4
	offset := *args.offsets
	steps := unsafe.Slice(args.steps, args.taps)
	w := unsafe.Slice((*[4]float32)(args.w), args.taps*depth)
	for _, step := range steps {
		row := w[:depth]
		w = w[depth:]
		for k, x := range unsafe.Slice((*float32)(unsafe.Add(args.a, offset)), depth) {
			v := &row[k]
			c0 += x * v[0]
			c1 += x * v[1]
			c2 += x * v[2]
			c3 += x * v[3]
		}
		offset += step
	}
	*(*[4]float32)(args.c) = [4]float32{c0, c1, c2, c3}
}

func outerPortable8(args *outerArgs) {
	c := (*[8]float32)(args.c)
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
	*c = [8]float32{c0, c1, c2, c3, c4, c5, c6, c7}
}

func outerPortable4(args *outerArgs) {
	c := (*[4]float32)(args.c)
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
	*c = [4]float32{c0, c1, c2, c3}
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
