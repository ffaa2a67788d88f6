package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/run"
	"emdiff/kernels"
)

// convs are the convolutions among the cases.
func convs(t *testing.T, n networks) (list []kernels.Conv) {
	cases, err := n.cases("f32")
	require.NoError(t, err)
	for _, c := range cases {
		if p, ok := c.Params.(kernels.Conv); ok {
			list = append(list, p)
		}
	}
	require.NotEmpty(t, list)
	return list
}

func TestTheLayersAreThoseOfTheNetworksOnTheirData(t *testing.T) {
	for _, c := range []struct {
		networks
		size, channels int
		precision      kernels.Precision
	}{
		{networks{Presets: []string{"emu-tiny"}, Images: 2}, 8, 1, kernels.PrecisionF32},
		{networks{Presets: []string{"quick"}, Images: 2}, 14, 4, kernels.PrecisionF32}, // unshuffled by 2
		{networks{Presets: []string{"cifar10-denoise-small"}, Images: 2}, 16, 12, kernels.PrecisionF32},
		{networks{Presets: []string{ddpm}, Images: 2}, 32, 3, kernels.PrecisionF32},
		{networks{Presets: []string{ddpm}, Images: 1, Size: 64, Channels: 1, Precisions: []string{"bf16"}}, 64, 1, kernels.PrecisionBF16},
	} {
		first := convs(t, c.networks)[0]
		assert.Equal(t, []int{c.Images, c.size, c.size, c.channels}, []int{first.N, first.H, first.W, first.Cin}, "%v", c.Presets)
		assert.Equal(t, c.precision, first.Precision)
	}
	all := convs(t, networks{Images: 1})
	sum := len(convs(t, networks{Images: 1, Presets: []string{ddpm}}))
	for _, preset := range run.Presets() {
		sum += len(convs(t, networks{Images: 1, Presets: []string{preset}}))
	}
	assert.Len(t, all, sum, "all presets, and the network of DDPM")
}

func TestImpossibleNetworksAreRefused(t *testing.T) {
	for want, n := range map[string]networks{
		`preset "huge" does not exist`:             {Presets: []string{"huge"}, Images: 1},
		"--images 0 must be at least 1":            {},
		"--precision f64: want f32, tf32 or bf16":  {Presets: []string{ddpm}, Images: 1, Precisions: []string{"f64"}},
		"preset quick: a 30x30 image does not fit": {Presets: []string{"quick"}, Images: 1, Size: 30},
		"--config a.toml needs the preset":         {Config: "a.toml", Images: 1},
	} {
		_, err := n.cases("f32")
		assert.ErrorContains(t, err, want)
	}
}
