package kernels

import "fmt"

// GroupNorm normalises each image over groups of channels (Wu & He 2018), then applies the per-channel affine map, an
// optional per-image scale and shift (the conditioning of guided-diffusion), and optionally SiLU:
//
//	xhat = (x - mean[n,g]) * rstd[n,g],  rstd = 1/sqrt(var + Eps), biased variance over HW*C/Groups values
//	z = xhat*gamma[c] + beta[c];  z = z*(1 + scaleShift[n,c]) + scaleShift[n,C+c];  y = SiLU(z) or z
type GroupNorm struct {
	N, HW, C, Groups int
	Eps              float32
	SiLU             bool
	XStride, YStride int  // floats per pixel of x (dx) and y (dy); 0 = contiguous
	Accumulate       bool // gradient: add to dx
	AccumulateParams bool // gradient: add to dgamma, dbeta and dscaleShift
}

// Validate reports the first impossible parameter.
func (p GroupNorm) Validate() error {
	if err := firstError(positive("N", p.N, "HW", p.HW, "C", p.C, "Groups", p.Groups),
		checkStride("XStride", p.XStride, p.C), checkStride("YStride", p.YStride, p.C)); err != nil {
		return err
	}
	if p.C%p.Groups != 0 {
		return fmt.Errorf("C = %d is not a multiple of Groups = %d", p.C, p.Groups)
	}
	if !(p.Eps > 0) {
		return fmt.Errorf("Eps = %g must be positive", p.Eps)
	}
	return nil
}

// Cost is that of the forward pass reading x once.
func (p GroupNorm) Cost() Cost {
	n := p.N * p.HW * p.C
	flops := 8.0
	if p.SiLU {
		flops += 4
	}
	return floats(flops*float64(n), 2*n)
}

// GradCost is that of the backward pass reading x and dy once.
func (p GroupNorm) GradCost() Cost {
	return floats(2*p.Cost().FLOPs, 3*p.N*p.HW*p.C)
}

// Attention is softmax(Scale * q k^T) v for every image and head. q, k, v and o hold [N][T] tokens of Heads*HeadDim
// channels, head by head. The T x T matrix is never stored: lse [N][Heads][T] keeps the log of each row's sum of
// exponentials for the gradient.
type Attention struct {
	N, T, Heads, HeadDim int
	Scale                float32 // usually 1/sqrt(HeadDim)
	QKVStride, OStride   int     // floats per token of q, k, v (and their gradients) and of o (do); 0 = contiguous
	// Precision of the products: of q k^T, of the weights with v, and those of the gradient. Softmax and its sums are float32; the
	// gradient takes do as rounded everywhere, so that a weight of 1 cancels in the cotangent of its score.
	Precision Precision
}

// Channels is Heads*HeadDim.
func (p Attention) Channels() int { return p.Heads * p.HeadDim }

// Validate reports the first impossible parameter.
func (p Attention) Validate() error {
	return firstError(positive("N", p.N, "T", p.T, "Heads", p.Heads, "HeadDim", p.HeadDim),
		checkStride("QKVStride", p.QKVStride, p.Channels()), checkStride("OStride", p.OStride, p.Channels()))
}

// Cost is that of the forward pass.
func (p Attention) Cost() Cost {
	return floats(4*float64(p.N*p.Heads)*float64(p.T)*float64(p.T)*float64(p.HeadDim), 4*p.N*p.T*p.Channels())
}

// GradCost is that of the backward pass, five products for the forward pass's two because it recomputes the scores.
func (p Attention) GradCost() Cost {
	return floats(2.5*p.Cost().FLOPs, 8*p.N*p.T*p.Channels())
}
