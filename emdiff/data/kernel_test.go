package data

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenKernelReadsEveryFormat(t *testing.T) {
	values := []float64{0, 10, 0, 20, 40, 30, 0, 0, 0, 0, 50, 50, 0, 0, 0}
	for name, content := range map[string][]byte{
		"a.npy":        exported(t, values, 5, 3, 1, NPY, 8),
		"b.npy":        exported(t, values, 5, 3, 1, NPY, 16),
		"c.npy":        exported(t, values, 5, 3, 1, NPY, 32),
		"d.npy":        exported(t, values, 5, 3, 1, NPY, 64),
		"a.png":        exported(t, values, 5, 3, 1, PNG, 8),
		"b.png":        exported(t, values, 5, 3, 1, PNG, 16),
		"a.tif":        exported(t, values, 5, 3, 1, TIFF, 8),
		"b.tif":        exported(t, values, 5, 3, 1, TIFF, 16),
		"rgb.png":      exported(t, tripled(values), 5, 3, 3, PNG, 8),
		"blanks":       []byte("# measured\n0 10\t0\n  20 40 30 # middle\r\n\n0 0 0\n0 50 50\n0 0 0"),
		"commas":       []byte("\ufeff0,1e1,0\n20, 40 ,30\n0,0,0\n0,5e1,50\n0,0,0\n"),
		"misnamed.png": []byte("0 1 0\n2 4 3\n0 0 0\n0 5 5\n0 0 0\n"),
	} {
		k, err := OpenKernel(write(t, name, content))
		require.NoError(t, err, name)
		assert.Equal(t, []int{5, 3}, []int{k.H, k.W}, name)
		require.Len(t, k.Values, 15)
		for i, v := range values {
			assert.InDelta(t, v/200, k.Values[i], 1e-4, "%s, value %d", name, i)
		}
	}
}

func tripled(values []float64) (out []float64) {
	for _, v := range values {
		out = append(out, v, v, v)
	}
	return out
}

func TestOpenKernelKeepsNegativeValues(t *testing.T) {
	k, err := OpenKernel(write(t, "k.txt", []byte("-1 6 -1\n")))
	require.NoError(t, err)
	assert.Equal(t, &Kernel{H: 1, W: 3, Values: []float32{-0.25, 1.5, -0.25}}, k)
}

func TestOpenKernelRefusesWhatIsNoKernel(t *testing.T) {
	floats := func(values ...float64) []byte {
		var raw []byte
		for _, v := range values {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		}
		return npyFile("<f8", false, fmt.Sprintf("(1, %d)", len(values)), raw...)
	}
	colour := image.NewNRGBA(image.Rect(0, 0, 3, 3))
	colour.Set(1, 1, color.NRGBA{R: 200, A: 255})
	for i := 3; i < len(colour.Pix); i += 4 {
		colour.Pix[i] = 255
	}
	transparent := image.NewNRGBA(image.Rect(0, 0, 3, 3))
	for _, c := range []struct {
		name    string
		content []byte
		words   string
	}{
		{"empty", nil, "is empty"},
		{"binary", []byte{0x80, 0, 1, 2}, "no kernel that this program knows"},
		{"nul", []byte("1 2\x00 3"), "no kernel that this program knows"},
		{"only comments", []byte("# nothing\n\n"), "holds no numbers"},
		{"word", []byte("1 2 3\n1 two 3\n"), `line 2 holds "two"`},
		{"gap", []byte("1,,3\n"), `line 1 holds ""`},
		{"mixture", []byte("1, 2 3\n"), `holds " 2 3"`},
		{"too large a number", []byte("1 1e999 1\n"), `holds "1e999"`},
		{"ragged", []byte("1 2 3\n\n1 2\n"), "line 3 has 2 numbers and the first row 3"},
		{"even width", []byte("1 2\n"), "2 pixels wide and 1 high"},
		{"even height", []byte("1\n2\n"), "1 pixels wide and 2 high"},
		{"even.png", flat(t, 3, 4, 9), "4 pixels wide and 3 high"},
		{"dark.png", flat(t, 3, 3, 0), "has the sum 0"},
		{"negative sum", []byte("-1 0 0\n"), "has the sum -1"},
		{"text NaN", []byte("1 NaN 1\n"), "holds NaN at row 0, column 1"},
		{"nan.npy", floats(1, math.NaN(), 1), "holds NaN at row 0, column 1"},
		{"inf.npy", floats(1, 1, math.Inf(1)), "holds +Inf at row 0, column 2"},
		{"overflow", []byte("1e308 1e308 1e308\n"), "cannot be scaled"},
		{"cancelling", []byte("1e300 -1e300 1e-100\n"), "cannot be scaled"},
		{"many.npy", npyFile("|u1", false, "(1, 3, 3)", make([]byte, 9)...), "has the shape [1 3 3]"},
		{"short.npy", npyFile("|u1", false, "(3, 3)", make([]byte, 8)...), "announces 9 bytes"},
		{"type.npy", npyFile("<i8", false, "(1, 1)", make([]byte, 8)...), "type i8"},
		{"colour.png", encodedPNG(t, colour), "is a colour image"},
		{"alpha.png", encodedPNG(t, transparent), "is transparent at row 0, column 0"},
		{"photo.jpg", encodedJPEG(t, image.NewGray(image.Rect(0, 0, 3, 3))), "is a jpeg image"},
		{"damaged.png", flat(t, 3, 3, 9)[:40], "its png data"},
	} {
		path := write(t, c.name, c.content)
		_, err := OpenKernel(path)
		wantError(t, err, path, c.words)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := OpenKernel(missing)
	wantError(t, err, missing, "cannot be opened")
	_, err = OpenKernel(t.TempDir())
	require.ErrorContains(t, err, "is no plain file")

	huge := write(t, "huge", nil)
	require.NoError(t, os.Truncate(huge, maxKernelBytes+1))
	_, err = OpenKernel(huge)
	wantError(t, err, huge, "too many for a kernel")
}
