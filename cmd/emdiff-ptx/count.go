package main

import (
	"fmt"
	"os"

	"emdiff/emdiff/run"
	"emdiff/kernels/cuda/inspect"
	"emdiff/kernels/kerneltest"
)

type countCommand struct {
	JSON      bool     `name:"json" help:"Print JSON."`
	Nets      []string `name:"net" sep:"," placeholder:"PRESET,..." help:"Count a whole pass of the networks of these presets, or of ddpm-cifar10, the network of DDPM, with the time that an H100 needs at the least."`
	Passes    []string `name:"pass" sep:"," enum:"forward,train,pmc" default:"forward,train,pmc" help:"What to count of them: forward, train (a training step) or pmc (a step of the sampler)."`
	Precision []string `sep:"," placeholder:"f32,tf32,bf16" default:"f32" help:"Precision of their layers."`
	Images    int      `default:"16" help:"Images of a batch of theirs."`
	Markdown  bool     `help:"Print Markdown: the totals of the passes, and the kernels that take a hundredth of them or more."`
	ByShape   bool     `name:"by-shape" help:"A line per shape, not per kernel."`
	Shapes    []string `arg:"" optional:"" name:"shape" sep:"none" help:"Ops and shapes, for example Conv2D:N=1,H=32,W=32,Cin=64,Cout=64,Precision=tf32. Default: layers of a U-Net."`
}

func (c countCommand) Run() error {
	if len(c.Nets) == 0 {
		if c.Markdown || c.ByShape {
			return fmt.Errorf("--markdown and --by-shape are for passes of networks: add --net NAME")
		}
		return inspect.Count(os.Stdout, c.Shapes, c.JSON)
	}
	if len(c.Shapes) > 0 {
		return fmt.Errorf("--net counts the shapes of networks: leave out %s", c.Shapes[0])
	}
	if c.Images < 1 {
		return fmt.Errorf("--images %d must be at least 1", c.Images)
	}
	counter, err := inspect.NewPassCounter()
	if err != nil {
		return err
	}
	defer counter.Close()
	var counts []inspect.PassCount
	for _, net := range c.Nets {
		settings, err := passSettings(net)
		if err != nil {
			return err
		}
		for _, precision := range c.Precision {
			for _, pass := range c.Passes {
				count, err := countPass(counter, settings, pass, precision, c.Images)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", net, pass, err)
				}
				count.Network = net
				counts = append(counts, count)
				if !c.JSON && !c.Markdown {
					if err := inspect.PrintPass(os.Stdout, count, c.ByShape); err != nil {
						return err
					}
				}
			}
		}
	}
	switch {
	case c.JSON:
		return inspect.WriteJSON(os.Stdout, counts)
	case c.Markdown:
		return inspect.PrintMarkdown(os.Stdout, counts)
	}
	return nil
}

// passSettings are those of a preset, with the network on images of its data.
func passSettings(net string) (run.Settings, error) {
	preset := net
	if net == ddpm { // it has no data or task of its own
		preset = "cifar10-denoise"
	}
	s, err := run.Resolve(preset, "", nil)
	if err != nil {
		return s, err
	}
	s.Network, err = networks{}.network(net)
	return s, err
}

// Rounds that are traced: what the last does more than those before is the pass.
const rounds = 3

func countPass(counter *inspect.PassCounter, s run.Settings, pass, precision string, images int) (inspect.PassCount, error) {
	p, err := parsePrecision(precision)
	if err != nil {
		return inspect.PassCount{}, err
	}
	trace := func(images int) ([]kerneltest.Case, error) {
		recorder := kerneltest.Recorder{Precision: p}
		var calls [2][]kerneltest.Case
		for i := range calls {
			if err := s.Pass(recorder.Set(), pass, images, rounds-1+i); err != nil {
				return nil, err
			}
			calls[i] = recorder.Take()
		}
		return inspect.Difference(calls[0], calls[1]), nil
	}
	count, err := counter.Count(images, trace)
	count.Pass, count.Precision = pass, precision
	return count, err
}
