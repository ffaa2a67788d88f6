package host

import (
	"unsafe"

	"emdiff/kernels"
)

// weightGrad is the job behind the weight gradients: dw[a,b,c][o] is the sum over output pixels of window * dy. The
// blocks of pixels are dealt to splits, one after another; a part is one panel of columns of one split and adds up all of
// dw for it in memory of its own. The splits are then added in order. Both numbers depend on the shape only.
type weightGrad struct {
	window
	s           *Set
	dy          []float32
	cols, dyPix int
	blocks      int
	splits      int
	partial     []float32 // [split][panel][k][width]
}

// Splits make wantedSplitParts parts, unless their partial sums would not fit in splitFloats.
const (
	wantedSplitParts = 32
	splitFloats      = 1 << 22
)

// Conv2DWeightGrad computes the adjoint of the convolution in w.
func (s *Set) Conv2DWeightGrad(dw, x, dy kernels.Buffer, p kernels.Conv) {
	j := &s.weightGrad
	j.window = j.over(f32(x), p.N, p.H, p.W, p.Cin, or(p.XStride, p.Cin))
	j.padTop, j.padLeft, j.kh, j.kw, j.step = p.PadTop, p.PadLeft, p.KH, p.KW, p.Stride
	j.outH, j.outW = p.OutH(), p.OutW()
	j.dy, j.cols, j.dyPix = f32(dy), p.Cout, or(p.YStride, p.Cout)
	if j.pointwise() {
		j.flatten()
	}
	j.blocks = j.cut()
	m := &s.level.matrix
	size := m.packedLen(j.k(), j.cols)
	panels := m.panels(j.cols)
	j.splits = max(1, min(j.blocks, wantedSplitParts/panels, splitFloats/size))
	j.partial = s.shared.floats(j.splits * size)
	s.pool.run(j.splits*panels, j)

	s.splitSum = splitSum{m: m, dw: f32(dw), partial: j.partial, k: j.k(), cols: j.cols, splits: j.splits, accumulate: p.Accumulate}
	s.pool.run(s.splitSum.parts(), &s.splitSum)
	j.x, j.dy, j.partial = nil, nil, nil
	s.splitSum.dw, s.splitSum.partial = nil, nil
}

func (j *weightGrad) part(worker, i int) {
	m := &j.s.level.matrix
	panels := m.panels(j.cols)
	split, panel := i/panels, i%panels
	width, col := m.width(j.cols, panel), panel*m.cols
	dw := j.partial[split*m.packedLen(j.k(), j.cols)+j.k()*col:][:j.k()*width]
	clear(dw)
	w := &j.s.workers[worker]
	args := &w.outer
	args.cStride = 4 * width
	args.offsets = &j.offsets[0]
	for b := j.blocks * split / j.splits; b < j.blocks*(split+1)/j.splits; b++ {
		data, p := j.block(&j.s.private[worker], b)
		dy := w.panelOf.floats(p.n * width)
		first := (p.image0*j.outH + p.row0) * j.outW
		j.pack(dy, first, p.n, col, width)
		args.b, args.count = at(dy, 0), p.n
		row := 0
		offset := 0
		for tap := range j.taps {
			for r := 0; r < j.tapDepth; {
				kernel, rows := m.outerFor(j.tapDepth-r, width)
				args.a = unsafe.Add(data, offset+4*r)
				args.c = at(dw, (row+r)*width)
				kernel(args)
				r += rows
			}
			row += j.tapDepth
			offset += int(j.steps[tap])
		}
	}
}

// pack copies columns [col, col+width) of n pixels of dy, with zeros beyond the last column.
func (j *weightGrad) pack(dst []float32, first, n, col, width int) {
	src := matrix{data: j.dy, depth: n, cols: j.cols, kStride: j.dyPix, jStride: 1, scale: 1}
	packPanel(dst, &src, first*j.dyPix, col, width)
}

// splitSum adds the partial sums of all splits in order and unpacks them: dw[k][cols] = sum of partial[split][panel][k][width].
type splitSum struct {
	m          *matrixKernels
	dw         []float32
	partial    []float32
	k, cols    int
	splits     int
	accumulate bool
}

// splitSumRows is the number of rows of dw per part.
const splitSumRows = 64

func (j *splitSum) parts() int { return (j.k + splitSumRows - 1) / splitSumRows }

func (j *splitSum) part(_, i int) {
	size := j.m.packedLen(j.k, j.cols)
	for k := i * splitSumRows; k < min(j.k, (i+1)*splitSumRows); k++ {
		for panel := range j.m.panels(j.cols) {
			width, col := j.m.width(j.cols, panel), panel*j.m.cols
			n := min(width, j.cols-col)
			sum := j.partial[j.k*col+k*width:][:n]
			for split := 1; split < j.splits; split++ {
				for c, v := range j.partial[split*size+j.k*col+k*width:][:n] {
					sum[c] += v
				}
			}
			dw := j.dw[k*j.cols+col:][:n]
			if j.accumulate {
				for c, v := range sum {
					dw[c] += v
				}
			} else {
				copy(dw, sum)
			}
		}
	}
}
