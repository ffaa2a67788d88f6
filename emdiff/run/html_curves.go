package run

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The size of the page's drawings: smaller than the files', so that two or three stand side by side.
const (
	inlineWidth  = 5.2 * vg.Inch
	inlineHeight = 3.3 * vg.Inch
)

// curve is a drawing of the page.
type curve struct {
	Title, Note string
	Legend      []legend // empty for one series
	SVG         template.HTML
}

// legend names the ink of a series.
type legend struct{ Name, Ink string }

// roundCurves are the pictures over rounds and the numbers in each.
var roundCurves = []struct {
	title, label string
	keys, names  []string
}{
	{"Held-out images", "PSNR, dB", []string{"psnr_draw", "psnr_measurements", "psnr_tikhonov"}, []string{"draws x|y", "measurements y", "linear baseline"}},
	{"Data misfit", "misfit", []string{"misfit_draw", "misfit_train"}, []string{"held out", "E-step"}},
	{"Held-out measurements", "log density, nat", []string{"loglik_measurements"}, []string{"log density"}},
}

// curves draws what there is: the loss over the steps of all rounds, and scores over rounds.
func (h history) curves() (curves []curve, err error) {
	add := func(title, note string, c Curves, over plot.Ticker, series ...Series) {
		var svg template.HTML
		if len(series) == 0 || err != nil {
			return
		}
		if svg, err = c.inline(over, series...); err == nil {
			curves = append(curves, curve{title, note, legendOf(series), svg})
		}
	}
	if loss := h.loss(); len(loss.X) > 0 {
		add("Training loss", "Over all training steps, logarithmic.", Curves{XLabel: "step", YLabel: "loss", LogY: true}, linearTicks{}, loss)
	}
	for _, known := range roundCurves {
		var series []Series
		for i, key := range known.keys {
			if s := h.over(known.names[i], key); len(s.X) > 0 {
				series = append(series, s)
			}
		}
		add(known.title, "After each round.", Curves{XLabel: "round", YLabel: known.label}, wholeTicks{}, series...)
	}
	return curves, err
}

// over is one number of the records of rounds that have it.
func (h history) over(name, key string) Series {
	s := Series{Name: name}
	for _, r := range h.rounds {
		k, _ := r.Float("round")
		if v, ok := r.Float(key); ok && !(key == "misfit_train" && v == 0) {
			s.X, s.Y = append(s.X, k), append(s.Y, v)
		}
	}
	return s
}

// loss is the training loss over the steps of all rounds.
func (h history) loss() Series {
	loss := Series{Name: "loss"}
	before, last, round := 0.0, 0.0, 0.0 // steps of the rounds before, and within this one
	for _, r := range h.losses {
		step, _ := r.Float("step")
		value, _ := r.Float("loss")
		if k, _ := r.Float("round"); k != round {
			before, round = before+last, k
		}
		last = step
		loss.X, loss.Y = append(loss.X, before+step), append(loss.Y, value)
	}
	return loss
}

func legendOf(series []Series) (list []legend) {
	if len(series) < 2 {
		return nil
	}
	for i, s := range series {
		ink := curveColours[i%len(curveColours)]
		list = append(list, legend{s.Name, fmt.Sprintf("#%02x%02x%02x", ink.R, ink.G, ink.B)})
	}
	return list
}

// inline draws the series as an SVG element that stands in a page, on no ground of its own and without a legend.
func (c Curves) inline(over plot.Ticker, series ...Series) (template.HTML, error) {
	p, err := c.plot(series)
	if err != nil {
		return "", err
	}
	p.BackgroundColor, p.X.Tick.Marker, p.Legend = color.Transparent, over, plot.NewLegend()
	canvas, err := draw.NewFormattedCanvas(inlineWidth, inlineHeight, "svg")
	if err != nil {
		return "", err
	}
	p.Draw(draw.Crop(draw.New(canvas), 0, -curveMargin, 0, -curveMargin/2)) // the last tick's label overhangs
	var file bytes.Buffer
	if _, err := canvas.WriteTo(&file); err != nil {
		return "", err
	}
	// What precedes the first group is a head for files.
	start := bytes.Index(file.Bytes(), []byte("<g "))
	head := fmt.Sprintf(`<svg class="curve" role="img" aria-label="curves" viewBox="0 0 %g %g">`, inlineWidth.Points(), inlineHeight.Points())
	return template.HTML(head + "\n" + string(file.Bytes()[start:])), nil
}

// wholeTicks are the linearTicks that are whole numbers: rounds.
type wholeTicks struct{}

// Ticks implements plot.Ticker.
func (wholeTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	for _, t := range (linearTicks{}).Ticks(low, high) {
		if whole := math.Round(t.Value); math.Abs(t.Value-whole) < 1e-9 {
			ticks = append(ticks, plot.Tick{Value: whole, Label: fmt.Sprintf("%.0f", whole)})
		}
	}
	return ticks
}
