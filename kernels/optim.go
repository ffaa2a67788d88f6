package kernels

import "fmt"

// GradNorm measures a flat gradient: out = [L2 norm, clip coefficient min(1, MaxNorm/norm), 1 if every value is finite
// else 0]. MaxNorm = 0 means no clipping. The result stays on the device, where AdamW reads it.
type GradNorm struct {
	Len     int
	MaxNorm float32
}

// Validate reports the first impossible parameter.
func (p GradNorm) Validate() error {
	if p.MaxNorm < 0 {
		return fmt.Errorf("MaxNorm = %g must not be negative", p.MaxNorm)
	}
	return positive("Len", p.Len)
}

// Cost reads the gradient once.
func (p GradNorm) Cost() Cost { return floats(2*float64(p.Len), p.Len) }

// AdamW is one step of Adam with decoupled weight decay (Loshchilov & Hutter 2019; PyTorch's formulas) and of the
// exponential moving average of the weights, on flat arrays:
//
//	g *= norm[1];  w -= LR*WeightDecay*w
//	m = Beta1 m + (1-Beta1) g;  v = Beta2 v + (1-Beta2) g^2
//	w -= LR/(1-Beta1^Step) * m / (sqrt(v/(1-Beta2^Step)) + Eps)
//	ema = EMADecay ema + (1-EMADecay) w
//
// With WeightDecay = 0 it is Adam. When norm[2] = 0 (a gradient that is not finite) nothing changes.
type AdamW struct {
	Len                                int
	LR, Beta1, Beta2, Eps, WeightDecay float32
	EMADecay                           float32
	Step                               int // 1 for the first step
}

// Validate reports the first impossible parameter.
func (p AdamW) Validate() error {
	if !(p.LR >= 0 && p.Beta1 >= 0 && p.Beta1 < 1 && p.Beta2 >= 0 && p.Beta2 < 1 && p.Eps > 0 && p.WeightDecay >= 0 && p.EMADecay >= 0 && p.EMADecay <= 1) {
		return fmt.Errorf("LR %g, Beta1 %g, Beta2 %g, Eps %g, WeightDecay %g, EMADecay %g: rates must be >= 0, betas in [0,1), Eps > 0, EMADecay in [0,1]",
			p.LR, p.Beta1, p.Beta2, p.Eps, p.WeightDecay, p.EMADecay)
	}
	return positive("Len", p.Len, "Step", p.Step)
}

// Cost reads g and reads and writes w, m, v and ema once.
func (p AdamW) Cost() Cost { return floats(16*float64(p.Len), 9*p.Len) }
