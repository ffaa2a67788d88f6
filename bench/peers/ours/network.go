package main

import (
	"encoding/json"
	"io"

	"emdiff/emdiff/learn"
	"emdiff/emdiff/run"
	"emdiff/kernels"
	"emdiff/nn"
)

// network is one of the compared U-Nets with the settings that it is used with.
type network struct {
	*nn.UNet
	set      kernels.Set
	settings learn.Config // of the preset
}

const forwardBatch = 16

// newNetwork builds a network by name. Weights are PyTorch's default: a layer that starts at zero, as in our presets, would
// hide what is before it from the comparison.
func newNetwork(set kernels.Set, name string) (*network, error) {
	n := &network{set: set}
	switch name {
	case "ddpm-cifar10": // what EMDiffusion trains
		n.settings.Network = nn.DDPMCIFAR10()
		n.settings.Train = learn.TrainConfig{Batch: 16, LR: 2e-4, ClipNorm: 1, EMA: 0.999}
	default:
		s, err := run.Preset(name)
		if err != nil {
			return nil, err
		}
		n.settings = s.Config
		if c := &n.settings.Network; c.InChannels == 0 { // the preset takes them from the embedded Fashion-MNIST
			c.ImageSize, c.InChannels, c.OutChannels = 28, 1, 1
		}
	}
	n.settings.Network.ZeroInit = false
	var err error
	n.UNet, err = nn.NewUNet(set, n.settings.Network)
	if err != nil {
		return nil, err
	}
	n.Init(1)
	return n, nil
}

// images draws n images of standard normals; streams differ.
func (n *network) images(count int, stream uint32) *nn.Tensor {
	c := n.Config
	x := n.vector(count * c.ImageSize * c.ImageSize * c.InChannels)
	n.set.Normal(x, nil, kernels.Draw{N: count, Len: x.Len() / count, Random: kernels.Random{Stream: stream}})
	return nn.Wrap(x, count, c.ImageSize, c.ImageSize, c.InChannels)
}

func (n *network) vector(size int) kernels.Buffer { return n.set.Alloc(kernels.F32, size) }

// times are noise conditionings, one per image, spread over the range of EDM's.
func (n *network) times(count int) *nn.Tensor {
	values := make([]float32, count)
	for i := range values {
		values[i] = -1.3 + 2.2*float32(i)/float32(count)
	}
	t := n.vector(count)
	n.set.Upload(t, values)
	return nn.WrapVector(t, count)
}

// export writes the network and the tensors of a case. diffusers knows no pixel-unshuffle stem: its network is the one
// between the two shuffles.
func (n *network) export(dir string, tensors []nn.TensorSource, settings any) error {
	inner := n.Config
	r := max(inner.Unshuffle, 1)
	inner.Unshuffle, inner.ImageSize = 1, inner.ImageSize/r
	inner.InChannels, inner.OutChannels = inner.InChannels*r*r, inner.OutChannels*r*r
	diffusers, err := inner.DiffusersConfig()
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"unet": json.RawMessage(diffusers), "unshuffle": r, "case": settings})
	if err != nil {
		return err
	}
	if err := write(dir, networkFile, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	if err := write(dir, weightsFile, func(w io.Writer) error { return n.WriteWeights(w, nn.Weights, nil) }); err != nil {
		return err
	}
	return writeCase(dir, tensors)
}

// storedImages is stored for images.
func (n *network) storedImages(name string, x *nn.Tensor) nn.TensorSource {
	return stored(n.set, name, x.Buf, x.N, x.H, x.W, x.C)
}
