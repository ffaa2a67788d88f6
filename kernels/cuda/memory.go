package cuda

import (
	"fmt"
	"unsafe"

	"emdiff/gpu"
	"emdiff/kernels"
)

// buffer is a kernels.Buffer in device memory.
type buffer struct {
	dtype kernels.DType
	n     int
	mem   gpu.Buffer
}

func (b *buffer) DType() kernels.DType { return b.dtype }

func (b *buffer) Len() int { return b.n }

func (b *buffer) Slice(offset, n int) kernels.Buffer {
	kernels.CheckSlice(b.dtype, b.n, offset, n)
	size := int64(b.dtype.Size())
	return &buffer{b.dtype, n, b.mem.Slice(int64(offset)*size, int64(n)*size)}
}

func (s *set) Alloc(d kernels.DType, n int) kernels.Buffer {
	b := &buffer{dtype: d, n: n, mem: s.memory(n*d.Size(), fmt.Sprintf("%d %s", n, d))}
	if s.err == nil && n > 0 {
		if err := s.driver.FillAsync(b.mem, 0, s.stream); err != nil {
			s.fail(err)
		}
	}
	return b
}

// memory returns size bytes with any contents.
func (s *set) memory(size int, label string) gpu.Buffer {
	if s.err != nil {
		return gpu.Buffer{Size: int64(size)}
	}
	mem, err := s.pool.Alloc(int64(max(size, 1)), label)
	if err != nil {
		s.fail(err)
		return gpu.Buffer{Size: int64(size)}
	}
	return mem
}

// scratch returns workspace of n floats for one op; the op releases it after its last launch, for later launches run later.
func (s *set) scratch(n int, op string) gpu.Buffer { return s.memory(4*n, op+" workspace") }

func (s *set) release(mem gpu.Buffer) {
	if s.err != nil {
		return
	}
	if err := s.pool.Free(mem); err != nil {
		s.fail(err)
	}
}

func (s *set) Free(b kernels.Buffer) { s.release(b.(*buffer).mem) }

func (s *set) Upload(dst kernels.Buffer, src []float32) { s.upload(dst, bytesOf(src)) }

func (s *set) UploadInts(dst kernels.Buffer, src []int32) { s.upload(dst, bytesOf(src)) }

func (s *set) upload(dst kernels.Buffer, src []byte) {
	if s.err != nil {
		return
	}
	if err := s.staging.upload(s, dst.(*buffer).mem, src); err != nil {
		s.fail(err)
	}
}

func (s *set) Download(dst []float32, src kernels.Buffer) {
	if s.err != nil {
		return
	}
	if err := s.staging.download(s, bytesOf(dst), src.(*buffer).mem); err != nil {
		s.fail(err)
	}
}

// bytesOf views values as bytes in the host's order, which is little-endian as the device's.
func bytesOf[T float32 | int32](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v))
}
