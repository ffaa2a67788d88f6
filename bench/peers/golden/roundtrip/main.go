// Command roundtrip is the Go half of bench/peers/golden/roundtrip.py: it loads a network from a folder that diffusers
// wrote, runs it, and writes it to another folder that diffusers can load.
//
//	roundtrip FROM TO      FROM: config.json, diffusion_pytorch_model.safetensors, inputs.safetensors (x [N,H,W,C], t [N])
//	                       TO gets config.json, diffusion_pytorch_model.safetensors, outputs.safetensors (y [N,H,W,C])
//	roundtrip init TO      writes the CIFAR-10 network with fresh weights
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"emdiff/emdiff/run"
	"emdiff/kernels"
	_ "emdiff/kernels/host"
	"emdiff/kernels/ref"
	"emdiff/nn"
)

const weightsFile = "diffusion_pytorch_model.safetensors"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: roundtrip FROM TO | roundtrip init TO")
		os.Exit(2)
	}
	if err := convert(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "roundtrip:", err)
		os.Exit(1)
	}
}

func convert(from, to string) error {
	set, err := open()
	if err != nil {
		return err
	}
	defer set.Close()
	if from == "init" {
		u, err := nn.NewUNet(set, nn.DDPMCIFAR10())
		if err != nil {
			return err
		}
		u.Init(1)
		return write(u, to)
	}
	config, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err != nil {
		return err
	}
	cfg, err := nn.ParseDiffusersConfig(config)
	if err != nil {
		return err
	}
	u, err := nn.NewUNet(set, cfg)
	if err != nil {
		return err
	}
	if err := nn.ReadFile(filepath.Join(from, weightsFile), u.ReadWeights); err != nil {
		return err
	}
	err = nn.ReadFile(filepath.Join(from, "inputs.safetensors"), func(f *nn.Safetensors) error { return forward(u, f, to) })
	if err != nil {
		return err
	}
	return write(u, to)
}

// open picks the fastest implementation that runs here.
func open() (kernels.Set, error) {
	for _, i := range kernels.Implementations() {
		if i.Usable() == nil {
			return i.Open(kernels.Options{})
		}
	}
	return ref.New(), nil
}

func forward(u *nn.UNet, f *nn.Safetensors, to string) error {
	set := u.Params.Set()
	tape := nn.NewTape(set, nn.Inference)
	defer tape.Close()
	var in [2]*nn.Tensor
	for i, name := range []string{"x", "t"} {
		stored, ok := f.Lookup(name)
		if !ok {
			return fmt.Errorf("tensor %s is missing", name)
		}
		values, err := f.Read(stored)
		if err != nil {
			return err
		}
		s := append(append([]int{}, stored.Shape...), 1, 1, 1)
		in[i] = tape.NewTensor(s[0], s[1], s[2], s[3])
		set.Upload(in[i].Buf, values)
	}
	y := u.Forward(tape, in[0], in[1])
	out := nn.TensorSource{Entry: nn.Entry{Name: "y", Shape: []int{y.N, y.H, y.W, y.C}}, Values: func() ([]float32, error) {
		values := make([]float32, y.Len())
		set.Download(values, y.Buf)
		return values, set.Sync()
	}}
	return run.WriteFile(filepath.Join(to, "outputs.safetensors"), func(w io.Writer) error {
		return nn.WriteSafetensors(w, []nn.TensorSource{out}, nil)
	})
}

func write(u *nn.UNet, to string) error {
	config, err := u.Config.DiffusersConfig()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, "config.json"), config, 0o644); err != nil {
		return err
	}
	return run.WriteFile(filepath.Join(to, weightsFile), func(w io.Writer) error { return u.WriteWeights(w, nn.Weights, nil) })
}
