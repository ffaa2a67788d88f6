package host

import "unsafe"

// matrixKernels are the micro-kernels of the matrix core at one level. A tile has up to rows x cols results; cols is the
// width of a panel of packed weights, and a last panel of at most cols/2 columns is packed and computed at half width.
// Every result is one chain of multiply-adds whose order does not depend on the tile it lies in, so the kernels for few
// rows and for half width give the same bits as the full one.
type matrixKernels struct {
	cols int

	// panel computes, for every row r of the tile and every column j of the panel,
	//	c[r][j] = bias[j] + sum over taps t and k < depth of a[offset[r] + tap[t] + k] * w[t*depth+k][j]
	// with panelRows rows, at full and at half width.
	panel     [3][2]func(*panelArgs)
	panelRows [3]int

	// outer computes c[r][j] = from[r][j] + sum over p < count of a[offset[p] + r] * b[p][j] with outerRows rows.
	outer     [4][2]func(*outerArgs)
	outerRows [4]int

	// peak runs n turns of peakFLOPs multiply-adds on registers; see PeakFMA.
	peak      func(n int)
	peakFLOPs int

	// finish computes y[r][j] = t[r][j] + add[j] + res[r][j].
	finish func(*finishArgs)

	winograd winogradKernels

	// transpose8 transposes eight rows of 8 blocks values: dst[k][j] = src[j][k]. Pitches are in bytes.
	transpose8 func(dst, src unsafe.Pointer, dstPitch, srcPitch, blocks int)
}

// panelArgs are the arguments of a panel kernel; strides, offsets and steps are in bytes.
type panelArgs struct {
	c        unsafe.Pointer
	cStride  int // from one row of c to the next
	a        unsafe.Pointer
	offsets  *int64 // of each row's first tap from a
	steps    *int64 // from each tap to the next
	taps     int
	negDepth int            // -4*depth
	w        unsafe.Pointer // packed panel
	bias     unsafe.Pointer // one value per column of the panel
}

// outerArgs are the arguments of an outer kernel; strides and offsets are in bytes.
type outerArgs struct {
	c          unsafe.Pointer
	cStride    int
	from       unsafe.Pointer // c, or zeros of no stride
	fromStride int
	a          unsafe.Pointer
	offsets    *int64 // of each product's first row from a
	count      int
	b          unsafe.Pointer // packed panel, one row per product
}

// into makes rows of c the destination, which the kernel adds to or overwrites.
func (a *outerArgs) into(c unsafe.Pointer, stride int, add bool) {
	a.c, a.cStride, a.from, a.fromStride = c, stride, c, stride
	if !add {
		a.from, a.fromStride = unsafe.Pointer(&zeros), 0
	}
}

// finishArgs are the arguments of finish; strides are in bytes. y may be res.
type finishArgs struct {
	y       unsafe.Pointer
	yStride int
	t       unsafe.Pointer
	tStride int
	add     unsafe.Pointer
	res     unsafe.Pointer
	rStride int
	rows    int
	cols    int
}

// matrixWorker is what one worker of the matrix core keeps: arguments live here because the kernels are called through
// function values, which would move them to the heap at every call.
type matrixWorker struct {
	panel   panelArgs
	outer   outerArgs
	finish  finishArgs
	tile    [maxTile]float32
	offsets [maxRows]int64
	packed  arena // what a part makes of its operands: a panel of dy, transformed tiles

	// Of Winograd's algorithm: where the tiles of a block lie, and rows of y that nobody reads and of zeros.
	input         winogradInputArgs
	output        winogradOutputArgs
	weights       winogradWeightArgs
	tiles         []winogradTile
	junk, nothing arena
	_             [64]byte
}

// A tile of any level has at most maxRows rows and maxTile results.
const (
	maxRows = 12
	maxTile = maxRows * 32
)

// zeros stands for an absent row of biases or residuals.
var zeros [32]float32

// panels is the number of panels that n columns need.
func (m *matrixKernels) panels(n int) int { return (n + m.cols - 1) / m.cols }

// width is the number of columns at which panel j of n columns is packed and computed.
func (m *matrixKernels) width(n, j int) int {
	if n-j*m.cols <= m.cols/2 {
		return m.cols / 2
	}
	return m.cols
}

// packedLen is the number of floats of n columns of the given depth when packed.
func (m *matrixKernels) packedLen(depth, n int) int {
	return depth * m.paddedCols(n)
}

// paddedCols is the sum of the widths of all panels of n columns.
func (m *matrixKernels) paddedCols(n int) int {
	last := m.panels(n) - 1
	return last*m.cols + m.width(n, last)
}

// panelTile sets the kernel's row offsets for the rows from q on, of which left are left, and returns the kernel and how
// many of its rows count. A tile that is not full computes its last row several times.
func (w *matrixWorker) panelTile(m *matrixKernels, offsets []int64, q, left, width int) (kernel func(*panelArgs), rows int) {
	v := 0
	for v+1 < len(m.panel) && left <= m.panelRows[v+1] {
		v++
	}
	w.panel.offsets = &offsets[q]
	if left < m.panelRows[v] {
		for r := range m.panelRows[v] {
			w.offsets[r] = offsets[q+min(r, left-1)]
		}
		w.panel.offsets = &w.offsets[0]
	}
	return m.panel[v][m.half(width)], min(left, m.panelRows[v])
}

// outerFor returns the kernel for the largest tile that fits left rows, and its rows.
func (m *matrixKernels) outerFor(left, width int) (kernel func(*outerArgs), rows int) {
	v := 0
	for left < m.outerRows[v] {
		v++
	}
	return m.outer[v][m.half(width)], m.outerRows[v]
}

func (m *matrixKernels) half(width int) int {
	if width < m.cols {
		return 1
	}
	return 0
}

// at returns the address of element i.
func at(s []float32, i int) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(s)), 4*i)
}

// matrixJobs holds the reusable jobs and tables of the matrix core.
type matrixJobs struct {
	workers      []matrixWorker
	pack         packJob
	packs        packCache
	slide        slide
	winograd     winograd
	weightGrad   weightGrad
	winogradGrad winogradGrad
	winogradSum  winogradSum
	splitSum     splitSum

	product      product
	packProducts packProducts

	packHeads  packHeads
	attend     attend
	attendBack attendBack
}

func (s *Set) startMatrix(threads int) {
	s.workers = make([]matrixWorker, threads)
	s.pack.s = s
	s.packs = packCache{}
	s.slide.s, s.weightGrad.s, s.product.s = s, s, s
	s.packProducts.product = &s.product
	s.packHeads.s, s.attend.s, s.attendBack.s = s, s, s
}
