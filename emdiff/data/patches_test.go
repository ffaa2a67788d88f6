package data

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCutsEndAtTheBorder(t *testing.T) {
	for _, c := range []struct {
		side, size, stride int
		want               []int
	}{
		{8, 8, 3, []int{0}},
		{8, 4, 4, []int{0, 4}},
		{8, 4, 2, []int{0, 2, 4}},
		{9, 4, 4, []int{0, 4, 5}},
		{9, 4, 3, []int{0, 3, 5}},
		{5, 4, 9, []int{0, 1}},
		{5, 4, math.MaxInt, []int{0, 1}},
		{3, 1, 1, []int{0, 1, 2}},
	} {
		assert.Equal(t, c.want, cuts(c.side, c.size, c.stride), "%+v", c)
	}
}

func TestPatchesAreThePixelsOfTheirPlace(t *testing.T) {
	// Every value tells its image, row, column and channel.
	s := &Set{Name: "coded", Source: "test", H: 5, W: 6, C: 3}
	for i := range 2 {
		for y := range s.H {
			for x := range s.W {
				for c := range s.C {
					s.Pixels = append(s.Pixels, float32(1000*i+100*y+10*x+c))
				}
			}
		}
	}
	s.Origins = []Origin{{Path: "a.npy", Index: 3, Format: NPY, BitDepth: 32, Affine: spanning(0, 1)}, {Path: "b.png", Format: PNG, BitDepth: 8, Affine: byteAffine}}
	p, err := s.Patches(3, 2)
	require.NoError(t, err)
	assert.Equal(t, []int{12, 3, 3, 3}, []int{p.Len(), p.H, p.W, p.C})
	assert.Equal(t, "coded-patches3", p.Name)
	assert.Equal(t, "test, patches of 3x3 every 2 pixels", p.Source)
	k := 0
	for i := range 2 {
		for _, top := range []int{0, 2} {
			for _, left := range []int{0, 2, 3} {
				var want []float32
				for y := range 3 {
					for x := range 3 {
						for c := range 3 {
							want = append(want, float32(1000*i+100*(top+y)+10*(left+x)+c))
						}
					}
				}
				assert.Equal(t, want, p.Image(k), fmt.Sprint(i, top, left))
				assert.Equal(t, s.Origins[i], p.Origin(k))
				k++
			}
		}
	}
}

func TestPatchesOfTheWholeImageAreTheImages(t *testing.T) {
	s, err := Embedded()
	require.NoError(t, err)
	s = s.Subset([]int{4, 7})
	p, err := s.Patches(28, 28)
	require.NoError(t, err)
	assert.Equal(t, s.Pixels, p.Pixels)
	assert.Equal(t, s.Origin(1), p.Origin(1), "images without files keep their number")
	p.Pixels[0] = 5
	assert.NotEqual(t, float32(5), s.Pixels[0], "patches are copies")
}

func TestPatchesThatCannotBeCutAreRefused(t *testing.T) {
	s := numbered(2)
	_, err := s.Patches(2, 1)
	wantError(t, err, "numbered", "1 pixels wide and 2 high", "choose patches of 1 pixels or less")
	_, err = s.Patches(0, 1)
	wantError(t, err, "numbered", "patches of 0 pixels")
	_, err = s.Patches(1, -1)
	wantError(t, err, "numbered", "stride of -1 pixels")
}
