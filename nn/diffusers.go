package nn

import (
	"encoding/json"
	"fmt"
	"slices"
)

// diffusersConfig holds the entries of diffusers' config.json that change the network. Pointers tell "null" and "absent"
// (diffusers' default) from a value.
type diffusersConfig struct {
	Class             string          `json:"_class_name"`
	SampleSize        json.RawMessage `json:"sample_size"`
	InChannels        *int            `json:"in_channels"`
	OutChannels       *int            `json:"out_channels"`
	Center            bool            `json:"center_input_sample"`
	TimeEmbedding     *string         `json:"time_embedding_type"`
	TimeEmbeddingDim  *int            `json:"time_embedding_dim,omitempty"`
	FreqShift         float64         `json:"freq_shift"`
	FlipSinToCos      *bool           `json:"flip_sin_to_cos"`
	DownBlocks        []string        `json:"down_block_types"`
	MidBlock          *string         `json:"mid_block_type"`
	UpBlocks          []string        `json:"up_block_types"`
	Channels          []int           `json:"block_out_channels"`
	Layers            *int            `json:"layers_per_block"`
	MidScale          *float64        `json:"mid_block_scale_factor"`
	DownsamplePadding *int            `json:"downsample_padding"`
	DownsampleType    *string         `json:"downsample_type"`
	UpsampleType      *string         `json:"upsample_type"`
	Dropout           float64         `json:"dropout"`
	Act               *string         `json:"act_fn"`
	HeadDim           json.RawMessage `json:"attention_head_dim"`
	NormGroups        *int            `json:"norm_num_groups"`
	AttnNormGroups    *int            `json:"attn_norm_num_groups"`
	NormEps           *float64        `json:"norm_eps"`
	TimeScaleShift    *string         `json:"resnet_time_scale_shift"`
	AddAttention      *bool           `json:"add_attention"`
	ClassEmbed        *string         `json:"class_embed_type"`
	ClassEmbeds       *int            `json:"num_class_embeds"`
}

// ParseDiffusersConfig reads diffusers' config.json of a UNet2DModel. An option that this U-Net does not have is an error that
// names it.
func ParseDiffusersConfig(text []byte) (UNetConfig, error) {
	var d diffusersConfig
	if err := json.Unmarshal(text, &d); err != nil {
		return UNetConfig{}, fmt.Errorf("the configuration is not that of a UNet2DModel: %w", err)
	}
	c := UNetConfig{InChannels: or(d.InChannels, 3), OutChannels: or(d.OutChannels, 3), Channels: d.Channels,
		LayersPerBlock: or(d.Layers, 2), MidAttention: or(d.AddAttention, true), HeadDim: 8, NormGroups: or(d.NormGroups, 32),
		NormEps: or(d.NormEps, 1e-5), Dropout: d.Dropout, DownsamplePadding: or(d.DownsamplePadding, 1),
		CosFirst: or(d.FlipSinToCos, true), FreqShift: d.FreqShift, ScaleShift: or(d.TimeScaleShift, "default") == "scale_shift"}
	if err := d.unsupported(c); err != nil {
		return c, err
	}
	if string(d.HeadDim) == "null" {
		c.HeadDim = 0
	} else if len(d.HeadDim) > 0 {
		if err := json.Unmarshal(d.HeadDim, &c.HeadDim); err != nil || c.HeadDim < 1 {
			return c, fmt.Errorf("attention_head_dim = %s must be null or a positive number", d.HeadDim)
		}
	}
	for i, block := range d.DownBlocks {
		attn := block == "AttnDownBlock2D"
		if !attn && block != "DownBlock2D" {
			return c, fmt.Errorf("down_block_types[%d] = %q is not supported, want DownBlock2D or AttnDownBlock2D", i, block)
		}
		c.Attention = append(c.Attention, attn)
	}
	if !slices.Equal(d.UpBlocks, c.upBlocks()) {
		return c, fmt.Errorf("up_block_types = %q must mirror down_block_types: want %q", d.UpBlocks, c.upBlocks())
	}
	if json.Unmarshal(d.SampleSize, &c.ImageSize) != nil || c.ImageSize == 0 {
		c.ImageSize = c.SizeMultiple() // null or a pair; Forward takes other sizes anyway
	}
	return c, c.Validate()
}

// unsupported names the first option whose value this U-Net cannot reproduce.
func (d diffusersConfig) unsupported(c UNetConfig) error {
	reject := func(name string, value any, want string) error {
		return fmt.Errorf("%s = %v is not supported, want %s", name, value, want)
	}
	text := func(p *string, absent string) string { return or(p, absent) }
	switch {
	case text(&d.Class, "") != "" && d.Class != "UNet2DModel":
		return reject("_class_name", d.Class, "UNet2DModel")
	case len(d.Channels) == 0:
		return fmt.Errorf("block_out_channels is missing: the configuration is not that of a UNet2DModel")
	case d.Center:
		return reject("center_input_sample", true, "false")
	case text(d.TimeEmbedding, "positional") != "positional":
		return reject("time_embedding_type", *d.TimeEmbedding, "positional")
	case or(d.TimeEmbeddingDim, 4*d.Channels[0]) != 4*d.Channels[0]:
		return reject("time_embedding_dim", *d.TimeEmbeddingDim, "null")
	case text(d.MidBlock, "UNetMidBlock2D") != "UNetMidBlock2D":
		return reject("mid_block_type", *d.MidBlock, "UNetMidBlock2D")
	case or(d.MidScale, 1) != 1:
		return reject("mid_block_scale_factor", *d.MidScale, "1")
	case text(d.DownsampleType, "conv") != "conv":
		return reject("downsample_type", *d.DownsampleType, "conv")
	case text(d.UpsampleType, "conv") != "conv":
		return reject("upsample_type", *d.UpsampleType, "conv")
	case text(d.Act, "silu") != "silu" && *d.Act != "swish":
		return reject("act_fn", *d.Act, "silu")
	case d.AttnNormGroups != nil && (c.ScaleShift || *d.AttnNormGroups != c.NormGroups):
		return reject("attn_norm_num_groups", *d.AttnNormGroups, "null")
	case text(d.TimeScaleShift, "default") != "default" && !c.ScaleShift:
		return reject("resnet_time_scale_shift", *d.TimeScaleShift, "default or scale_shift")
	case d.ClassEmbed != nil || d.ClassEmbeds != nil:
		return fmt.Errorf("class embeddings are not supported, want class_embed_type and num_class_embeds null")
	}
	return nil
}

// or is the value that p points to, or the default.
func or[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}

func (c UNetConfig) upBlocks() []string {
	var blocks []string
	for i := len(c.Attention) - 1; i >= 0; i-- {
		blocks = append(blocks, map[bool]string{false: "UpBlock2D", true: "AttnUpBlock2D"}[c.Attention[i]])
	}
	return blocks
}

// DiffusersConfig returns config.json for diffusers' UNet2DModel.from_pretrained. A pixel-unshuffle stem has no counterpart
// there and is an error.
func (c UNetConfig) DiffusersConfig() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.unshuffle() > 1 {
		return nil, fmt.Errorf("unshuffle = %d: diffusers' UNet2DModel has no pixel-unshuffle stem", c.Unshuffle)
	}
	positional, mid, conv, silu, shift := "positional", "UNetMidBlock2D", "conv", "silu", "default"
	if c.ScaleShift {
		shift = "scale_shift"
	}
	one := 1.0
	d := diffusersConfig{Class: "UNet2DModel", SampleSize: json.RawMessage(fmt.Sprint(c.ImageSize)), InChannels: &c.InChannels,
		OutChannels: &c.OutChannels, TimeEmbedding: &positional, FreqShift: c.FreqShift, FlipSinToCos: &c.CosFirst, MidBlock: &mid,
		UpBlocks: c.upBlocks(), Channels: c.Channels, Layers: &c.LayersPerBlock, MidScale: &one, DownsamplePadding: &c.DownsamplePadding,
		DownsampleType: &conv, UpsampleType: &conv, Dropout: c.Dropout, Act: &silu, HeadDim: json.RawMessage("null"),
		NormGroups: &c.NormGroups, NormEps: &c.NormEps, TimeScaleShift: &shift, AddAttention: &c.MidAttention}
	if c.HeadDim > 0 {
		d.HeadDim = json.RawMessage(fmt.Sprint(c.HeadDim))
	}
	for _, attn := range c.Attention {
		d.DownBlocks = append(d.DownBlocks, map[bool]string{false: "DownBlock2D", true: "AttnDownBlock2D"}[attn])
	}
	return json.MarshalIndent(d, "", "  ")
}
