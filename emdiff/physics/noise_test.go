package physics_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/data"
	"emdiff/emdiff/physics"
)

// noisy is x with noise.
func noisy(x []float32, sigma float64) []float32 {
	r := rand.New(rand.NewPCG(3, 4))
	y := make([]float32, len(x))
	for i := range y {
		y[i] = x[i] + float32(sigma*r.NormFloat64())
	}
	return y
}

// blurred convolves every image with the papers' 9x9 Gaussian, edges repeated.
func blurred(t *testing.T, s *data.Set) []float32 {
	t.Helper()
	taps, err := physics.GaussianTaps(9, 2)
	require.NoError(t, err)
	along := func(x []float32, dy, dx int) []float32 {
		out := make([]float32, len(x))
		for i := range out {
			ch, at := i%s.C, i/s.C
			col, row, first := at%s.W, at/s.W%s.H, at/(s.W*s.H)*s.H*s.W
			for k, tap := range taps {
				r := min(max(row+dy*(k-4), 0), s.H-1)
				c := min(max(col+dx*(k-4), 0), s.W-1)
				out[i] += float32(tap) * x[(first+r*s.W+c)*s.C+ch]
			}
		}
		return out
	}
	return along(along(s.Pixels, 1, 0), 0, 1)
}

func firstOf(s *data.Set, n int) *data.Set {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return s.Subset(ids)
}

func randomMasks(s *data.Set, hidden float64) []float32 {
	hw := s.H * s.W
	masks := make([]float32, s.Len()*hw)
	for i := range s.Len() {
		physics.RandomMask(masks[i*hw:(i+1)*hw], int(hidden*float64(hw)), 1, uint32(i))
	}
	return masks
}

// The tolerances are those of the table of EstimateSigma, rounded up.
func TestSigmaIsEstimatedFromMeasurementsAlone(t *testing.T) {
	embedded, err := data.Embedded()
	require.NoError(t, err)
	s := firstOf(embedded, 500)
	masks, blur := randomMasks(s, 0.6), blurred(t, s)
	for _, sigma := range []float64{0.05, 0.1, 0.2, 0.3} {
		check := func(what string, y, masks []float32, tolerance float64) {
			got, err := physics.EstimateSigma(y, s.Len(), s.H, s.W, s.C, masks)
			require.NoError(t, err)
			assert.InEpsilon(t, sigma, got, tolerance, "%s, sigma %g", what, sigma)
		}
		y := noisy(s.Pixels, sigma)
		check("complete", y, nil, 0.02)
		check("blurred", noisy(blur, sigma), nil, 0.02)
		hidden := make([]float32, len(y)) // grey where nothing was measured
		for i, v := range y {
			hidden[i] = v * masks[i]
		}
		check("masked", hidden, masks, 0.06)
		for i, v := range y {
			y[i] = min(max(v, -1), 1)
		}
		check("clipped", y, nil, 0.05)
	}
}

// Of pure noise the choice of flat patches must not favour small coefficients: 2 % is four standard deviations of the median
// of the 5 % (31,000 of 630,000, a fourth of them independent in effect).
func TestEstimateOfPureNoiseIsUnbiased(t *testing.T) {
	for _, c := range []int{1, 3} {
		n, h, w := 300/c, 47, 49
		y := noisy(make([]float32, n*h*w*c), 0.4)
		got, err := physics.EstimateSigma(y, n, h, w, c, nil)
		require.NoError(t, err)
		assert.InEpsilon(t, 0.4, got, 0.02, "%d channels", c)
	}
}

// Channels differ by far more than the noise: a coefficient must not mix them.
func TestNoiseIsEstimatedWithinChannels(t *testing.T) {
	x := make([]float32, 20*32*32*3)
	for i := range x {
		x[i] = []float32{-0.9, 0.1, 0.8}[i%3]
	}
	got, err := physics.EstimateSigma(noisy(x, 0.05), 20, 32, 32, 3, nil)
	require.NoError(t, err)
	assert.InEpsilon(t, 0.05, got, 0.05)
}

func TestOneMaskServesTheEstimateOfAllImages(t *testing.T) {
	const n, h, w = 40, 28, 28
	mask := make([]float32, h*w)
	y := noisy(make([]float32, n*h*w), 0.1)
	for p := range mask {
		if p%w < 20 {
			mask[p] = 1
			continue
		}
		for i := range n { // what is hidden may hold anything finite
			y[i*h*w+p] = float32(p%7) * 5
		}
	}
	shared, err := physics.EstimateSigma(y, n, h, w, 1, mask)
	require.NoError(t, err)
	assert.InEpsilon(t, 0.1, shared, 0.05)
	var repeated []float32
	for range n {
		repeated = append(repeated, mask...)
	}
	each, err := physics.EstimateSigma(y, n, h, w, 1, repeated)
	require.NoError(t, err)
	assert.Equal(t, shared, each)
}

func TestPaddingIsNotTakenForSilence(t *testing.T) {
	const n, side, inner = 40, 64, 24 // most of every image is padding
	for _, pad := range []float32{0, -1, 1} {
		y := noisy(make([]float32, n*side*side), 0.1)
		for i := range y {
			if i%side >= inner || i/side%side >= inner {
				y[i] = pad
			}
		}
		got, err := physics.EstimateSigma(y, n, side, side, 1, nil)
		require.NoError(t, err)
		assert.InEpsilon(t, 0.1, got, 0.06, "padding of %g", pad)
	}
}

func TestConstantImagesHaveNoNoise(t *testing.T) {
	got, err := physics.EstimateSigma(make([]float32, 2*8*8), 2, 8, 8, 1, nil)
	require.NoError(t, err)
	assert.Zero(t, got)
}

func TestSigmaThatCannotBeEstimatedIsRefused(t *testing.T) {
	board := make([]float32, 16) // a chessboard has no complete block
	for p := range board {
		board[p] = float32((p + p/4) % 2)
	}
	broken := make([]float32, 32)
	broken[17] = float32(math.NaN())
	for _, c := range []struct {
		pixels, masks []float32
		n, h, w       int
		words         string
	}{
		{make([]float32, 15), nil, 1, 4, 4, "15 values are not 1 images of 4x4x1"},
		{nil, nil, 0, 4, 4, "0 images"},
		{make([]float32, 32), make([]float32, 17), 2, 4, 4, "17 mask values"},
		{make([]float32, 32), board, 2, 4, 4, "no 2x2 block of pixels is measured completely"},
		{make([]float32, 4), nil, 1, 1, 4, "no 2x2 block of pixels is measured completely"},
		{broken, nil, 2, 4, 4, "image 1 holds NaN"},
	} {
		_, err := physics.EstimateSigma(c.pixels, c.n, c.h, c.w, 1, c.masks)
		require.ErrorContains(t, err, c.words)
	}
}
