package physics

import "emdiff/kernels"

// basis is a pair of matrices on the device: left [H][H] turns columns, right [W*C][W*C] turns rows (the W x W matrix with
// the identity between channels: one large product instead of many with C columns).
type basis struct{ left, right kernels.Buffer }

// turn computes, image by image, dst = L^T src R (into = true, the coefficients in an orthogonal basis) or
// dst = L src R^T (back), or adds it to dst. half is a work buffer.
func (f *frame) turn(dst, src kernels.Buffer, half *Scratch, b basis, into, add bool) {
	width := f.w * f.c
	h := half.Floats(f.batch.N * f.len())
	f.set.MatMul(h, b.left, src, kernels.MatMul{Batch: f.batch.N, M: f.h, N: width, K: f.h, TransA: into,
		StrideB: f.len(), StrideC: f.len(), Alpha: 1})
	f.set.MatMul(dst, h, b.right, kernels.MatMul{Batch: 1, M: f.batch.N * f.h, N: width, K: width, TransB: !into, Alpha: 1, Accumulate: add})
}

// upload returns a buffer that holds v.
func (f *frame) upload(v []float32) kernels.Buffer {
	b := f.set.Alloc(kernels.F32, len(v))
	f.set.Upload(b, v)
	return b
}
