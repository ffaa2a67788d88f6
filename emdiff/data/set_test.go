package data

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbered is a set of n 2x1 RGB images in which every value is its own index.
func numbered(n int) *Set {
	s := &Set{Name: "numbered", Source: "test", H: 2, W: 1, C: 3, Pixels: make([]float32, n*6)}
	for i := range s.Pixels {
		s.Pixels[i] = float32(i)
	}
	return s
}

func TestImageIsAViewOfItsOwnPixelsOnly(t *testing.T) {
	s := numbered(3)
	assert.Equal(t, 3, s.Len())
	img := s.Image(1)
	assert.Equal(t, []float32{6, 7, 8, 9, 10, 11}, img)
	img[0] = -1
	assert.Equal(t, float32(-1), s.Pixels[6], "a view shares memory")
	_ = append(img, 99)
	assert.Equal(t, float32(12), s.Pixels[12], "appending to a view must not reach the next image")
}

func TestSubsetCopiesInTheOrderAsked(t *testing.T) {
	s := numbered(4)
	sub := s.Subset([]int{3, 0, 3})
	require.Equal(t, 3, sub.Len())
	assert.Equal(t, s.Image(3), sub.Image(0))
	assert.Equal(t, s.Image(0), sub.Image(1))
	assert.Equal(t, s.Image(3), sub.Image(2))
	assert.Equal(t, []any{s.Name, s.Source, s.H, s.W, s.C}, []any{sub.Name, sub.Source, sub.H, sub.W, sub.C})
	sub.Pixels[0] = -1
	assert.Equal(t, float32(18), s.Pixels[18])
}

func TestSplitIsAPartitionFixedByTheSeed(t *testing.T) {
	s := numbered(1000)
	train, held := s.Split(250, 7)
	require.Len(t, train, 750)
	require.Len(t, held, 250)
	assert.True(t, slices.IsSorted(train))
	assert.True(t, slices.IsSorted(held))
	all := slices.Concat(train, held)
	slices.Sort(all)
	for i, v := range all {
		require.Equal(t, i, v)
	}

	again, heldAgain := s.Split(250, 7)
	assert.Equal(t, train, again)
	assert.Equal(t, held, heldAgain)
	_, other := s.Split(250, 8)
	assert.NotEqual(t, held, other)
	_, fewer := s.Split(10, 7)
	assert.Subset(t, held, fewer, "splits of one seed are nested")
}

// A split that changed between versions would train on images that an older run held out.
func TestSplitIsTheSameInEveryVersion(t *testing.T) {
	_, held := numbered(20).Split(5, 1)
	assert.Equal(t, []int{0, 1, 11, 12, 19}, held)
}

func TestSplitTakesNothingOrEverything(t *testing.T) {
	s := numbered(5)
	train, held := s.Split(0, 1)
	assert.Equal(t, []int{0, 1, 2, 3, 4}, train)
	assert.Empty(t, held)
	train, held = s.Split(5, 1)
	assert.Empty(t, train)
	assert.Equal(t, []int{0, 1, 2, 3, 4}, held)
	assert.Panics(t, func() { s.Split(6, 1) })
	assert.Panics(t, func() { s.Split(-1, 1) })
}

// Every image must be held out equally often: with 20 choose-5 draws over 4000 seeds the count of
// an image is binomial(4000, 1/4), standard deviation 27.4; 6 of them is the allowance.
func TestSplitPrefersNoImage(t *testing.T) {
	s := numbered(20)
	var count [20]int
	for seed := range uint64(4000) {
		_, held := s.Split(5, seed)
		for _, i := range held {
			count[i]++
		}
	}
	for i, n := range count {
		assert.InDelta(t, 1000, n, 6*27.4, "image %d", i)
	}
}

func TestToBytesInvertsTheReaders(t *testing.T) {
	for v, x := range fromByte {
		require.Equal(t, []uint8{uint8(v)}, ToBytes([]float32{x}))
	}
	assert.Equal(t, float32(-1), fromByte[0])
	assert.Equal(t, float32(1), fromByte[255])
}

func TestToBytesRoundsAndClamps(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	got := ToBytes([]float32{-1.001, -3, 1.5, inf, -inf, nan, 0.4 / 127.5, -0.6 / 127.5, 0.6/127.5 - 1, 0.4/127.5 - 1})
	assert.Equal(t, []uint8{0, 0, 255, 255, 0, 0, 128, 127, 1, 0}, got)
}

func TestSHA256SeesPixelsAndShape(t *testing.T) {
	s := numbered(40)
	sum := s.SHA256()
	assert.Len(t, sum, 64)
	assert.Equal(t, sum, numbered(40).SHA256())

	renamed := numbered(40)
	renamed.Name, renamed.Source = "x", "y"
	assert.Equal(t, sum, renamed.SHA256(), "where the pixels came from does not matter")
	turned := numbered(40)
	turned.H, turned.W = turned.W, turned.H
	assert.NotEqual(t, sum, turned.SHA256())
	changed := numbered(40)
	changed.Pixels[len(changed.Pixels)-1]++
	assert.NotEqual(t, sum, changed.SHA256())
}

func TestOriginOfPlainSetsIsEightBitPNG(t *testing.T) {
	assert.Equal(t, Origin{Index: 2, Format: PNG, BitDepth: 8, Affine: Affine{127.5, 127.5}}, numbered(3).Origin(2))
}
