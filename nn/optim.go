package nn

import "emdiff/kernels"

// AdamW is Adam with decoupled weight decay and clipping by the global norm of the gradient; see kernels.AdamW for the
// formulas, which are PyTorch's. WeightDecay 0 is Adam.
type AdamW struct {
	LR, Beta1, Beta2, Eps, WeightDecay float32
	ClipNorm                           float32 // 0 = no clipping
}

// DefaultAdamW is torch.optim.AdamW's default with EMDiffusion's learning rate.
func DefaultAdamW() AdamW {
	return AdamW{LR: 2e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01}
}

// Step updates weights, moments and moving average from the gradients, in two launches; step counts from 1. A gradient that
// is not finite changes nothing: see Params.LastNorm.
func (a AdamW) Step(p *Params, step int, emaDecay float32) {
	kernels.SetLayer(p.set, "optimizer")
	defer kernels.SetLayer(p.set, "")
	p.set.GradNorm(p.norm, p.flat[Grads], kernels.GradNorm{Len: p.Len(), MaxNorm: a.ClipNorm})
	p.set.AdamW(p.flat[Weights], p.flat[Moment1], p.flat[Moment2], p.flat[EMA], p.flat[Grads], p.norm, kernels.AdamW{
		Len: p.Len(), LR: a.LR, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, WeightDecay: a.WeightDecay, EMADecay: emaDecay, Step: step})
	for _, s := range []Slot{Weights, Moment1, Moment2, EMA} {
		p.Touch(s)
	}
}

// Norm is what the last step measured of the gradient.
type Norm struct {
	L2     float32
	Clip   float32 // factor applied to the gradient
	Finite bool    // false: the step was skipped
}

// LastNorm reads back the gradient norm of the last AdamW.Step; it waits for the device.
func (p *Params) LastNorm() Norm {
	var v [3]float32
	p.set.Download(v[:], p.norm)
	return Norm{L2: v[0], Clip: v[1], Finite: v[2] != 0}
}

// EMAWarmup is the decay of the moving average at a step (from 0): min(decay, (1+step)/(10+step)), so that the first
// weights are forgotten quickly.
func EMAWarmup(decay float32, step int) float32 {
	return min(decay, (1+float32(step))/(10+float32(step)))
}
