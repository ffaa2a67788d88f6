package run

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"emdiff/emdiff/data"
)

const (
	gridGap    = 1  // pixels between tiles, and around them all
	gridMargin = 6  // pixels around labels
	glyphW     = 7  // of basicfont.Face7x13
	glyphH     = 13 // likewise

	// gridTile is the tile side that a Scale of 0 aims at: small images become large enough to be
	// looked at, and wide enough for a word of twelve letters above.
	gridTile = 84
)

var (
	gridPaper = color.RGBA{255, 255, 255, 255}
	gridInk   = color.RGBA{40, 40, 40, 255}
	gridLine  = color.RGBA{150, 150, 150, 255} // between black and white images alike
)

// Grid lays images out in rows and columns: restorations round by round beside the measurement
// and the truth, or samples of a prior.
type Grid struct {
	Columns int // tiles per row; 0 makes the grid about square
	Scale   int // pixels of the picture per pixel of an image, each way; 0 chooses by image size

	// ColumnTitles stand above the columns, broken at spaces where they are wide, and RowLabels
	// left of the rows. Both may be empty; "" leaves one out. Characters beyond ASCII have no
	// glyph.
	ColumnTitles []string
	RowLabels    []string
}

// Draw lays out the tiles row by row. Each is one image, HWC float32 in [-1, 1] (values outside
// are clamped, NaN is black), or nil for an empty place. c is 1 (grey) or 3 (RGB).
func (g Grid) Draw(tiles [][]float32, h, w, c int) (*image.RGBA, error) {
	l, err := g.layout(len(tiles), h, w)
	if err != nil {
		return nil, err
	}
	if c != 1 && c != 3 {
		return nil, fmt.Errorf("a grid draws images of 1 or 3 channels, not %d", c)
	}
	for i, tile := range tiles {
		if tile != nil && len(tile) != h*w*c {
			return nil, fmt.Errorf("tile %d of the grid has %d values, not %dx%dx%d", i, len(tile), h, w, c)
		}
	}

	picture := image.NewRGBA(image.Rectangle{Max: l.size})
	draw.Draw(picture, picture.Rect, image.NewUniform(gridPaper), image.Point{}, draw.Src)
	for i, tile := range tiles {
		if tile != nil {
			at := l.tile(i)
			draw.Draw(picture, at.Inset(-gridGap), image.NewUniform(gridLine), image.Point{}, draw.Src)
			paint(picture, at, tile, h, w, c)
		}
	}
	l.label(picture)
	return picture, nil
}

// WritePNG draws the tiles as Draw does into a PNG file, which appears whole or not at all.
func (g Grid) WritePNG(path string, tiles [][]float32, h, w, c int) error {
	picture, err := g.Draw(tiles, h, w, c)
	if err != nil {
		return fmt.Errorf("%s was not written: %w", path, err)
	}
	return WriteFile(path, func(out io.Writer) error { return png.Encode(out, picture) })
}

// paint enlarges one image over the rectangle at, by nearest neighbour.
func paint(picture *image.RGBA, at image.Rectangle, tile []float32, h, w, c int) {
	scale, bytes := at.Dy()/h, data.ToBytes(tile)
	for y := range at.Dy() {
		row := picture.Pix[picture.PixOffset(at.Min.X, at.Min.Y+y):]
		for x := range at.Dx() {
			value := bytes[(y/scale*w+x/scale)*c:]
			pixel := row[4*x : 4*x+4]
			for ch := range 3 {
				pixel[ch] = value[ch%c]
			}
			pixel[3] = 255
		}
	}
}

// gridLayout is where everything of a grid goes.
type gridLayout struct {
	columns      int
	origin       image.Point // upper left corner of the first tile
	pitch        image.Point // from one tile to the next
	tileW, tileH int
	size         image.Point

	titles [][]string // lines of each column's title
	labels []string
}

func (g Grid) layout(tiles, h, w int) (gridLayout, error) {
	if tiles == 0 || h <= 0 || w <= 0 || g.Columns < 0 || g.Scale < 0 {
		return gridLayout{}, fmt.Errorf("a grid of %d tiles of %dx%d in %d columns at scale %d cannot be drawn", tiles, h, w, g.Columns, g.Scale)
	}
	columns := g.Columns
	if columns == 0 {
		columns = int(math.Ceil(math.Sqrt(float64(tiles))))
	}
	rows := (tiles + columns - 1) / columns
	if len(g.ColumnTitles) > columns || len(g.RowLabels) > rows {
		return gridLayout{}, fmt.Errorf("a grid of %d columns and %d rows has no place for %d titles and %d labels", columns, rows, len(g.ColumnTitles), len(g.RowLabels))
	}
	scale := g.Scale
	if scale == 0 {
		scale = max(1, (gridTile+w/2)/w)
	}

	l := gridLayout{columns: columns, tileW: scale * w, tileH: scale * h, labels: g.RowLabels}
	column, titleLines := l.tileW, 0
	for _, title := range g.ColumnTitles {
		lines := wrap(title, l.tileW/glyphW)
		l.titles = append(l.titles, lines)
		titleLines = max(titleLines, len(lines))
		for _, line := range lines {
			// One word too wide for its tile spreads the columns.
			column = max(column, len(line)*glyphW+gridMargin)
		}
	}
	labelW := 0
	for _, label := range g.RowLabels {
		labelW = max(labelW, len(label)*glyphW)
	}
	l.pitch = image.Pt(column+gridGap, l.tileH+gridGap)
	l.origin = image.Pt(gridGap+(column-l.tileW)/2, gridGap)
	if labelW > 0 {
		l.origin.X += labelW + 2*gridMargin
	}
	if titleLines > 0 {
		l.origin.Y += titleLines*glyphH + gridMargin
	}
	l.size = image.Pt(l.origin.X-(column-l.tileW)/2+columns*l.pitch.X, l.origin.Y+rows*l.pitch.Y)
	return l, nil
}

// tile is the place of tile i.
func (l gridLayout) tile(i int) image.Rectangle {
	at := l.origin.Add(image.Pt(i%l.columns*l.pitch.X, i/l.columns*l.pitch.Y))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(l.tileW, l.tileH))}
}

// label writes titles, centred above the columns with their last lines level, and labels, flush
// right beside the middle of the rows.
func (l gridLayout) label(picture *image.RGBA) {
	pen := font.Drawer{Dst: picture, Src: image.NewUniform(gridInk), Face: basicfont.Face7x13}
	write := func(x, y int, text string) { // x, y: upper left corner
		pen.Dot = fixed.P(x, y+basicfont.Face7x13.Ascent)
		pen.DrawString(text)
	}
	for i, lines := range l.titles {
		at := l.tile(i)
		for j, line := range lines {
			write((at.Min.X+at.Max.X-len(line)*glyphW)/2, at.Min.Y-gridGap-gridMargin/2-(len(lines)-j)*glyphH, line)
		}
	}
	for i, label := range l.labels {
		at := l.tile(i * l.columns)
		right := l.origin.X - (l.pitch.X-gridGap-l.tileW)/2 - gridGap - gridMargin
		write(right-len(label)*glyphW, (at.Min.Y+at.Max.Y-glyphH)/2, label)
	}
}

// wrap breaks text at spaces into lines of at most width characters, and more only for one word.
func wrap(text string, width int) (lines []string) {
	for _, word := range strings.Fields(text) {
		if n := len(lines) - 1; n >= 0 && len(lines[n])+1+len(word) <= width {
			lines[n] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
