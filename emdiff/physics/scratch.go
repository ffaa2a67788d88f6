package physics

import "emdiff/kernels"

// Scratch is a work buffer that grows to the largest size asked for and is reused between calls.
type Scratch struct {
	set kernels.Set
	buf kernels.Buffer
}

// NewScratch returns an empty Scratch on set.
func NewScratch(set kernels.Set) *Scratch { return &Scratch{set: set} }

// Floats returns a buffer of at least n float32 values. Values survive only while no larger n is asked for.
func (s *Scratch) Floats(n int) kernels.Buffer {
	if s.buf == nil || s.buf.Len() < n {
		s.Free()
		s.buf = s.set.Alloc(kernels.F32, n)
	}
	return s.buf
}

// Free gives the memory back; the Scratch is empty again.
func (s *Scratch) Free() {
	if s.buf != nil {
		s.set.Free(s.buf)
		s.buf = nil
	}
}
