package run

import (
	"fmt"
	"io"
	"time"

	"emdiff/emdiff/learn"
	"emdiff/kernels"
)

// DryRun prints what a run would take: parameters, arithmetic, memory, and times estimated from a few training steps and
// denoiser calls made now on set.
func DryRun(out io.Writer, set kernels.Set, s Settings) error {
	whole, images, err := loadImages(s)
	if err != nil {
		return err
	}
	s.fill(whole)
	if err := s.Validate(); err != nil {
		return err
	}
	train, err := s.Network.Cost(s.Train.Batch)
	if err != nil {
		return err
	}
	draw, err := s.Network.Cost(s.EStep.Batch)
	if err != nil {
		return err
	}
	speed, err := learn.Measure(set, s.Config, images)
	if err != nil {
		return err
	}
	const giga, mega = 1e9, 1 << 20
	imageBytes := int64(4 * whole.ImageLen())
	held := int64(images.Train.Len() + images.Held.Len() + images.Clean.Len() + s.EM.Plan(s.EM.Rounds, images.Train.Len()).Subset)
	fmt.Fprintf(out, `device       %s
data         %s, %dx%dx%d: %d to measure, %d clean, %d held out
network      %d parameters
forward      %.3f GFLOP per image
train step   %.2f GFLOP (batch %d), %.0f ms
denoise      %.2f ms per image (batch %d), %d calls per draw
memory       %d MiB parameters and optimiser, %d MiB training, %d MiB sampling, %d MiB images

`, set.Name(), whole.Name, whole.H, whole.W, whole.C, images.Train.Len(), images.Clean.Len(), images.Held.Len(),
		train.Parameters, draw.Forward.FLOPs/giga/float64(s.EStep.Batch),
		(train.Forward.FLOPs+train.Backward.FLOPs)/giga, s.Train.Batch, 1e3*speed.TrainStep.Seconds(),
		1e3*speed.Denoise.Seconds(), s.EStep.Batch, speed.CallsPerDraw,
		train.ParamBytes/mega, train.TrainingBytes/mega, draw.InferenceBytes/mega, held*imageBytes/mega)

	perDraw := speed.Denoise * time.Duration(speed.CallsPerDraw)
	evaluate := time.Duration(images.Held.Len())*perDraw + time.Duration(s.Eval.Generated*speed.CallsPerSample)*speed.Denoise
	total := time.Duration(0)
	fmt.Fprintf(out, "%5s %7s %6s %9s %9s %9s\n", "round", "images", "steps", "E-step", "M-step", "evaluate")
	row := func(round, imageCount, steps int, e time.Duration) {
		m := time.Duration(steps) * speed.TrainStep
		total += e + m + evaluate
		fmt.Fprintf(out, "%5d %7d %6d %9v %9v %9v\n", round, imageCount, steps, e.Round(time.Second), m.Round(time.Second), evaluate.Round(time.Second))
	}
	row(0, images.Clean.Len(), s.Init.Steps, 0)
	for k := 1; k <= s.EM.Rounds; k++ {
		p := s.EM.Plan(k, images.Train.Len())
		row(k, p.Subset, p.Steps, time.Duration(p.Subset)*perDraw)
	}
	final := time.Duration(s.Eval.Draws*images.Held.Len()) * perDraw
	fmt.Fprintf(out, "final evaluation %v, in all about %v\n", final.Round(time.Second), (total + final).Round(time.Second))
	return nil
}
