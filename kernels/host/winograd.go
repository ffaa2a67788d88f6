package host

import "unsafe"

// winograd is the job behind 3x3 convolutions of stride 1 and their input gradients when there are enough channels: the
// products of slide in 4/9 of the multiplications. Its window has the 4x4 pixels of a tile, two pixels from the next; a
// block of tiles is transformed into scratch, multiplied panel by panel and transformed back into y.
type winograd struct {
	window
	out *slide
	// pass is the number of rows of tiles that are multiplied with all 16 matrices of a panel before they are transformed
	// back: one while a panel stays in the second-level cache beside them, all when it does not.
	pass    int
	groups  int     // parts of a block, each some of the panels
	pitch   int     // floats from one transformed tile to the next
	offsets []int64 // bytes from the first transformed tile to each
}

// winogradDepth is the least number of channels for which the transforms pay.
const winogradDepth = 32

// Blocks of tiles fill winogradFloats floats of transformed pixels, half of a second-level cache of 1 MiB, but never fewer
// than leastTiles tiles, so that the weights are used often enough.
const (
	winogradFloats = 1 << 17
	leastTiles     = 48
)

// blockTiles is the most tiles of a block, at so many floats from one transformed tile to the next.
func blockTiles(pitch int) int { return max(leastTiles, winogradFloats/(16*pitch)) }

// Transformed weights of more than largeWeights floats leave the second-level cache: blocks are then not cut finer for the
// sake of more parts, which would read all weights, but the panels are dealt out, until there are about leastParts.
const (
	largeWeights = 1 << 18
	leastParts   = 8
)

// panelLimit is the size of a panel of transformed weights, in floats, that stays in the second-level cache.
const panelLimit = 1 << 16

// winogradFits reports whether a convolution is computed by Winograd's algorithm. It looks at the shape of one image only.
func winogradFits(kh, kw, step, depth, cols int) bool {
	return kh == 3 && kw == 3 && step == 1 && depth >= winogradDepth && depth%16 == 0 && cols >= winogradDepth && cols%16 == 0
}

// tiled returns the window of the tiles of v.
func (v *window) tiled(tables window) window {
	t := *v
	t.offsets, t.steps = tables.offsets, tables.steps
	t.kh, t.kw, t.step = 4, 4, 2
	t.outH, t.outW = (v.outH+1)/2, (v.outW+1)/2
	return t
}

// pitchOf is the distance of transformed tiles: their channels, and what keeps powers of two from meeting in the cache.
func pitchOf(depth int) int { return depth + 16 }

// matrixPitch is the distance of the 16 transformed elements of n tiles: an odd number of cache lines.
func matrixPitch(n, pitch int) int { return (n*pitch/16 | 1) * 16 }

// run computes what out describes.
func (j *winograd) run(out *slide) {
	j.out = out
	j.window = out.window.tiled(j.window)
	j.pitch = pitchOf(j.depth)
	m := &out.s.level.matrix
	panels := m.panels(out.cols)
	large := 16*j.depth*out.cols > largeWeights
	cutting := m.products(blockTiles(j.pitch), passOfTiles)
	if large {
		cutting.besides, cutting.threads = passOfWeights, 1
	}
	blocks := j.cut(cutting)
	j.groups = 1
	if large {
		j.groups = min((panels+1)/2, (leastParts+blocks-1)/blocks)
	}
	j.pass = len(j.window.offsets)
	if 16*j.depth*m.cols <= panelLimit {
		j.pass = m.panelRows[0]
	}
	j.offsets = stepped(j.offsets, len(j.window.offsets), j.pitch)
	out.s.pool.run(blocks*j.groups, j)
	j.out, j.x = nil, nil
}

func (j *winograd) part(worker, i int) {
	o := j.out
	s := o.s
	m, w := &s.level.matrix, &s.workers[worker]
	data, p := j.block(&s.private[worker], i/j.groups)
	y, res := o.planes()
	w.locate(&j.window, p, y, res, at(w.junk.floats(o.cols), 0), o.imageBias, o.cols)

	// M needs whole tiles of rows, one per element and pass.
	rows := (min(j.pass, p.n) + m.panelRows[0] - 1) / m.panelRows[0] * m.panelRows[0]
	xi := matrixPitch(p.n, j.pitch)
	scratch := w.packed.floats(16 * (xi + rows*m.cols))
	v, products := scratch[:16*xi], scratch[16*xi:]
	w.transform(m, &j.window, data, p.n, v, j.pitch, xi)

	args, back := &w.panel, &w.output
	args.steps, args.taps, args.negDepth, args.bias = &noSteps[0], 1, -4*j.depth, unsafe.Pointer(&zeros)
	firstPanel, lastPanel := j.panelsOf(i % j.groups)
	for panel := firstPanel; panel < lastPanel; panel++ {
		width := m.width(o.cols, panel)
		u := 16 * j.depth * panel * m.cols
		args.cStride = 4 * width
		for first := 0; first < p.n; first += j.pass {
			end := min(first+j.pass, p.n)
			for e := range 16 {
				args.a = at(v, e*xi)
				args.w = at(o.weights, u+e*j.depth*width)
				for q := first; q < end; {
					kernel, n := w.panelTile(m, j.offsets, q, end-q, width)
					args.c = at(products, (e*rows+q-first)*width)
					kernel(args)
					q += n
				}
			}
			back.m, back.tilePitch, back.xiPitch = at(products, 0), 4*width, 4*rows*width
			back.tiles, back.count = &w.tiles[first], end-first
			back.col, back.n = 4*panel*m.cols, 4*width
			back.bias = at(o.bias, 0)
			m.winograd.output(back)
		}
	}
	if o.silu {
		o.activate(&j.window, p, firstPanel*m.cols, min(lastPanel*m.cols, o.cols))
	}
}

// panelsOf are the panels of a group.
func (j *winograd) panelsOf(group int) (first, last int) {
	panels := j.out.s.level.matrix.panels(j.out.cols)
	return panels * group / j.groups, panels * (group + 1) / j.groups
}

// activate applies SiLU to columns [first, last) of the pixels of a block of tiles.
func (j *slide) activate(t *window, p pixels, first, last int) {
	for q := 0; q < p.n; q += t.outW {
		image, row := t.rowOf(p, q)
		for r := 2 * row; r < min(2*row+2, j.outH); r++ {
			for c := range j.outW {
				y := j.y[image*j.yImage+r*j.yRow+c*j.yPix:][first:last]
				j.s.level.vector.silu(y, y)
			}
		}
	}
}

// transform computes V of n tiles.
func (w *matrixWorker) transform(m *matrixKernels, t *window, data unsafe.Pointer, n int, v []float32, pitch, xi int) {
	args := &w.input
	args.src, args.row, args.pix = data, 4*t.blockW*t.depth, 4*t.depth
	if t.direct {
		args.row, args.pix = 4*t.w*t.xPix, 4*t.xPix
	}
	args.offsets, args.tiles = &t.offsets[0], n
	args.dst, args.tilePitch, args.xiPitch, args.n = at(v, 0), 4*pitch, 4*xi, 4*t.depth
	m.winograd.input(args)
}

// rowOf is the image and the row of pixel q of p, the first of its row.
func (v *window) rowOf(p pixels, q int) (image, row int) {
	return p.image0 + q/(v.rows*v.outW), p.row0 + q/v.outW%v.rows
}

// planes are y and the residual, if there is one.
func (j *slide) planes() (y, res plane) {
	y = plane{j.y, j.outH, j.outW, j.yImage, j.yRow, j.yPix}
	if res = y; j.residualPix != 0 {
		res.image, res.row, res.pix = j.outH*j.outW*j.residualPix, j.outW*j.residualPix, j.residualPix
	}
	res.x = j.residual
	return y, res
}

// plane is an array of images of h x w pixels; image, row and pix are the floats from one to the next.
type plane struct {
	x               []float32
	h, w            int
	image, row, pix int
}

// locate fills the worker's tiles for a block: where their pixels lie in y and res (if there is one), or beyond it, and the
// image's row of add (if there is one).
func (w *matrixWorker) locate(t *window, p pixels, y, res plane, beyond unsafe.Pointer, add []float32, cols int) {
	if cap(w.tiles) < p.n {
		w.tiles = make([]winogradTile, p.n)
	}
	w.tiles = w.tiles[:p.n]
	nothing := at(w.nothing.floats(cols), 0)
	for q := 0; q < p.n; {
		image, row := t.rowOf(p, q)
		at00 := at(y.x, image*y.image+2*row*y.row)
		res00, resRow, resPix := nothing, 0, 0
		if res.x != nil {
			res00, resRow, resPix = at(res.x, image*res.image+2*row*res.row), 4*res.row, 4*res.pix
		}
		imageAdd := nothing
		if add != nil {
			imageAdd = at(add, image*cols)
		}
		below := 2*row+1 < y.h
		for c := 0; c < y.w; c += 2 {
			tile := &w.tiles[q]
			tile.y = [4]unsafe.Pointer{at00, beyond, beyond, beyond}
			tile.res = [4]unsafe.Pointer{res00, nothing, nothing, nothing}
			tile.add = imageAdd
			right := c+1 < y.w
			if right {
				tile.y[1], tile.res[1] = unsafe.Add(at00, 4*y.pix), unsafe.Add(res00, resPix)
			}
			if below {
				tile.y[2], tile.res[2] = unsafe.Add(at00, 4*y.row), unsafe.Add(res00, resRow)
			}
			if right && below {
				tile.y[3], tile.res[3] = unsafe.Add(at00, 4*(y.row+y.pix)), unsafe.Add(res00, resRow+resPix)
			}
			if c+2 < y.w {
				at00, res00 = unsafe.Add(at00, 8*y.pix), unsafe.Add(res00, 2*resPix)
			}
			q++
		}
	}
}
