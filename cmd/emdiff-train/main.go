// Command emdiff-train learns a clean diffusion prior from corrupted images. Without flags it runs the preset "quick" on
// embedded images.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"emdiff/cmd/internal/cli"
	"emdiff/cmd/internal/device"
	"emdiff/emdiff/run"
)

type flags struct {
	Preset     string           `default:"quick" help:"Built-in settings: ${presets}."`
	Config     string           `placeholder:"FILE.toml" help:"Settings that override the preset."`
	Set        []string         `sep:"none" placeholder:"KEY=VALUE" help:"Override one setting, for example train.lr=1e-3. May be repeated."`
	Data       string           `placeholder:"PATH" help:"Images: a folder, .zip or .tar of PNG, JPEG, WebP, TIFF or .npy files, a CIFAR-10 folder or archive, an IDX, .npy or .npz file. Default: the embedded Fashion-MNIST images."`
	Crop       int              `placeholder:"PIXELS" help:"Keep the centre square of each image (CelebA: 178, 140 or 128)."`
	Size       int              `placeholder:"PIXELS" help:"Resize each image to a square."`
	Channels   int              `placeholder:"1|3" help:"Make all images grey or colour."`
	Grey       bool             `help:"Allow --channels 1 to reduce colour to luma."`
	Background string           `placeholder:"black|white" help:"What shows through transparent pixels."`
	Range      string           `placeholder:"LO,HI" help:"Stored values that become -1 and 1; percentile:LO,HI for each image."`
	Layout     string           `placeholder:"NHWC" help:"Dimensions of .npy arrays."`
	Array      string           `placeholder:"NAME" help:"Array of an .npz file."`
	Seed       *uint64          `help:"Seed of everything random."`
	Out        string           `default:"runs" help:"Folder that receives the numbered run folders."`
	Resume     string           `placeholder:"RUN" help:"Continue the run in this folder, with the settings it began with."`
	OtherLevel bool             `help:"With --resume: continue even if the run began on another kernel level, which rounds differently, or with another tuning table."`
	Device     string           `default:"auto" help:"Where to compute: auto, host, cuda, or emu: the CUDA kernels on an emulated GPU, slow, for tests. auto takes a GPU if it can."`
	Threads    int              `default:"0" help:"Threads of the host; 0 = all cores. Does not change results."`
	DryRun     bool             `help:"Print what the run would cost, and stop."`
	Version    kong.VersionFlag `help:"Print the version."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("emdiff-train"), cli.ExitCodes(),
		kong.Description("Learn a clean diffusion prior from corrupted images by expectation-maximisation."),
		kong.Vars{"presets": strings.Join(run.Presets(), ", "), "version": run.ThisProgram().String()})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := f.run(ctx); err != nil {
		if !errors.Is(err, run.ErrInterrupted) {
			fmt.Fprintln(os.Stderr, "emdiff-train:", err)
		}
		stop()
		os.Exit(1)
	}
}

func (f flags) run(ctx context.Context) error {
	settings, err := run.Resolve(f.Preset, f.Config, f.Set)
	if err != nil {
		return err
	}
	f.override(&settings)
	choice, err := device.Open(f.Device, f.Threads)
	if err != nil {
		return err
	}
	defer choice.Set.Close()
	if f.DryRun {
		return run.DryRun(os.Stdout, choice.Set, settings)
	}
	return run.Train(ctx, run.TrainOptions{Settings: settings, Name: f.Preset, Out: f.Out, Resume: f.Resume, OtherLevel: f.OtherLevel,
		Set: choice.Set, Device: run.Device{Name: choice.Device, Level: choice.Set.Name(), Why: choice.String(), Tuning: choice.Tuning},
		Log: os.Stdout, Progress: run.NewProgress(os.Stderr)})
}

// override puts the flags that were given over the settings.
func (f flags) override(s *run.Settings) {
	set(&s.Data.Path, f.Data)
	set(&s.Data.Crop, f.Crop)
	set(&s.Data.Size, f.Size)
	set(&s.Data.Channels, f.Channels)
	set(&s.Data.Grey, f.Grey)
	set(&s.Data.Background, f.Background)
	set(&s.Data.Range, f.Range)
	set(&s.Data.Layout, f.Layout)
	set(&s.Data.Array, f.Array)
	if f.Seed != nil {
		s.Seed = *f.Seed
	}
}

// set overrides a setting by a flag that is not at its zero value.
func set[T comparable](setting *T, flag T) {
	var zero T
	if flag != zero {
		*setting = flag
	}
}
