package host

import (
	"unsafe"

	"emdiff/kernels"
)

// weightGrad is the job behind the weight gradients: dw[a,b,c][o] is the sum over output pixels of window * dy. The
// blocks of pixels are dealt to splits, one after another; a part is some panels of columns of one split and adds up all
// of dw for them in memory of its own. The splits are then added in order. Both numbers depend on the shape only.
type weightGrad struct {
	window
	s           *Set
	dy          []float32
	cols, dyPix int
	blocks      int
	splits      int
	groups      int       // parts per split
	perPart     int       // panels of a part
	partial     []float32 // [split][panel][k][width]
}

// There are about wantedGradParts parts. Splits come first, because the panels of a part share one copy of x, but the
// partial sums of all splits must fit in splitFloats, else adding them up takes longer than it saves.
const (
	wantedGradParts = 16
	splitFloats     = 1 << 21
)

// Conv2DWeightGrad computes the adjoint of the convolution in w.
func (s *Set) Conv2DWeightGrad(dw, x, dy kernels.Buffer, p kernels.Conv) {
	j := &s.weightGrad
	j.window = j.over(f32(x), p.N, p.H, p.W, p.Cin, or(p.XStride, p.Cin))
	j.padTop, j.padLeft, j.kh, j.kw, j.step = p.PadTop, p.PadLeft, p.KH, p.KW, p.Stride
	j.outH, j.outW = p.OutH(), p.OutW()
	j.dy, j.cols, j.dyPix = f32(dy), p.Cout, or(p.YStride, p.Cout)
	if winogradFits(j.kh, j.kw, j.step, j.depth, j.cols) {
		s.winogradGrad.run(j, f32(dw), p.Accumulate)
		j.x, j.dy = nil, nil
		return
	}
	if j.pointwise() {
		j.flatten()
	}
	j.blocks = j.cut(sums(blockPixels))
	m := &s.level.matrix
	size := m.packedLen(j.k(), j.cols)
	panels := m.panels(j.cols)
	j.splits = max(1, min(j.blocks, wantedGradParts, splitFloats/size))
	j.perPart = min(panels, (panels*j.splits+wantedGradParts-1)/wantedGradParts)
	j.groups = (panels + j.perPart - 1) / j.perPart
	j.partial = s.shared.floats(j.splits * size)
	s.pool.run(j.splits*j.groups, j)

	s.splitSum = splitSum{s: s, dw: f32(dw), partial: j.partial, k: j.k(), cols: j.cols, splits: j.splits, accumulate: p.Accumulate}
	s.pool.run(panels*s.splitSum.perPanel(), &s.splitSum)
	j.x, j.dy, j.partial = nil, nil, nil
	s.splitSum.dw, s.splitSum.partial = nil, nil
}

func (j *weightGrad) part(worker, i int) {
	m := &j.s.level.matrix
	split, group := i/j.groups, i%j.groups
	dw := j.partial[split*m.packedLen(j.k(), j.cols):][:m.packedLen(j.k(), j.cols)]
	first, last := group*j.perPart, min((group+1)*j.perPart, m.panels(j.cols))
	start := j.blocks * split / j.splits
	for b := start; b < j.blocks*(split+1)/j.splits; b++ {
		data, p := j.block(&j.s.private[worker], b)
		for panel := first; panel < last; panel++ {
			j.addBlock(&j.s.workers[worker], dw[j.k()*panel*m.cols:], data, p, panel, b > start)
		}
	}
}

// addBlock adds the products of one block of pixels to one panel of dw, or overwrites it with the first.
func (j *weightGrad) addBlock(w *matrixWorker, dw []float32, data unsafe.Pointer, p pixels, panel int, add bool) {
	m := &j.s.level.matrix
	width, col := m.width(j.cols, panel), panel*m.cols
	dy := w.packed.floats(p.n * width)
	pixel := (p.image0*j.outH + p.row0) * j.outW
	src := matrix{data: j.dy, depth: p.n, cols: j.cols, kStride: j.dyPix, jStride: 1, scale: 1}
	packPanel(m, dy, &src, pixel*j.dyPix, col, width)

	args := &w.outer
	args.offsets, args.b, args.count = &j.offsets[0], at(dy, 0), p.n
	row, offset := 0, 0
	for tap := range j.taps {
		for r := 0; r < j.tapDepth; {
			kernel, rows := m.outerFor(j.tapDepth-r, width)
			args.a = unsafe.Add(data, offset+4*r)
			args.into(at(dw, (row+r)*width), 4*width, add)
			kernel(args)
			r += rows
		}
		row += j.tapDepth
		offset += int(j.steps[tap])
	}
}

// splitSum adds the partial sums of all splits in order and unpacks them: dw[k][cols] = sum of partial[split][panel][k][width].
// A part is some rows of one panel.
type splitSum struct {
	s          *Set
	dw         []float32
	partial    []float32
	k, cols    int
	splits     int
	accumulate bool
}

// splitSumRows is the number of rows of dw per part.
const splitSumRows = 64

func (j *splitSum) perPanel() int { return (j.k + splitSumRows - 1) / splitSumRows }

func (j *splitSum) part(_, i int) {
	m, add := &j.s.level.matrix, j.s.level.vector.add
	panel, first := i/j.perPanel(), i%j.perPanel()*splitSumRows
	width, col := m.width(j.cols, panel), panel*m.cols
	rows := min(splitSumRows, j.k-first)
	from := j.k*col + first*width
	sum := j.partial[from:][:rows*width]
	for split := 1; split < j.splits; split++ {
		add(sum, sum, j.partial[split*m.packedLen(j.k, j.cols)+from:][:len(sum)])
	}
	n := min(width, j.cols-col)
	for r := range rows {
		dw := j.dw[(first+r)*j.cols+col:][:n]
		if j.accumulate {
			add(dw, dw, sum[r*width:][:n])
		} else {
			copy(dw, sum[r*width:])
		}
	}
}
