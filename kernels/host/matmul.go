package host

import (
	"unsafe"

	"emdiff/kernels"
)

// product is the job behind MatMul. All B matrices are packed first; then a part is matmulRows rows of one product. A
// transposed A needs no copy: its columns are what the outer kernels read.
type product struct {
	s           *Set
	c, a        []float32
	p           kernels.MatMul
	packed      []float32 // [batch or 1][panels of op(B)]
	packedSize  int       // floats per matrix
	packedPitch int       // packedSize, or 0 when one B serves the whole batch
	offsets     []int64
	steps       [1]int64
	blocks      int // parts per product
}

// matmulRows is the number of rows of C per part: a multiple of every tile's rows.
const matmulRows = 96

// packProducts packs op(B) of every product: one part per panel.
type packProducts struct {
	product *product
	src     matrix
	pitch   int // floats from one B to the next
}

// MatMul computes a batch of products.
func (s *Set) MatMul(c, a, b kernels.Buffer, p kernels.MatMul) {
	j, m := &s.product, &s.level.matrix
	j.c, j.a, j.p = f32(c), f32(a), p
	j.packedSize, j.packedPitch = m.packedLen(p.K, p.N), 0
	distinct := 1
	if p.StrideB != 0 {
		distinct, j.packedPitch = p.Batch, j.packedSize
	}
	j.packed = s.shared.floats(distinct * j.packedSize)
	k := &s.packProducts
	k.src = matrix{data: f32(b), depth: p.K, cols: p.N, kStride: p.N, jStride: 1, scale: p.Alpha}
	if p.TransB {
		k.src.kStride, k.src.jStride = 1, p.K
	}
	k.pitch = p.StrideB
	s.pool.run(distinct*m.panels(p.N), k)

	j.offsets = j.offsets[:0]
	if p.TransA {
		for k := range p.K {
			j.offsets = append(j.offsets, 4*int64(k*p.M))
		}
	} else {
		for r := range matmulRows {
			j.offsets = append(j.offsets, 4*int64(r*p.K))
		}
	}
	j.blocks = (p.M + matmulRows - 1) / matmulRows
	s.pool.run(p.Batch*j.blocks, j)
	j.c, j.a, j.packed, k.src.data = nil, nil, nil, nil
}

func (k *packProducts) part(_, i int) {
	j := k.product
	m := &j.s.level.matrix
	panels := m.panels(j.p.N)
	batch, panel := i/panels, i%panels
	dst := j.packed[batch*j.packedSize+j.p.K*panel*m.cols:]
	packPanel(dst, &k.src, batch*k.pitch, panel*m.cols, m.width(j.p.N, panel))
}

func (j *product) part(worker, i int) {
	m, w := &j.s.level.matrix, &j.s.workers[worker]
	batch, first := i/j.blocks, i%j.blocks*matmulRows
	rows := min(matmulRows, j.p.M-first)
	a, c := batch*j.p.StrideA, batch*j.p.StrideC+first*j.p.N
	for panel := range m.panels(j.p.N) {
		width, col := m.width(j.p.N, panel), panel*m.cols
		b := at(j.packed, batch*j.packedPitch+j.p.K*col)
		for r := 0; r < rows; {
			y := c + r*j.p.N + col
			if j.p.TransA {
				r += j.columns(w, at(j.a, a+first+r), b, y, rows-r, col, width)
			} else {
				r += j.rows(w, at(j.a, a+first*j.p.K), b, y, r, rows-r, col, width)
			}
		}
	}
}

// rows computes a tile from the rows r and on of the block of A at a.
func (j *product) rows(w *matrixWorker, a, b unsafe.Pointer, y, r, left, col, width int) int {
	m, args := &j.s.level.matrix, &w.panel
	kernel, rows := w.panelTile(m, j.offsets, r, left, width)
	args.a, args.w, args.bias = a, b, unsafe.Pointer(&zeros)
	args.steps, args.taps, args.negDepth = &j.steps[0], 1, -4*j.p.K
	if rows == m.panelRows[0] && col+width <= j.p.N && !j.p.Accumulate {
		args.c, args.cStride = at(j.c, y), 4*j.p.N
		kernel(args)
		return rows
	}
	args.c, args.cStride = unsafe.Pointer(&w.tile), 4*width
	kernel(args)
	j.store(w, y, rows, col, width)
	return rows
}

// columns computes a tile from the columns of the stored A at a.
func (j *product) columns(w *matrixWorker, a, b unsafe.Pointer, y, left, col, width int) int {
	kernel, rows := j.s.level.matrix.outerFor(left, width)
	clear(w.tile[:rows*width])
	w.outer = outerArgs{c: unsafe.Pointer(&w.tile), cStride: 4 * width, a: a, offsets: &j.offsets[0], count: j.p.K, b: b}
	kernel(&w.outer)
	j.store(w, y, rows, col, width)
	return rows
}

func (j *product) store(w *matrixWorker, y, rows, col, width int) {
	args := &w.finish
	args.y, args.yStride = at(j.c, y), 4*j.p.N
	args.t, args.tStride = unsafe.Pointer(&w.tile), 4*width
	args.add, args.res, args.rStride = unsafe.Pointer(&zeros), unsafe.Pointer(&zeros), 0
	if j.p.Accumulate {
		args.res, args.rStride = args.y, args.yStride
	}
	args.rows, args.cols = rows, min(width, j.p.N-col)
	j.s.level.matrix.finish(args)
}
