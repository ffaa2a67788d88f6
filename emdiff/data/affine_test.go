package data

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// All readers must agree on 8-bit values to the last bit, or one set would have two hashes.
func TestByteAffineIsTheTableOfTheOtherReaders(t *testing.T) {
	for v, x := range fromByte {
		require.Equal(t, x, byteAffine.Apply(float64(v)), "value %d", v)
	}
}

func TestAffineInvertsEveryIntegerAfterRounding(t *testing.T) {
	for _, a := range []Affine{byteAffine, spanning(0, 65535), spanning(100, 4095), spanning(-3, 70000)} {
		for v := range 65536 {
			require.Equal(t, float64(v), math.Round(a.Invert(a.Apply(float64(v)))), "%+v", a)
		}
	}
	wide := spanning(-math.MaxFloat64, math.MaxFloat64)
	assert.Equal(t, []float32{-1, 0, 1}, []float32{wide.Apply(-math.MaxFloat64), wide.Apply(0), wide.Apply(math.MaxFloat64)})
}

func TestParseRangeReadsItsThreeForms(t *testing.T) {
	for text, want := range map[string]valueRange{
		"":                    {},
		"auto":                {},
		"0,4095":              {rangeFixed, 0, 4095},
		" -1.5 , 2e3":         {rangeFixed, -1.5, 2000},
		"percentile:0.5,99.9": {rangePercentile, 0.5, 99.9},
	} {
		got, err := parseRange(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"x", "1", "1,2,3", "2,1", "1,1", "nan,1", "0,inf", "percentile:", "percentile:-1,99", "percentile:1,101", "1e9,1000000001", "percentile:99,1"} {
		_, err := parseRange(text)
		wantError(t, err, `--range "`+text+`"`)
	}
}

func TestPercentileInterpolatesLinearly(t *testing.T) {
	sorted := []float64{0, 10, 20, 40}
	for p, want := range map[float64]float64{0: 0, 50: 15, 100: 40, 25: 7.5, 90: 34} {
		assert.InDelta(t, want, percentile(sorted, p), 1e-12, "percentile %g", p)
	}
	assert.Equal(t, 7.0, percentile([]float64{7}, 30))
}

// grey16 is a stored image of one row.
func grey16(values ...float64) *stored {
	return &stored{h: 1, w: len(values), c: 1, depth: 16, values: values}
}

func TestRangeChoosesTheMapOfAnImage(t *testing.T) {
	a, err := valueRange{}.affine(grey16(1, 2), "f")
	require.NoError(t, err)
	assert.Equal(t, spanning(0, 65535), a)

	a, err = valueRange{rangePercentile, 25, 75}.affine(grey16(40, 0, 10, 20, 30), "f")
	require.NoError(t, err)
	assert.Equal(t, spanning(10, 30), a)
	assert.Equal(t, float32(2), a.Apply(40), "values outside are kept")

	a, err = valueRange{rangeFixed, 0, 100}.affine(grey16(0, 200), "f")
	require.NoError(t, err, "noise may leave the range")
	assert.Equal(t, spanning(0, 100), a)
	_, err = valueRange{rangeFixed, 0, 100}.affine(grey16(0, 201), "f")
	wantError(t, err, "f", "from 0 to 201", "--range")
	_, err = valueRange{rangeFixed, 0, 100}.affine(grey16(0, -101), "f")
	wantError(t, err, "f", "from -101 to 0")
	_, err = valueRange{rangePercentile, 1, 99}.affine(grey16(5, 5, 5), "f")
	wantError(t, err, "f", "all but the same value, 5")
	_, err = valueRange{rangePercentile, 0, 100}.affine(grey16(1, 1+1e-9), "f")
	wantError(t, err, "f", "all but the same value, 1")

	float := grey16(0.25, 0.5)
	float.depth = 32
	_, err = valueRange{}.affine(float, "f")
	wantError(t, err, "f", "floating-point", "0.25 to 0.5", "--range")
}

func TestValuesThatOverflowTheMapAreRefused(t *testing.T) {
	raw := binary.LittleEndian.AppendUint64(make([]byte, 0, 32), math.Float64bits(1e300))
	for _, v := range []float64{0, 1, 2} {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
	}
	path := write(t, "a.npy", npyFile("<f8", false, "(2, 2)", raw...))
	_, err := OpenOptions{Range: "percentile:0,50"}.Open(path)
	require.ErrorContains(t, err, "holds 1e+300, too far outside")
}
