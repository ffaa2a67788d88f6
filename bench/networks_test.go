package bench

import (
	"fmt"
	"sync"

	"emdiff/emdiff/run"
	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
	"emdiff/nn"
)

// network is a U-Net on a batch.
type network struct {
	name   string
	config nn.UNetConfig
	n      int
}

// networks are those of the presets that finish on a CPU, and DDPM's.
var networks = sync.OnceValue(func() []network {
	list := []network{{"quick", preset("quick"), 16}, {"small", preset("cifar10-denoise-small"), 16}, {"ddpm", nn.DDPMCIFAR10(), 16}}
	quick := &list[0].config // on the embedded images
	quick.ImageSize, quick.InChannels, quick.OutChannels = 28, 1, 1
	return list
})

func preset(name string) nn.UNetConfig {
	s, err := run.Preset(name)
	if err != nil {
		panic(err)
	}
	return s.Network
}

// calls lists the calls of a pass of inference, a training step and a vector-Jacobian product, in order.
func (n network) calls() ([]kerneltest.Case, error) {
	t := &tracer{}
	set := kernels.Checked(t)
	u, err := nn.NewUNet(set, n.config)
	if err != nil {
		return nil, err
	}
	t.calls = nil
	s := n.config.ImageSize
	for _, mode := range []nn.Mode{nn.Inference, nn.Training, nn.Differentiate} {
		tape := nn.NewTape(set, mode)
		x, dy := tape.NewTensor(n.n, s, s, n.config.InChannels), tape.NewTensor(n.n, s, s, n.config.OutChannels)
		y := u.Forward(tape, x, tape.NewTensor(n.n, 1, 1, 1))
		switch mode {
		case nn.Training:
			tape.Backward(y, dy)
		case nn.Differentiate:
			tape.VJP(y, dy, x)
		}
	}
	optimiser := nn.DefaultAdamW()
	optimiser.ClipNorm = 1
	optimiser.Step(u.Params, 1, 0.999)
	return t.calls, nil
}

// tracer is a Set without memory or arithmetic that lists the calls of a network.
type tracer struct {
	kernels.Set
	calls []kerneltest.Case
}

// length is a buffer that has a length only.
type length int

func (b length) DType() kernels.DType { return kernels.F32 }
func (b length) Len() int             { return int(b) }
func (b length) Slice(_, n int) buf   { return length(n) }

type buf = kernels.Buffer

// list notes a call; optional are its optional arguments by name.
func (t *tracer) list(op string, params any, optional ...any) {
	c := kerneltest.Case{Op: op, Params: params}
	for i := 0; i < len(optional); i += 2 {
		if optional[i+1] == nil {
			c.Without = append(c.Without, optional[i].(string))
		}
	}
	t.calls = append(t.calls, c)
}

func (t *tracer) Name() string                        { return "tracer" }
func (t *tracer) Supports(kernels.Precision) bool     { return true }
func (t *tracer) Alloc(_ kernels.DType, n int) buf    { return length(n) }
func (t *tracer) Free(buf)                            {}
func (t *tracer) SiLU(_, _ buf, p elementwise)        { t.list("SiLU", p) }
func (t *tracer) SiLUGrad(_, _, _ buf, p elementwise) { t.list("SiLUGrad", p) }
func (t *tracer) Copy(_, _ buf, p elementwise)        { t.list("Copy", p) }
func (t *tracer) Fill(_ buf, value float32, p elementwise) {
	t.list("Fill", kerneltest.Fill{Elementwise: p, Value: value})
}

type elementwise = kernels.Elementwise

// Which weights are multiplied does not matter.
func (t *tracer) Conv2D(_, _, _ buf, e kernels.Epilogue, p kernels.Conv) {
	p.WeightVersion = 0
	t.list("Conv2D", kerneltest.Conv2D{Conv: p, ResidualStride: e.ResidualStride, Act: e.Act}, "Bias", e.Bias, "ImageBias", e.ImageBias, "Residual", e.Residual)
}
func (t *tracer) Conv2DInputGrad(_, _, _ buf, p kernels.Conv) {
	p.WeightVersion = 0
	t.list("Conv2DInputGrad", p)
}
func (t *tracer) Conv2DWeightGrad(_, _, _ buf, p kernels.Conv) {
	p.WeightVersion = 0
	t.list("Conv2DWeightGrad", p)
}
func (t *tracer) Linear(_, _, _ buf, e kernels.Epilogue, p kernels.Linear) {
	p.WeightVersion = 0
	t.list("Linear", kerneltest.Linear{Linear: p, ResidualStride: e.ResidualStride, Act: e.Act}, "Bias", e.Bias, "ImageBias", e.ImageBias, "Residual", e.Residual)
}
func (t *tracer) LinearInputGrad(_, _, _ buf, p kernels.Linear) {
	p.WeightVersion = 0
	t.list("LinearInputGrad", p)
}
func (t *tracer) LinearWeightGrad(_, _, _ buf, p kernels.Linear) {
	p.WeightVersion = 0
	t.list("LinearWeightGrad", p)
}
func (t *tracer) GroupNorm(_, _, _, _, scaleShift, _, _ buf, p kernels.GroupNorm) {
	t.list("GroupNorm", p, "scaleShift", scaleShift)
}
func (t *tracer) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, _, _, _, _, scaleShift, _, _ buf, p kernels.GroupNorm) {
	t.list("GroupNormGrad", p, "dx", dx, "dgamma", dgamma, "dbeta", dbeta, "dscaleShift", dscaleShift, "scaleShift", scaleShift)
}
func (t *tracer) Attention(_, _, _, _, _ buf, p kernels.Attention) { t.list("Attention", p) }
func (t *tracer) AttentionGrad(_, _, _, _, _, _, _, _, _ buf, p kernels.Attention) {
	t.list("AttentionGrad", p)
}
func (t *tracer) SumRows(_, _ buf, p kernels.SumRows)             { t.list("SumRows", p) }
func (t *tracer) Upsample2x(_, _ buf, p kernels.Resize)           { t.list("Upsample2x", p) }
func (t *tracer) Upsample2xGrad(_, _ buf, p kernels.Resize)       { t.list("Upsample2xGrad", p) }
func (t *tracer) PixelUnshuffle(_, _ buf, p kernels.Shuffle)      { t.list("PixelUnshuffle", p) }
func (t *tracer) PixelShuffle(_, _ buf, p kernels.Shuffle)        { t.list("PixelShuffle", p) }
func (t *tracer) CopyChannels(_, _ buf, p kernels.Channels)       { t.list("CopyChannels", p) }
func (t *tracer) TimeEmbedding(_, _ buf, p kernels.TimeEmbedding) { t.list("TimeEmbedding", p) }
func (t *tracer) Dropout(_, _, _ buf, p kernels.Dropout)          { t.list("Dropout", p, "ids", nil) }
func (t *tracer) GradNorm(_, _ buf, p kernels.GradNorm)           { t.list("GradNorm", p) }
func (t *tracer) AdamW(_, _, _, _, _, _ buf, p kernels.AdamW)     { t.list("AdamW", p) }

// describe is the part of a benchmark's name that tells the network.
func (n network) describe() string { return fmt.Sprintf("net=%s/n=%d", n.name, n.n) }
