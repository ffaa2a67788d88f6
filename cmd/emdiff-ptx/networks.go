package main

import (
	"fmt"

	"emdiff/emdiff/run"
	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
	"emdiff/nn"
)

// networks says whose layers are tuned.
type networks struct {
	Presets    []string `name:"preset" sep:"," placeholder:"NAME,..." help:"Built-in settings whose networks are tuned. Default: all, and ddpm-cifar10, the network of DDPM."`
	Config     string   `placeholder:"FILE.toml" help:"Settings that override those of the presets."`
	Size       int      `placeholder:"PIXELS" help:"Height and width of the images. Default: those of the preset's data."`
	Channels   int      `placeholder:"1|3" help:"Channels of the images. Default: those of the preset's data."`
	Images     int      `default:"16" help:"Images of a batch. Does not change which shapes there are."`
	Precisions []string `name:"precision" sep:"," placeholder:"f32,tf32,bf16" help:"Precisions of the products. Default: f32, for gpu-check all."`
}

const ddpm = "ddpm-cifar10"

// cases are the products of the networks in the directions of training and sampling, in some precisions unless the flag names others.
func (n networks) cases(precisions ...string) ([]kerneltest.Case, error) {
	if n.Precisions != nil {
		precisions = n.Precisions
	}
	if n.Images < 1 {
		return nil, fmt.Errorf("--images %d must be at least 1", n.Images)
	}
	presets := n.Presets
	if presets == nil {
		if n.Config != "" {
			return nil, fmt.Errorf("--config %s needs the preset that it changes: add --preset NAME", n.Config)
		}
		presets = append(run.Presets(), ddpm)
	}
	var cases []kerneltest.Case
	for _, name := range presets {
		network, err := n.network(name)
		if err != nil {
			return nil, err
		}
		products, err := network.Products(n.Images)
		if err != nil {
			return nil, fmt.Errorf("preset %s: %w", name, err)
		}
		for _, precision := range precisions {
			p, err := parsePrecision(precision)
			if err != nil {
				return nil, err
			}
			for _, product := range products {
				cases = append(cases, kerneltest.Case{Op: product.Op, Params: withPrecision(product.Params, p)})
			}
		}
	}
	return cases, nil
}

// network is the U-Net of a preset on images of its data.
func (n networks) network(name string) (nn.UNetConfig, error) {
	c := nn.DDPMCIFAR10()
	if name != ddpm {
		s, err := run.Resolve(name, n.Config, nil)
		if err != nil {
			return c, err
		}
		c = s.Network // those for a data set of their own say its size
		if s.Data.Expect == "" {
			c.ImageSize, c.InChannels = 28, 1 // the embedded images
		}
		override(&c.ImageSize, s.Data.Size)
		override(&c.InChannels, s.Data.Channels)
	}
	override(&c.ImageSize, n.Size)
	override(&c.InChannels, n.Channels)
	c.OutChannels = c.InChannels
	return c, nil
}

func override(setting *int, value int) {
	if value != 0 {
		*setting = value
	}
}

func parsePrecision(name string) (kernels.Precision, error) {
	for p := kernels.PrecisionF32; p <= kernels.PrecisionBF16; p++ {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("--precision %s: want f32, tf32 or bf16", name)
}

func withPrecision(params any, p kernels.Precision) any {
	switch c := params.(type) {
	case kernels.Conv:
		c.Precision = p
		return c
	case kernels.Linear:
		c.Precision = p
		return c
	}
	return params
}
