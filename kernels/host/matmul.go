package host

import "emdiff/kernels"

// product is the job behind MatMul. All B matrices are packed first; then a part is matmulRows rows of one product. For a
// transposed A the outer kernels read columns from a copy of a block.
type product struct {
	s           *Set
	c, a        []float32
	p           kernels.MatMul
	packed      []float32 // [batch or 1][panels of op(B)]
	packedSize  int       // floats per matrix
	packedPitch int       // packedSize, or 0 when one B serves the whole batch
	offsets     []int64
	blocks      int // parts per product
	copied      int // floats per row of a copy of the rows of a part, or 0: they are read in place
}

// matmulRows is the number of rows of C per part: a multiple of every tile's rows, and few, so that parts come out even
// (1024^3, two cores: 96 rows 0.77 of PeakFMA, 48 rows 0.86).
const matmulRows = 48

// transposedDepth is the number of rows of a transposed A that are copied and multiplied at a time: read in place, each
// would lie on a page of its own (1024^3, AVX-512, one core: 0.27 of PeakFMA, copied 0.59).
const transposedDepth = 256

// aliasedDepth divides the length of rows that meet in a few sets of the nearest cache: they are copied apart first (1024^3,
// two cores: 0.68 of PeakFMA, copied 0.86).
const aliasedDepth = 512

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

	j.copied = 0
	switch {
	case p.TransA:
		j.offsets = stepped(j.offsets, transposedDepth, matmulRows)
	case p.K%aliasedDepth == 0 && p.N > m.cols:
		j.copied = pitchOf(p.K)
		j.offsets = stepped(j.offsets, matmulRows, j.copied)
	default:
		j.offsets = stepped(j.offsets, matmulRows, p.K)
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
	packPanel(m, dst, &k.src, batch*k.pitch, panel*m.cols, m.width(j.p.N, panel))
}

func (j *product) part(worker, i int) {
	m, w, p := &j.s.level.matrix, &j.s.workers[worker], &j.p
	batch, first := i/j.blocks, i%j.blocks*matmulRows
	d := dense{
		y: j.c[batch*p.StrideC+first*p.N:], yStride: p.N, accumulate: p.Accumulate,
		offsets: j.offsets, rows: min(matmulRows, p.M-first), depth: p.K,
		b: j.packed[batch*j.packedPitch:], packedDepth: p.K, cols: p.N,
	}
	if !p.TransA {
		d.a = at(j.a, batch*p.StrideA+first*p.K)
		if j.copied != 0 {
			block := j.s.private[worker].floats(matmulRows * j.copied)
			for r := range d.rows {
				copy(block[r*j.copied:][:p.K], j.a[batch*p.StrideA+(first+r)*p.K:])
			}
			d.a = at(block, 0)
		}
		w.multiply(m, d)
		return
	}
	block := j.s.private[worker].floats(transposedDepth * matmulRows)
	d.a = at(block, 0)
	for k := 0; k < p.K; k += transposedDepth {
		d.first, d.depth = k, min(transposedDepth, p.K-k)
		for i := range d.depth {
			copy(block[i*matmulRows:], j.a[batch*p.StrideA+(k+i)*p.M+first:][:d.rows])
		}
		w.multiplyTransposed(m, d)
		d.accumulate = true
	}
}
