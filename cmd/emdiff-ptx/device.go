package main

import (
	"fmt"
	"io"
	"os"

	"emdiff/cmd/internal/device"
	"emdiff/emdiff/run"
	"emdiff/gpu"
	"emdiff/kernels/cuda/inspect"
)

// where is a flag of commands that run kernels.
type where struct {
	Device string `enum:"emu,cuda" default:"emu" help:"Where to run: cuda, or emu, the emulator, which counts instead of timing."`
}

func (w where) device() inspect.Device {
	if w.Device == "cuda" {
		return inspect.Device{Open: openCard}
	}
	return inspect.Device{}
}

func openCard() (gpu.Driver, error) {
	d, err := device.OpenDriver()
	if err != nil {
		return nil, fmt.Errorf("no CUDA device: %w", err)
	}
	return d, nil
}

type runCommand struct {
	where
	What  string `arg:"" name:"op|kernel" help:"An op, for example Conv2D, or a kernel of emdiff-ptx list."`
	Shape string `placeholder:"FIELD=VALUE,..." help:"Its shape, for example N=16,H=32,W=32,Cin=128,Cout=128,Precision=tf32. Fields not given are those of the op's first conformance case."`
	Rung  string `placeholder:"NAME" help:"Rung of the kernels' ladders, for example tile128."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

func (c runCommand) Run() error {
	return inspect.Run(os.Stdout, c.device(), c.What, c.Shape, c.Rung, c.JSON)
}

type tuneCommand struct {
	where
	networks
	Tensor3 bool   `help:"Also try float32 products on the tensor cores: within the budget of float32, but other bits than without a table."`
	Samples int    `default:"9" help:"Measurements of each rung, of which the median counts."`
	Out     string `default:"cuda-tuning.json" placeholder:"FILE" help:"The table, for EMDIFF_CUDA_TUNING=FILE."`
}

func (c tuneCommand) Run() error {
	if c.Device == "emu" && c.Presets == nil {
		return fmt.Errorf("the emulator would need hours for the networks of all presets: name a small one, for example --preset emu-tiny, or use --device cuda")
	}
	if c.Samples < 1 {
		return fmt.Errorf("--samples %d must be at least 1", c.Samples)
	}
	cases, err := c.cases("f32")
	if err != nil {
		return err
	}
	table, failed := inspect.Tune(os.Stdout, c.device(), cases, inspect.TuneOptions{Tensor3: c.Tensor3, Images: c.Images, Samples: c.Samples})
	if table == nil {
		return failed
	}
	if err := run.WriteFile(c.Out, table.Write); err != nil {
		return err
	}
	fmt.Printf("%d shapes in %s: use it with EMDIFF_CUDA_TUNING=%s\n", len(table.Rungs), c.Out, c.Out)
	if failed != nil {
		return fmt.Errorf("what failed is not in the table: %w", failed)
	}
	return nil
}

type gpuCheckCommand struct {
	networks
	Quick bool   `help:"Small cases and the network of the preset emu-tiny only: to try the check itself."`
	Out   string `default:"gpu-check.json" placeholder:"FILE" help:"The report to send."`
}

func (c gpuCheckCommand) Run() error {
	if c.Quick && c.Presets == nil {
		c.Presets = []string{"emu-tiny"}
	}
	cases, err := c.cases("f32", "tf32", "bf16")
	if err != nil {
		return err
	}
	report, err := inspect.GPUCheck(os.Stdout, openCard, inspect.GPUCheckOptions{Program: run.ThisProgram().String(), Cases: cases, Images: c.Images, Quick: c.Quick})
	if err != nil {
		return err
	}
	if err := run.WriteFile(c.Out, func(w io.Writer) error { return inspect.WriteJSON(w, report) }); err != nil {
		return err
	}
	fmt.Printf("\nThe report is in %s.\n", c.Out)
	return report.Err()
}
