package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"emdiff/emdiff/data"
	"emdiff/kernels"
)

// streamSample is the random stream of Sample.
const streamSample uint32 = 0x72756e00

// SampleOptions are what a sampling command is given.
type SampleOptions struct {
	From    string // run folder, or a weights file of ours
	Count   int    // images to draw
	Seed    uint64
	Batch   int    // images drawn at once; does not change them
	Sampler string // heun, ddim or ddpm; empty is that of the run's settings
	Steps   int    // noise levels; 0 is that of the run's settings

	// Out is a folder that receives 00000.png and so on, or a file whose name ends in .npy and that receives one
	// float32 array in [-1, 1]; Grid is a PNG file with all images. Either may be empty.
	Out, Grid string

	Set      kernels.Set
	Device   Device
	Log      io.Writer
	Progress Progress
}

func (o SampleOptions) check() error {
	switch {
	case o.Count < 1:
		return fmt.Errorf("--count %d must be positive", o.Count)
	case o.Batch < 1:
		return fmt.Errorf("--batch %d must be positive", o.Batch)
	case o.Steps < 0:
		return fmt.Errorf("--steps %d must not be negative (0 = those of the run)", o.Steps)
	case o.Steps > maxSteps:
		return fmt.Errorf("--steps %d is too large: at most %d", o.Steps, maxSteps)
	case o.Count > math.MaxInt32:
		return fmt.Errorf("--count %d is too large: at most %d", o.Count, math.MaxInt32)
	case o.Out == "" && o.Grid == "":
		return fmt.Errorf("there is nowhere to write to: give --out or --grid")
	case o.Grid != "" && filepath.Ext(o.Grid) != ".png":
		return fmt.Errorf("--grid %s: the picture is a PNG file, give a name that ends in .png", o.Grid)
	}
	if o.Grid != "" {
		if err := checkTarget("--grid", o.Grid); err != nil {
			return err
		}
	}
	switch {
	case o.Out == "":
		return nil
	case o.array():
		return checkTarget("--out", o.Out)
	}
	entries, err := os.ReadDir(o.Out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--out %s cannot be a folder of images: %w: give a folder that does not exist, or a .npy file", o.Out, cause(err))
	}
	if len(entries) > 0 {
		return fmt.Errorf("--out %s already holds files: give an empty folder, or one that does not exist", o.Out)
	}
	return nil
}

// array reports whether Out is one .npy file.
func (o SampleOptions) array() bool { return filepath.Ext(o.Out) == ".npy" }

// checkTarget refuses, before any work is done, files whose folder does not exist.
func checkTarget(flag, path string) error {
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("%s %s: its folder does not exist: make it first", flag, path)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s %s is a folder: give the name of a file", flag, path)
	}
	return nil
}

// Sample draws clean images from a learned prior and writes them. Image i is a function of the weights, the sampler, the
// seed and i; it does not depend on the batch or the count. Nothing is written when ctx ends.
func Sample(ctx context.Context, o SampleOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	p, err := openPrior(o.Set, o.From)
	if err != nil {
		return err
	}
	defer p.close()
	if err := fits(o.Set, fmt.Sprintf("--count %d", o.Count), 4*float64(o.Count)*float64(p.h)*float64(p.w)*float64(p.c)); err != nil {
		return err
	}
	images, err := o.draw(ctx, p)
	if err != nil {
		return err
	}
	return o.write(images)
}

// draw makes the images, batch by batch.
func (o SampleOptions) draw(ctx context.Context, p *prior) (*data.Set, error) {
	how := p.settings.Prior
	if o.Sampler != "" {
		how.Sampler = o.Sampler
	}
	if o.Steps > 0 {
		how.SampleSteps = o.Steps
	}
	generator, err := how.Generator(o.Set, p.network)
	if err != nil {
		return nil, fmt.Errorf("--sampler %s: %w", how.Sampler, err)
	}
	defer generator.Close()
	fmt.Fprintf(o.Log, "prior       %s, %dx%dx%d\nsampler     %s, %d noise levels, seed %d\ndevice      %s\n",
		p.path, p.h, p.w, p.c, how.Sampler, how.SampleSteps, o.Seed, o.Device.Why)

	images := &data.Set{Name: "samples", Source: p.path, H: p.h, W: p.w, C: p.c, Pixels: make([]float32, o.Count*p.h*p.w*p.c)}
	length := images.ImageLen()
	x := o.Set.Alloc(kernels.F32, min(o.Batch, o.Count)*length)
	defer o.Set.Free(x)
	task := o.Progress.Start("sample", o.Count)
	defer task.Done()
	for start := 0; start < o.Count; start += o.Batch {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("stopped after %d of %d images: nothing was written", start, o.Count)
		}
		n := min(o.Batch, o.Count-start)
		generator.Sample(x, n, kernels.Random{Seed: o.Seed, Stream: streamSample, FirstImage: uint32(start)})
		o.Set.Download(images.Pixels[start*length:(start+n)*length], x)
		if err := o.Set.Sync(); err != nil {
			return nil, err
		}
		task.Add(n)
	}
	return images, nil
}

// write leaves the images where the options say.
func (o SampleOptions) write(images *data.Set) error {
	if o.Grid != "" {
		tiles := make([][]float32, images.Len())
		for i := range tiles {
			tiles[i] = images.Image(i)
		}
		if err := (Grid{}).WritePNG(o.Grid, tiles, images.H, images.W, images.C); err != nil {
			return err
		}
		fmt.Fprintf(o.Log, "grid        %s\n", o.Grid)
	}
	switch {
	case o.Out == "":
		return nil
	case o.array():
		if err := WriteFile(o.Out, images.WriteNPY); err != nil {
			return err
		}
	default:
		if err := writeImages(o.Out, images); err != nil {
			return err
		}
	}
	fmt.Fprintf(o.Log, "images      %s\n", o.Out)
	return nil
}

// writeImages writes 8-bit PNG files 00000.png and so on into a folder, which it makes. On an error none of them stays.
func writeImages(dir string, images *data.Set) (err error) {
	_, missing := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("%s cannot be made: %w: give another folder", dir, cause(err))
	}
	var written []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range written {
			os.Remove(path)
		}
		if missing != nil {
			os.Remove(dir)
		}
	}()
	for i := range images.Len() {
		path, origin := filepath.Join(dir, fmt.Sprintf("%05d.png", i)), images.Origin(i)
		err := WriteFile(path, func(w io.Writer) error {
			return data.Export(w, images.Image(i), images.H, images.W, images.C, origin)
		})
		if err != nil {
			return err
		}
		written = append(written, path)
	}
	return nil
}
