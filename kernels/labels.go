package kernels

import (
	"context"
	"runtime/pprof"
	"runtime/trace"
)

// Labelled returns a Set that tells profilers what it works on. In a CPU profile every op carries the labels op, its name,
// and layer, what SetLayer named last; in an execution trace it is a region of both names. It is for runs that are being
// profiled: the others do without the wrapper, so that labels cost them nothing.
//
// An implementation that works on goroutines of its own has a method SetLabels(context.Context), which is told the
// labels of what follows (see runtime/pprof.SetGoroutineLabels).
func Labelled(s Set) Set {
	l := &labelled{Set: s, contexts: map[label]context.Context{}, tell: func(context.Context) {}}
	if w, ok := Unwrap(s).(interface{ SetLabels(context.Context) }); ok {
		l.tell = w.SetLabels
	}
	return l
}

// SetLayer names the layer that the next ops of a Set belong to, "" for none. Without Labelled it does nothing.
func SetLayer(s Set, name string) {
	if l, ok := s.(*labelled); ok {
		l.layer = name
		l.apply("")
	}
}

type labelled struct {
	Set
	layer    string
	contexts map[label]context.Context // made once for each label
	tell     func(context.Context)
}

type label struct{ layer, op string }

// region ends an op.
type region struct {
	l *labelled
	r *trace.Region
}

// begin labels the goroutine, and those of the implementation, with an op.
func (l *labelled) begin(op string) region {
	ctx := l.apply(op)
	if !trace.IsEnabled() {
		return region{l, nil}
	}
	name := op
	if l.layer != "" {
		name = l.layer + " " + op
	}
	return region{l, trace.StartRegion(ctx, name)}
}

// end leaves the layer alone: what runs between its ops belongs to it.
func (r region) end() {
	if r.r != nil {
		r.r.End()
	}
	r.l.apply("")
}

func (l *labelled) apply(op string) context.Context {
	k := label{l.layer, op}
	ctx := l.contexts[k]
	if ctx == nil {
		var pairs []string
		if k.layer != "" {
			pairs = append(pairs, "layer", k.layer)
		}
		if op != "" {
			pairs = append(pairs, "op", op)
		}
		ctx = pprof.WithLabels(context.Background(), pprof.Labels(pairs...))
		l.contexts[k] = ctx
	}
	pprof.SetGoroutineLabels(ctx)
	l.tell(ctx)
	return ctx
}

func (l *labelled) Upload(dst Buffer, src []float32) {
	defer l.begin("Upload").end()
	l.Set.Upload(dst, src)
}

func (l *labelled) UploadInts(dst Buffer, src []int32) {
	defer l.begin("UploadInts").end()
	l.Set.UploadInts(dst, src)
}

func (l *labelled) Download(dst []float32, src Buffer) {
	defer l.begin("Download").end()
	l.Set.Download(dst, src)
}

func (l *labelled) Sync() error {
	defer l.begin("Sync").end()
	return l.Set.Sync()
}

func (l *labelled) Conv2D(y, x, w Buffer, e Epilogue, p Conv) {
	defer l.begin("Conv2D").end()
	l.Set.Conv2D(y, x, w, e, p)
}

func (l *labelled) Conv2DInputGrad(dx, dy, w Buffer, p Conv) {
	defer l.begin("Conv2DInputGrad").end()
	l.Set.Conv2DInputGrad(dx, dy, w, p)
}

func (l *labelled) Conv2DWeightGrad(dw, x, dy Buffer, p Conv) {
	defer l.begin("Conv2DWeightGrad").end()
	l.Set.Conv2DWeightGrad(dw, x, dy, p)
}

func (l *labelled) Linear(y, x, w Buffer, e Epilogue, p Linear) {
	defer l.begin("Linear").end()
	l.Set.Linear(y, x, w, e, p)
}

func (l *labelled) LinearInputGrad(dx, dy, w Buffer, p Linear) {
	defer l.begin("LinearInputGrad").end()
	l.Set.LinearInputGrad(dx, dy, w, p)
}

func (l *labelled) LinearWeightGrad(dw, x, dy Buffer, p Linear) {
	defer l.begin("LinearWeightGrad").end()
	l.Set.LinearWeightGrad(dw, x, dy, p)
}

func (l *labelled) MatMul(c, a, b Buffer, p MatMul) {
	defer l.begin("MatMul").end()
	l.Set.MatMul(c, a, b, p)
}

func (l *labelled) GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd Buffer, p GroupNorm) {
	defer l.begin("GroupNorm").end()
	l.Set.GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd, p)
}

func (l *labelled) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd Buffer, p GroupNorm) {
	defer l.begin("GroupNormGrad").end()
	l.Set.GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd, p)
}

func (l *labelled) Attention(o, q, k, v, lse Buffer, p Attention) {
	defer l.begin("Attention").end()
	l.Set.Attention(o, q, k, v, lse, p)
}

func (l *labelled) AttentionGrad(dq, dk, dv, do, q, k, v, o, lse Buffer, p Attention) {
	defer l.begin("AttentionGrad").end()
	l.Set.AttentionGrad(dq, dk, dv, do, q, k, v, o, lse, p)
}

func (l *labelled) SiLU(y, x Buffer, p Elementwise) {
	defer l.begin("SiLU").end()
	l.Set.SiLU(y, x, p)
}

func (l *labelled) SiLUGrad(dx, dy, x Buffer, p Elementwise) {
	defer l.begin("SiLUGrad").end()
	l.Set.SiLUGrad(dx, dy, x, p)
}

func (l *labelled) Add(y, a, b Buffer, p Elementwise) {
	defer l.begin("Add").end()
	l.Set.Add(y, a, b, p)
}

func (l *labelled) Axpy(y, x Buffer, alpha float32, p Elementwise) {
	defer l.begin("Axpy").end()
	l.Set.Axpy(y, x, alpha, p)
}

func (l *labelled) Fill(y Buffer, value float32, p Elementwise) {
	defer l.begin("Fill").end()
	l.Set.Fill(y, value, p)
}

func (l *labelled) Copy(y, x Buffer, p Elementwise) {
	defer l.begin("Copy").end()
	l.Set.Copy(y, x, p)
}

func (l *labelled) Clamp(y, x Buffer, p Clamp) {
	defer l.begin("Clamp").end()
	l.Set.Clamp(y, x, p)
}

func (l *labelled) ClampGrad(dx, dy, x Buffer, p Clamp) {
	defer l.begin("ClampGrad").end()
	l.Set.ClampGrad(dx, dy, x, p)
}

func (l *labelled) Cast(y, x Buffer, p Elementwise) {
	defer l.begin("Cast").end()
	l.Set.Cast(y, x, p)
}

func (l *labelled) ScaleImages(y, a, x, b, z Buffer, p PerImage) {
	defer l.begin("ScaleImages").end()
	l.Set.ScaleImages(y, a, x, b, z, p)
}

func (l *labelled) Dot(out, a, b Buffer, p PerImage) {
	defer l.begin("Dot").end()
	l.Set.Dot(out, a, b, p)
}

func (l *labelled) Sum(out, x Buffer, p PerImage) {
	defer l.begin("Sum").end()
	l.Set.Sum(out, x, p)
}

func (l *labelled) SquaredError(loss, dx, x, ref, weight Buffer, p PerImage) {
	defer l.begin("SquaredError").end()
	l.Set.SquaredError(loss, dx, x, ref, weight, p)
}

func (l *labelled) SumRows(y, x Buffer, p SumRows) {
	defer l.begin("SumRows").end()
	l.Set.SumRows(y, x, p)
}

func (l *labelled) Upsample2x(y, x Buffer, p Resize) {
	defer l.begin("Upsample2x").end()
	l.Set.Upsample2x(y, x, p)
}

func (l *labelled) Upsample2xGrad(dx, dy Buffer, p Resize) {
	defer l.begin("Upsample2xGrad").end()
	l.Set.Upsample2xGrad(dx, dy, p)
}

func (l *labelled) PixelUnshuffle(y, x Buffer, p Shuffle) {
	defer l.begin("PixelUnshuffle").end()
	l.Set.PixelUnshuffle(y, x, p)
}

func (l *labelled) PixelShuffle(y, x Buffer, p Shuffle) {
	defer l.begin("PixelShuffle").end()
	l.Set.PixelShuffle(y, x, p)
}

func (l *labelled) CopyChannels(y, x Buffer, p Channels) {
	defer l.begin("CopyChannels").end()
	l.Set.CopyChannels(y, x, p)
}

func (l *labelled) Gather(y, x, ids Buffer, rows int, p PerImage) {
	defer l.begin("Gather").end()
	l.Set.Gather(y, x, ids, rows, p)
}

func (l *labelled) TimeEmbedding(y, t Buffer, p TimeEmbedding) {
	defer l.begin("TimeEmbedding").end()
	l.Set.TimeEmbedding(y, t, p)
}

func (l *labelled) Dropout(y, x, ids Buffer, p Dropout) {
	defer l.begin("Dropout").end()
	l.Set.Dropout(y, x, ids, p)
}

func (l *labelled) Normal(y, ids Buffer, p Draw) {
	defer l.begin("Normal").end()
	l.Set.Normal(y, ids, p)
}

func (l *labelled) Uniform(y, ids Buffer, p Draw) {
	defer l.begin("Uniform").end()
	l.Set.Uniform(y, ids, p)
}

func (l *labelled) Update(y, x, d, e, scale, ids Buffer, p Update) {
	defer l.begin("Update").end()
	l.Set.Update(y, x, d, e, scale, ids, p)
}

func (l *labelled) GradNorm(out, g Buffer, p GradNorm) {
	defer l.begin("GradNorm").end()
	l.Set.GradNorm(out, g, p)
}

func (l *labelled) AdamW(w, m, v, ema, g, norm Buffer, p AdamW) {
	defer l.begin("AdamW").end()
	l.Set.AdamW(w, m, v, ema, g, norm, p)
}

func (l *labelled) Gain(y, x, gain Buffer, p Gain) {
	defer l.begin("Gain").end()
	l.Set.Gain(y, x, gain, p)
}

func (l *labelled) GaussianPosterior(x, z, y, gain, ids Buffer, p GaussianPosterior) {
	defer l.begin("GaussianPosterior").end()
	l.Set.GaussianPosterior(x, z, y, gain, ids, p)
}

func (l *labelled) Blur(y, x, taps Buffer, p Blur) {
	defer l.begin("Blur").end()
	l.Set.Blur(y, x, taps, p)
}

func (l *labelled) BlurAdjoint(y, x, taps Buffer, p Blur) {
	defer l.begin("BlurAdjoint").end()
	l.Set.BlurAdjoint(y, x, taps, p)
}
