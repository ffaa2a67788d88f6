package host

import "unsafe"

// matrix is a strided view of numbers: element (k, j) of block t is data[block[t] + k*kStride + j*jStride].
type matrix struct {
	data             []float32
	depth, cols      int
	kStride, jStride int
	scale            float32
}

// packPanel writes columns [j0, j0+width) of the block of m that starts at base, as depth rows of width values; columns
// beyond m.cols become zero.
func packPanel(kernels *matrixKernels, dst []float32, m *matrix, base, j0, width int) {
	n := min(width, m.cols-j0)
	if n < width {
		clear(dst[:m.depth*width])
	}
	src := m.data[base+j0*m.jStride:]
	if m.jStride == 1 && m.scale == 1 && n == 32 { // too short for memmove
		for k := range m.depth {
			*(*[32]float32)(dst[k*32:]) = *(*[32]float32)(src[k*m.kStride:])
		}
		return
	}
	if m.jStride == 1 {
		for k := range m.depth {
			row := dst[k*width:][:n]
			copy(row, src[k*m.kStride:])
			if m.scale != 1 {
				for j := range row {
					row[j] *= m.scale
				}
			}
		}
		return
	}
	if m.kStride == 1 && m.scale == 1 && m.depth%8 == 0 {
		whole := n / 8 * 8
		for j := 0; j < whole; j += 8 {
			kernels.transpose8(at(dst, j), at(src, j*m.jStride), 4*width, 4*m.jStride, m.depth/8)
		}
		packColumns(dst, src, m, whole, n, width)
		return
	}
	packColumns(dst, src, m, 0, n, width)
}

// packColumns packs columns [from, to) one value at a time.
func packColumns(dst, src []float32, m *matrix, from, to, width int) {
	for j := from; j < to; j++ {
		at, d := j*m.jStride, j
		for range m.depth {
			dst[d] = src[at] * m.scale
			at += m.kStride
			d += width
		}
	}
}

// packAll writes every panel of a matrix of one block that starts at base.
func packAll(m *matrixKernels, dst []float32, src *matrix, base int) {
	for panel := range m.panels(src.cols) {
		packPanel(m, dst[panel*m.cols*src.depth:], src, base, panel*m.cols, m.width(src.cols, panel))
	}
}

// packJob packs a matrix whose depth is the concatenation of blocks (the taps of a convolution) into panels:
// dst[panel][block][k][width]. One part packs one block of one panel. For Winograd's algorithm the nine taps become 16
// blocks, and a part is packRows rows of all blocks of one panel.
type packJob struct {
	s        *Set
	src      matrix
	blocks   []int // first element of each block in src
	winograd bool
	dst      []float32
}

// packRows is the number of rows that are transformed at a time.
const packRows = 32

func (j *packJob) part(worker, i int) {
	parts, m := j.parts(), &j.s.level.matrix
	panel, part := i/parts, i%parts
	width := m.width(j.src.cols, panel)
	dst := j.dst[j.depth()*panel*m.cols:]
	if !j.winograd {
		packPanel(m, dst[part*j.src.depth*width:], &j.src, j.blocks[part], panel*m.cols, width)
		return
	}
	rows := j.src
	rows.depth = min(packRows, j.src.depth-part*packRows)
	n := rows.depth * width
	taps := j.s.private[worker].floats(len(j.blocks) * n)
	for b, block := range j.blocks {
		packPanel(m, taps[b*n:][:n], &rows, block+part*packRows*rows.kStride, panel*m.cols, width)
	}
	args := &j.s.workers[worker].weights
	args.g, args.gPitch, args.n = at(taps, 0), 4*n, 4*n
	args.u, args.uPitch = at(dst, part*packRows*width), 4*j.src.depth*width
	m.winograd.weights(args)
}

// parts is the number of parts of one panel, depth the number of its rows.
func (j *packJob) parts() int {
	if j.winograd {
		return (j.src.depth + packRows - 1) / packRows
	}
	return len(j.blocks)
}

func (j *packJob) depth() int {
	if j.winograd {
		return 16 * j.src.depth
	}
	return len(j.blocks) * j.src.depth
}

// run packs everything.
func (j *packJob) run() { j.s.pool.run(j.s.level.matrix.panels(j.src.cols)*j.parts(), j) }

// len is the number of floats that dst needs.
func (j *packJob) len() int { return j.s.level.matrix.packedLen(j.depth(), j.src.cols) }

// packCache keeps packed weights that are used again under the same version. Weights that change after every use, as those
// of a training step do, are packed in scratch: memory for a copy that nobody comes back to would be lost.
type packCache map[packKey]*packed

// packKey tells apart the ways in which one weight buffer is packed: for the forward pass, or for one class of pixels of
// the input gradient.
type packKey struct {
	weights                       unsafe.Pointer
	winograd                      bool
	kh, kw, cin, cout             int
	gradient                      bool
	stride, firstRow, firstColumn int // of the taps, for the gradient
}

// packed are the weights of one key as they were at a version; again says that the version was asked for more than once.
type packed struct {
	version uint64
	again   bool
	values  arena // empty until the first version that is asked for again
}

// lookup returns memory to keep n packed floats in, and whether it already holds the values of this version; or nil if they
// are not worth keeping.
func (c packCache) lookup(key packKey, version uint64, n int) (values []float32, valid bool) {
	e := c[key]
	if e == nil {
		e = &packed{}
		c[key] = e
	}
	again := e.version == version
	if !again && !e.again {
		e.values = arena{}
	}
	e.version, e.again = version, again
	held := len(e.values.mem) > 0
	if !again && !held {
		return nil, false
	}
	return e.values.floats(n), again && held
}

// forget drops what was packed from the n bytes at p.
func (c packCache) forget(p unsafe.Pointer, n int) {
	for key := range c {
		if uintptr(key.weights) >= uintptr(p) && uintptr(key.weights) < uintptr(p)+uintptr(n) {
			delete(c, key)
		}
	}
}
