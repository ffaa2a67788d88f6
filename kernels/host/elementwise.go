package host

import (
	"math"

	"emdiff/kernels"
)

// unary is an op that one kernel computes from one source.
type unary struct {
	x      []float32
	kernel func(dst, src []float32)
}

func (o *unary) strip(_ *workspace, dst []float32, _, lo, hi int) { o.kernel(dst, o.x[lo:hi]) }

// binary is an op that one kernel computes from two sources.
type binary struct {
	a, b   []float32
	kernel func(dst, a, b []float32)
}

func (o *binary) strip(_ *workspace, dst []float32, _, lo, hi int) {
	o.kernel(dst, o.a[lo:hi], o.b[lo:hi])
}

// SiLU computes y = x sigmoid(x).
func (s *Set) SiLU(y, x kernels.Buffer, p kernels.Elementwise) {
	s.unary = unary{f32(x), s.storing(f32(y), p.Accumulate, p.Len, 2*p.Len, f32(x)).silu}
	s.mapImages(f32(y), 1, p.Len, p.Accumulate, &s.unary)
}

// SiLUGrad computes dx = dy SiLU'(x).
func (s *Set) SiLUGrad(dx, dy, x kernels.Buffer, p kernels.Elementwise) {
	s.binary = binary{f32(dy), f32(x), s.storing(f32(dx), p.Accumulate, p.Len, 3*p.Len, f32(dy), f32(x)).siluGrad}
	s.mapImages(f32(dx), 1, p.Len, p.Accumulate, &s.binary)
}

// Add computes y = a + b.
func (s *Set) Add(y, a, b kernels.Buffer, p kernels.Elementwise) {
	s.binary = binary{f32(a), f32(b), s.storing(f32(y), p.Accumulate, p.Len, 3*p.Len, f32(a), f32(b)).add}
	s.mapImages(f32(y), 1, p.Len, p.Accumulate, &s.binary)
}

// linear is y + alpha x.
type linear struct {
	vector *vectorKernels
	y, x   []float32
	alpha  float32
}

func (o *linear) strip(_ *workspace, dst []float32, _, lo, hi int) {
	o.vector.addScaled(dst, o.y[lo:hi], o.x[lo:hi], o.alpha)
}

// Axpy computes y += alpha x.
func (s *Set) Axpy(y, x kernels.Buffer, alpha float32, p kernels.Elementwise) {
	s.linear = linear{&s.level.vector, f32(y), f32(x), alpha}
	s.mapImages(f32(y), 1, p.Len, false, &s.linear)
}

// fill is a constant.
type fill struct {
	value  float32
	stream func(dst, src []float32) // or nil
}

func (o *fill) strip(w *workspace, dst []float32, _, _, _ int) {
	if o.stream != nil {
		constant := fill{value: o.value}
		constant.strip(w, w.sum[:len(dst)], 0, 0, 0)
		o.stream(dst, w.sum[:len(dst)])
		return
	}
	if math.Float32bits(o.value) == 0 {
		clear(dst)
		return
	}
	for i := range dst[:min(len(dst), philoxRun)] {
		dst[i] = o.value
	}
	for n := philoxRun; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// Fill sets y to value.
func (s *Set) Fill(y kernels.Buffer, value float32, p kernels.Elementwise) {
	s.fill = fill{value, s.storing(f32(y), p.Accumulate, p.Len, p.Len).stream}
	s.mapImages(f32(y), 1, p.Len, p.Accumulate, &s.fill)
}

func copyRow(dst, src []float32) { copy(dst, src) }

// Copy computes y = x.
func (s *Set) Copy(y, x kernels.Buffer, p kernels.Elementwise) {
	s.unary = unary{f32(x), s.storing(f32(y), p.Accumulate, p.Len, 2*p.Len, f32(x)).copies()}
	s.mapImages(f32(y), 1, p.Len, p.Accumulate, &s.unary)
}

type clamp struct {
	vector *vectorKernels
	x      []float32
	lo, hi float32
}

func (o *clamp) strip(_ *workspace, dst []float32, _, lo, hi int) {
	o.vector.clamp(dst, o.x[lo:hi], o.lo, o.hi)
}

// Clamp limits x to [Lo, Hi].
func (s *Set) Clamp(y, x kernels.Buffer, p kernels.Clamp) {
	s.clamp = clamp{s.storing(f32(y), false, p.Len, 2*p.Len, f32(x)), f32(x), p.Lo, p.Hi}
	s.mapImages(f32(y), 1, p.Len, false, &s.clamp)
}

type clampGrad struct {
	vector *vectorKernels
	dy, x  []float32
	lo, hi float32
}

func (o *clampGrad) strip(_ *workspace, dst []float32, _, lo, hi int) {
	o.vector.clampGrad(dst, o.dy[lo:hi], o.x[lo:hi], o.lo, o.hi)
}

// ClampGrad passes dy where x lies in [Lo, Hi].
func (s *Set) ClampGrad(dx, dy, x kernels.Buffer, p kernels.Clamp) {
	v := s.storing(f32(dx), p.Accumulate, p.Len, 3*p.Len, f32(dy), f32(x))
	s.clampGrad = clampGrad{v, f32(dy), f32(x), p.Lo, p.Hi}
	s.mapImages(f32(dx), 1, p.Len, p.Accumulate, &s.clampGrad)
}
