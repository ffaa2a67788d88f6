package nn

import "emdiff/kernels"

// drySet is a Set without memory or arithmetic that adds up the costs of the ops a network uses: a forward or backward
// pass through it gives their exact number, FLOPs and memory. Ops that no network uses are missing and panic.
type drySet struct {
	kernels.Set
	cost     kernels.Cost
	launches int
}

// dryBuffer has a length only.
type dryBuffer int

func (b dryBuffer) DType() kernels.DType { return kernels.F32 }
func (b dryBuffer) Len() int             { return int(b) }
func (b dryBuffer) Slice(offset, n int) kernels.Buffer {
	kernels.CheckSlice(kernels.F32, int(b), offset, n)
	return dryBuffer(n)
}

func newDrySet() (kernels.Set, *drySet) {
	d := &drySet{}
	return kernels.Checked(d), d
}

// take returns what was counted and starts again.
func (d *drySet) take() (kernels.Cost, int) {
	cost, launches := d.cost, d.launches
	d.cost, d.launches = kernels.Cost{}, 0
	return cost, launches
}

func (d *drySet) count(c kernels.Cost) {
	d.cost = d.cost.Add(c)
	d.launches++
}

type buf = kernels.Buffer

func (d *drySet) Name() string                                             { return "dry" }
func (d *drySet) Supports(kernels.Precision) bool                          { return true }
func (d *drySet) Alloc(_ kernels.DType, n int) buf                         { return dryBuffer(n) }
func (d *drySet) Free(buf)                                                 {}
func (d *drySet) Conv2D(_, _, _ buf, _ kernels.Epilogue, p kernels.Conv)   { d.count(p.Cost()) }
func (d *drySet) Conv2DInputGrad(_, _, _ buf, p kernels.Conv)              { d.count(p.Cost()) }
func (d *drySet) Conv2DWeightGrad(_, _, _ buf, p kernels.Conv)             { d.count(p.Cost()) }
func (d *drySet) Linear(_, _, _ buf, _ kernels.Epilogue, p kernels.Linear) { d.count(p.Cost()) }
func (d *drySet) LinearInputGrad(_, _, _ buf, p kernels.Linear)            { d.count(p.Cost()) }
func (d *drySet) LinearWeightGrad(_, _, _ buf, p kernels.Linear)           { d.count(p.Cost()) }
func (d *drySet) GroupNorm(_, _, _, _, _, _, _ buf, p kernels.GroupNorm)   { d.count(p.Cost()) }
func (d *drySet) GroupNormGrad(_, _, _, _, _, _, _, _, _, _, _ buf, p kernels.GroupNorm) {
	d.count(p.GradCost())
}
func (d *drySet) Attention(_, _, _, _, _ buf, p kernels.Attention) { d.count(p.Cost()) }
func (d *drySet) AttentionGrad(_, _, _, _, _, _, _, _, _ buf, p kernels.Attention) {
	d.count(p.GradCost())
}
func (d *drySet) SiLU(_, _ buf, p kernels.Elementwise)            { d.count(p.Cost()) }
func (d *drySet) SiLUGrad(_, _, _ buf, p kernels.Elementwise)     { d.count(p.GradCost()) }
func (d *drySet) Fill(_ buf, _ float32, p kernels.Elementwise)    { d.count(p.Cost()) }
func (d *drySet) Copy(_, _ buf, p kernels.Elementwise)            { d.count(p.Cost()) }
func (d *drySet) SumRows(_, _ buf, p kernels.SumRows)             { d.count(p.Cost()) }
func (d *drySet) Upsample2x(_, _ buf, p kernels.Resize)           { d.count(p.Cost()) }
func (d *drySet) Upsample2xGrad(_, _ buf, p kernels.Resize)       { d.count(p.Cost()) }
func (d *drySet) PixelUnshuffle(_, _ buf, p kernels.Shuffle)      { d.count(p.Cost()) }
func (d *drySet) PixelShuffle(_, _ buf, p kernels.Shuffle)        { d.count(p.Cost()) }
func (d *drySet) CopyChannels(_, _ buf, p kernels.Channels)       { d.count(p.Cost()) }
func (d *drySet) TimeEmbedding(_, _ buf, p kernels.TimeEmbedding) { d.count(p.Cost()) }
func (d *drySet) Dropout(_, _, _ buf, p kernels.Dropout)          { d.count(p.Cost()) }
