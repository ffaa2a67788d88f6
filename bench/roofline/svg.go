package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// The picture, in pixels.
const (
	width, height          = 1170, 680
	left, right            = 76, 346 // margins; the legend stands in the right one
	top, bottom            = 78, 64
	plotWidth, plotHeight  = width - left - right, height - top - bottom
	background, ink, faint = "#ffffff", "#222222", "#e6e6e6"
	quiet                  = "#6b6b6b"
)

// scale maps a logarithmic axis to pixels.
type scale struct{ lo, hi, from, to float64 }

func (s scale) at(v float64) float64 {
	return s.from + (s.to-s.from)*math.Log(v/s.lo)/math.Log(s.hi/s.lo)
}

// around covers values with whole decades of one, two or five.
func around(lo, hi, from, to float64) scale {
	return scale{step(lo, math.Floor), step(hi, math.Ceil), from, to}
}

// step rounds to the next of 1, 2, 5, 10, ... down or up.
func step(v float64, round func(float64) float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if round(1) != round(1.5) { // up
			if v <= m*decade*(1+1e-9) {
				return m * decade
			}
		} else if v < m*decade*(1-1e-9) {
			return map[float64]float64{2: 1, 5: 2, 10: 5}[m] * decade
		}
	}
	return 10 * decade
}

// ticks are the 1, 2, 5, 10, ... of an axis.
func (s scale) ticks() (list []float64) {
	for decade := math.Pow(10, math.Floor(math.Log10(s.lo))); decade <= s.hi*1.01; decade *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if v := m * decade; v >= s.lo*0.999 && v <= s.hi*1.001 {
				list = append(list, v)
			}
		}
	}
	return list
}

// canvas writes SVG elements.
type canvas struct{ strings.Builder }

func (c *canvas) line(x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

func (c *canvas) text(x, y float64, style, text string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, style, escape(text))
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// mark draws a point: a dot, or a diamond for whole networks.
func (c *canvas) mark(x, y float64, family int, title string) {
	colour := families[family].colour
	if family == networks {
		fmt.Fprintf(c, `<path d="M%.1f %.1f l6.5 6.5 l-6.5 6.5 l-6.5 -6.5 z" fill="%s" stroke="%s" stroke-width="1.2">`, x, y-6.5, colour, background)
	} else {
		fmt.Fprintf(c, `<circle cx="%.1f" cy="%.1f" r="4.6" fill="%s" fill-opacity="0.85" stroke="%s" stroke-width="0.9">`, x, y, colour, background)
	}
	end := "circle"
	if family == networks {
		end = "path"
	}
	fmt.Fprintf(c, "<title>%s</title></%s>\n", escape(title), end)
}

// draw writes the roofline: a point per benchmark that computes, under the ceilings.
func draw(out io.Writer, points []point, caption string) error {
	peak, copies := ceilings(points)
	points = slices.DeleteFunc(slices.Clone(points), func(p point) bool { return p.intensity == 0 || p.gflops == 0 })
	if len(points) == 0 {
		return fmt.Errorf("the run has no benchmark that computes")
	}
	x, y := axes(points, peak)
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="%s">`+"\n", width, height, width, height, ink)
	fmt.Fprintf(c, `<rect width="%d" height="%d" fill="%s"/>`+"\n", width, height, background)
	c.text(left, 34, `font-size="19" font-weight="600"`, "Roofline of the CPU kernels")
	c.text(left, 56, fmt.Sprintf(`fill="%s"`, quiet), caption)
	c.grid(x, y)
	c.roofs(x, y, peak, copies)
	// Whole networks last, above the dots.
	for _, whole := range []bool{false, true} {
		for _, p := range points {
			if (p.family == networks) == whole {
				c.mark(x.at(p.intensity), y.at(p.gflops), p.family,
					fmt.Sprintf("%s %s: %.3g GFLOP/s, %.0f %% of %.3g attainable", p.op, p.shape, p.gflops, 100*p.share, p.attainable()))
			}
		}
	}
	c.legend(points)
	c.WriteString("</svg>\n")
	_, err := io.WriteString(out, c.String())
	return err
}

// axes cover all points, and the roof with room for its name.
func axes(points []point, peak float64) (x, y scale) {
	least, most := math.Inf(1), 0.0
	low, high := math.Inf(1), peak
	for _, p := range points {
		least, most = min(least, p.intensity), max(most, p.intensity)
		low, high = min(low, p.gflops), max(high, p.gflops)
	}
	return around(least/1.2, most*1.2, left, left+plotWidth), around(low/1.2, 1.5*high, top+plotHeight, top)
}

func (c *canvas) grid(x, y scale) {
	soft := fmt.Sprintf(`stroke="%s" stroke-width="1"`, faint)
	small := fmt.Sprintf(`font-size="12" fill="%s"`, quiet)
	for _, v := range x.ticks() {
		c.line(x.at(v), top, x.at(v), top+plotHeight, soft)
		c.text(x.at(v), top+plotHeight+18, small+` text-anchor="middle"`, fmt.Sprintf("%g", v))
	}
	for _, v := range y.ticks() {
		c.line(left, y.at(v), left+plotWidth, y.at(v), soft)
		c.text(left-8, y.at(v)+4, small+` text-anchor="end"`, fmt.Sprintf("%g", v))
	}
	fmt.Fprintf(c, `<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#b5b5b5"/>`+"\n", left, top, plotWidth, plotHeight)
	c.text(left+plotWidth/2, height-16, `text-anchor="middle"`, "arithmetic intensity, FLOP per byte of least traffic")
	fmt.Fprintf(c, `<text transform="translate(22 %d) rotate(-90)" text-anchor="middle">GFLOP/s</text>`+"\n", top+plotHeight/2)
}

// roofs draws the ceilings: a slope for each size that was copied, up to the flat one.
func (c *canvas) roofs(x, y scale, peak float64, copies []float64) {
	name := fmt.Sprintf(`font-size="12" font-weight="600" paint-order="stroke" stroke="%s" stroke-width="4" stroke-linejoin="round"`, background)
	flat := x.hi // where the flat roof begins
	slope := (y.from - y.to) / math.Log(y.hi/y.lo) * math.Log(x.hi/x.lo) / (x.to - x.from)
	for i, gbs := range copies {
		if math.IsNaN(gbs) {
			continue
		}
		from, to := max(x.lo, y.lo/gbs), min(x.hi, peak/gbs)
		if to <= from {
			continue
		}
		flat = min(flat, to)
		c.line(x.at(from), y.at(from*gbs), x.at(to), y.at(to*gbs), fmt.Sprintf(`stroke="%s" stroke-width="1.8" stroke-dasharray="%s"`, ink, []string{"", "9 4", "3 4"}[i]))
		// Apart from each other where two sizes are about as fast, and from the points.
		at := from * math.Pow(to/from, []float64{0.05, 0.95, 0.95}[i])
		away, anchor := []float64{-6, -6, 15}[i], []string{"start", "end", "end"}[i]
		angle := -math.Atan(slope) * 180 / math.Pi
		fmt.Fprintf(c, `<text transform="translate(%.1f %.1f) rotate(%.1f)" dy="%.0f" text-anchor="%s" %s>copying %s: %.0f GB/s</text>`+"\n", x.at(at), y.at(at*gbs), angle, away, anchor, name, sizes[i].name, gbs)
	}
	c.line(x.at(flat), y.at(peak), left+plotWidth, y.at(peak), fmt.Sprintf(`stroke="%s" stroke-width="1.8"`, ink))
	c.text(left+plotWidth-8, y.at(peak)-8, name+` text-anchor="end"`, fmt.Sprintf("multiply-adds on registers: %.0f GFLOP/s", peak))
}

// legend lists the families that occur, with the median share of what is attainable.
func (c *canvas) legend(points []point) {
	at := float64(left + plotWidth + 30)
	line := float64(top + 10)
	c.text(at-8, line, `font-weight="600"`, "ops")
	c.text(width-18, line, fmt.Sprintf(`font-size="12" text-anchor="end" fill="%s"`, quiet), "median share")
	for i, f := range families {
		var shares []float64
		for _, p := range points {
			if p.family == i {
				shares = append(shares, p.share)
			}
		}
		if len(shares) == 0 {
			continue
		}
		line += 25
		c.mark(at-2, line-4, i, f.name)
		c.text(at+12, line, "", f.name)
		slices.Sort(shares)
		c.text(width-18, line, fmt.Sprintf(`text-anchor="end" fill="%s"`, quiet), fmt.Sprintf("%.0f %%", 100*shares[len(shares)/2]))
	}
	for i, note := range []string{"Ceilings are medians over the run; the shares", "are of those measured beside each point.", "Winograd may exceed them: FLOPs are those", "of the direct algorithm."} {
		c.text(at-8, line+34+17*float64(i), fmt.Sprintf(`font-size="12" fill="%s"`, quiet), note)
	}
}
