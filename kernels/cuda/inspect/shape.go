package inspect

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

// parseShape reads a case as "Op:Field=value,...", for example "Conv2D:N=1,H=32,W=32,Cin=64,Cout=64,Precision=tf32". Fields that are
// not given are those of the op's first conformance case: a padded 3x3 convolution with all its optional arguments.
func parseShape(text string) (kerneltest.Case, error) {
	op, fields, _ := strings.Cut(text, ":")
	if !slices.Contains(kerneltest.Ops(), op) {
		return kerneltest.Case{}, unknownOp(op)
	}
	c := kerneltest.Cases(op)[0]
	params := reflect.New(reflect.TypeOf(c.Params)).Elem()
	params.Set(reflect.ValueOf(c.Params))
	for _, assignment := range strings.Split(fields, ",") {
		if assignment == "" {
			continue
		}
		name, value, _ := strings.Cut(assignment, "=")
		field := params.FieldByName(name)
		if !field.IsValid() {
			return c, fmt.Errorf("%s: %s has no parameter %q: choose from %s", text, op, name, strings.Join(fieldNames(params.Type()), ", "))
		}
		if err := setField(field, value); err != nil {
			return c, fmt.Errorf("%s: %s = %q: %w", text, name, value, err)
		}
	}
	c.Params = params.Interface()
	if err := c.Params.(interface{ Validate() error }).Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", text, err)
	}
	return c, nil
}

// fieldNames lists the fields that a shape may set, those of embedded structs included.
func fieldNames(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if f.Type.Kind() != reflect.Struct {
			names = append(names, f.Name)
		}
	}
	return names
}

func setField(field reflect.Value, value string) error {
	if field.Type() == reflect.TypeFor[kernels.Precision]() {
		for p := kernels.PrecisionF32; p <= kernels.PrecisionBF16; p++ {
			if p.String() == value {
				field.SetUint(uint64(p))
				return nil
			}
		}
		return fmt.Errorf("want %s, %s or %s", kernels.PrecisionF32, kernels.PrecisionTF32, kernels.PrecisionBF16)
	}
	bits := 64
	if field.CanInt() || field.CanUint() || field.CanFloat() {
		bits = field.Type().Bits()
	}
	switch {
	case field.CanInt():
		v, err := strconv.ParseInt(value, 10, bits)
		if err != nil {
			return fmt.Errorf("want a whole number")
		}
		field.SetInt(v)
	case field.CanUint():
		v, err := strconv.ParseUint(value, 10, bits)
		if err != nil {
			return fmt.Errorf("want a whole number")
		}
		field.SetUint(v)
	case field.CanFloat():
		v, err := strconv.ParseFloat(value, bits)
		if err != nil {
			return fmt.Errorf("want a number")
		}
		field.SetFloat(v)
	case field.Kind() == reflect.Bool:
		v, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("want true or false")
		}
		field.SetBool(v)
	default:
		return fmt.Errorf("this parameter cannot be set")
	}
	return nil
}

// defaultShapes are layers of the 35.7 M parameter U-Net of DDPM at one image of 32x32, and steps of its samplers and optimiser.
var defaultShapes = []string{
	"Conv2D:N=1,H=32,W=32,Cin=128,Cout=128",
	"Conv2D:N=1,H=32,W=32,Cin=128,Cout=128,Precision=tf32",
	"Conv2D:N=1,H=32,W=32,Cin=128,Cout=128,Precision=bf16",
	"Conv2D:N=1,H=8,W=8,Cin=512,Cout=256",
	"Conv2DInputGrad:N=1,H=32,W=32,Cin=128,Cout=128",
	"Conv2DWeightGrad:N=1,H=32,W=32,Cin=128,Cout=128",
	"Linear:Rows=8,K=512,M=512",
	"GroupNorm:N=1,HW=1024,C=128,Groups=32",
	"GroupNormGrad:N=1,HW=1024,C=128,Groups=32",
	"Attention:N=1,T=256,Heads=1,HeadDim=256,Scale=0.0625",
	"Attention:N=1,T=256,Heads=1,HeadDim=256,Scale=0.0625,Precision=tf32",
	"Attention:N=1,T=256,Heads=1,HeadDim=256,Scale=0.0625,Precision=bf16",
	"AttentionGrad:N=1,T=256,Heads=1,HeadDim=256,Scale=0.0625",
	"AttentionGrad:N=1,T=256,Heads=1,HeadDim=256,Scale=0.0625,Precision=tf32",
	"AttentionGrad:N=1,T=256,Heads=1,HeadDim=256,Scale=0.0625,Precision=bf16",
	"SiLU:Len=131072",
	"SiLUGrad:Len=131072",
	"Upsample2x:N=1,H=16,W=16,C=256",
	"TimeEmbedding:N=8,Dim=128",
	"Normal:N=8,Len=3072",
	"Update:N=8,Len=3072",
	"GaussianPosterior:N=8,HW=1024,C=3,GainN=1,GainC=1",
	"Blur:N=8,H=32,W=32,C=3,K=9",
	"SquaredError:N=8,Len=3072",
	"GradNorm:Len=1048576",
	"AdamW:Len=1048576",
}

// timedShapes are layers of that U-Net, steps of its samplers and of its optimiser at a number of images, the products in every
// precision: every op at least once. %d is the number of images or, with *K, K times that.
func timedShapes(images int, precisions []string) []string {
	var shapes []string
	add := func(ops []string, fields string) {
		for _, op := range ops {
			shapes = append(shapes, op+":"+timesImages.ReplaceAllStringFunc(fields, func(m string) string {
				k, _ := strconv.Atoi(strings.TrimPrefix(m, "%d*"))
				return strconv.Itoa(max(k, 1) * images)
			}))
		}
	}
	for _, precision := range precisions {
		for _, layer := range []string{"H=32,W=32,Cin=128,Cout=128", "H=16,W=16,Cin=512,Cout=256", "H=8,W=8,Cin=512,Cout=256", "H=4,W=4,Cin=256,Cout=256"} {
			add([]string{"Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad"}, "N=%d,"+layer+",Precision="+precision)
		}
		add([]string{"Linear", "LinearInputGrad", "LinearWeightGrad"}, "Rows=%d*256,K=256,M=768,Precision="+precision)
		add([]string{"MatMul"}, "Batch=%d,M=64,N=64,K=64,StrideA=4096,StrideB=4096,StrideC=4096,Precision="+precision)
		add([]string{"Attention", "AttentionGrad"}, "N=%d,T=256,Heads=1,HeadDim=256,Scale=0.0625,Precision="+precision)
		add([]string{"Attention", "AttentionGrad"}, "N=%d,T=256,Heads=32,HeadDim=8,Scale=0.354,Precision="+precision)
	}
	add([]string{"Conv2D"}, "N=%d,H=32,W=32,Cin=3,Cout=128")
	add([]string{"Conv2D"}, "N=%d,H=32,W=32,Cin=128,Cout=3")
	add([]string{"GroupNorm", "GroupNormGrad"}, "N=%d,HW=1024,C=128,Groups=32")
	add([]string{"Upsample2x", "Upsample2xGrad"}, "N=%d,H=16,W=16,C=256")
	add([]string{"SiLU", "SiLUGrad", "Add", "Axpy", "Copy", "Fill", "Cast", "Clamp", "ClampGrad"}, "Len=%d*131072")
	add([]string{"CopyChannels"}, "Rows=%d*1024,C=128,XStride=128,YStride=256,XOffset=0,YOffset=128")
	add([]string{"SumRows"}, "Groups=%d,Rows=1024,C=128")
	add([]string{"Dropout"}, "N=%d,Len=131072")
	add([]string{"TimeEmbedding"}, "N=%d,Dim=128")
	add([]string{"PixelUnshuffle", "PixelShuffle"}, "N=%d,H=32,W=32,C=3,R=2")
	add([]string{"Gather"}, "N=%d,Len=3072,Rows=%d")
	add([]string{"Dot", "Sum", "ScaleImages", "SquaredError", "Normal", "Uniform", "Update"}, "N=%d,Len=3072")
	add([]string{"Gain", "GaussianPosterior"}, "N=%d,HW=1024,C=3,GainN=1,GainC=1")
	add([]string{"Blur", "BlurAdjoint"}, "N=%d,H=32,W=32,C=3,K=9")
	add([]string{"GradNorm", "AdamW"}, "Len=%d*1048576")
	return shapes
}

var timesImages = regexp.MustCompile(`%d(\*\d+)?`)
