package bench

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

// timed is a call that is timed, with what tells it from the other calls of its op.
type timed struct {
	kerneltest.Case
	where string // net=ddpm, size=memory, ...
	large bool   // takes long at the portable level
}

// largest is the most parameters that the optimiser is timed on: beyond the caches more of them tell nothing new.
const largest = 1 << 22

// cases are the calls that are timed, by op: those of the networks, and those of tables for what networks do not use. Of
// the calls of a network that differ in strides, in what is left out or in whether they accumulate the first is timed.
var cases = sync.OnceValue(func() map[string][]timed {
	all, seen := map[string][]timed{}, map[string]bool{}
	add := func(where string, large bool, calls ...kerneltest.Case) {
		for _, c := range calls {
			t := timed{c, where, large}
			if name := c.Op + t.label(); !seen[name] {
				seen[name] = true
				all[c.Op] = append(all[c.Op], t)
			}
		}
	}
	for _, n := range networks() {
		calls, err := n.calls()
		if err != nil {
			panic(err)
		}
		for i := range calls {
			switch p := calls[i].Params.(type) {
			case kernels.AdamW:
				p.Len = min(p.Len, largest)
				calls[i].Params = p
			case kernels.GradNorm:
				p.Len = min(p.Len, largest)
				calls[i].Params = p
			}
		}
		add("net="+n.name, n.name == "ddpm", calls...)
	}
	add("size=l2", false, flat(1)...)
	add("size=memory", false, flat(128)...)
	add("use=gemm", true, kerneltest.Case{Op: "MatMul", Params: kernels.MatMul{Batch: 1, M: 1024, N: 1024, K: 1024, Alpha: 1}},
		kerneltest.Case{Op: "MatMul", Params: kernels.MatMul{Batch: 1, M: 1024, N: 1024, K: 1024, Alpha: 1, TransA: true}})
	add("use=blur", false, kerneltest.Case{Op: "MatMul", Params: kernels.MatMul{Batch: 64, M: 96, N: 32, K: 32, StrideA: 96 * 32, StrideC: 96 * 32, Alpha: 1}})
	add("use=heads", false, // which the networks have none of
		kerneltest.Case{Op: "Attention", Params: kernels.Attention{N: 16, T: 256, Heads: 4, HeadDim: 64, Scale: 0.125}},
		kerneltest.Case{Op: "AttentionGrad", Params: kernels.Attention{N: 16, T: 256, Heads: 4, HeadDim: 64, Scale: 0.125}})
	return all
})

// image is the largest activation of DDPM's network, 32 x 32 x 128; pictures are the RGB images that fit into it.
const (
	image    = 32 * 32 * 128
	pictures = image / (32 * 32 * 3)
)

// flat are calls, on n activations, of the ops that memory or vector arithmetic bounds.
func flat(n int) []kerneltest.Case {
	random := kernels.Random{Seed: 1, Stream: 2}
	each := kernels.Elementwise{Len: n * image}
	images := kernels.PerImage{N: n, Len: image}
	gain := kernels.Gain{N: n * pictures, HW: 1024, C: 3, GainN: n * pictures, GainC: 1}
	blur := kernels.Blur{N: n * pictures, H: 32, W: 32, C: 3, K: 9}
	clamp := kernels.Clamp{Len: n * image, Lo: -1, Hi: 1}
	norm := kernels.GroupNorm{N: n, HW: 1024, C: 128, Groups: 32, Eps: 1e-6, SiLU: true}
	draw := kernels.Draw{N: n, Len: image, Random: random}
	half := kernels.Resize{N: n, H: 16, W: 16, C: 128}
	blocks := kernels.Shuffle{N: n * pictures, H: 32, W: 32, C: 3, R: 2}
	var list []kerneltest.Case
	add := func(op string, params any, without ...string) {
		list = append(list, kerneltest.Case{Op: op, Params: params, Without: without})
	}
	add("Copy", each)
	add("Add", each)
	add("Axpy", kerneltest.Axpy{Elementwise: each, Alpha: 0.5})
	add("Fill", kerneltest.Fill{Elementwise: each, Value: 0.5})
	add("SiLU", each)
	add("SiLUGrad", each)
	add("Clamp", clamp)
	add("ClampGrad", clamp)
	add("Cast", kerneltest.Cast{Elementwise: each, Through: kernels.BF16})
	add("ScaleImages", images)
	add("Dot", images)
	add("Sum", images)
	add("SquaredError", images)
	add("SumRows", kernels.SumRows{Groups: 1, Rows: n * 1024, C: 128})
	add("Gather", kerneltest.Gather{PerImage: kernels.PerImage{N: n * pictures, Len: 32 * 32 * 3}, Rows: n * pictures})
	add("CopyChannels", kernels.Channels{Rows: n * 1024, C: 128, YStride: 256, YOffset: 128})
	add("Upsample2x", half)
	add("Upsample2xGrad", half)
	add("PixelShuffle", blocks)
	add("PixelUnshuffle", blocks)
	add("Dropout", kernels.Dropout{N: n, Len: image, Rate: 0.1, Random: random}, "ids")
	add("Normal", draw, "ids")
	add("Uniform", draw, "ids")
	add("Update", kernels.Update{N: n, Len: image, A: 0.9, B: 0.1, C: -0.1, Noise: 0.1, Random: random}, "ids")
	add("GroupNorm", norm, "scaleShift")
	norm.SiLU = false
	add("GroupNorm", norm, "scaleShift")
	norm.SiLU = true
	add("GroupNormGrad", norm, "scaleShift", "dscaleShift")
	add("Gain", gain)
	add("GaussianPosterior", kernels.GaussianPosterior{Gain: gain, SigmaY: 0.2, R: 0.3, Temperature: 1, Random: random}, "ids")
	add("Blur", blur)
	add("BlurAdjoint", blur)
	return list
}

// reduced is a case of the same layer that the oracle can do: one image, or few values.
func reduced(c kerneltest.Case) kerneltest.Case {
	v := reflect.New(reflect.TypeOf(c.Params)).Elem()
	v.Set(reflect.ValueOf(c.Params))
	atMost := func(name string, most int64) {
		if f := v.FieldByName(name); f.IsValid() && f.Int() > most {
			f.SetInt(most)
		}
	}
	switch p := c.Params.(type) {
	case kernels.MatMul: // whose cost is cubic: a quarter of each side
		p.M, p.N, p.K = p.M/4, p.N/4, p.K/4
		p.StrideA, p.StrideC = p.M*p.K*min(1, p.StrideA), p.M*p.N*min(1, p.StrideC)
		c.Params = p
		return c
	case kernels.SumRows, kernels.Channels:
		atMost("Groups", 2)
		atMost("Rows", 2048)
	case kernels.GroupNorm: // one image has too few means for the largest of their naive errors to be a fair budget
		atMost("N", 4)
	default:
		atMost("N", 1)
		atMost("GainN", 1)
		if f := v.FieldByName("N"); !f.IsValid() {
			atMost("Len", image)
		}
	}
	c.Params = v.Interface()
	return c
}

// label names the case by its network or size and its shape.
func (t timed) label() string {
	conv := func(p kernels.Conv) string {
		return fmt.Sprintf("%s/n=%d/hw=%d/cin=%d/cout=%d/k=%d/stride=%d", t.where, p.N, p.H, p.Cin, p.Cout, p.KH, p.Stride)
	}
	switch p := t.Params.(type) {
	case kerneltest.Conv2D:
		return conv(p.Conv)
	case kernels.Conv:
		return conv(p)
	}
	return strings.Join(append([]string{t.where}, fields(reflect.ValueOf(t.Params))...), "/")
}

// notShape are the integers that do not tell a layer from another.
var notShape = []string{"step", "xstride", "ystride", "residualstride", "qkvstride", "ostride", "stridea", "strideb", "stridec", "xoffset", "yoffset"}

// fields lists the shape and the switches of a parameter struct.
func fields(v reflect.Value) (parts []string) {
	for i := range v.NumField() {
		f, name := v.Field(i), strings.ToLower(v.Type().Field(i).Name)
		switch {
		case v.Type().Field(i).Type == reflect.TypeFor[kernels.Random]():
		case f.Kind() == reflect.Struct:
			parts = append(parts, fields(f)...)
		case f.Kind() == reflect.Int && !slices.Contains(notShape, name):
			parts = append(parts, fmt.Sprintf("%s=%d", name, f.Int()))
		case f.Kind() == reflect.Bool && f.Bool() && !strings.HasPrefix(name, "accumulate"):
			parts = append(parts, name+"=true")
		}
	}
	return parts
}
