package cuda

import "emdiff/kernels"

// product is the shape of a matrix product as the choice of a kernel sees it.
type product struct {
	rows, columns int  // of the result
	x, y          bool // 128-bit accesses to x and y are possible: channels and strides are multiples of four
	weights       bool // the rows are weights, not pixels
	precision     kernels.Precision
	shape         Shape // for the table of the options
}

// size is a number of rows and of columns.
type size struct{ rows, columns int }

// variant is a rung of the product ladder and when to take it.
type variant struct {
	name          string
	tile, pieces  size // of a block, and of the least that the rest of the product is cut into: see blocks. No tile: one result per thread
	depth         int  // terms of a sum per step
	shared        int  // bytes of dynamic shared memory
	x, y          bool // needs 128-bit accesses to x, to y
	rows, columns int  // taken from this size on
	most          int  // and up to this many rows of pixels; 0: any
}

// Shared memory of multiply_async in tensor.cuh: the slots of three stages, and the bytes of a row of a tile at most.
const asyncSlots, asyncPitch = 3 * 4 * 16 * threads, 4 * (128 + 8)

// never is a size that keeps a rung for those who ask for it.
const never = 1 << 62

// productVariants is the table of convolution and linear layers: the first that fits is taken, unless a Table of the options says
// otherwise for the shape. The rungs of a precision add in the same order, so the choice changes no bit of a result; but for tensor3,
// which is therefore never taken unasked: rows depends on the number of images, a Table does not.
var productVariants = map[kernels.Precision][]variant{
	kernels.PrecisionF32: {
		{name: "tile128", tile: size{128, 128}, pieces: size{32, 32}, depth: 8, x: true, y: true, rows: 2048, columns: 96},
		{name: "tile32", tile: size{32, 32}, pieces: size{8, 32}, depth: 32, x: true, y: true, most: 64},
		{name: "tile64", tile: size{64, 64}, pieces: size{32, 32}, depth: 16, x: true, y: true},
		{name: "x64", tile: size{64, 64}, pieces: size{32, 32}, depth: 16, x: true},
		{name: "y64", tile: size{64, 64}, pieces: size{32, 32}, depth: 16, y: true},
		{name: "any64", tile: size{64, 64}, pieces: size{32, 32}, depth: 16},
		{name: "naive", rows: never},
		{name: "tensor3", tile: size{128, 128}, pieces: size{128, 128}, depth: 16, shared: asyncSlots + 2*2*2*16*asyncPitch, x: true, y: true, rows: never},
	},
	kernels.PrecisionTF32: {
		{name: "tensorfew", tile: size{128, 128}, pieces: size{128, 128}, depth: 16, shared: asyncSlots + 2*2*16*asyncPitch, x: true, y: true, most: 64},
		{name: "tensor", tile: size{128, 128}, pieces: size{128, 128}, depth: 16, shared: asyncSlots + 2*2*16*asyncPitch, x: true, y: true},
		{name: "anytensor", tile: size{128, 128}, pieces: size{128, 128}, depth: 16},
	},
	kernels.PrecisionBF16: {
		{name: "tensorfew", tile: size{128, 128}, pieces: size{128, 128}, depth: 16, shared: asyncSlots + 2*2*8*asyncPitch, x: true, y: true, most: 64},
		{name: "tensor", tile: size{128, 128}, pieces: size{128, 128}, depth: 16, shared: asyncSlots + 2*2*8*asyncPitch, x: true, y: true},
		{name: "anytensor", tile: size{128, 128}, pieces: size{128, 128}, depth: 16},
	},
}

// fits reports whether a rung can compute a product on this device.
func (s *set) fits(v variant, p product) bool {
	return (p.x || !v.x) && (p.y || !v.y) && v.shared <= s.driver.Properties().MaxSharedOptIn
}

// suits reports whether a rung is meant for a product of this size.
func (v variant) suits(p product) bool {
	return p.rows >= v.rows && p.columns >= v.columns && (v.most == 0 || p.rows <= v.most && !p.weights)
}

// chosen is the rung that a product takes: the one of the options or of their table where the layout in memory allows it, else the
// first that fits.
func (s *set) chosen(p product) variant {
	wanted := s.rungOf(p)
	var chosen *variant
	table := productVariants[p.precision]
	for i, v := range table {
		if !s.fits(v, p) {
			continue
		}
		if v.name == wanted || chosen == nil && v.suits(p) {
			chosen = &table[i]
		}
	}
	return *chosen // the last row of a table that is not kept back fits every shape
}

// chooseProduct is chosen under the end of the kernel's name: type and variant.
func (s *set) chooseProduct(p product) variant {
	v := s.chosen(p)
	v.name = p.precision.String() + "_" + v.name
	return v
}

// grid is the launch of `parts` products of at most the given rows and columns.
func (v variant) grid(rows, columns, parts int) grid {
	if v.tile.rows == 0 {
		g := flat(rows * columns)
		g.z = parts
		return g
	}
	return grid{x: blocks(rows, v.tile.rows, v.pieces.rows), y: blocks(columns, v.tile.columns, v.pieces.columns), z: parts, shared: v.shared}
}

// blocks is how many tiles cover n rows or columns: whole ones, and for what they leave, rounded up to pieces, one of half or a quarter
// of a tile, or both. See span in gemm.cuh.
func blocks(n, tile, pieces int) int {
	whole := ceil(n, pieces) * pieces
	count := ceil(whole, tile)
	if rest := whole % tile; rest > tile/2 {
		count++
	}
	return count
}

// vec4 is the end of the name of an op's kernel with 128-bit accesses where they are possible, "_vec4" or "_naive", and the number of
// values a thread handles.
func (s *set) vec4(possible bool) (suffix string, perThread int) { return s.rung(possible, "vec4", 4) }

// rung is "_name" if the rung is possible and not held back by the options, else "_naive"; and how many values a thread handles.
func (s *set) rung(possible bool, name string, perThread int) (suffix string, values int) {
	if possible && s.options.Rung != "naive" {
		return "_" + name, perThread
	}
	return "_naive", 1
}

// fours reports whether all numbers are multiples of four.
func fours(numbers ...int) bool {
	for _, n := range numbers {
		if n%4 != 0 {
			return false
		}
	}
	return true
}

// stride resolves "0 means contiguous".
func stride(s, c int) int {
	if s == 0 {
		return c
	}
	return s
}
