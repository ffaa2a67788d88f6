package kernels

import "fmt"

// DType is the type of a Buffer's elements.
type DType uint8

// The element types. BF16 and F16 are storage types: only Cast reads or writes them.
const (
	F32 DType = iota
	I32
	BF16
	F16
)

// Size returns the bytes of one element.
func (d DType) Size() int {
	if d == BF16 || d == F16 {
		return 2
	}
	return 4
}

// String returns the name used in messages.
func (d DType) String() string {
	switch d {
	case F32:
		return "float32"
	case I32:
		return "int32"
	case BF16:
		return "bfloat16"
	case F16:
		return "float16"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// SliceAlign is the alignment of sub-views in bytes: one cache line, one AVX-512 register.
const SliceAlign = 64

// Buffer is memory owned by a Set: opaque, because it may live on another device. Buffers of one Set must not be handed
// to another.
type Buffer interface {
	// DType is the element type.
	DType() DType
	// Len is the number of elements.
	Len() int
	// Slice returns a view of n elements from offset (in elements). offset*DType().Size() must be a multiple of
	// SliceAlign; a violation or a range outside the buffer panics. Freeing the parent ends the view.
	Slice(offset, n int) Buffer
}

// CheckSlice panics unless [offset, offset+n) is an aligned range of a buffer with length elements of type d. Every
// implementation of Buffer.Slice calls it.
func CheckSlice(d DType, length, offset, n int) {
	if offset < 0 || n < 0 || offset+n > length {
		panic(&ShapeError{Op: "Slice", Arg: "range", Got: fmt.Sprintf("[%d, %d)", offset, offset+n), Want: fmt.Sprintf("within [0, %d)", length)})
	}
	if offset*d.Size()%SliceAlign != 0 {
		panic(&ShapeError{Op: "Slice", Arg: "offset", Got: fmt.Sprintf("%d elements", offset), Want: fmt.Sprintf("a multiple of %d bytes", SliceAlign)})
	}
}

// AlignUp returns the smallest multiple of SliceAlign/4 that is >= n: the distance at which float32 or int32 views can
// follow each other in one buffer.
func AlignUp(n int) int {
	const a = SliceAlign / 4
	return (n + a - 1) / a * a
}
