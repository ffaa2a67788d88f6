package host

// winogradGrad is the job behind the weight gradients of the convolutions that winograd computes: with V the transformed
// tiles of x and M = A dy A^T those of dy, the sum over all tiles of the outer products of V and M is the gradient of the
// transformed weights, element by element; winogradSum takes it back to dw.
//
// A part is some blocks of tiles and some channels of x, and adds up in memory of its own.
type winogradGrad struct {
	window       // of the tiles, channels deep
	s            *Set
	dy           plane
	depth0, cols int // channels of x and dy
	chunks       int // of channels of x
	blocks       int
	splits       int // of the blocks
	pitch        int
	offsets      []int64
	partial      []float32 // [split][panel][element][k][width]
}

// chunkChannels is the most channels of x that a part takes: so many tiles of them fit in the second-level cache that
// adding to the gradient in memory hides behind the products. A split has splitTiles tiles, so that storing its gradient
// and adding it up does, too; but there are leastGradParts parts. Where tiles are too few for splits, chunks make the parts,
// down to fewestChannels: then there is less to add up.
const (
	chunkChannels  = 128
	fewestChannels = 64
	splitTiles     = 1024
	leastGradParts = 4
)

// chunksOf is the number of equal chunks of whole vectors that depth is cut into, for so many tiles.
func chunksOf(depth, tiles int) int {
	most := chunkChannels
	if tiles < 2*splitTiles {
		most = min(most, max(fewestChannels, depth/leastGradParts))
	}
	for n := (depth + most - 1) / most; ; n++ {
		if depth%(16*n) == 0 {
			return n
		}
	}
}

// run computes dw for the window of a weightGrad.
func (j *winogradGrad) run(g *weightGrad, dw []float32, accumulate bool) {
	j.s, j.depth0, j.cols = g.s, g.depth, g.cols
	j.dy = plane{g.dy, g.outH, g.outW, g.outH * g.outW * g.dyPix, g.outW * g.dyPix, g.dyPix}
	j.window = g.window.tiled(j.window)
	tiles := j.n * j.outH * j.outW
	j.chunks = chunksOf(g.depth, tiles)
	j.depth = g.depth / j.chunks
	j.pitch = pitchOf(j.depth)
	j.blocks = j.cut(sums(blockTiles(j.pitch)))
	j.offsets = stepped(j.offsets, len(j.window.offsets), j.pitch)
	size := 16 * j.s.level.matrix.packedLen(j.depth0, j.cols)
	wanted := max(tiles/splitTiles, (leastGradParts+j.chunks-1)/j.chunks)
	j.splits = max(1, min(j.blocks, wanted, splitFloats/size))
	j.partial = j.s.shared.floats(j.splits * size)
	j.s.pool.run(j.splits*j.chunks, j)

	sum := &j.s.winogradSum
	*sum = winogradSum{s: j.s, dw: dw, partial: j.partial, depth: j.depth0, cols: j.cols, splits: j.splits, accumulate: accumulate}
	j.s.pool.run(j.s.level.matrix.panels(j.cols)*sum.perPanel(), sum)
	j.x, j.dy.x, j.partial, sum.dw, sum.partial = nil, nil, nil, nil, nil
}

func (j *winogradGrad) part(worker, i int) {
	m, w := &j.s.level.matrix, &j.s.workers[worker]
	split, first := i/j.chunks, i%j.chunks*j.depth
	du := j.partial[split*16*m.packedLen(j.depth0, j.cols):]
	tiles := j.window
	tiles.x = j.x[first:]
	start := j.blocks * split / j.splits
	for b := start; b < j.blocks*(split+1)/j.splits; b++ {
		data, p := tiles.block(&j.s.private[worker], b)
		w.locate(&tiles, p, j.dy, plane{}, at(w.nothing.floats(j.cols), 0), nil, j.cols)
		xi, xiGrad := matrixPitch(p.n, j.pitch), matrixPitch(p.n, m.cols)
		scratch := w.packed.floats(16 * (xi + xiGrad))
		v, grad := scratch[:16*xi], scratch[16*xi:]
		w.transform(m, &tiles, data, p.n, v, j.pitch, xi)
		for panel := range m.panels(j.cols) {
			width := m.width(j.cols, panel)
			args := &w.output
			args.m, args.tilePitch, args.xiPitch = at(grad, 0), 4*width, 4*xiGrad
			args.tiles, args.count = &w.tiles[0], p.n
			args.col, args.n = 4*panel*m.cols, 4*width
			m.winograd.outputGrad(args)
			for e := range 16 {
				w.addOuter(m, du[(16*panel*m.cols+e*width)*j.depth0+first*width:], v[e*xi:], grad[e*xiGrad:], j.offsets[:p.n], j.depth, width, b > start)
			}
		}
	}
}

// addOuter adds the sum of outer products of rows of a and b to c, depth rows of width columns, or overwrites it.
func (w *matrixWorker) addOuter(m *matrixKernels, c, a, b []float32, offsets []int64, depth, width int, add bool) {
	args := &w.outer
	args.offsets, args.b, args.count = &offsets[0], at(b, 0), len(offsets)
	for r := 0; r < depth; {
		kernel, rows := m.outerFor(depth-r, width)
		args.a = at(a, r)
		args.into(at(c, r*width), 4*width, add)
		kernel(args)
		r += rows
	}
}

// winogradSum adds the partial sums of all splits in order and transforms them: a part is some rows of one panel.
type winogradSum struct {
	s           *Set
	dw          []float32
	partial     []float32
	depth, cols int
	splits      int
	accumulate  bool
}

// winogradSumRows is the number of channels of x per part.
const winogradSumRows = 16

func (j *winogradSum) perPanel() int { return j.depth / winogradSumRows }

func (j *winogradSum) part(worker, i int) {
	m, add := &j.s.level.matrix, j.s.level.vector.add
	panel, first := i/j.perPanel(), i%j.perPanel()*winogradSumRows
	width, col := m.width(j.cols, panel), panel*m.cols
	n := winogradSumRows * width
	for e := range 16 {
		from := (16*col+e*width)*j.depth + first*width
		sum := j.partial[from:][:n]
		for split := 1; split < j.splits; split++ {
			add(sum, sum, j.partial[split*16*m.packedLen(j.depth, j.cols)+from:][:n])
		}
	}
	taps := j.s.private[worker].floats(9 * n)
	args := &j.s.workers[worker].weights
	args.g, args.gPitch, args.n = at(taps, 0), 4*n, 4*n
	args.u, args.uPitch = at(j.partial, 16*col*j.depth+first*width), 4*j.depth*width
	m.winograd.weightsGrad(args)
	for tap := range 9 {
		for r := range winogradSumRows {
			dw, g := j.dw[(tap*j.depth+first+r)*j.cols+col:][:width], taps[tap*n+r*width:][:width]
			if j.accumulate {
				add(dw, dw, g)
			} else {
				copy(dw, g)
			}
		}
	}
}
