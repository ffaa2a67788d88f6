package cuda

import "emdiff/kernels"

// product is the shape of a matrix product as the choice of a kernel sees it.
type product struct {
	rows, columns int  // of the result
	x, y          bool // 128-bit accesses to x and y are possible: channels and strides are multiples of four
	precision     kernels.Precision
	shape         Shape // for the table of the options
}

// variant is a rung of the product ladder and when to take it.
type variant struct {
	name          string
	tile, depth   int  // rows and columns of a block's tile, terms of a sum per step; 0: one result per thread
	shared        int  // bytes of dynamic shared memory
	x, y          bool // needs 128-bit accesses to x, to y
	rows, columns int  // taken from this size on
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
		{name: "tile128", tile: 128, depth: 8, x: true, y: true, rows: 2048, columns: 96},
		{name: "tile64", tile: 64, depth: 16, x: true, y: true},
		{name: "x64", tile: 64, depth: 16, x: true},
		{name: "y64", tile: 64, depth: 16, y: true},
		{name: "any64", tile: 64, depth: 16},
		{name: "naive", rows: never},
		{name: "tensor3", tile: 128, depth: 16, shared: asyncSlots + 2*2*2*16*asyncPitch, x: true, y: true, rows: never},
	},
	kernels.PrecisionTF32: {{name: "tensor", tile: 128, depth: 16, shared: asyncSlots + 2*2*16*asyncPitch, x: true, y: true}, {name: "anytensor", tile: 128, depth: 16}},
	kernels.PrecisionBF16: {{name: "tensor", tile: 128, depth: 16, shared: asyncSlots + 2*2*8*asyncPitch, x: true, y: true}, {name: "anytensor", tile: 128, depth: 16}},
}

// fits reports whether a rung can compute a product on this device.
func (s *set) fits(v variant, p product) bool {
	return (p.x || !v.x) && (p.y || !v.y) && v.shared <= s.driver.Properties().MaxSharedOptIn
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
		if v.name == wanted || chosen == nil && p.rows >= v.rows && p.columns >= v.columns {
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

// grid is the launch of a product; chunks is its split of the depth.
func (v variant) grid(p product, chunks int) grid {
	if v.tile == 0 {
		g := flat(p.rows * p.columns)
		g.z = chunks
		return g
	}
	return grid{x: ceil(p.rows, v.tile), y: ceil(p.columns, v.tile), z: chunks, shared: v.shared}
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
