package run

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	curveWidth  = 7 * vg.Inch
	curveHeight = 4.2 * vg.Inch
	curveMargin = vg.Length(12) // points around plot and legend

	// curveDots is up to how many points a series shows each of them: rounds, not steps.
	curveDots = 40

	// curveNoisy is from how many points on a series is taken for noisy: it is drawn pale, with
	// its running mean on top, and thinned to curvePale points.
	curveNoisy = 400
	curvePale  = 4000
)

// curveColours are those of Okabe and Ito, which colour-blind readers can tell apart.
var curveColours = []color.RGBA{
	{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255},
	{230, 159, 0, 255}, {86, 180, 233, 255}, {40, 40, 40, 255},
}

// Series is one named curve: Y[i] over X[i].
type Series struct {
	Name string
	X, Y []float64
}

// Curves is a picture of curves over a common axis: the loss over the step, PSNR over the round.
type Curves struct {
	Title, XLabel, YLabel string

	// LogY makes the vertical axis logarithmic; values that are not positive are left out.
	LogY bool
}

// Write draws the series into the file at path, a PNG or SVG by its ending, which appears whole or
// not at all. Points with NaN or an infinity are left out and the line has a gap there. A series
// of many points is drawn pale under its running mean over a fiftieth of them. Two series or more
// have a legend, at their right. With no point to draw, the axes are empty and say so.
func (c Curves) Write(path string, series ...Series) error {
	format := strings.TrimPrefix(filepath.Ext(path), ".")
	if format != "png" && format != "svg" {
		return fmt.Errorf("%s cannot be drawn: give a name that ends in .png or .svg", path)
	}
	p, err := c.plot(series)
	if err != nil {
		return fmt.Errorf("%s was not written: %w", path, err)
	}
	picture, err := draw.NewFormattedCanvas(curveWidth, curveHeight, format)
	if err != nil {
		return fmt.Errorf("%s was not written: %w", path, err)
	}
	drawBeside(draw.New(picture), p)
	return WriteFile(path, func(w io.Writer) error {
		_, err := picture.WriteTo(w)
		return err
	})
}

// drawBeside draws a plot with its legend at its right instead of across the curves.
func drawBeside(canvas draw.Canvas, p *plot.Plot) {
	canvas.SetColor(p.BackgroundColor)
	canvas.Fill(canvas.Rectangle.Path())
	legend := p.Legend
	p.Legend = plot.NewLegend()

	size := legend.Rectangle(canvas).Size()
	p.Draw(draw.Crop(canvas, curveMargin/2, -size.X-2*curveMargin, curveMargin/2, -curveMargin/2))
	left := canvas.Size().X - size.X - curveMargin/2
	legend.Draw(draw.Crop(canvas, left, 0, 0, -3*curveMargin))
}

func (c Curves) plot(series []Series) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.XLabel, c.YLabel
	tidy(p)
	drawn := 0
	for i, s := range series {
		if len(s.X) != len(s.Y) {
			return nil, fmt.Errorf("series %q has %d places and %d values", s.Name, len(s.X), len(s.Y))
		}
		ink := curveColours[i%len(curveColours)]
		pieces := c.pieces(s)
		for _, piece := range pieces {
			drawn += len(piece)
			c.drawPiece(p, piece, ink)
		}
		if len(series) > 1 {
			p.Legend.Add(s.Name, &plotter.Line{LineStyle: draw.LineStyle{Color: ink, Width: vg.Points(2)}})
		}
	}
	if drawn == 0 {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
		p.Title.Text = strings.TrimSpace(c.Title + " (no data yet)")
		return p, nil
	}
	if p.X.Min == p.X.Max {
		widen(&p.X)
	}
	if c.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
		room := 1.02 * math.Pow(p.Y.Max/p.Y.Min, 0.05)
		p.Y.Min, p.Y.Max = p.Y.Min/room, p.Y.Max*room
	} else {
		widen(&p.Y)
	}
	return p, nil
}

// tidy sets what all curves have in common: a sans-serif face, round ticks, a light grid.
func tidy(p *plot.Plot) {
	for style, size := range map[*text.Style]font.Length{
		&p.Title.TextStyle: 13, &p.Legend.TextStyle: 10.5,
		&p.X.Label.TextStyle: 11, &p.Y.Label.TextStyle: 11,
		&p.X.Tick.Label: 10, &p.Y.Tick.Label: 10,
	} {
		style.Font.Variant, style.Font.Size = "Sans", size
	}
	p.Title.Padding = vg.Points(10)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Marker = linearTicks{}
		axis.Label.Padding = vg.Points(5)
		axis.Padding = 0
		axis.LineStyle.Color = color.Gray{120}
		axis.Tick.LineStyle.Color = color.Gray{120}
		axis.Tick.Length = vg.Points(4)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{238}
	p.Add(grid)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(4)
	p.Legend.ThumbnailWidth = vg.Points(16)
}

// drawPiece adds one unbroken run of points.
func (c Curves) drawPiece(p *plot.Plot, points plotter.XYs, ink color.RGBA) {
	line := func(points plotter.XYs, colour color.Color, width vg.Length) {
		p.Add(&plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: colour, Width: width}})
	}
	if len(points) >= curveNoisy {
		pale := color.NRGBA{ink.R, ink.G, ink.B, 70}
		line(thin(points, curvePale), pale, vg.Points(0.6))
		line(runningMean(points, len(points)/50), ink, vg.Points(2))
		return
	}
	line(points, ink, vg.Points(1.6))
	if len(points) <= curveDots {
		p.Add(&plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{Color: ink, Radius: vg.Points(2.6), Shape: draw.CircleGlyph{}}})
	}
}

// pieces splits a series where a point cannot be drawn.
func (c Curves) pieces(s Series) (pieces []plotter.XYs) {
	var piece plotter.XYs
	for i, x := range s.X {
		y := s.Y[i]
		if finite(x) && finite(y) && (!c.LogY || y > 0) {
			piece = append(piece, plotter.XY{X: x, Y: y})
		} else if len(piece) > 0 {
			pieces, piece = append(pieces, piece), nil
		}
	}
	if len(piece) > 0 {
		pieces = append(pieces, piece)
	}
	return pieces
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// thin keeps about most of the points: of every stretch its lowest and its highest, so that the
// outline stays.
func thin(points plotter.XYs, most int) plotter.XYs {
	if len(points) <= most {
		return points
	}
	kept := make(plotter.XYs, 0, most)
	stretches := most / 2
	for i := range stretches {
		part := points[i*len(points)/stretches : (i+1)*len(points)/stretches]
		low, high := 0, 0
		for j, xy := range part {
			if xy.Y < part[low].Y {
				low = j
			}
			if xy.Y > part[high].Y {
				high = j
			}
		}
		kept = append(kept, part[min(low, high)], part[max(low, high)])
	}
	return kept
}

// runningMean is the mean over a window of about width points around each point, at about eight
// points per window. Towards the ends the window narrows so that a slope is not shifted, to a
// quarter of its width; what is left of it is cut off at the ends.
func runningMean(points plotter.XYs, width int) plotter.XYs {
	sums := make([]float64, len(points)+1)
	for i, xy := range points {
		sums[i+1] = sums[i] + xy.Y
	}
	var mean plotter.XYs
	last := len(points) - 1
	at := func(i int) {
		half := max(min(width/2, i, last-i), width/8)
		from, to := max(i-half, 0), min(i+half, last)+1
		mean = append(mean, plotter.XY{X: points[i].X, Y: (sums[to] - sums[from]) / float64(to-from)})
	}
	for i := 0; i < last; i += max(1, width/8) {
		at(i)
	}
	at(last)
	return mean
}

// widen puts a little room below and above the range of an axis.
func widen(axis *plot.Axis) {
	room := 0.05 * (axis.Max - axis.Min)
	least := 1e-6 * max(math.Abs(axis.Min), math.Abs(axis.Max))
	switch {
	case room == 0 && least == 0:
		room = 1
	case room == 0:
		room = 5e4 * least // a twentieth of the value
	}
	axis.Min, axis.Max = axis.Min-max(room, least), axis.Max+max(room, least)
}
