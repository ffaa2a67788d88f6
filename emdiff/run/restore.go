package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"emdiff/emdiff/data"
	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/learn"
	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/kernels"
)

// RestoreOptions are what a restoring command is given.
type RestoreOptions struct {
	From string // run folder, or a weights file of ours
	Path string // measurements: a folder, archive or file of images
	Out  string // folder that receives the restored files

	Sigma         *float64 // noise of the measurements; nil is that of the run
	Masks, Kernel string   // as in DataSettings
	Sampler       string   // empty is that of the run's settings
	Steps         int      // of the sampler; 0 is that of the run's settings
	Draws         int      // of the posterior, for each image
	SaveDraws     bool     // write each draw beside their mean
	Overwrite     bool     // replace files that exist
	Batch         int      // images or patches that the network sees at once; does not change results
	Seed          uint64
	Reading       DataSettings // how to read Path, from Grey on; the empty Range is that of the run
	DryRun        bool         // say what there is to do, and stop

	Set      kernels.Set
	Device   Device
	Log      io.Writer
	Progress Progress
}

func (o RestoreOptions) check() error {
	switch {
	case o.Draws < 1:
		return fmt.Errorf("--draws %d must be positive", o.Draws)
	case o.Batch < 1:
		return fmt.Errorf("--batch %d must be positive", o.Batch)
	case o.Steps < 0:
		return fmt.Errorf("--steps %d must not be negative (0 = those of the run)", o.Steps)
	case o.Sigma != nil && !(*o.Sigma >= 0 && *o.Sigma <= 10):
		return fmt.Errorf("--sigma %g: the noise level must lie in [0, 10], where black is -1 and white is 1", *o.Sigma)
	case o.Masks != "" && o.Kernel != "":
		return fmt.Errorf("--masks %s and --kernel %s: a camera that both blurs and hides is not supported, give one", o.Masks, o.Kernel)
	case o.Out == "" && !o.DryRun:
		return fmt.Errorf("there is nowhere to write to: give --out")
	}
	if info, err := os.Stat(o.Out); o.Out != "" && (err == nil && !info.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("--out %s cannot be a folder of images: give a folder, or one that does not exist", o.Out)
	}
	return nil
}

// Restore draws x ~ p(x | y) for the user's images under a learned prior, and writes for each the mean of the draws in the
// format and range of its file, their standard deviation, and restore.json. Images larger than those of the prior are
// drawn as a whole, with the denoiser tiled over them (diffusion.Tiled). What is drawn for an image is a function of the
// weights, the sampler, the seed, and its place among the images. When ctx ends, what is finished stays.
func Restore(ctx context.Context, o RestoreOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	p, err := openPrior(o.Set, o.From)
	if err != nil {
		return err
	}
	defer p.close()
	r := &restorer{o: o, prior: p, cameras: map[[2]int]*restoreCamera{}, written: map[string]string{}}
	if err := r.configure(); err != nil {
		return err
	}
	defer r.close()
	inputs, err := r.inputs()
	if err != nil {
		return err
	}
	w, err := r.survey(inputs)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "prior       %s, %dx%dx%d\ntask        %s\nsampler     %s, %d draws of each image, seed %d\ndevice      %s\n",
		p.path, p.h, p.w, p.c, describeTask(r.task, o.Masks, r.kernelPath), r.sampler.Sampler, o.Draws, o.Seed, o.Device.Why)
	if o.DryRun {
		return r.dryRun(w)
	}
	return r.all(ctx, inputs, w)
}

// restorer is the work of a Restore.
type restorer struct {
	o          RestoreOptions
	prior      *prior
	task       learn.TaskConfig
	sampler    learn.SamplerConfig
	kernel     *data.Kernel
	kernelPath string                    // of the kernel, empty without
	maskFiles  map[string]string         // files of a folder of masks, by their names without extension
	cameras    map[[2]int]*restoreCamera // by height and width; masks have theirs made anew for each image
	names      []outputNames             // of all images, in their order
	written    map[string]string         // outputs, and the inputs they are from
	record     restoreRecord
}

// configure settles task, sampler and kernel: those of the run, unless the options say otherwise.
func (r *restorer) configure() error {
	s := r.prior.settings
	r.task, r.sampler = s.Task, s.EStep
	if r.o.Sigma != nil {
		r.task.Sigma = *r.o.Sigma
	}
	if r.o.Reading.Range == "" {
		r.o.Reading.Range = s.Data.Range
	}
	r.o.Reading.Channels = r.prior.c
	switch {
	case r.o.Masks != "":
		r.task.Name = "inpaint"
	case r.o.Kernel != "":
		r.task.Name = "deblur"
	case r.task.Name == "inpaint":
		return fmt.Errorf("the prior is of a run that learned to inpaint: say with --masks which pixels were measured, or choose another task")
	}
	if r.kernelPath = r.o.Kernel; r.kernelPath == "" && r.task.Name == "deblur" {
		r.kernelPath = s.Data.Kernel // of the run, if it had one
	}
	if r.kernelPath != "" {
		var err error
		if r.kernel, err = data.OpenKernel(r.kernelPath); err != nil {
			return err
		}
	}
	if err := r.chooseSampler(s.Task.Name); err != nil {
		return err
	}
	config := s.Config
	config.Task, config.EStep, config.Train.Ambient, config.EM.AlphaFirst = r.task, r.sampler, false, 1
	camera := learn.Camera{Kernel: r.kernel}
	if r.o.Masks != "" {
		camera.Masks = []float32{} // each image has its own
	}
	return config.Validate(camera)
}

// chooseSampler takes the one that was asked for, or else that of the run; where the run had another task, reverse-sde gives way
// to split-gibbs, which can do every task.
func (r *restorer) chooseSampler(trained string) (err error) {
	name := r.o.Sampler
	if name == "" && r.task.Name != trained && r.sampler.Sampler == "reverse-sde" {
		name = "split-gibbs"
	}
	if name != "" && name != r.sampler.Sampler {
		if r.sampler, err = learn.DefaultSampler(name, r.o.Batch); err != nil {
			return fmt.Errorf("--sampler %s: %w", name, err)
		}
	}
	if r.o.Steps > 0 {
		r.sampler.Steps = r.o.Steps
	}
	return nil
}

// restoreCamera is what images of one size share.
type restoreCamera struct {
	denoiser diffusion.Denoiser
	tiled    *diffusion.Tiled // nil where the network sees the whole image
	op       physics.Operator
	sampler  posterior.Sampler
}

func (c *restoreCamera) close() {
	c.sampler.Close()
	c.op.Close()
	if c.tiled != nil {
		c.tiled.Close()
	}
}

func (r *restorer) close() {
	for _, c := range r.cameras {
		c.close()
	}
}

// camera returns the camera for images of h x w pixels; with a mask it is for that image alone.
func (r *restorer) camera(h, w int, mask []float32) (*restoreCamera, error) {
	size := [2]int{h, w}
	c, ok := r.cameras[size]
	if ok && mask == nil {
		return c, nil
	}
	if ok {
		c.close()
		delete(r.cameras, size)
	}
	c = &restoreCamera{denoiser: r.prior.network}
	var err error
	if h != r.prior.h || w != r.prior.w {
		if c.tiled, err = diffusion.NewTiled(r.o.Set, r.prior.network, h, w, r.o.Batch); err != nil {
			return nil, err
		}
		c.denoiser = c.tiled
	}
	if c.op, err = r.task.Operator(r.o.Set, h, w, r.prior.c, 1, 0, learn.Camera{Masks: mask, Kernel: r.kernel}); err != nil {
		return nil, err
	}
	if c.sampler, err = r.sampler.Build(r.o.Set, c.op, r.task.Sigma); err != nil {
		return nil, err
	}
	r.cameras[size] = c
	return c, nil
}

// all restores every input and writes restore.json at the end, also when ctx ended.
func (r *restorer) all(ctx context.Context, inputs []restoreInput, w work) (err error) {
	task := r.o.Progress.Start("restore", w.images*r.o.Draws)
	done := 0
	for _, in := range inputs {
		var images *data.Set
		if images, err = in.open(); err != nil {
			break
		}
		for i := range images.Len() {
			if err = r.image(ctx, images, i, done, task); err != nil {
				break
			}
			done++
		}
		if err != nil {
			break
		}
	}
	task.Done()
	if done == 0 {
		return err
	}
	if recordErr := r.writeRecord(); err == nil {
		err = recordErr
	}
	if err == nil {
		fmt.Fprintf(r.o.Log, "restored    %d images into %s\n", done, r.o.Out)
	}
	return err
}

// image restores image i of a set, the place-th of all.
func (r *restorer) image(ctx context.Context, images *data.Set, i, place int, task Task) error {
	start := time.Now()
	name, names := imageName(images, i), r.names[place]
	mask, err := r.mask(images, i)
	if err != nil {
		return err
	}
	c, err := r.camera(images.H, images.W, mask)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	draws, misfit, err := r.draw(ctx, c, images.Image(i), place, task)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	mean, std := meanAndStd(draws, images.ImageLen())
	if err := r.write(images, i, names, draws, mean, std); err != nil {
		return err
	}
	spread := 0.0
	for _, v := range std {
		spread += float64(v) * float64(v)
	}
	spread = math.Sqrt(spread / float64(len(std)))
	origin := images.Origin(i)
	r.record.Files = append(r.record.Files, restoredFile{Input: name, Output: names.mean, Height: images.H, Width: images.W, Misfit: misfit,
		Spread: spread, Affine: origin.Affine, StdWhite: names.stdWhite(std, origin)})
	fmt.Fprintf(r.o.Log, "%-40s %4dx%-4d  misfit %.3f  spread %.4f  %.1f s\n", name, images.W, images.H, misfit, spread, time.Since(start).Seconds())
	return nil
}

// mask reads the mask of image i; nil without masks. Those of a folder are found by name and read when it is their turn, so
// that they may have as many sizes as the images.
func (r *restorer) mask(images *data.Set, i int) ([]float32, error) {
	if r.o.Masks == "" {
		return nil, nil
	}
	file, one := r.o.Masks, images
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		if r.maskFiles == nil {
			names, err := data.Files(r.o.Masks)
			if err != nil {
				return nil, err
			}
			r.maskFiles = map[string]string{}
			for _, name := range names {
				r.maskFiles[withoutExtension(name)] = name
			}
		}
		image := images.Origin(i).Path
		name, ok := r.maskFiles[withoutExtension(image)]
		if !ok {
			return nil, fmt.Errorf("--masks %s holds no mask for %s: add one of that name, or leave the image out", r.o.Masks, image)
		}
		file, one = filepath.Join(r.o.Masks, filepath.FromSlash(name)), images.Subset([]int{i})
	}
	masks, err := data.OpenMasks(file, one)
	if err != nil {
		return nil, err
	}
	hw := images.H * images.W
	if len(masks) == hw {
		return masks, nil
	}
	return masks[i*hw : (i+1)*hw], nil
}

func withoutExtension(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// draw makes the draws of one image and their mean misfit.
func (r *restorer) draw(ctx context.Context, c *restoreCamera, y []float32, place int, task Task) (draws []float32, misfit float64, err error) {
	set, length := r.o.Set, len(y)
	n := min(r.o.Draws, r.o.Batch)
	if c.tiled != nil { // the draws of a large image are large
		n = max(1, min(n, largestDraws*r.prior.h*r.prior.w*r.prior.c/length))
	}
	x, measured, ax := set.Alloc(kernels.F32, n*length), set.Alloc(kernels.F32, n*length), set.Alloc(kernels.F32, n*length)
	out, ids := set.Alloc(kernels.F32, n), set.Alloc(kernels.I32, n)
	defer func() {
		for _, b := range []kernels.Buffer{x, measured, ax, out, ids} {
			set.Free(b)
		}
	}()
	repeated := make([]float32, 0, n*length)
	for range n {
		repeated = append(repeated, y...)
	}
	draws = make([]float32, r.o.Draws*length)
	for start := 0; start < r.o.Draws; start += n {
		if ctx.Err() != nil {
			return nil, 0, errors.New("stopped here: the files before it are finished")
		}
		b := physics.Batch{N: min(n, r.o.Draws-start), IDs: ids}
		numbers := make([]int32, b.N)
		for i := range numbers {
			numbers[i] = int32(start + i)
		}
		set.UploadInts(ids, numbers)
		set.Upload(measured, repeated[:b.N*length])
		c.op.Select(b)
		c.op.Restrict(measured)
		problem := posterior.Problem{Prior: c.denoiser, Batch: b, Y: measured, SigmaY: r.task.Sigma, Seed: r.seed(place)}
		if err := c.sampler.Sample(x, problem); err != nil {
			return nil, 0, err
		}
		set.Download(draws[start*length:(start+b.N)*length], x)
		physics.Misfit(set, c.op, b, out, ax, x, measured, r.task.Sigma)
		values := make([]float32, b.N)
		set.Download(values, out)
		for _, v := range values {
			misfit += float64(v) / float64(r.o.Draws)
		}
		if err := set.Sync(); err != nil {
			return nil, 0, err
		}
		task.Add(b.N)
	}
	return draws, misfit, nil
}

// largestDraws bounds how many draws of a large image are made at once: together they have as many pixels as so many images
// of the prior. It changes no result.
const largestDraws = 4096

// seed is that of the draws of the place-th image.
func (r *restorer) seed(place int) uint64 {
	w := kernels.Philox(kernels.Random{Seed: r.o.Seed, Stream: streamRestore}, uint32(place), 0)
	return uint64(w[1])<<32 | uint64(w[0])
}

// meanAndStd are those of draws, value by value; the standard deviation is that of the law they come from (n-1), 0 for
// one draw.
func meanAndStd(draws []float32, length int) (mean, std []float32) {
	n := float64(len(draws) / length)
	mean, std = make([]float32, length), make([]float32, length)
	for i := range length {
		sum, squares := 0.0, 0.0
		for j := i; j < len(draws); j += length {
			sum += float64(draws[j])
		}
		for j := i; j < len(draws); j += length {
			d := float64(draws[j]) - sum/n
			squares += d * d
		}
		mean[i] = float32(sum / n)
		if n > 1 {
			std[i] = float32(math.Sqrt(squares / (n - 1)))
		}
	}
	return mean, std
}

// work is what there is to do.
type work struct{ images, calls int } // calls of the network for one image or patch

// survey looks at all images, masks and outputs before anything is computed, so that what is wrong with the last file does
// not show after hours.
func (r *restorer) survey(inputs []restoreInput) (w work, err error) {
	for _, in := range inputs {
		images, err := in.open()
		if err != nil {
			return w, err
		}
		c, err := r.camera(images.H, images.W, r.blankMask(images))
		if err != nil {
			return w, fmt.Errorf("%s: %w", imageName(images, 0), err)
		}
		patches := 1
		if c.tiled != nil {
			patches = c.tiled.Patches()
		}
		for i := range images.Len() {
			names, err := r.outputs(images, i, imageName(images, i))
			if err != nil {
				return w, err
			}
			if _, err := r.mask(images, i); err != nil {
				return w, err
			}
			r.names = append(r.names, names)
		}
		w.images += images.Len()
		w.calls += images.Len() * r.o.Draws * patches * c.sampler.NFE()
	}
	return w, nil
}

// dryRun says what there is to do.
func (r *restorer) dryRun(w work) error {
	config := r.prior.settings.Config
	config.Task, config.EStep = r.task, r.sampler
	speed, err := learn.Measure(r.o.Set, config, learn.Images{Train: &data.Set{H: r.prior.h, W: r.prior.w, C: r.prior.c},
		Camera: learn.Camera{Kernel: r.kernel}})
	if err != nil {
		return err
	}
	fmt.Fprintf(r.o.Log, "images      %d\nwork        %d denoiser calls of %.2f ms: about %v\n", w.images, w.calls, 1e3*speed.Denoise.Seconds(),
		(time.Duration(w.calls) * speed.Denoise).Round(time.Second))
	return nil
}

// blankMask measures everything, where a mask is needed to count.
func (r *restorer) blankMask(s *data.Set) []float32 {
	if r.task.Name != "inpaint" {
		return nil
	}
	mask := make([]float32, s.H*s.W)
	for i := range mask {
		mask[i] = 1
	}
	return mask
}

// restoreInput is a set of images of one size, opened when it is its turn.
type restoreInput struct {
	open func() (*data.Set, error)
}

// inputs are the files of a folder one by one, whatever their sizes, or a file or archive as a whole.
func (r *restorer) inputs() ([]restoreInput, error) {
	if info, err := os.Stat(r.o.Path); err != nil || !info.IsDir() {
		return []restoreInput{{func() (*data.Set, error) { return r.o.Reading.options().Open(r.o.Path) }}}, nil
	}
	names, err := data.Files(r.o.Path)
	if err != nil {
		return nil, err
	}
	inputs := make([]restoreInput, len(names))
	for i, name := range names {
		inputs[i].open = func() (*data.Set, error) { return r.o.Reading.options().OpenMember(r.o.Path, name) }
	}
	return inputs, nil
}

// imageName is the file of an image, and its number where a file has several.
func imageName(s *data.Set, i int) string {
	origin := s.Origin(i)
	name := origin.Path
	if name == "" {
		name = filepath.Base(s.Source)
	}
	if s.Len() > 1 && (s.Origins == nil || origin.Path == "" || origin.Index > 0 || i+1 < s.Len() && s.Origin(i+1).Path == origin.Path) {
		return fmt.Sprintf("%s#%d", name, origin.Index)
	}
	return name
}
