package kernels

import "fmt"

// Elementwise is an op on Len independent values.
type Elementwise struct {
	Len        int
	Accumulate bool // add to the destination; Axpy always does, Cast never
}

// Validate reports the first impossible parameter.
func (p Elementwise) Validate() error { return positive("Len", p.Len) }

// Cost takes two operands as typical.
func (p Elementwise) Cost() Cost { return floats(float64(p.Len), 2*p.Len) }

// GradCost reads dy and x.
func (p Elementwise) GradCost() Cost { return floats(float64(p.Len), 3*p.Len) }

// Clamp limits values to [Lo, Hi]; its gradient is 1 inside the closed interval and 0 outside.
type Clamp struct {
	Len        int
	Lo, Hi     float32
	Accumulate bool // gradient: add to dx
}

// Validate reports the first impossible parameter.
func (p Clamp) Validate() error {
	if !(p.Lo <= p.Hi) {
		return fmt.Errorf("Lo = %g exceeds Hi = %g", p.Lo, p.Hi)
	}
	return positive("Len", p.Len)
}

// Cost reads and writes each value once.
func (p Clamp) Cost() Cost { return floats(2*float64(p.Len), 2*p.Len) }

// PerImage is an op on N images of Len values whose coefficients or results are one per image.
type PerImage struct {
	N, Len     int
	Accumulate bool // add to the destination
}

// Validate reports the first impossible parameter.
func (p PerImage) Validate() error { return positive("N", p.N, "Len", p.Len) }

// Cost reads two operands once, as Dot does.
func (p PerImage) Cost() Cost { return floats(2*float64(p.N)*float64(p.Len), 2*p.N*p.Len) }

// SumRows adds rows: y[g,c] = sum over r of x[g,r,c]. Groups = 1 gives the gradient of a bias, Groups = N and
// Rows = H*W that of a per-image bias.
type SumRows struct {
	Groups, Rows, C int
	XStride         int // floats per row of x; 0 = contiguous
	Accumulate      bool
}

// Validate reports the first impossible parameter.
func (p SumRows) Validate() error {
	return firstError(positive("Groups", p.Groups, "Rows", p.Rows, "C", p.C), checkStride("XStride", p.XStride, p.C))
}

// Cost reads x once.
func (p SumRows) Cost() Cost {
	n := p.Groups * p.Rows * p.C
	return floats(float64(n), n+p.Groups*p.C)
}

// Resize describes nearest-neighbour upsampling by 2 of an H x W image to 2H x 2W, and its adjoint (2x2 block sums).
type Resize struct {
	N, H, W, C       int
	XStride, YStride int // floats per pixel of the small (x) and of the large (y) image; 0 = contiguous
	Accumulate       bool
}

// Validate reports the first impossible parameter.
func (p Resize) Validate() error {
	return firstError(positive("N", p.N, "H", p.H, "W", p.W, "C", p.C),
		checkStride("XStride", p.XStride, p.C), checkStride("YStride", p.YStride, p.C))
}

// Cost reads or writes both images once.
func (p Resize) Cost() Cost {
	n := p.N * p.H * p.W * p.C
	return floats(float64(4*n), 5*n)
}

// Shuffle moves R x R blocks of pixels into channels and back, in PyTorch's channel order c*R*R + dy*R + dx. H, W, C
// describe the large image; the small one is H/R x W/R x C*R*R.
type Shuffle struct {
	N, H, W, C, R int
}

// Validate reports the first impossible parameter.
func (p Shuffle) Validate() error {
	if err := positive("N", p.N, "H", p.H, "W", p.W, "C", p.C, "R", p.R); err != nil {
		return err
	}
	if p.H%p.R != 0 || p.W%p.R != 0 {
		return fmt.Errorf("a %dx%d image has no %dx%d blocks", p.H, p.W, p.R, p.R)
	}
	return nil
}

// Cost moves every value once.
func (p Shuffle) Cost() Cost { return floats(0, 2*p.N*p.H*p.W*p.C) }

// Channels copies C channels of each of Rows pixels from one channel position to another: concat, split, and their
// gradients.
type Channels struct {
	Rows, C          int
	XStride, YStride int // floats per pixel of source and destination; 0 = C
	XOffset, YOffset int // first channel in source and destination
	Accumulate       bool
}

// Validate reports the first impossible parameter.
func (p Channels) Validate() error {
	if p.XOffset < 0 || p.YOffset < 0 {
		return fmt.Errorf("offsets %d, %d must not be negative", p.XOffset, p.YOffset)
	}
	if p.XOffset > 0 && p.XStride == 0 || p.YOffset > 0 && p.YStride == 0 {
		return fmt.Errorf("offsets %d, %d into contiguous pixels: an offset needs a stride", p.XOffset, p.YOffset)
	}
	return firstError(positive("Rows", p.Rows, "C", p.C),
		checkStride("XStride", p.XStride, p.C+p.XOffset), checkStride("YStride", p.YStride, p.C+p.YOffset))
}

// Cost moves every value once.
func (p Channels) Cost() Cost { return floats(0, 2*p.Rows*p.C) }

// TimeEmbedding is the sinusoidal embedding of diffusers' Timesteps: with half = Dim/2 and
// freq_i = MaxPeriod^(-i/(half-FreqShift)), y[n] = [sin(t f), cos(t f)], or [cos, sin] when CosFirst.
type TimeEmbedding struct {
	N, Dim    int
	FreqShift float32 // 1 for DDPM and EDM, 0 for guided-diffusion
	MaxPeriod float32 // 10000
	CosFirst  bool
}

// Validate reports the first impossible parameter.
func (p TimeEmbedding) Validate() error {
	if err := positive("N", p.N, "Dim", p.Dim); err != nil {
		return err
	}
	if p.Dim%2 != 0 || float32(p.Dim/2) <= p.FreqShift || !(p.MaxPeriod > 1) {
		return fmt.Errorf("Dim = %d, FreqShift = %g, MaxPeriod = %g: Dim must be even, Dim/2 > FreqShift, MaxPeriod > 1", p.Dim, p.FreqShift, p.MaxPeriod)
	}
	return nil
}

// Cost counts one sine per value.
func (p TimeEmbedding) Cost() Cost { return floats(float64(p.N*p.Dim), p.N*p.Dim) }
