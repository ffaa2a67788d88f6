package data

import (
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"
)

// wavy is an image with detail near the finest that it can hold.
func wavy(h, w, c int) []float64 {
	values := make([]float64, h*w*c)
	for i := range values {
		p := i / c
		values[i] = math.Round(32767 * (1 + math.Sin(0.9*float64(p%w)+float64(i%c))*math.Cos(1.3*float64(p/w))))
	}
	return values
}

// x/image/draw's BiLinear is the same filter, rounded to 16 bits: half a unit for each of its two
// passes at most.
func TestResizeAgreesWithXImageToItsRounding(t *testing.T) {
	for _, sizes := range [][4]int{{178, 178, 64, 64}, {140, 140, 64, 64}, {128, 128, 64, 64}, {30, 50, 7, 11}, {9, 7, 20, 31}, {64, 64, 63, 65}, {5, 1, 3, 2}} {
		h, w, outH, outW := sizes[0], sizes[1], sizes[2], sizes[3]
		values := wavy(h, w, 1)
		src := image.NewGray16(image.Rect(0, 0, w, h))
		for i, v := range values {
			src.SetGray16(i%w, i/w, color.Gray16{Y: uint16(v)})
		}
		dst := image.NewRGBA64(image.Rect(0, 0, outW, outH))
		draw.BiLinear.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
		got := resize(values, h, w, 1, outH, outW)
		for i, v := range got {
			require.InDelta(t, dst.RGBA64At(i%outW, i/outW).R, v, 1, "%v, pixel %d", sizes, i)
		}
	}
}

func TestResizeTreatsChannelsAlikeAndLeavesNothingOutOfRange(t *testing.T) {
	values := wavy(40, 40, 3)
	got := resize(values, 40, 40, 3, 15, 15)
	for ch := range 3 {
		one := make([]float64, 1600)
		for p := range one {
			one[p] = values[3*p+ch]
		}
		for p, v := range resize(one, 40, 40, 1, 15, 15) {
			require.Equal(t, v, got[3*p+ch])
		}
	}
	for _, v := range got {
		require.True(t, v >= 0 && v <= 65535)
	}
}

func TestTentWeightsSumToOneAndHalvingIsKnown(t *testing.T) {
	for _, n := range [][2]int{{178, 64}, {64, 178}, {1, 5}, {5, 1}, {64, 64}} {
		for _, tap := range tent(n[0], n[1]) {
			sum := 0.0
			for _, w := range tap.weights {
				require.GreaterOrEqual(t, w, 0.0)
				sum += w
			}
			require.InDelta(t, 1, sum, 1e-14)
			require.GreaterOrEqual(t, tap.first, 0)
			require.LessOrEqual(t, tap.first+len(tap.weights), n[0])
		}
	}
	inner := tent(8, 4)[1] // under the tent of half-width 2 around 2.5: 1/4, 3/4, 3/4, 1/4 of a half
	assert.Equal(t, taps{first: 1, weights: []float64{0.125, 0.375, 0.375, 0.125}}, inner)
}
