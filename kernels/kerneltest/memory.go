package kerneltest

import (
	"errors"
	"fmt"
	"slices"

	"emdiff/kernels"
)

// checkMemory tests kernels.Memory: what buffers hold, how views overlap, which slices are mistakes.
func checkMemory(s kernels.Set) (failures []error) {
	expect := func(name string, got, want []float32) {
		if !slices.Equal(got, want) {
			failures = append(failures, fmt.Errorf("%s: %s: got %v, want %v", s.Name(), name, got, want))
		}
	}
	dirty := s.Alloc(kernels.F32, 40)
	s.Fill(dirty, 3, kernels.Elementwise{Len: 40})
	s.Free(dirty)
	b := s.Alloc(kernels.F32, 40)
	defer s.Free(b)
	expect("a fresh buffer is zero", read(s, b), make([]float32, 40))
	if b.Len() != 40 || b.DType() != kernels.F32 {
		failures = append(failures, fmt.Errorf("%s: Alloc(F32, 40) has %d elements of type %s", s.Name(), b.Len(), b.DType()))
	}

	view := b.Slice(16, 20).Slice(16, 3)
	s.Upload(view, []float32{1, 2, 3})
	expect("a view of a view shares the memory of its parent", read(s, b)[30:37], []float32{0, 0, 1, 2, 3, 0, 0})
	s.Fill(b, 5, kernels.Elementwise{Len: 40})
	s.Upload(b, []float32{7})
	expect("an upload follows the ops before it and leaves the rest alone", read(s, b)[:3], []float32{7, 5, 5})
	first := make([]float32, 2)
	s.Download(first, view)
	expect("a download may be shorter than the buffer", first, []float32{5, 5})

	ids := s.Alloc(kernels.I32, 2)
	defer s.Free(ids)
	s.UploadInts(ids, []int32{2, 0})
	s.Upload(b, []float32{10, 11, 12})
	out := s.Alloc(kernels.F32, 2)
	defer s.Free(out)
	s.Gather(out, b, ids, 3, kernels.PerImage{N: 2, Len: 1})
	expect("uploaded integers reach an op", read(s, out), []float32{12, 10})

	for name, slice := range map[string]func(){
		"an offset off the alignment": func() { b.Slice(8, 1) },
		"a range past the end":        func() { b.Slice(32, 9) },
		"a negative length":           func() { b.Slice(0, -1) },
	} {
		if mistake(slice) == nil {
			failures = append(failures, fmt.Errorf("%s: Slice accepts %s", s.Name(), name))
		}
	}
	if err := s.Sync(); err != nil {
		failures = append(failures, fmt.Errorf("%s: Sync: %w", s.Name(), err))
	}
	return failures
}

func read(s kernels.Set, b kernels.Buffer) []float32 {
	v := make([]float32, b.Len())
	s.Download(v, b)
	return v
}

// mistake returns the ShapeError that f panics with, or nil.
func mistake(f func()) (found *kernels.ShapeError) {
	defer func() {
		if err, ok := recover().(error); ok {
			errors.As(err, &found)
		}
	}()
	f()
	return nil
}
