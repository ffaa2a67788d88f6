package run

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func grey(v uint8) color.RGBA { return color.RGBA{v, v, v, 255} }

func TestGridPlacesTilesRowByRowWithOnePixelBetween(t *testing.T) {
	tiles := [][]float32{{-1, 1}, {0, 1}, {1, -1}} // 1x2 pixels each
	p, err := Grid{Columns: 2, Scale: 1}.Draw(tiles, 1, 2, 1)
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 7, 5), p.Rect)
	want := [][]color.RGBA{
		{gridLine, gridLine, gridLine, gridLine, gridLine, gridLine, gridLine},
		{gridLine, grey(0), grey(255), gridLine, grey(128), grey(255), gridLine},
		{gridLine, gridLine, gridLine, gridLine, gridLine, gridLine, gridLine},
		{gridLine, grey(255), grey(0), gridLine, gridPaper, gridPaper, gridPaper},
		{gridLine, gridLine, gridLine, gridLine, gridPaper, gridPaper, gridPaper},
	}
	for y := range want {
		for x := range want[y] {
			assert.Equal(t, want[y][x], p.RGBAAt(x, y), "x=%d y=%d", x, y)
		}
	}
}

func TestGridKeepsColoursClampsAndEnlarges(t *testing.T) {
	nan := float32(math.NaN())
	p, err := Grid{Columns: 1, Scale: 3}.Draw([][]float32{{1, 0, -1, 7, -7, nan}}, 2, 1, 3)
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 5, 8), p.Rect)
	for y := range 3 {
		for x := range 3 {
			assert.Equal(t, color.RGBA{255, 128, 0, 255}, p.RGBAAt(1+x, 1+y))
			assert.Equal(t, color.RGBA{255, 0, 0, 255}, p.RGBAAt(1+x, 4+y))
		}
	}
}

func TestGridLeavesPlacesEmpty(t *testing.T) {
	p, err := Grid{Columns: 2, Scale: 4}.Draw([][]float32{nil, {0}}, 1, 1, 1)
	require.NoError(t, err)
	assert.Equal(t, gridPaper, p.RGBAAt(2, 2))
	assert.Equal(t, grey(128), p.RGBAAt(7, 2))
}

// ink counts pixels of letters in a part of the picture.
func ink(p *image.RGBA, part image.Rectangle) (n int) {
	part = part.Intersect(p.Rect)
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if p.RGBAAt(x, y) == gridInk {
				n++
			}
		}
	}
	return n
}

func TestGridWritesTitlesAndLabelsClearOfTheTiles(t *testing.T) {
	white := make([]float32, 28*28)
	for i := range white {
		white[i] = 1
	}
	tiles := [][]float32{white, white, white, white, white, white}
	g := Grid{Columns: 3, ColumnTitles: []string{"measurement", "round 1 of a very long run", "extraordinarily-long"}, RowLabels: []string{"image 17", "image 4711"}}
	l, err := g.layout(len(tiles), 28, 28)
	require.NoError(t, err)
	p, err := g.Draw(tiles, 28, 28, 1)
	require.NoError(t, err)

	all := ink(p, p.Rect)
	assert.Positive(t, all)
	for i := range tiles {
		assert.Zero(t, ink(p, l.tile(i).Inset(-gridGap)), "tile %d", i)
		assert.True(t, l.tile(i).Inset(-gridGap).In(p.Rect), "tile %d", i)
	}
	// Every letter must be on the picture: the same texts on a larger one have the same ink.
	lettersOf := func(text []string) (n int) {
		for _, s := range text {
			one, err := Grid{Columns: 1, Scale: 400, ColumnTitles: []string{s}}.Draw([][]float32{{1}}, 1, 1, 1)
			require.NoError(t, err)
			n += ink(one, one.Rect)
		}
		return n
	}
	assert.Equal(t, lettersOf(append(g.ColumnTitles, g.RowLabels...)), all)
	for i := range 3 {
		column := image.Rect(l.tile(i).Min.X, 0, l.tile(i).Max.X, l.origin.Y)
		assert.Positive(t, ink(p, column), "title %d stands above its column", i)
	}
}

func TestGridIsAboutSquareByDefault(t *testing.T) {
	for tiles, want := range map[int]int{1: 1, 2: 2, 9: 3, 10: 4, 64: 8} {
		l, err := Grid{}.layout(tiles, 32, 32)
		require.NoError(t, err)
		assert.Equal(t, want, l.columns, tiles)
	}
	l, err := Grid{}.layout(1, 28, 28)
	require.NoError(t, err)
	assert.Equal(t, 3*28, l.tileW)
	l, err = Grid{}.layout(1, 256, 256)
	require.NoError(t, err)
	assert.Equal(t, 256, l.tileW)
}

func TestGridRefusesWhatItCannotDraw(t *testing.T) {
	one := [][]float32{{0}}
	for name, draw := range map[string]func() error{
		"nothing":      func() error { _, err := Grid{}.Draw(nil, 1, 1, 1); return err },
		"two channels": func() error { _, err := Grid{}.Draw([][]float32{{0, 0}}, 1, 1, 2); return err },
		"wrong length": func() error { _, err := Grid{}.Draw([][]float32{{0, 0}}, 1, 1, 1); return err },
		"titles":       func() error { _, err := Grid{ColumnTitles: []string{"a", "b"}}.Draw(one, 1, 1, 1); return err },
		"labels":       func() error { _, err := Grid{RowLabels: []string{"a", "b"}}.Draw(one, 1, 1, 1); return err },
		"scale":        func() error { _, err := Grid{Scale: -1}.Draw(one, 1, 1, 1); return err },
		"file":         func() error { return Grid{}.WritePNG(filepath.Join(t.TempDir(), "no", "x.png"), one, 1, 1, 1) },
	} {
		assert.Error(t, draw(), name)
	}
}

func TestGridWritesAPNG(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grid.png")
	require.NoError(t, Grid{Scale: 2}.WritePNG(path, [][]float32{{-1, 0.5, 1}}, 1, 1, 3))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	p, err := png.Decode(f)
	require.NoError(t, err)
	assert.Equal(t, color.RGBA{0, 191, 255, 255}, color.RGBAModel.Convert(p.At(1, 1)))
}

func TestWrapBreaksAtSpacesOnly(t *testing.T) {
	assert.Equal(t, []string{"round 1", "of many"}, wrap("round 1 of many", 7))
	assert.Equal(t, []string{"a", "reconstruction"}, wrap(" a  reconstruction ", 4))
	assert.Empty(t, wrap("", 4))
}
