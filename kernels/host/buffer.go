package host

import (
	"unsafe"

	"emdiff/kernels"
)

// buffer is a range of Go memory, aligned to kernels.SliceAlign.
type buffer struct {
	dtype kernels.DType
	n     int
	data  unsafe.Pointer
}

// DType is the element type.
func (b *buffer) DType() kernels.DType { return b.dtype }

// Len is the number of elements.
func (b *buffer) Len() int { return b.n }

// Slice returns a view; see kernels.Buffer.
func (b *buffer) Slice(offset, n int) kernels.Buffer {
	kernels.CheckSlice(b.dtype, b.n, offset, n)
	return &buffer{b.dtype, n, unsafe.Add(b.data, offset*b.dtype.Size())}
}

// view returns the elements of b as a slice of T; nil for a nil Buffer.
func view[T any](b kernels.Buffer) []T {
	if b == nil {
		return nil
	}
	h := b.(*buffer)
	return unsafe.Slice((*T)(h.data), h.n)
}

// f32 returns the float32 elements of b; nil for a nil Buffer.
func f32(b kernels.Buffer) []float32 { return view[float32](b) }

// i32 returns the int32 elements of b; nil for a nil Buffer.
func i32(b kernels.Buffer) []int32 { return view[int32](b) }

// u16 returns the bit patterns of the BF16 or F16 elements of b; nil for a nil Buffer.
func u16(b kernels.Buffer) []uint16 { return view[uint16](b) }

// Buffers of leastHuge bytes and more start on a page of hugePage bytes and ask for such pages: with the usual ones, of 4 KiB,
// a walk over the weights of a network finds most of their addresses outside the processor's table.
const (
	hugePage  = 2 << 20
	leastHuge = 2 * hugePage
)

// aligned returns n zeroed bytes that start on a cache line.
func aligned(n int) unsafe.Pointer {
	boundary := kernels.SliceAlign
	if n >= leastHuge {
		boundary = hugePage
	}
	raw := make([]byte, n+boundary)
	p := unsafe.Pointer(unsafe.SliceData(raw))
	p = unsafe.Add(p, -uintptr(p)&uintptr(boundary-1))
	if n >= leastHuge {
		askForHugePages(unsafe.Slice((*byte)(p), n/hugePage*hugePage))
	}
	return p
}

// memory implements kernels.Memory but for Sync and Close: the garbage collector owns the bytes.
type memory struct{}

// Alloc returns a zeroed buffer.
func (memory) Alloc(d kernels.DType, n int) kernels.Buffer {
	return &buffer{d, n, aligned(n * d.Size())}
}

// Free empties the buffer, so that a later use fails at once.
func (memory) Free(b kernels.Buffer) {
	h := b.(*buffer)
	h.data, h.n = nil, 0
}

// Upload copies src to the start of dst.
func (memory) Upload(dst kernels.Buffer, src []float32) { copy(f32(dst), src) }

// UploadInts copies src to the start of dst.
func (memory) UploadInts(dst kernels.Buffer, src []int32) { copy(i32(dst), src) }

// Download copies the start of src to dst.
func (memory) Download(dst []float32, src kernels.Buffer) { copy(dst, f32(src)) }

// arena is scratch memory that grows and stays. An op asks for all it needs with one call: the next call reuses it.
type arena struct{ mem []float32 }

// floats returns n values, aligned and not cleared.
func (a *arena) floats(n int) []float32 {
	if n > len(a.mem) {
		n := kernels.AlignUp(n)
		a.mem = unsafe.Slice((*float32)(aligned(4*n)), n)
	}
	return a.mem[:n]
}
