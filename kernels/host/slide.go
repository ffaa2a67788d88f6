package host

import "unsafe"

// window is a window that slides over images: at output pixel (i, j) of image n its tap (a, b) sees
//
//	x[n, i*step+a-padTop, j*step+b-padLeft, :]
//
// with zeros outside x. Work on it is cut into blocks of output pixels: several whole images or some rows of one. A
// worker copies what a block needs of x, padding included, to its scratch (unless there is no padding); then every tap is
// a constant step from the last one for every pixel, and the data is in the nearest cache while panels of weights pass.
type window struct {
	x               []float32
	n, h, w, depth  int
	xPix            int // floats per pixel of x
	padTop, padLeft int // may be negative: rows and columns of x left out
	kh, kw, step    int
	outH, outW      int

	// Set by cut, the same for every block.
	direct         bool    // no padding: windows are read from x itself
	images, rows   int     // of one block: rows is outH or images is 1
	strips         int     // blocks per group of images
	blockH, blockW int     // rows and columns of x per image of the block
	offsets        []int64 // bytes from the block's data to the first tap of each of its pixels
	steps          []int64 // bytes from each tap to the next
	taps, tapDepth int     // the taps of one row lie side by side in a copy of x: they then count as one deep tap
}

// cut chooses the blocks, prepares the tables and returns the number of blocks. It looks at shapes only.
func (v *window) cut(c cutting) int {
	v.direct = v.padTop == 0 && v.padLeft == 0 && (v.outH-1)*v.step+v.kh <= v.h && (v.outW-1)*v.step+v.kw <= v.w
	v.images, v.rows = c.choose(v.n, v.outH, v.outW)
	v.strips = (v.outH + v.rows - 1) / v.rows
	v.blockH = (v.rows-1)*v.step + v.kh
	v.blockW = (v.outW-1)*v.step + v.kw

	pix, row, image := v.depth, v.blockW*v.depth, v.blockH*v.blockW*v.depth
	if v.direct {
		pix, row, image = v.xPix, v.w*v.xPix, v.h*v.w*v.xPix
	}
	v.offsets = v.offsets[:0]
	for i := range v.images {
		for r := range v.rows {
			for c := range v.outW {
				v.offsets = append(v.offsets, 4*int64(i*image+(r*row+c*pix)*v.step))
			}
		}
	}
	across := v.kw
	v.tapDepth = v.depth
	if pix == v.depth {
		across, v.tapDepth = 1, v.kw*v.depth
	}
	v.taps = v.kh * across
	v.steps = v.steps[:0]
	for range v.kh {
		for range across - 1 {
			v.steps = append(v.steps, 4*int64(pix))
		}
		v.steps = append(v.steps, 4*int64(row-(across-1)*pix))
	}
	return (v.n + v.images - 1) / v.images * v.strips
}

// k is the number of products per result.
func (v *window) k() int { return v.kh * v.kw * v.depth }

// block returns the data of block i (its first tap at offset 0), and the pixels that it covers.
func (v *window) block(scratch *arena, i int) (data unsafe.Pointer, p pixels) {
	p.image0, p.row0 = i/v.strips*v.images, i%v.strips*v.rows
	images, rows := min(v.images, v.n-p.image0), min(v.rows, v.outH-p.row0)
	p.n = images * rows * v.outW
	if v.direct {
		return at(v.x, (p.image0*v.h+p.row0*v.step)*v.w*v.xPix), p
	}
	size := v.blockH * v.blockW * v.depth
	dst := scratch.floats(v.images * size)
	for n := range images {
		v.gather(dst[n*size:], p.image0+n, p.row0, rows)
	}
	return at(dst, 0), p
}

// pixels is a run of n output pixels that starts at a row of an image.
type pixels struct{ image0, row0, n int }

// gather copies the rows of x under the windows of output rows [row0, row0+rows) of one image, with zeros around them.
func (v *window) gather(dst []float32, image, row0, rows int) {
	left := max(0, min(v.padLeft, v.blockW)) // columns of zeros
	first := max(0, -v.padLeft)              // first column of x
	n := max(0, min(v.blockW-left, v.w-first))
	for r := range (rows-1)*v.step + v.kh {
		line := dst[r*v.blockW*v.depth:][:v.blockW*v.depth]
		y := row0*v.step + r - v.padTop
		if y < 0 || y >= v.h || n == 0 {
			clear(line)
			continue
		}
		clear(line[:left*v.depth])
		src := v.x[((image*v.h+y)*v.w+first)*v.xPix:]
		if v.xPix == v.depth {
			copy(line[left*v.depth:], src[:n*v.depth])
		} else {
			for c := range n {
				copy(line[(left+c)*v.depth:], src[c*v.xPix:][:v.depth])
			}
		}
		clear(line[(left+n)*v.depth:])
	}
}

// slide is the job behind convolutions, their input gradients and linear layers: the window times packed weights,
//
//	y[n,i,j,o] = bias[o] + sum over taps and channels of window * w[a,b,c][o]  (+ imageBias[n][o] + residual)
type slide struct {
	window
	s                  *Set
	y                  []float32
	cols               int
	yImage, yRow, yPix int // floats from one image, row and pixel of y to the next
	weights            []float32
	bias               []float32 // padded to the panels
	imageBias          []float32 // [images][cols], or nil
	pixelsPerImage     int       // for imageBias
	residual           []float32 // or nil
	residualPix        int       // floats per pixel of residual; 0: it lies as y does
	silu               bool
}

// run computes y. All other fields are set.
func (j *slide) run() {
	if j.byWinograd() {
		j.s.winograd.run(j)
		return
	}
	j.flatten()
	j.s.pool.run(j.cut(j.s.level.matrix.products(blockPixels, passOfWeights)), j)
}

func (j *slide) byWinograd() bool { return winogradFits(j.kh, j.kw, j.step, j.depth, j.cols) }

func (j *slide) part(worker, i int) {
	data, p := j.block(&j.s.private[worker], i)
	m := &j.s.level.matrix
	w := &j.s.workers[worker]
	args := &w.panel
	args.a, args.steps, args.taps, args.negDepth = data, &j.steps[0], j.taps, -4*j.tapDepth
	plain := j.contiguous() && j.imageBias == nil && j.residual == nil
	for panel := range m.panels(j.cols) {
		width := m.width(j.cols, panel)
		col := panel * m.cols
		args.w = at(j.weights, j.k()*col)
		args.bias = at(j.bias, col)
		for q := 0; q < p.n; {
			kernel, rows := w.panelTile(m, j.offsets, q, p.n-q, width)
			if plain && col+width <= j.cols && rows == m.panelRows[0] {
				args.c, args.cStride = at(j.y, j.at(p, q)+col), 4*j.yPix
				kernel(args)
			} else {
				args.c, args.cStride = unsafe.Pointer(&w.tile), 4*width
				kernel(args)
				j.finish(w, p, q, rows, col, width)
			}
			q += rows
		}
	}
	if j.silu {
		for q := range p.n {
			y := j.y[j.at(p, q):][:j.cols]
			j.s.level.vector.silu(y, y)
		}
	}
}

// contiguous reports whether the pixels of y follow each other at yPix.
func (j *slide) contiguous() bool {
	return (j.outH == 1 || j.yRow == j.outW*j.yPix) && (j.n == 1 || j.yImage == j.outH*j.outW*j.yPix)
}

// at is the place in y of pixel q of p.
func (j *slide) at(p pixels, q int) int {
	image, rest := q/(j.rows*j.outW), q%(j.rows*j.outW)
	return (p.image0+image)*j.yImage + (p.row0+rest/j.outW)*j.yRow + rest%j.outW*j.yPix
}

// finish stores a tile with its per-image bias and residual, in runs of pixels that share an image and lie evenly in y.
func (j *slide) finish(w *matrixWorker, p pixels, q, rows, col, width int) {
	args := &w.finish
	args.cols = min(width, j.cols-col)
	args.tStride = 4 * width
	args.yStride = 4 * j.yPix
	for done := 0; done < rows; {
		pixel := (p.image0*j.outH+p.row0)*j.outW + q + done
		run := rows - done
		if !j.contiguous() {
			run = min(run, j.outW-(q+done)%j.outW)
		}
		args.add = unsafe.Pointer(&zeros)
		if j.imageBias != nil {
			image := pixel / j.pixelsPerImage
			run = min(run, (image+1)*j.pixelsPerImage-pixel)
			args.add = at(j.imageBias, image*j.cols+col)
		}
		y := j.at(p, q+done) + col
		args.y = at(j.y, y)
		args.res, args.rStride = unsafe.Pointer(&zeros), 0
		if j.residualPix != 0 {
			args.res, args.rStride = at(j.residual, pixel*j.residualPix+col), 4*j.residualPix
		} else if j.residual != nil {
			args.res, args.rStride = at(j.residual, y), 4*j.yPix
		}
		args.t = unsafe.Pointer(&w.tile[done*width])
		args.rows = run
		j.s.level.matrix.finish(args)
		done += run
	}
}
