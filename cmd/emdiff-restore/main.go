// Command emdiff-restore draws clean images that explain the user's corrupted ones, under a prior that emdiff-train learned.
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
	From       string   `arg:"" name:"run|file" help:"Run folder, or the weights.safetensors of one."`
	Path       string   `arg:"" name:"images" help:"Corrupted images: a folder of PNG, JPEG, WebP, TIFF or .npy files of any sizes from that of the prior on, an archive, or one file."`
	Out        string   `placeholder:"DIR" help:"Folder that receives, for each image, the mean of the draws in the format and range of its file, NAME-std.png and NAME-std.npy (in units of the file), and restore.json."`
	Draws      int      `default:"8" help:"Draws from p(x|y) for each image."`
	SaveDraws  bool     `help:"Write every draw as well, NAME-draw-1 and so on."`
	Sigma      *float64 `placeholder:"S" help:"Standard deviation of the noise where black is -1 and white is 1. Default: that of the run."`
	Masks      string   `placeholder:"PATH" help:"Which pixels were measured (white) and which not (black): a file for all, or a folder with a file for each, of the same name."`
	Kernel     string   `placeholder:"FILE" help:"Point-spread function of the camera: an image, .npy, or text file with odd sides."`
	Sampler    string   `placeholder:"NAME" help:"reverse-sde (noise alone), split-gibbs, pmc-pnp, pmc-red or dps, with settings that suit most images. Default: as the run did."`
	Steps      int      `default:"0" help:"Steps of the sampler; 0 = as many as the run used."`
	Seed       uint64   `default:"1" help:"Seed of everything random."`
	Batch      int      `default:"64" help:"Images or patches that the network sees at once. Does not change results."`
	Overwrite  bool     `help:"Replace files that exist."`
	Background string   `placeholder:"black|white" help:"What shows through transparent pixels."`
	Grey       bool     `help:"Allow colour to be reduced to luma where the prior is grey."`
	Range      string   `placeholder:"LO,HI" help:"Stored values that become -1 and 1; percentile:LO,HI for each image. Default: as the run did."`
	Layout     string   `placeholder:"NHWC" help:"Dimensions of .npy arrays."`
	Array      string   `placeholder:"NAME" help:"Array of an .npz file."`
	DryRun     bool     `help:"Count images and work, estimate the time, and stop."`
	Device     string   `default:"auto" help:"Where to compute: auto, host, cuda or emu (the emulated GPU)."`
	Threads    int      `default:"0" help:"Threads of the host; 0 = all cores. Does not change results."`

	Version kong.VersionFlag `help:"Print the version."`

	cli.Profiles
}

func main() {
	cli.Main(&flags{}, "emdiff-restore", "Restore corrupted images with a learned prior.", kong.Vars{"version": run.ThisProgram().String()}, nil)
}

// Run does the work.
func (f *flags) Run(ctx context.Context) error {
	choice, err := device.Open(f.Device, f.Threads)
	if err != nil {
		return err
	}
	defer choice.Set.Close()
	choice.Set = f.Label(choice.Set)
	return run.Restore(ctx, run.RestoreOptions{From: f.From, Path: f.Path, Out: f.Out, Sigma: f.Sigma, Masks: f.Masks, Kernel: f.Kernel,
		Sampler: f.Sampler, Steps: f.Steps, Draws: f.Draws, SaveDraws: f.SaveDraws, Overwrite: f.Overwrite, Batch: f.Batch, Seed: f.Seed,
		Reading: run.DataSettings{Grey: f.Grey, Background: f.Background, Range: f.Range, Layout: f.Layout, Array: f.Array}, DryRun: f.DryRun,
		Set: choice.Set, Device: run.Device{Name: choice.Device, Level: choice.Set.Name(), Why: choice.String(), Tuning: choice.Tuning}, Log: os.Stdout,
		Progress: run.NewProgress(os.Stderr)})
}
