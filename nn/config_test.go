package nn

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels/ref"
)

func TestEachMistakeInAConfigurationIsNamed(t *testing.T) {
	for want, spoil := range map[string]func(*UNetConfig){
		"in_channels = 0":                        func(c *UNetConfig) { c.InChannels = 0 },
		"out_channels = -1":                      func(c *UNetConfig) { c.OutChannels = -1 },
		"block_out_channels has 0 levels":        func(c *UNetConfig) { c.Channels = nil },
		"attention has 1 values":                 func(c *UNetConfig) { c.Attention = []bool{true} },
		"layers_per_block = 0":                   func(c *UNetConfig) { c.LayersPerBlock = 0 },
		"layers_per_block = 65":                  func(c *UNetConfig) { c.LayersPerBlock = 65 },
		"must be at most 65536":                  func(c *UNetConfig) { c.Channels[0] = 1 << 17 },
		"norm_num_groups = 0":                    func(c *UNetConfig) { c.NormGroups = 0 },
		"norm_eps = 0":                           func(c *UNetConfig) { c.NormEps = 0 },
		"norm_eps = NaN":                         func(c *UNetConfig) { c.NormEps = math.NaN() },
		"dropout = 1":                            func(c *UNetConfig) { c.Dropout = 1 },
		"downsample_padding = 2":                 func(c *UNetConfig) { c.DownsamplePadding = 2 },
		"attention_head_dim = -1":                func(c *UNetConfig) { c.HeadDim = -1 },
		"unshuffle = -1":                         func(c *UNetConfig) { c.Unshuffle = -1 },
		"block_out_channels[1] = 18 must be":     func(c *UNetConfig) { c.Channels = []int{8, 18} },
		"a multiple of attention_head_dim = 3":   func(c *UNetConfig) { c.HeadDim = 3 },
		"leaves no time embedding":               func(c *UNetConfig) { c.FreqShift = 4 },
		"a 6x6 image does not fit":               func(c *UNetConfig) { c.ImageSize = 6 },
		"multiples of 4 (unshuffle 2, 2 levels)": func(c *UNetConfig) { c.ImageSize = 0 },
	} {
		c := small()
		spoil(&c)
		assert.ErrorContains(t, c.Validate(), want)
		_, err := NewUNet(ref.New(), c)
		assert.Error(t, err)
		_, err = c.Cost(1)
		assert.Error(t, err)
		_, err = c.DiffusersConfig()
		assert.Error(t, err)
	}
	assert.NoError(t, small().Validate())
	assert.NoError(t, DDPMCIFAR10().Validate())
}

func TestDiffusersConfigurationComesBack(t *testing.T) {
	for _, c := range []UNetConfig{DDPMCIFAR10(), variants()["conditioned"], variants()["plain"]} {
		c.Unshuffle, c.ImageSize = 0, 16
		text, err := c.DiffusersConfig()
		require.NoError(t, err)
		back, err := ParseDiffusersConfig(text)
		require.NoError(t, err)
		assert.Equal(t, c, back)
	}
	_, err := small().DiffusersConfig()
	assert.ErrorContains(t, err, "unshuffle = 2")
}

// published is config.json of google/ddpm-cifar10-32, older than several options.
const published = `{"_class_name": "UNet2DModel", "_diffusers_version": "0.0.4", "act_fn": "silu", "attention_head_dim": null,
 "block_out_channels": [128, 256, 256, 256], "center_input_sample": false,
 "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"], "downsample_padding": 0,
 "flip_sin_to_cos": false, "freq_shift": 1, "in_channels": 3, "layers_per_block": 2, "mid_block_scale_factor": 1,
 "norm_eps": 1e-06, "norm_num_groups": 32, "out_channels": 3, "sample_size": 32, "time_embedding_type": "positional",
 "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]}`

func TestThePublishedCIFAR10ConfigurationIsThePreset(t *testing.T) {
	c, err := ParseDiffusersConfig([]byte(published))
	require.NoError(t, err)
	assert.Equal(t, DDPMCIFAR10(), c)
}

func TestForeignOptionsOfDiffusersAreRefusedByName(t *testing.T) {
	for option, value := range map[string]any{
		"_class_name": "UNet1DModel", "center_input_sample": true, "time_embedding_type": "fourier", "time_embedding_dim": 64,
		"mid_block_type": "Other", "mid_block_scale_factor": 2, "downsample_type": "resnet", "upsample_type": "resnet", "act_fn": "gelu",
		"attn_norm_num_groups": 8, "resnet_time_scale_shift": "spatial", "num_class_embeds": 10, "attention_head_dim": "many",
		"down_block_types": []string{"SkipDownBlock2D"}, "up_block_types": []string{"UpBlock2D"}, "block_out_channels": []int{},
		"norm_num_groups": 7,
	} {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(published), &fields))
		fields[option] = value
		text, err := json.Marshal(fields)
		require.NoError(t, err)
		_, err = ParseDiffusersConfig(text)
		require.Error(t, err, option)
		assert.Contains(t, err.Error(), strings.TrimPrefix(option, "num_"))
	}
	_, err := ParseDiffusersConfig([]byte("{"))
	assert.ErrorContains(t, err, "not that of a UNet2DModel")
	c, err := ParseDiffusersConfig([]byte(strings.Replace(published, `"sample_size": 32`, `"sample_size": [32, 64]`, 1)))
	require.NoError(t, err)
	assert.Equal(t, 8, c.ImageSize, "a pair: the smallest size stands in")
}
