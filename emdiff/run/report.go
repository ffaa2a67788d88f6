package run

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"emdiff/emdiff/data"
	"emdiff/emdiff/learn"
)

// reporter is the learn.Observer of a training command: progress and tables on the terminal, and statistics, pictures and
// weights in the run folder. Everything it draws comes from the folder, so that a continued run draws the same.
type reporter struct {
	folder   *Folder
	stats    *Stats
	log      io.Writer
	progress Progress
	images   learn.Images
	settings Settings
	em       *learn.EM

	task  Task
	ready bool // the table's head has been printed
}

// begin prints what the run is about.
func (r *reporter) begin(whole *data.Set, estimated string) {
	s := r.settings
	fmt.Fprintf(r.log, "data        %s\n", describeImages(whole, r.images))
	fmt.Fprintf(r.log, "task        %s\n", describeTask(s.Task, s.Data.Masks, s.Data.Kernel))
	if estimated != "" {
		fmt.Fprintf(r.log, "noise       %s\n", estimated)
	}
	if s.Init.Clean == 0 {
		fmt.Fprintf(r.log, "start       a Gaussian of rank %d, fitted to the measurements\n", s.Init.Rank)
	}
	fmt.Fprintf(r.log, "network     %d parameters\n", r.em.Network().Params.Count())
	if r.images.Measured {
		fmt.Fprintln(r.log, "\nNobody knows the clean images, so PSNR cannot be known. misfit is |A x - y|^2 of draws over that of the noise: 1 is right.\n"+
			"spread is the standard deviation of the posterior. log p(y) is of held-out measurements, per value, under a Gaussian with the\n"+
			"moments of the images that the prior was trained on: higher is better.")
	}
	for _, result := range r.em.State.Results {
		r.row(result)
	}
}

// describeImages says what there is and how it is divided.
func describeImages(whole *data.Set, images learn.Images) string {
	verb, clean, train := "measure", 0, images.Train
	if images.Measured {
		verb = "learn from"
	}
	if images.Clean != nil {
		clean = images.Clean.Len()
	}
	text := fmt.Sprintf("%s, %dx%dx%d", whole.Name, whole.H, whole.W, whole.C)
	if train.H != whole.H || train.W != whole.W {
		text += fmt.Sprintf(" in patches of %dx%d", train.H, train.W)
	}
	return fmt.Sprintf("%s: %d to %s, %d clean, %d held out", text, train.Len(), verb, clean, images.Held.Len())
}

// describeTask says what the camera did; masks and kernel are the user's files, if any.
func describeTask(t learn.TaskConfig, masks, kernel string) string {
	switch {
	case t.Name == "inpaint" && masks != "":
		return fmt.Sprintf("inpaint, masks in %s, noise sigma %.4g", masks, t.Sigma)
	case t.Name == "inpaint":
		return fmt.Sprintf("inpaint, %.0f %% of the pixels hidden, noise sigma %.4g", 100*t.Masked, t.Sigma)
	case t.Name == "deblur" && kernel != "":
		return fmt.Sprintf("deblur, kernel in %s, noise sigma %.4g", kernel, t.Sigma)
	case t.Name == "deblur":
		return fmt.Sprintf("deblur, %dx%d Gaussian of std %g, noise sigma %.4g", t.BlurSize, t.BlurSize, t.BlurStd, t.Sigma)
	}
	return fmt.Sprintf("denoise, noise sigma %.4g on images in [-1, 1]", t.Sigma)
}

// Phase implements learn.Observer.
func (r *reporter) Phase(round int, phase learn.Phase, done, total int) {
	r.endTask()
	label := fmt.Sprintf("round %d %s", round, phase)
	if round == 0 || phase == learn.Final {
		label = string(phase)
	}
	r.task = r.progress.Start(label, total)
	r.task.Add(done)
}

// Advance implements learn.Observer.
func (r *reporter) Advance(n int) { r.task.Add(n) }

func (r *reporter) endTask() {
	if r.task != nil {
		r.task.Done()
		r.task = nil
	}
}

// Loss implements learn.Observer.
func (r *reporter) Loss(round int, phase learn.Phase, step int, loss float64) error {
	r.task.Note(fmt.Sprintf("loss %.4f", loss))
	return r.stats.Append("loss", map[string]any{"round": round, "phase": string(phase), "step": step, "loss": loss})
}

// Round implements learn.Observer.
func (r *reporter) Round(result learn.RoundResult, shown, generated []float32) error {
	r.endTask()
	r.row(result)
	if err := os.MkdirAll(r.folder.Path("rounds"), 0o777); err != nil {
		return fmt.Errorf("%s cannot be made: %w: check the space left on its disk", r.folder.Path("rounds"), cause(err))
	}
	return inTurn(
		func() error { return writeFloats(r.roundFile(result.Round, "draws"), shown) },
		func() error { return writeFloats(r.roundFile(result.Round, "generated"), generated) },
		func() error { return r.stats.Append("round", fields(result)) },
		r.draw,
		func() error {
			return writeWeights(r.folder, r.em.Network(), r.settings, r.images.Held.H, r.images.Held.W)
		},
	)
}

// Final implements learn.Observer.
func (r *reporter) Final(result learn.FinalResult, mean []float32) error {
	r.endTask()
	if err := inTurn(func() error { return writeFloats(r.folder.Path("rounds", "mean.f32"), mean) }, r.draw); err != nil {
		return err
	}
	if r.images.Measured {
		fmt.Fprintf(r.log, "\nOn %d held-out measurements: misfit %.3f, spread %.3f over %d draws\n", r.images.Held.Len(), result.MisfitFinal,
			result.SpreadFinal, result.Draws)
	} else {
		start := fmt.Sprintf("prior of %4d clean", r.settings.Init.Clean)
		if r.settings.Init.Clean == 0 {
			start = "start from Gaussian"
		}
		fmt.Fprintf(r.log, `
PSNR on %d held-out images, dB
  measurements                         %6.2f
  Tikhonov, best strength              %6.2f
  single draws, %-19s    %6.2f
  single draws, learned prior          %6.2f  (%+.2f)
  mean of %2d draws, learned prior      %6.2f  (%+.2f above the measurements)
`, r.images.Held.Len(), result.PSNRMeasurements, result.PSNRTikhonov, start, result.PSNRInitPrior,
			result.PSNRFinal, result.PSNRFinal-result.PSNRInitPrior,
			result.Draws, result.PSNRFinalMean, result.PSNRFinalMean-result.PSNRMeasurements)
	}
	fmt.Fprintf(r.log, "\npictures    %s, %s\nreport      %s\nweights     %s\ntime        %.0f s\n", r.folder.Path("reconstructions.png"),
		r.folder.Path("generated.png"), r.folder.Path(reportName), r.folder.Path(weightsName), result.Seconds)
	return inTurn(func() error { return r.stats.Append("done", fields(result)) }, func() error { return writeReport(r.folder) })
}

// row prints one line of the table of rounds.
func (r *reporter) row(e learn.RoundResult) {
	titles, scores := "   PSNR y  PSNR x|y     SSIM   misfit", fmt.Sprintf(" %8.2f %9.2f %8.3f %8.3f", e.PSNRMeasurements, e.PSNRDraw, e.SSIMDraw, e.MisfitDraw)
	if r.images.Measured {
		titles, scores = "   misfit   spread  log p(y)", fmt.Sprintf(" %8.3f %8.3f %9.4f", e.MisfitDraw, e.SpreadDraw, e.LogLikelihood)
	}
	if !r.ready {
		fmt.Fprintf(r.log, "\n%5s %7s %6s %8s%s %8s %8s %8s %8s\n", "round", "images", "steps", "loss", titles, "E-step s", "M-step s", "eval s", "weights")
		r.ready = true
	}
	kind := "tuned"
	if e.Reset || e.Round == 0 {
		kind = "fresh"
	}
	fmt.Fprintf(r.log, "%5d %7d %6d %8.4f%s %8.1f %8.1f %8.1f %8s\n", e.Round, e.Images, e.Steps, e.Loss, scores,
		e.Seconds.EStep, e.Seconds.MStep, e.Seconds.Evaluate, kind)
}

func (r *reporter) roundFile(round int, what string) string {
	return r.folder.Path("rounds", fmt.Sprintf("%03d-%s.f32", round, what))
}

// draw makes all pictures anew from what the folder holds.
func (r *reporter) draw() error {
	return inTurn(r.drawReconstructions, r.drawGenerated, r.drawCurves, func() error { return writeReport(r.folder) })
}

// inTurn does one step after the other up to the first that fails: of a full disk one sentence says enough.
func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// drawReconstructions shows a row per image: measurement, a draw after each round, the mean of draws, the truth.
func (r *reporter) drawReconstructions() error {
	columns := [][]float32{r.em.HeldMeasurements()}
	titles := []string{"measured"}
	for round := 0; ; round++ {
		draws, err := readFloats(r.roundFile(round, "draws"))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		columns = append(columns, draws)
		titles = append(titles, fmt.Sprintf("round %d", round))
	}
	mean, err := readFloats(r.folder.Path("rounds", "mean.f32"))
	if err == nil {
		columns, titles = append(columns, mean), append(titles, fmt.Sprintf("mean of %d", r.settings.Eval.Draws))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	held := r.images.Held
	if !r.images.Measured {
		columns, titles = append(columns, held.Pixels), append(titles, "truth")
	}
	length := held.ImageLen()
	var tiles [][]float32
	for i := range min(r.settings.Eval.Shown, held.Len()) {
		for _, c := range columns {
			tiles = append(tiles, c[i*length:(i+1)*length])
		}
	}
	return Grid{Columns: len(columns), ColumnTitles: titles}.WritePNG(r.folder.Path("reconstructions.png"), tiles, held.H, held.W, held.C)
}

// drawGenerated shows a row of clean images drawn from the prior for every round, and the latest ones in full.
func (r *reporter) drawGenerated() error {
	if r.settings.Eval.Generated == 0 {
		return nil
	}
	held := r.images.Held
	length := held.ImageLen()
	columns := min(12, r.settings.Eval.Generated)
	var tiles, latest [][]float32
	var labels []string
	for round := 0; ; round++ {
		samples, err := readFloats(r.roundFile(round, "generated"))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		latest = latest[:0]
		for i := 0; i < len(samples); i += length {
			latest = append(latest, samples[i:i+length])
		}
		tiles = append(tiles, latest[:columns]...)
		labels = append(labels, fmt.Sprintf("round %d", round))
	}
	if err := (Grid{Columns: columns, RowLabels: labels}).WritePNG(r.folder.Path("generated-rounds.png"), tiles, held.H, held.W, held.C); err != nil {
		return err
	}
	return Grid{}.WritePNG(r.folder.Path("generated.png"), latest, held.H, held.W, held.C)
}

// drawCurves draws the loss over all training steps, and PSNR over the rounds.
func (r *reporter) drawCurves() error {
	records, err := ReadStats(r.folder.Path("stats.jsonl"))
	if err != nil {
		return err
	}
	h := historyOf(records)
	if err := (Curves{Title: "Training loss", XLabel: "step", YLabel: "loss", LogY: true}).Write(r.folder.Path("loss.png"), h.loss()); err != nil {
		return err
	}
	if r.images.Measured {
		return Curves{Title: "Held-out measurements", XLabel: "round", YLabel: "misfit"}.Write(r.folder.Path("misfit.png"), h.over("draws x|y", "misfit_draw"))
	}
	return Curves{Title: "Held-out images", XLabel: "round", YLabel: "PSNR, dB"}.Write(r.folder.Path("psnr.png"),
		h.over("draws x|y", "psnr_draw"), h.over("measurements y", "psnr_measurements"))
}

// writeFloats keeps values as little-endian float32.
func writeFloats(path string, values []float32) error {
	return WriteFile(path, func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, values) })
}

func readFloats(path string) ([]float32, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(text)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(text[4*i:]))
	}
	return values, nil
}
