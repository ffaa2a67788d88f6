package run

import (
	"fmt"
	"io"
	"time"

	"emdiff/emdiff/data"
	"emdiff/emdiff/learn"
	"emdiff/kernels"
	"emdiff/nn"
)

// DryRun prints what a run would take: parameters, arithmetic, memory, and times estimated from a few training steps and
// denoiser calls made now on set.
func DryRun(out io.Writer, set kernels.Set, s Settings) error {
	whole, images, err := s.loadForDryRun()
	if err != nil {
		return err
	}
	if _, err := s.fill(images); err != nil {
		return err
	}
	if err := s.Validate(images.Camera); err != nil {
		return err
	}
	measured := images.Train.Len()
	if s.absent() {
		measured = s.Data.Images - s.Eval.HeldOut - s.Init.Clean
	}
	if err := s.checkMemory(set, measured); err != nil {
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
	const giga = 1e9
	memory, err := s.describeMemory(images.Train.H, images.Train.W, images.Train.C, measured)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `device       %s
data         %s
network      %d parameters
forward      %.3f GFLOP per image
train step   %.2f GFLOP (batch %d), %.0f ms
denoise      %.2f ms per image (batch %d), %d calls per draw
%s
`, set.Name(), s.describeForDryRun(whole, images, measured),
		train.Parameters, draw.Forward.FLOPs/giga/float64(s.EStep.Batch),
		(train.Forward.FLOPs+train.Backward.FLOPs)/giga, s.Train.Batch, 1e3*speed.TrainStep.Seconds(),
		1e3*speed.Denoise.Seconds(), s.EStep.Batch, speed.CallsPerDraw, memory)

	perDraw := speed.Denoise * time.Duration(speed.CallsPerDraw)
	passes := 1 // two draws show the spread where there is no truth
	if images.Measured {
		passes = 2
	}
	evaluate := time.Duration(passes*s.Eval.HeldOut)*perDraw + time.Duration(s.Eval.Generated*speed.CallsPerSample)*speed.Denoise
	total := time.Duration(0)
	fmt.Fprintf(out, "%5s %7s %6s %9s %9s %9s\n", "round", "images", "steps", "E-step", "M-step", "evaluate")
	row := func(round, imageCount, steps int, e time.Duration) {
		m := time.Duration(steps) * speed.TrainStep
		total += e + m + evaluate
		fmt.Fprintf(out, "%5d %7d %6d %9v %9v %9v\n", round, imageCount, steps, e.Round(time.Second), m.Round(time.Second), evaluate.Round(time.Second))
	}
	if s.Init.Clean > 0 {
		row(0, s.Init.Clean, s.Init.Steps, 0)
	} else { // the fit is small beside a round
		row(0, s.EM.Plan(0, measured).Subset, s.Init.Steps, 0)
	}
	for k := 1; k <= s.EM.Rounds; k++ {
		p := s.EM.Plan(k, measured)
		row(k, p.Subset, p.Steps, time.Duration(p.Subset)*perDraw)
	}
	final := time.Duration(s.Eval.Draws*s.Eval.HeldOut) * perDraw
	fmt.Fprintf(out, "final evaluation %v, in all about %v\n", final.Round(time.Second), (total + final).Round(time.Second))
	return nil
}

// absent reports whether the images that the settings are for were not given: costs are then those of as many blank ones.
func (s Settings) absent() bool {
	return s.Data.Expect != "" && s.Data.Path == "" && !s.Data.measured()
}

// loadForDryRun loads the images or, in place of absent ones, a few blank ones.
func (s Settings) loadForDryRun() (*data.Set, learn.Images, error) {
	if !s.absent() {
		return loadImages(s)
	}
	n := s.Network
	blank := &data.Set{Name: s.Data.Expect, H: n.ImageSize, W: n.ImageSize, C: n.InChannels, Pixels: make([]float32, n.ImageSize*n.ImageSize*n.InChannels)}
	held := *blank
	held.Pixels = make([]float32, s.Eval.HeldOut*blank.ImageLen())
	return blank, learn.Images{Train: blank, Held: &held}, nil
}

func (s Settings) describeForDryRun(whole *data.Set, images learn.Images, measured int) string {
	if !s.absent() {
		return describeImages(whole, images)
	}
	return fmt.Sprintf("%s, not given (--data), %dx%dx%d: %d to measure, %d clean, %d held out", whole.Name, whole.H, whole.W, whole.C,
		measured, s.Init.Clean, s.Eval.HeldOut)
}

// describeMemory is the planned memory of training, with every train.checkpoint, and of drawing.
func (s Settings) describeMemory(h, w, c, measured int) (string, error) {
	mebi := func(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }
	draws := max(min(s.EStep.Batch, measured), s.Eval.Generated)
	m, err := s.Memory(h, w, c, draws)
	if err != nil {
		return "", err
	}
	held := measured + s.Eval.HeldOut + s.Init.Clean + s.EM.Plan(s.EM.Rounds, measured).Subset
	text := fmt.Sprintf(`memory       MiB, planned; images take %s
  training   peak %s: weights %s, gradients %s, optimiser %s, activations and scratch %s, batch %s
  checkpoint peak`, mebi(4*int64(held*h*w*c)), mebi(m.Training()), mebi(m.Weights), mebi(m.Gradients), mebi(m.Optimizer), mebi(m.Activations), mebi(m.Batch))
	for k := nn.CheckpointNone; k <= nn.CheckpointBlocks; k++ {
		other := s.Config
		other.Train.Checkpoint = k.String()
		o, err := other.Memory(h, w, c, draws)
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf(" %s with %s,", mebi(o.Training()), k)
	}
	return text[:len(text)-1] + fmt.Sprintf(` (train.checkpoint)
  sampling   peak %s: the same parameters, activations, scratch and batch %s (%d images at once)
`, mebi(m.Sampling()), mebi(m.Drawing), draws), nil
}
