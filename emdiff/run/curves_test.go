package run

import (
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// svg draws the series and returns the picture's text, checked to be XML.
func svg(t *testing.T, c Curves, series ...Series) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "curves.svg")
	require.NoError(t, c.Write(path, series...))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return string(text)
		} else {
			require.NoError(t, err)
		}
	}
}

func TestCurvesNameTheirAxesAndSeries(t *testing.T) {
	psnr := Series{Name: "restored", X: []float64{0, 1, 2}, Y: []float64{20, 25, 27}}
	measured := Series{Name: "measured", X: []float64{0, 2}, Y: []float64{20, 20}}
	c := Curves{Title: "Restoration", XLabel: "round", YLabel: "PSNR (dB)"}
	text := svg(t, c, psnr, measured)
	for _, want := range []string{">Restoration<", ">round<", ">PSNR (dB)<", ">restored<", ">measured<"} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, svg(t, c, psnr), ">restored<", "one series needs no legend")
}

func TestCurvesWriteAPNGOfTheSizeAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "curves.png")
	require.NoError(t, Curves{LogY: true}.Write(path, Series{X: []float64{1, 2, 3}, Y: []float64{1, 0.1, 0}}))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	p, err := png.Decode(f)
	require.NoError(t, err)
	// 96 pixels per inch; rounding of points costs a pixel at most.
	assert.InDelta(t, 7*96, p.Bounds().Dx(), 1)
	assert.InDelta(t, 4.2*96, p.Bounds().Dy(), 1)
}

func TestCurvesDrawWhateverValuesARunProduces(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, s := range map[string]Series{
		"nothing":  {},
		"one":      {X: []float64{5}, Y: []float64{3}},
		"constant": {X: []float64{1, 2}, Y: []float64{3, 3}},
		"zero":     {X: []float64{0, 0}, Y: []float64{0, 0}},
		"all NaN":  {X: []float64{1, 2}, Y: []float64{nan, inf}},
		"gap":      {X: []float64{1, 2, 3, 4}, Y: []float64{1, nan, 2, 3}},
		"negative": {X: []float64{1, 2, 3}, Y: []float64{-1, -2, -3}},
		"huge":     {X: []float64{1, 2, 3}, Y: []float64{1e-30, 1, 1e30}},
	} {
		for _, log := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c := Curves{LogY: log}
				svg(t, c, s)
				p, err := c.plot([]Series{s})
				require.NoError(t, err)
				for _, axis := range []plot.Axis{p.X, p.Y} {
					assert.Less(t, axis.Min, axis.Max)
					assert.GreaterOrEqual(t, len(labels(axis.Tick.Marker, axis.Min, axis.Max)), 2)
				}
			})
		}
	}
	assert.Contains(t, svg(t, Curves{Title: "Loss"}), ">Loss (no data yet)<")
}

func TestCurvesBreakWhereAValueCannotBeDrawn(t *testing.T) {
	s := Series{X: []float64{1, 2, 3, 4, 5}, Y: []float64{1, math.NaN(), 2, 0, 3}}
	assert.Equal(t, []plotter.XYs{{{X: 1, Y: 1}}, {{X: 3, Y: 2}, {X: 4, Y: 0}, {X: 5, Y: 3}}}, Curves{}.pieces(s))
	assert.Equal(t, []plotter.XYs{{{X: 1, Y: 1}}, {{X: 3, Y: 2}}, {{X: 5, Y: 3}}}, Curves{LogY: true}.pieces(s))
}

func TestThinKeepsTheOutline(t *testing.T) {
	points := make(plotter.XYs, 10001)
	for i := range points {
		points[i] = plotter.XY{X: float64(i), Y: math.Sin(float64(i) / 7)}
	}
	points[5003].Y, points[777].Y = 50, -50
	kept := thin(points, 100)
	assert.Len(t, kept, 100)
	var low, high float64
	for i, xy := range kept {
		low, high = min(low, xy.Y), max(high, xy.Y)
		if i > 0 {
			assert.GreaterOrEqual(t, xy.X, kept[i-1].X)
		}
	}
	assert.Equal(t, -50.0, low)
	assert.Equal(t, 50.0, high)
	assert.Equal(t, points[:90], thin(points[:90], 100))
}

func TestRunningMeanLeavesALineAloneAndFlattensNoise(t *testing.T) {
	line, noise := make(plotter.XYs, 1000), make(plotter.XYs, 1000)
	for i := range line {
		line[i] = plotter.XY{X: float64(i), Y: 3 * float64(i)}
		noise[i] = plotter.XY{X: float64(i), Y: float64(i % 2)}
	}
	for _, xy := range runningMean(line, 20) {
		if xy.X >= 20/8 && xy.X <= 999-20/8 {
			assert.InDelta(t, 3*xy.X, xy.Y, 1e-9, "a symmetric window does not shift a slope")
		}
	}
	mean := runningMean(noise, 20)
	assert.Less(t, len(mean), 1000/2+2)
	assert.Equal(t, 999.0, mean[len(mean)-1].X, "the last point is there")
	for _, xy := range mean {
		if xy.X >= 10 && xy.X < 990 {
			assert.InDelta(t, 0.5, xy.Y, 0.5/21+1e-9)
		}
	}
}

func TestCurvesRefuseWhatTheyCannotDraw(t *testing.T) {
	dir := t.TempDir()
	assert.ErrorContains(t, Curves{}.Write(filepath.Join(dir, "x.jpg")), ".png or .svg")
	assert.ErrorContains(t, Curves{}.Write(filepath.Join(dir, "x.png"), Series{Name: "s", X: []float64{1}}), `series "s" has 1 places and 0 values`)
	assert.Empty(t, names(t, dir))
}

// labels are the texts of the ticks that have one.
func labels(ticker plot.Ticker, low, high float64) (list []string) {
	for _, tick := range ticker.Ticks(low, high) {
		if tick.Label != "" {
			list = append(list, tick.Label)
		}
	}
	return list
}

func TestTicksAreRoundNumbers(t *testing.T) {
	assert.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, labels(linearTicks{}, 0, 5))
	assert.Equal(t, []string{"20", "22", "24", "26"}, labels(linearTicks{}, 19.6, 27.4))
	assert.Equal(t, []string{"-0.2", "-0.1", "0.0", "0.1", "0.2"}, labels(linearTicks{}, -0.21, 0.24))
	assert.Equal(t, []string{"0", "1", "2"}, labels(linearTicks{}, -0.9, 2.9), "no -0")
	assert.Equal(t, []string{"-0.5", "0.0", "0.5"}, labels(linearTicks{}, -0.5, 2.2)[:3])
	assert.Equal(t, []string{"0", "10000", "20000", "30000", "40000"}, labels(linearTicks{}, 0, 40000))
	assert.Equal(t, []string{"1e-06", "2e-06"}, labels(linearTicks{}, 1e-6, 5.9e-6)[:2])
	assert.Equal(t, []string{"0.01", "0.1", "1"}, labels(logTicks{}, 0.005, 2))
	assert.Equal(t, []string{"0.02", "0.05", "0.1", "0.2"}, labels(logTicks{}, 0.011, 0.3))
	assert.Equal(t, []string{"0.020", "0.025", "0.030"}, labels(logTicks{}, 0.02, 0.034))
	for high := 1e-20; high < 1e30; high *= 7 {
		assert.LessOrEqual(t, len(labels(logTicks{}, 1e-25, high)), 10)
		n := len(labels(linearTicks{}, 0, high))
		assert.True(t, n >= 3 && n <= 8, "%d ticks up to %g", n, high)
	}
}
