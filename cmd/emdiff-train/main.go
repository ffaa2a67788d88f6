// Command emdiff-train learns a clean diffusion prior from corrupted images. Without flags it runs the preset "quick" on
// embedded images.
package main

import (
	"context"
	"math"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"emdiff/cmd/internal/cli"
	"emdiff/cmd/internal/device"
	"emdiff/emdiff/run"
)

type flags struct {
	Preset       string           `placeholder:"NAME" help:"Built-in settings: ${presets}. Default: quick, or quick-inpaint with --masks and quick-deblur with --kernel."`
	Config       string           `placeholder:"FILE.toml" help:"Settings that override the preset."`
	Set          []string         `sep:"none" placeholder:"KEY=VALUE" help:"Override one setting, for example train.lr=1e-3. May be repeated."`
	Data         string           `placeholder:"PATH" help:"Images: a folder, .zip or .tar of PNG, JPEG, WebP, TIFF or .npy files, a CIFAR-10 folder or archive, an IDX, .npy or .npz file. Default: the embedded Fashion-MNIST images."`
	Measurements string           `placeholder:"PATH" help:"Learn from these measurements, of which nobody has clean versions, instead of simulating some from --data. No clean image is needed."`
	Masks        string           `placeholder:"PATH" help:"Which pixels of --measurements were measured (white) and which not (black): a file for all, or a folder with a file for each, of the same name."`
	Kernel       string           `placeholder:"FILE" help:"Point-spread function of the camera: an image, .npy, or text file with odd sides."`
	Sigma        *float64         `placeholder:"S" help:"Standard deviation of the noise where black is -1 and white is 1. Default with --measurements: estimated from them."`
	Clean        string           `placeholder:"PATH" help:"Clean images to start from, beside --measurements, if there are any."`
	Patch        int              `placeholder:"PIXELS" help:"Learn from squares of this size, cut out of larger images."`
	Limit        int              `placeholder:"N" help:"Learn from N images at most."`
	Shuffle      bool             `help:"Take those from everywhere, by seed, instead of the first."`
	Crop         int              `placeholder:"PIXELS" help:"Keep the centre square of each image (CelebA: 178, 140 or 128)."`
	Size         int              `placeholder:"PIXELS" help:"Resize each image to a square."`
	Channels     int              `placeholder:"1|3" help:"Make all images grey or colour."`
	Grey         bool             `help:"Allow --channels 1 to reduce colour to luma."`
	Background   string           `placeholder:"black|white" help:"What shows through transparent pixels."`
	Range        string           `placeholder:"LO,HI" help:"Stored values that become -1 and 1; percentile:LO,HI for each image."`
	Layout       string           `placeholder:"NHWC" help:"Dimensions of .npy arrays."`
	Array        string           `placeholder:"NAME" help:"Array of an .npz file."`
	Seed         *uint64          `help:"Seed of everything random."`
	Out          string           `default:"runs" help:"Folder that receives the numbered run folders."`
	List         bool             `help:"List the runs in --out, and stop."`
	Resume       string           `placeholder:"RUN" help:"Continue the run in this folder, with the settings it began with."`
	Round        *int             `placeholder:"K" help:"With --resume: go back to the checkpoint kept at the end of round K. What came after is removed."`
	Keep         int              `default:"0" placeholder:"N" help:"Keep the checkpoints of the ends of the last N rounds; 1 = only the newest, 0 = as the run did so far, a new one 1."`
	OtherLevel   bool             `help:"With --resume: continue even if the run began on another kernel level, which rounds differently, or with another tuning table."`
	SaveEvery    time.Duration    `default:"1m" placeholder:"TIME" help:"Longest time between checkpoints, such as 30s: what a killed run loses. Does not change results."`
	Device       string           `default:"auto" help:"Where to compute: auto, host, cuda, or emu: the CUDA kernels on an emulated GPU, slow, for tests. auto takes a GPU if it can."`
	Threads      int              `default:"0" help:"Threads of the host; 0 = all cores. Does not change results."`
	DryRun       bool             `help:"Print what the run would cost, and stop."`
	Version      kong.VersionFlag `help:"Print the version."`

	cli.Profiles
}

func main() {
	cli.Main(&flags{}, "emdiff-train", "Learn a clean diffusion prior from corrupted images by expectation-maximisation.", kong.Vars{"presets": strings.Join(run.Presets(), ", "), "version": run.ThisProgram().String()}, run.ErrInterrupted)
}

// Run does the work.
func (f *flags) Run(ctx context.Context) error {
	if f.List {
		return run.List(os.Stdout, f.Out)
	}
	name := f.preset()
	settings, err := run.Preset(name)
	if err != nil {
		return err
	}
	f.camera(&settings)
	if err := settings.Override(f.Config, f.Set); err != nil {
		return err
	}
	f.override(&settings)
	choice, err := device.Open(f.Device, f.Threads)
	if err != nil {
		return err
	}
	defer choice.Set.Close()
	choice.Set = f.Label(choice.Set)
	if f.DryRun {
		return run.DryRun(os.Stdout, choice.Set, settings)
	}
	return run.Train(ctx, run.TrainOptions{Settings: settings, Name: name, Out: f.Out, Resume: f.Resume, Round: f.Round, Keep: f.Keep, OtherLevel: f.OtherLevel, SaveEvery: f.SaveEvery,
		Set: choice.Set, Device: run.Device{Name: choice.Device, Level: choice.Set.Name(), Why: choice.String(), Tuning: choice.Tuning},
		Log: os.Stdout, Progress: run.NewProgress(os.Stderr)})
}

// preset is the one that was asked for, or the one that fits the camera.
func (f *flags) preset() string {
	switch {
	case f.Preset != "":
		return f.Preset
	case f.Masks != "":
		return "quick-inpaint"
	case f.Kernel != "":
		return "quick-deblur"
	}
	return "quick"
}

// camera replaces what a preset would simulate by what the user has; --config and --set may still change it.
func (f *flags) camera(s *run.Settings) {
	switch {
	case f.Masks != "":
		s.Task.Name = "inpaint"
	case f.Kernel != "":
		s.Task.Name = "deblur"
	}
	if f.Measurements != "" {
		s.Task.Sigma = math.NaN() // to be estimated
	}
}

// override puts the flags that were given over the settings.
func (f *flags) override(s *run.Settings) {
	set(&s.Data.Path, f.Data)
	set(&s.Data.Measurements, f.Measurements)
	set(&s.Data.Masks, f.Masks)
	set(&s.Data.Kernel, f.Kernel)
	set(&s.Data.Clean, f.Clean)
	set(&s.Data.Patch, f.Patch)
	if f.Sigma != nil {
		s.Task.Sigma = *f.Sigma
	}
	set(&s.Data.Limit, f.Limit)
	set(&s.Data.Shuffle, f.Shuffle)
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
