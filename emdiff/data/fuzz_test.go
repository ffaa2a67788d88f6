package data

import (
	"bytes"
	"image"
	"image/color"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkFuzzedSet asserts that read ends in a whole set within the bounds that the package states for
// files of size bytes, or in a sentence.
func checkFuzzedSet(t *testing.T, size int, o OpenOptions, read func(o OpenOptions) (*Set, error)) {
	t.Helper()
	s, err := read(o)
	if err != nil {
		require.Nil(t, s)
		requireSentence(t, err)
		return
	}
	require.Positive(t, s.Len())
	require.Len(t, s.Pixels, s.Len()*s.ImageLen())
	require.LessOrEqual(t, 4*len(s.Pixels), max(minSetBytes, maxSetRatio*size))
	require.Len(t, s.Origins, s.Len())
	for _, v := range s.Pixels {
		require.True(t, v >= -1 && v <= 1, "%g", v)
	}
}

func requireSentence(t *testing.T, err error) {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Path)
	require.NotContains(t, err.Error(), "\n")
	require.NotEmpty(t, e.Remedy)
}

// whole maps whatever values an image has into [-1, 1].
var whole = OpenOptions{Range: "percentile:0,100"}

func FuzzNPY(f *testing.F) {
	f.Add(npyFile("|u1", false, "(1, 2, 3)", 1, 2, 3, 4, 5, 6))
	f.Add(npyFile(">f4", false, "(2, 2)", ramp(16)...))
	f.Add(npyFile("<f8", false, "(1, 1, 2, 1)", ramp(16)...))
	f.Add(npyFile("<u2", true, "(4294967296, 4294967296)"))
	f.Fuzz(func(t *testing.T, file []byte) {
		before := totalAlloc()
		checkFuzzedSet(t, len(file), whole, func(o OpenOptions) (*Set, error) {
			return o.readNPY(bytes.NewReader(file), "fuzz", int64(len(file)))
		})
		// A set of n values from n bytes takes about 100: stored, float64, sorted, float32, origins.
		require.LessOrEqual(t, totalAlloc()-before, uint64(1<<20+512*len(file)))
	})
}

// FuzzImage reaches the decoders of PNG, JPEG, WebP and TIFF.
func FuzzImage(f *testing.F) {
	colours := image.NewNRGBA(image.Rect(0, 0, 9, 7))
	for i := range colours.Pix {
		colours.Pix[i] = uint8(37*i) | uint8(i%4/3*255)
	}
	f.Add(encodedPNG(f, colours))
	f.Add(encodedJPEG(f, colours))
	f.Add(flatWebP(7, 9, color.NRGBA{R: 1, G: 2, B: 3, A: 255}))
	for _, depth := range []int{8, 16} {
		for _, c := range []int{1, 3} {
			f.Add(exported(f, integers(63*c, depth), 7, 9, c, TIFF, depth))
			f.Add(exported(f, integers(63*c, depth), 7, 9, c, PNG, depth))
		}
	}
	const budget = 1 << 16
	f.Fuzz(func(t *testing.T, file []byte) {
		before := totalAlloc()
		st, err := decodeImage(file, "fuzz", budget, overWhite)
		// Everything that was ever allocated, garbage included: a TIFF decoder makes a new
		// decompressor for every tile, and a tile has at least 64 pixels.
		require.LessOrEqual(t, totalAlloc()-before, uint64(32<<20+64*budget+budget/64*100_000+64*len(file)))
		if err != nil {
			requireSentence(t, err)
			return
		}
		require.LessOrEqual(t, st.h*st.w, budget)
		require.Len(t, st.values, st.h*st.w*st.c)
		require.Equal(t, st.c == 1, colourName(st.c) == "grey")
		for _, v := range st.values {
			require.True(t, v >= 0 && v <= float64(uint(1)<<st.depth-1), "%g of %d bits", v, st.depth)
		}
	})
}

func totalAlloc() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func FuzzZip(f *testing.F) {
	f.Add(fiveFlat(f).zip(f))
	f.Add(files{"a.npy": npyFile("|u1", false, "(1, 2, 3)", ramp(6)...)}.zip(f))
	f.Add(files{"../a.png": make([]byte, 1<<16)}.zip(f))
	f.Fuzz(func(t *testing.T, file []byte) {
		checkFuzzedSet(t, len(file), whole, func(o OpenOptions) (*Set, error) {
			return o.readZip(bytes.NewReader(file), "fuzz", int64(len(file)))
		})
	})
}

func FuzzTar(f *testing.F) {
	for _, set := range []files{fiveFlat(f), {"cifar/data_batch_1.bin": cifarRecord(1, 2, 3, 4)}, {"a.png": make([]byte, 1<<16)}} {
		f.Add(set.tar(f))
		f.Add(gzipped(f, set.tar(f)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		checkFuzzedSet(t, len(file), OpenOptions{Crop: 2, Range: whole.Range}, func(o OpenOptions) (*Set, error) {
			return o.readTar(&tarArchive{path: "fuzz", file: bytes.NewReader(file), size: int64(len(file))})
		})
	})
}
