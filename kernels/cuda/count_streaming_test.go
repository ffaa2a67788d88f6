package cuda_test

import (
	"testing"

	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counting is an op set on an emulated device without checks that adds up what its launches do.
type counting struct {
	kernels.Set
	sum      emu.Counters
	launched []string
}

func newCounting(t testing.TB) *counting {
	c := &counting{}
	s, err := cuda.New(emu.New(emu.Options{OnLaunch: func(r emu.Report) {
		c.sum.Add(r.Counters)
		c.launched = append(c.launched, r.Kernel)
	}}), cuda.Options{})
	require.NoError(t, err)
	c.Set = s
	return c
}

// counts runs a case and returns what its launches did together.
func (c *counting) counts(t testing.TB, k kerneltest.Case) (emu.Counters, []string) {
	c.sum, c.launched = emu.Counters{}, nil
	require.NoError(t, kerneltest.Queue(c.Set, k))
	return c.sum, c.launched
}

// streaming are the ops whose cost is memory alone, on layers of the U-Net of DDPM and on images of its samplers.
func streaming() []kerneltest.Case {
	const layer = 32 * 32 * 32
	flat := kernels.Elementwise{Len: layer}
	added := kernels.Elementwise{Len: layer, Accumulate: true}
	images := kernels.PerImage{N: 8, Len: 3072}
	gain := kernels.Gain{N: 8, HW: 1024, C: 3, GainN: 8, GainC: 1}
	list := []kerneltest.Case{
		{Op: "Fill", Params: kerneltest.Fill{Elementwise: flat, Value: 1}},
		{Op: "Axpy", Params: kerneltest.Axpy{Elementwise: flat, Alpha: 2}},
		{Op: "Cast", Params: kerneltest.Cast{Elementwise: flat, Through: kernels.BF16}},
		{Op: "Cast", Params: kerneltest.Cast{Elementwise: flat, Through: kernels.F16}},
		{Op: "Clamp", Params: kernels.Clamp{Len: layer, Lo: -1, Hi: 1}},
		{Op: "ClampGrad", Params: kernels.Clamp{Len: layer, Lo: -1, Hi: 1}},
		{Op: "ScaleImages", Params: images},
		{Op: "ScaleImages", Params: images, Without: []string{"b", "z"}},
		{Op: "Dot", Params: images},
		{Op: "Sum", Params: images},
		{Op: "SquaredError", Params: images},
		{Op: "SquaredError", Params: images, Without: []string{"dx"}},
		{Op: "SumRows", Params: kernels.SumRows{Groups: 1, Rows: 1024, C: 128}},
		{Op: "SumRows", Params: kernels.SumRows{Groups: 16, Rows: 256, C: 256}},
		{Op: "Upsample2x", Params: kernels.Resize{N: 2, H: 16, W: 16, C: 256}},
		{Op: "Upsample2xGrad", Params: kernels.Resize{N: 2, H: 16, W: 16, C: 256}},
		{Op: "CopyChannels", Params: kernels.Channels{Rows: 1024, C: 128, YStride: 384, YOffset: 256}},
		{Op: "CopyChannels", Params: kernels.Channels{Rows: 1024, C: 256, XStride: 384, XOffset: 128, Accumulate: true}},
		{Op: "Gather", Params: kerneltest.Gather{PerImage: images, Rows: 8}},
		{Op: "Dropout", Params: kernels.Dropout{N: 2, Len: layer, Rate: 0.1}},
		{Op: "Normal", Params: kernels.Draw{N: 8, Len: 3072}},
		{Op: "Uniform", Params: kernels.Draw{N: 8, Len: 3072}},
		{Op: "Update", Params: kernels.Update{N: 8, Len: 3072, A: 1, B: 1, C: 1, Noise: 1}},
		{Op: "Update", Params: kernels.Update{N: 8, Len: 3072, A: 1, C: 1}, Without: []string{"d", "scale", "ids"}},
		{Op: "Gain", Params: gain},
		{Op: "GaussianPosterior", Params: kernels.GaussianPosterior{Gain: gain, SigmaY: 1, R: 1, Temperature: 1}},
		{Op: "GaussianPosterior", Params: kernels.GaussianPosterior{Gain: gain, SigmaY: 1, R: 1, Temperature: 1}, Without: []string{"gain", "ids"}},
		{Op: "GradNorm", Params: kernels.GradNorm{Len: 1 << 18, MaxNorm: 1}},
		{Op: "AdamW", Params: kernels.AdamW{Len: 1 << 16, LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, EMADecay: 0.99, Step: 1}},
	}
	for _, op := range []string{"SiLU", "SiLUGrad", "Add", "Copy"} {
		list = append(list, kerneltest.Case{Op: op, Params: flat}, kerneltest.Case{Op: op, Params: added})
	}
	return list
}

// Every kernel of them asks for whole sectors, as few per request as its lanes' values fill, and moves no byte twice. What the lanes of a
// warp share, an id or a coefficient of their image, is a sector per warp: most beside the 512 bytes that a draw writes.
func TestStreamingOpsMoveTheBytesOfTheirCost(t *testing.T) {
	s := newCounting(t)
	defer s.Close()
	for _, c := range streaming() {
		most := 1.05
		if c.Op == "Normal" || c.Op == "Uniform" {
			most = 1.07
		}
		s.checkTraffic(t, c, most)
	}
}

func (s *counting) checkTraffic(t *testing.T, c kerneltest.Case, most float64) {
	k, launched := s.counts(t, c)
	moved, least := 32*float64(k.GlobalLoads.Sectors+k.GlobalStores.Sectors), c.Cost().Bytes
	t.Logf("%-18s %.3f x the least bytes, %5.2f and %5.2f sectors per request: %s", c.Op, moved/least,
		k.GlobalLoads.SectorsPerRequest(), k.GlobalStores.SectorsPerRequest(), launched)
	assert.LessOrEqual(t, moved/least, most, "%s moves more than its operands: %s", launched, c)
	// One result of an image or a group fills no sector.
	few := float64(k.GlobalStores.Requests-k.GlobalStores.Bytes/512) * 32
	assert.LessOrEqual(t, 32*float64(k.GlobalLoads.Sectors), 1.05*float64(k.GlobalLoads.Bytes), "%s loads parts of sectors: %s", launched, c)
	assert.LessOrEqual(t, 32*float64(k.GlobalStores.Sectors), 1.05*float64(k.GlobalStores.Bytes)+few, "%s stores parts of sectors: %s", launched, c)
}

// norms are those of the U-Net of DDPM.
func norms() (list []kernels.GroupNorm) {
	for _, size := range []struct{ hw, c int }{{1024, 128}, {1024, 256}, {1024, 384}, {256, 128}, {256, 256}, {256, 384}, {256, 512}, {64, 256}, {64, 512}} {
		list = append(list, kernels.GroupNorm{N: 1, HW: size.hw, C: size.c, Groups: 32, Eps: 1e-6, SiLU: true})
	}
	return list
}

// A gradient keeps two values for each of its input, and reads everything again where they do not fit.
func TestGroupNormsMoveTheBytesOfTheirCost(t *testing.T) {
	s := newCounting(t)
	defer s.Close()
	for _, p := range norms() {
		s.checkTraffic(t, kerneltest.Case{Op: "GroupNorm", Params: p, Without: []string{"scaleShift"}}, 1.05)
		most := 1.05
		if p.HW*p.C > 256<<10 {
			most = 5. / 3 * 1.05
		}
		s.checkTraffic(t, kerneltest.Case{Op: "GroupNormGrad", Params: p, Without: []string{"scaleShift", "dscaleShift"}}, most)
	}
}
