package kerneltest

import (
	"reflect"

	"emdiff/kernels"
)

// Recorder is a Set without memory or arithmetic that writes down the case of every call: what a program asks of the op set, to be run
// again elsewhere. Values are not kept: seeds, versions of weights and coefficients are replaced by typical ones, which no kernel's work
// depends on, so that equal work gives equal cases.
type Recorder struct {
	// Precision is that of the recorded layers, which have one of their own in the program.
	Precision kernels.Precision
	cases     []Case
}

// Set returns the Set to hand to the program.
func (r *Recorder) Set() kernels.Set { return kernels.Checked(r) }

// Take returns what was recorded and starts anew.
func (r *Recorder) Take() []Case {
	cases := r.cases
	r.cases = nil
	return cases
}

// recorded is a buffer that has a length only.
type recorded struct {
	dtype  kernels.DType
	length int
}

func (b recorded) DType() kernels.DType { return b.dtype }
func (b recorded) Len() int             { return b.length }
func (b recorded) Slice(offset, n int) kernels.Buffer {
	kernels.CheckSlice(b.dtype, b.length, offset, n)
	return recorded{b.dtype, n}
}

type buf = kernels.Buffer

// optional is the value of an argument that may be nil, and its name.
type optional struct {
	name string
	buf
}

func (r *Recorder) add(op string, params any, arguments ...optional) {
	c := Case{Op: op, Params: r.typical(params)}
	for _, a := range arguments {
		if a.buf == nil {
			c.Without = append(c.Without, a.name)
		}
	}
	r.cases = append(r.cases, c)
}

// typical replaces the values in params.
func (r *Recorder) typical(params any) any {
	p := reflect.New(reflect.TypeOf(params)).Elem()
	p.Set(reflect.ValueOf(params))
	values := map[string]any{"Random": kernels.Random{}, "WeightVersion": uint64(0), "Step": 1}
	if _, ok := params.(kernels.MatMul); !ok { // of physics, in float32 whatever the network is in
		values["Precision"] = r.Precision
	}
	for name, value := range values {
		if f := p.FieldByName(name); f.IsValid() && f.Type() == reflect.TypeOf(value) {
			f.Set(reflect.ValueOf(value))
		}
	}
	for _, name := range []string{"A", "B", "C", "Noise", "Alpha", "SigmaY", "R", "LR", "EMADecay"} { // zero may leave work out
		if f := p.FieldByName(name); f.IsValid() && f.Kind() == reflect.Float32 && f.Float() != 0 {
			f.SetFloat(1)
		}
	}
	return p.Interface()
}

func epilogueOf(e kernels.Epilogue) []optional {
	return []optional{{"Bias", e.Bias}, {"ImageBias", e.ImageBias}, {"Residual", e.Residual}}
}

func (r *Recorder) Name() string                     { return "recorder" }
func (r *Recorder) Supports(kernels.Precision) bool  { return true }
func (r *Recorder) Alloc(d kernels.DType, n int) buf { return recorded{d, n} }
func (r *Recorder) Free(buf)                         {}
func (r *Recorder) Upload(buf, []float32)            {}
func (r *Recorder) UploadInts(buf, []int32)          {}
func (r *Recorder) Download(dst []float32, _ buf)    { clear(dst) }
func (r *Recorder) Sync() error                      { return nil }
func (r *Recorder) Close() error                     { return nil }
func (r *Recorder) Conv2D(_, _, _ buf, e kernels.Epilogue, p kernels.Conv) {
	r.add("Conv2D", Conv2D{Conv: p, ResidualStride: e.ResidualStride, Act: e.Act}, epilogueOf(e)...)
}
func (r *Recorder) Conv2DInputGrad(_, _, _ buf, p kernels.Conv)  { r.add("Conv2DInputGrad", p) }
func (r *Recorder) Conv2DWeightGrad(_, _, _ buf, p kernels.Conv) { r.add("Conv2DWeightGrad", p) }
func (r *Recorder) Linear(_, _, _ buf, e kernels.Epilogue, p kernels.Linear) {
	r.add("Linear", Linear{Linear: p, ResidualStride: e.ResidualStride, Act: e.Act}, epilogueOf(e)...)
}
func (r *Recorder) LinearInputGrad(_, _, _ buf, p kernels.Linear)  { r.add("LinearInputGrad", p) }
func (r *Recorder) LinearWeightGrad(_, _, _ buf, p kernels.Linear) { r.add("LinearWeightGrad", p) }
func (r *Recorder) MatMul(_, _, _ buf, p kernels.MatMul)           { r.add("MatMul", p) }
func (r *Recorder) GroupNorm(_, _, _, _, scaleShift, _, _ buf, p kernels.GroupNorm) {
	r.add("GroupNorm", p, optional{"scaleShift", scaleShift})
}
func (r *Recorder) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, _, _, _, _, scaleShift, _, _ buf, p kernels.GroupNorm) {
	r.add("GroupNormGrad", p, optional{"dx", dx}, optional{"dgamma", dgamma}, optional{"dbeta", dbeta}, optional{"dscaleShift", dscaleShift},
		optional{"scaleShift", scaleShift})
}
func (r *Recorder) Attention(_, _, _, _, _ buf, p kernels.Attention) { r.add("Attention", p) }
func (r *Recorder) AttentionGrad(_, _, _, _, _, _, _, _, _ buf, p kernels.Attention) {
	r.add("AttentionGrad", p)
}
func (r *Recorder) SiLU(_, _ buf, p kernels.Elementwise)        { r.add("SiLU", p) }
func (r *Recorder) SiLUGrad(_, _, _ buf, p kernels.Elementwise) { r.add("SiLUGrad", p) }
func (r *Recorder) Add(_, _, _ buf, p kernels.Elementwise)      { r.add("Add", p) }
func (r *Recorder) Axpy(_, _ buf, alpha float32, p kernels.Elementwise) {
	r.add("Axpy", Axpy{p, alpha})
}
func (r *Recorder) Fill(_ buf, value float32, p kernels.Elementwise) { r.add("Fill", Fill{p, 1}) }
func (r *Recorder) Copy(_, _ buf, p kernels.Elementwise)             { r.add("Copy", p) }
func (r *Recorder) Clamp(_, _ buf, p kernels.Clamp)                  { r.add("Clamp", p) }
func (r *Recorder) ClampGrad(_, _, _ buf, p kernels.Clamp)           { r.add("ClampGrad", p) }

// Cast is recorded as the round trip that the suite makes of it.
func (r *Recorder) Cast(y, x buf, p kernels.Elementwise) {
	through := y.DType()
	if through == kernels.F32 {
		through = x.DType()
	}
	r.add("Cast", Cast{p, through})
}
func (r *Recorder) ScaleImages(_, _, _, b, z buf, p kernels.PerImage) {
	r.add("ScaleImages", p, optional{"b", b}, optional{"z", z})
}
func (r *Recorder) Dot(_, _, _ buf, p kernels.PerImage) { r.add("Dot", p) }
func (r *Recorder) Sum(_, _ buf, p kernels.PerImage)    { r.add("Sum", p) }
func (r *Recorder) SquaredError(_, dx, _, _, _ buf, p kernels.PerImage) {
	r.add("SquaredError", p, optional{"dx", dx})
}
func (r *Recorder) SumRows(_, _ buf, p kernels.SumRows)             { r.add("SumRows", p) }
func (r *Recorder) Upsample2x(_, _ buf, p kernels.Resize)           { r.add("Upsample2x", p) }
func (r *Recorder) Upsample2xGrad(_, _ buf, p kernels.Resize)       { r.add("Upsample2xGrad", p) }
func (r *Recorder) PixelUnshuffle(_, _ buf, p kernels.Shuffle)      { r.add("PixelUnshuffle", p) }
func (r *Recorder) PixelShuffle(_, _ buf, p kernels.Shuffle)        { r.add("PixelShuffle", p) }
func (r *Recorder) CopyChannels(_, _ buf, p kernels.Channels)       { r.add("CopyChannels", p) }
func (r *Recorder) TimeEmbedding(_, _ buf, p kernels.TimeEmbedding) { r.add("TimeEmbedding", p) }
func (r *Recorder) Gather(_, _, _ buf, rows int, p kernels.PerImage) {
	r.add("Gather", Gather{p, rows})
}
func (r *Recorder) Dropout(_, _, ids buf, p kernels.Dropout) {
	r.add("Dropout", p, optional{"ids", ids})
}
func (r *Recorder) Normal(_, ids buf, p kernels.Draw)  { r.add("Normal", p, optional{"ids", ids}) }
func (r *Recorder) Uniform(_, ids buf, p kernels.Draw) { r.add("Uniform", p, optional{"ids", ids}) }
func (r *Recorder) Update(_, _, d, e, scale, ids buf, p kernels.Update) {
	r.add("Update", p, optional{"d", d}, optional{"e", e}, optional{"scale", scale}, optional{"ids", ids})
}
func (r *Recorder) GradNorm(_, _ buf, p kernels.GradNorm)       { r.add("GradNorm", p) }
func (r *Recorder) AdamW(_, _, _, _, _, _ buf, p kernels.AdamW) { r.add("AdamW", p) }
func (r *Recorder) Gain(_, _, _ buf, p kernels.Gain)            { r.add("Gain", p) }
func (r *Recorder) GaussianPosterior(_, _, _, gain, ids buf, p kernels.GaussianPosterior) {
	r.add("GaussianPosterior", p, optional{"gain", gain}, optional{"ids", ids})
}
func (r *Recorder) Blur(_, _, _ buf, p kernels.Blur)        { r.add("Blur", p) }
func (r *Recorder) BlurAdjoint(_, _, _ buf, p kernels.Blur) { r.add("BlurAdjoint", p) }
