package nn

import (
	"fmt"
	"math"

	"emdiff/kernels"
)

// UNetConfig describes a U-Net: diffusers' UNet2DModel, with two options of our own at the end. The field tags are
// diffusers' names where both have the option.
type UNetConfig struct {
	ImageSize   int   `json:"sample_size" toml:"sample_size"`               // height and width that Cost assumes; Forward takes any multiple of SizeMultiple
	InChannels  int   `json:"in_channels" toml:"in_channels"`               // of the images
	OutChannels int   `json:"out_channels" toml:"out_channels"`             // of the output
	Channels    []int `json:"block_out_channels" toml:"block_out_channels"` // per level, finest first; each level halves the image
	// LayersPerBlock is the number of residual blocks per level of the encoder; the decoder has one more.
	LayersPerBlock int `json:"layers_per_block" toml:"layers_per_block"`
	// Attention says which levels have self-attention after every residual block, in encoder and decoder.
	Attention []bool `json:"attention" toml:"attention"`
	// MidAttention puts self-attention between the two residual blocks of the middle.
	MidAttention bool `json:"add_attention" toml:"add_attention"`
	// HeadDim is the channels of an attention head; 0 = a single head.
	HeadDim    int     `json:"attention_head_dim" toml:"attention_head_dim"`
	NormGroups int     `json:"norm_num_groups" toml:"norm_num_groups"`
	NormEps    float64 `json:"norm_eps" toml:"norm_eps"`
	Dropout    float64 `json:"dropout" toml:"dropout"` // probability, before the second convolution of each residual block
	// DownsamplePadding 0 pads the strided convolutions at the bottom and right only, 1 on all sides.
	DownsamplePadding int `json:"downsample_padding" toml:"downsample_padding"`
	// CosFirst orders the time embedding [cos, sin] instead of [sin, cos]; FreqShift is 1 for DDPM, 0 for guided-diffusion.
	CosFirst  bool    `json:"flip_sin_to_cos" toml:"flip_sin_to_cos"`
	FreqShift float64 `json:"freq_shift" toml:"freq_shift"`
	// ScaleShift conditions the second norm of each residual block on time with scale and shift (guided-diffusion) instead
	// of adding to its input. As in diffusers, the attention of the middle then has no norm.
	ScaleShift bool `json:"scale_shift" toml:"scale_shift"`

	// Unshuffle moves r x r blocks of pixels into channels before the first convolution and back after the last: the
	// network works at 1/r of the size. 0 and 1 mean no.
	Unshuffle int `json:"unshuffle,omitempty" toml:"unshuffle"`
	// ZeroInit starts the last layer of every residual block and attention and of the network at zero, as guided-diffusion.
	ZeroInit bool `json:"zero_init,omitempty" toml:"zero_init"`
}

// DDPMCIFAR10 is google/ddpm-cifar10-32, the network of DDPM (Ho et al. 2020) and of EMDiffusion: 35,746,307 parameters.
// EMDiffusion trains it with Dropout = 0.1.
func DDPMCIFAR10() UNetConfig {
	return UNetConfig{ImageSize: 32, InChannels: 3, OutChannels: 3, Channels: []int{128, 256, 256, 256}, LayersPerBlock: 2,
		Attention: []bool{false, true, false, false}, MidAttention: true, NormGroups: 32, NormEps: 1e-6, FreqShift: 1}
}

// SizeMultiple is what the height and width of images must be a multiple of.
func (c UNetConfig) SizeMultiple() int { return c.unshuffle() << max(len(c.Channels)-1, 0) }

func (c UNetConfig) unshuffle() int { return max(c.Unshuffle, 1) }

// heads is the number of attention heads for the given channels.
func (c UNetConfig) heads(channels int) int {
	if c.HeadDim == 0 {
		return 1
	}
	return channels / c.HeadDim
}

// timeEmbedding is the sinusoidal embedding for n images.
func (c UNetConfig) timeEmbedding(n int) kernels.TimeEmbedding {
	return kernels.TimeEmbedding{N: n, Dim: c.Channels[0], FreqShift: float32(c.FreqShift), MaxPeriod: 10000, CosFirst: c.CosFirst}
}

// Validate returns the first mistake as one sentence.
func (c UNetConfig) Validate() error {
	levels := len(c.Channels)
	switch {
	case c.InChannels < 1 || c.OutChannels < 1:
		return fmt.Errorf("in_channels = %d and out_channels = %d must be at least 1", c.InChannels, c.OutChannels)
	case levels < 1 || levels > 12:
		return fmt.Errorf("block_out_channels has %d levels, want 1 to 12", levels)
	case len(c.Attention) != levels:
		return fmt.Errorf("attention has %d values, want one for each of the %d levels of block_out_channels", len(c.Attention), levels)
	case c.LayersPerBlock < 1 || c.LayersPerBlock > 64:
		return fmt.Errorf("layers_per_block = %d must lie in 1 to 64", c.LayersPerBlock)
	case c.NormGroups < 1:
		return fmt.Errorf("norm_num_groups = %d must be at least 1", c.NormGroups)
	case !(c.NormEps > 0) || math.IsInf(c.NormEps, 0):
		return fmt.Errorf("norm_eps = %g must be positive", c.NormEps)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("dropout = %g must lie in [0, 1)", c.Dropout)
	case c.DownsamplePadding != 0 && c.DownsamplePadding != 1:
		return fmt.Errorf("downsample_padding = %d must be 0 (bottom and right only) or 1 (all sides)", c.DownsamplePadding)
	case c.HeadDim < 0:
		return fmt.Errorf("attention_head_dim = %d must not be negative (0 = a single head)", c.HeadDim)
	case c.Unshuffle < 0 || c.Unshuffle > 64:
		return fmt.Errorf("unshuffle = %d must lie in 0 to 64", c.Unshuffle)
	}
	for i, channels := range c.Channels {
		if channels > 1<<16 {
			return fmt.Errorf("block_out_channels[%d] = %d must be at most %d", i, channels, 1<<16)
		}
		if channels < 1 || channels%c.NormGroups != 0 {
			return fmt.Errorf("block_out_channels[%d] = %d must be a positive multiple of norm_num_groups = %d", i, channels, c.NormGroups)
		}
		attention := c.Attention[i] || i == levels-1 && c.MidAttention
		if attention && c.HeadDim > 0 && channels%c.HeadDim != 0 {
			return fmt.Errorf("block_out_channels[%d] = %d must be a multiple of attention_head_dim = %d", i, channels, c.HeadDim)
		}
	}
	if c.timeEmbedding(1).Validate() != nil {
		return fmt.Errorf("block_out_channels[0] = %d with freq_shift = %g leaves no time embedding: half of it must be an integer above freq_shift", c.Channels[0], c.FreqShift)
	}
	return c.CheckSize(c.ImageSize, c.ImageSize)
}

// CheckSize reports whether images of this size can be halved as often as the network does.
func (c UNetConfig) CheckSize(h, w int) error {
	if m := c.SizeMultiple(); h < m || w < m || h%m != 0 || w%m != 0 {
		return fmt.Errorf("a %dx%d image does not fit: height and width must be multiples of %d (unshuffle %d, %d levels)", h, w, m, c.unshuffle(), len(c.Channels))
	}
	return nil
}
