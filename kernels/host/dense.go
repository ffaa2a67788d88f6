package host

import "unsafe"

// dense is a small product y = a b (or y += a b) that one worker computes: a is a block of rows, b rows
// [first, first+depth) of a packed matrix of packedDepth rows.
type dense struct {
	y           []float32
	yStride     int // floats from one row to the next
	accumulate  bool
	a           unsafe.Pointer
	offsets     []int64 // bytes from a to each row; for transposed, to each column
	rows, depth int
	b           []float32
	first       int
	packedDepth int
	cols        int
}

var noSteps [1]int64

// multiply computes d, in which every row of a is depth consecutive values.
func (w *matrixWorker) multiply(m *matrixKernels, d dense) {
	args := &w.panel
	args.a, args.bias = d.a, unsafe.Pointer(&zeros)
	args.steps, args.taps, args.negDepth = &noSteps[0], 1, -4*d.depth
	for panel := range m.panels(d.cols) {
		width, col := m.width(d.cols, panel), panel*m.cols
		args.w = at(d.b, d.packedDepth*col+d.first*width)
		for r := 0; r < d.rows; {
			kernel, rows := w.panelTile(m, d.offsets, r, d.rows-r, width)
			if rows == m.panelRows[0] && col+width <= d.cols && !d.accumulate {
				args.c, args.cStride = at(d.y, r*d.yStride+col), 4*d.yStride
				kernel(args)
			} else {
				args.c, args.cStride = unsafe.Pointer(&w.tile), 4*width
				kernel(args)
				w.store(m, &d, r, rows, col, width)
			}
			r += rows
		}
	}
}

// multiplyTransposed computes d, in which column k of a is rows consecutive values at offsets[k].
func (w *matrixWorker) multiplyTransposed(m *matrixKernels, d dense) {
	args := &w.outer
	args.offsets, args.count = &d.offsets[0], d.depth
	for panel := range m.panels(d.cols) {
		width, col := m.width(d.cols, panel), panel*m.cols
		args.b = at(d.b, d.packedDepth*col+d.first*width)
		for r := 0; r < d.rows; {
			kernel, rows := m.outerFor(d.rows-r, width)
			args.a = unsafe.Add(d.a, 4*r)
			if col+width <= d.cols {
				args.into(at(d.y, r*d.yStride+col), 4*d.yStride, d.accumulate)
				kernel(args)
			} else {
				args.into(unsafe.Pointer(&w.tile), 4*width, false)
				kernel(args)
				w.store(m, &d, r, rows, col, width)
			}
			r += rows
		}
	}
}

// store writes the worker's tile to rows [r, r+rows) of y.
func (w *matrixWorker) store(m *matrixKernels, d *dense, r, rows, col, width int) {
	args := &w.finish
	args.y, args.yStride = at(d.y, r*d.yStride+col), 4*d.yStride
	args.t, args.tStride = unsafe.Pointer(&w.tile), 4*width
	args.add, args.res, args.rStride = unsafe.Pointer(&zeros), unsafe.Pointer(&zeros), 0
	if d.accumulate {
		args.res, args.rStride = args.y, args.yStride
	}
	args.rows, args.cols = rows, min(width, d.cols-col)
	m.finish(args)
}

// stepped fills a table with n multiples of stride floats, in bytes.
func stepped(table []int64, n, stride int) []int64 {
	table = table[:0]
	for i := range n {
		table = append(table, 4*int64(i*stride))
	}
	return table
}
