package ref

import (
	"fmt"

	"emdiff/kernels"
)

type float interface{ float32 | float64 }

// set implements kernels.Set with values stored as S and every intermediate result held as A.
type set[S, A float] struct{ name string }

// New returns the oracle as a Set: float64 arithmetic, one rounding at each store.
func New() kernels.Set { return kernels.Checked(&set[float32, float64]{"ref"}) }

// Naive returns the Set whose error is the unit of every tolerance: float32 arithmetic in plain order.
func Naive() kernels.Set { return kernels.Checked(&set[float32, float32]{"ref/naive"}) }

// Float64 returns the Set whose F32 buffers hold float64: the results of New before their rounding. It forms every
// product exactly, whatever Precision asks for. Read and write its buffers with Values.
func Float64() kernels.Set { return kernels.Checked(&set[float64, float64]{"ref/float64"}) }

func init() {
	kernels.Register(kernels.Implementation{
		Name:   "ref",
		Usable: func() error { return nil },
		Open:   func(kernels.Options) (kernels.Set, error) { return New(), nil },
	})
}

// Values returns the memory of an F32 buffer of Float64, not a copy; nil for any other buffer.
func Values(b kernels.Buffer) []float64 {
	if exact, ok := b.(*buffer[float64]); ok {
		return exact.data
	}
	return nil
}

func (s *set[S, A]) Name() string { return s.name }

func (s *set[S, A]) Supports(p kernels.Precision) bool { return p <= kernels.PrecisionBF16 }

// buffer holds elements of type T: S for F32, int32 for I32, the bits as uint16 for the 16-bit types.
type buffer[T any] struct {
	dtype kernels.DType
	data  []T
}

func (b *buffer[T]) DType() kernels.DType { return b.dtype }

func (b *buffer[T]) Len() int { return len(b.data) }

func (b *buffer[T]) Slice(offset, n int) kernels.Buffer {
	kernels.CheckSlice(b.dtype, len(b.data), offset, n)
	return &buffer[T]{b.dtype, b.data[offset : offset+n : offset+n]}
}

func (s *set[S, A]) Alloc(d kernels.DType, n int) kernels.Buffer {
	switch d {
	case kernels.F32:
		return &buffer[S]{d, make([]S, n)}
	case kernels.I32:
		return &buffer[int32]{d, make([]int32, n)}
	case kernels.BF16, kernels.F16:
		return &buffer[uint16]{d, make([]uint16, n)}
	}
	panic(&kernels.ShapeError{Op: "Alloc", Arg: "d", Got: fmt.Sprint(d), Want: "a known type"})
}

func (s *set[S, A]) Free(kernels.Buffer) {}

func (s *set[S, A]) Upload(dst kernels.Buffer, src []float32) { convert(values[S](dst), src) }

func (s *set[S, A]) UploadInts(dst kernels.Buffer, src []int32) { copy(values[int32](dst), src) }

func (s *set[S, A]) Download(dst []float32, src kernels.Buffer) {
	convert(dst, values[S](src)[:len(dst)])
}

func (s *set[S, A]) Sync() error { return nil }

func (s *set[S, A]) Close() error { return nil }

// values returns the memory behind b; nil for an optional argument that was left out.
func values[T any](b kernels.Buffer) []T {
	if b == nil {
		return nil
	}
	return b.(*buffer[T]).data
}

func convert[D, S float](dst []D, src []S) {
	for i, v := range src {
		dst[i] = D(v)
	}
}

// store rounds v to the type of the destination, its only rounding.
func store[S, A float](dst []S, i int, v A, accumulate bool) {
	if accumulate {
		v += A(dst[i])
	}
	dst[i] = S(v)
}

// stride resolves "0 means contiguous".
func stride(s, c int) int {
	if s == 0 {
		return c
	}
	return s
}
