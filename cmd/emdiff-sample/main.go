// Command emdiff-sample draws clean images from a learned prior.
package main

import (
	"context"
	"os"

	"github.com/alecthomas/kong"

	"emdiff/cmd/internal/cli"
	"emdiff/cmd/internal/device"
	"emdiff/emdiff/run"
)

type flags struct {
	From    string           `arg:"" name:"run|file" help:"Run folder, or the weights.safetensors of one."`
	Count   int              `default:"64" help:"Images to draw."`
	Seed    uint64           `default:"1" help:"Seed of everything random."`
	Out     string           `placeholder:"DIR|FILE.npy" help:"Folder that receives a PNG file of each image, or one array of float32 in [-1, 1]."`
	Grid    string           `placeholder:"FILE.png" help:"One picture of all images."`
	Sampler string           `placeholder:"heun|ddim|ddpm" help:"How to draw. Default: as the run did."`
	Steps   int              `default:"0" help:"Noise levels; 0 = as many as the run used."`
	Batch   int              `default:"64" help:"Images drawn at once. Does not change them."`
	Device  string           `default:"auto" help:"Where to compute: auto, host, cuda or emu (the emulated GPU)."`
	Threads int              `default:"0" help:"Threads of the host; 0 = all cores. Does not change results."`
	Version kong.VersionFlag `help:"Print the version."`

	cli.Profiles
}

func main() {
	cli.Main(&flags{}, "emdiff-sample", "Draw clean images from a learned prior.", kong.Vars{"version": run.ThisProgram().String()}, nil)
}

// Run does the work.
func (f *flags) Run(ctx context.Context) error {
	choice, err := device.Open(f.Device, f.Threads)
	if err != nil {
		return err
	}
	defer choice.Set.Close()
	choice.Set = f.Label(choice.Set)
	return run.Sample(ctx, run.SampleOptions{From: f.From, Count: f.Count, Seed: f.Seed, Batch: f.Batch, Sampler: f.Sampler, Steps: f.Steps,
		Out: f.Out, Grid: f.Grid, Set: choice.Set, Device: run.Device{Why: choice.String()}, Log: os.Stdout, Progress: run.NewProgress(os.Stderr)})
}
