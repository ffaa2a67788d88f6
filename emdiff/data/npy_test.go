package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func asNaN() float64 { return math.NaN() }

// npyFile is an array as numpy.save writes it.
func npyFile(descr string, fortran bool, shape string, values ...byte) []byte {
	order := map[bool]string{false: "False", true: "True"}[fortran]
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr, order, shape)
	text += strings.Repeat(" ", 117-len(text)) + "\n"
	file := append([]byte(npyMagic), 1, 0)
	file = binary.LittleEndian.AppendUint16(file, uint16(len(text)))
	return append(append(file, text...), values...)
}

func TestNPYReadsEveryTypeAndByteOrder(t *testing.T) {
	for descr, encode := range map[string]func(v float64) []byte{
		"|u1": func(v float64) []byte { return []byte{byte(v)} },
		"<u2": func(v float64) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(v)) },
		">u2": func(v float64) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) },
		"<f4": func(v float64) []byte { return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v))) },
		">f4": func(v float64) []byte { return binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(v))) },
		"<f8": func(v float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)) },
		">f8": func(v float64) []byte { return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)) },
	} {
		var raw []byte
		for v := range 12 {
			raw = append(raw, encode(float64(v))...)
		}
		path := write(t, "a.npy", npyFile(descr, false, "(2, 2, 3)", raw...))
		s, err := OpenOptions{Range: "0,11"}.Open(path)
		require.NoError(t, err, descr)
		assert.Equal(t, []int{2, 2, 3, 1}, []int{s.Len(), s.H, s.W, s.C})
		assert.InDeltaSlice(t, []float64{6, 7, 8, 9, 10, 11}, storedOf(s, 1), 1e-6, descr)
		assert.Equal(t, Origin{Path: "a.npy", Index: 1, Format: NPY, BitDepth: 8 * len(encode(0)), Affine: spanning(0, 11)}, s.Origin(1))

		var out bytes.Buffer // one image, little-endian, of the same type
		require.NoError(t, Export(&out, s.Image(1), 2, 3, 1, s.Origin(1)))
		back, err := OpenOptions{Range: "0,11"}.Open(write(t, "b.npy", out.Bytes()))
		require.NoError(t, err)
		assert.InDeltaSlice(t, storedOf(s, 1), storedOf(back, 0), 1e-6)
		assert.Equal(t, s.Origin(1).BitDepth, back.Origin(0).BitDepth)
		assert.Zero(t, bytes.IndexByte(out.Bytes(), '\n')%64-63, "the values are aligned as numpy's")
	}
}

func TestNPYLayouts(t *testing.T) {
	raw := ramp(24)[:24]
	for _, c := range []struct {
		shape, layout string
		want          []int // n, h, w, c
		second        uint8 // the second value of the first image
	}{
		{"(4, 6)", "", []int{1, 4, 6, 1}, 1},
		{"(2, 3, 4)", "", []int{2, 3, 4, 1}, 1},
		{"(2, 2, 2, 3)", "", []int{2, 2, 2, 3}, 1},
		{"(2, 12, 1, 1)", "", []int{2, 12, 1, 1}, 1},
		{"(4, 2, 3)", "HWC", []int{1, 4, 2, 3}, 1},
		{"(3, 4, 2)", "CHW", []int{1, 4, 2, 3}, 8},
		{"(2, 3, 2, 2)", "NCHW", []int{2, 2, 2, 3}, 4},
		{"(24,)", "", nil, 0},
		{"()", "", nil, 0},
		{"(4, 6)", "NHW", nil, 0},
		{"(2, 3, 2, 2)", "", nil, 0},
	} {
		path := write(t, "a.npy", npyFile("|u1", false, c.shape, raw...))
		s, err := OpenOptions{Layout: c.layout}.Open(path)
		if c.want == nil {
			require.Error(t, err, "%v", c)
			continue
		}
		require.NoError(t, err, "%v", c)
		assert.Equal(t, c.want, []int{s.Len(), s.H, s.W, s.C})
		assert.Equal(t, raw[c.second], ToBytes(s.Pixels)[1], "%v", c)
	}
}

func TestNPYIsRefusedInOneSentence(t *testing.T) {
	good := npyFile("|u1", false, "(1, 2, 3)", 1, 2, 3, 4, 5, 6)
	nan := binary.LittleEndian.AppendUint32(make([]byte, 12), math.Float32bits(float32(math.NaN())))
	inf := binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.Inf(-1)))
	old := bytes.Clone(good)
	old[6] = 9
	long := append([]byte(npyMagic), 2, 0, 0xff, 0xff, 0xff, 0x7f)
	for name, c := range map[string]struct {
		content []byte
		words   []string
	}{
		"header cut":    {good[:50], []string{"inside its .npy header"}},
		"magic only":    {good[:7], []string{"inside its .npy header"}},
		"values cut":    {good[:len(good)-1], []string{"announces 6 bytes", "holds 5"}},
		"surplus":       {append(bytes.Clone(good), 1), []string{"holds 7"}},
		"version":       {old, []string{"version 9"}},
		"header length": {long, []string{"version 2 and 2147483647 bytes"}},
		"fortran":       {npyFile("|u1", true, "(1, 2)", 1, 2), []string{"Fortran order", "ascontiguousarray"}},
		"type":          {npyFile("<i8", false, "(1, 1)", make([]byte, 8)...), []string{"type i8", "float32"}},
		"objects":       {npyFile("|O", false, "(1, 1)", 1), []string{"type O"}},
		"no order":      {npyFile("u2", false, "(1, 1)", 1, 2), []string{"byte order"}},
		"record":        {npyFile("[('a', '<f4')]", false, "(1, 1)", 1), []string{"no array of plain numbers"}},
		"huge":          {npyFile("|u1", false, "(4294967296, 4294967296, 9)"), []string{"impossible shape"}},
		"no images":     {npyFile("|u1", false, "(0, 3, 3)"), []string{"impossible shape"}},
		"NaN":           {npyFile("<f4", false, "(2, 2)", nan...), []string{"NaN at row 1, column 1", "nan_to_num"}},
		"infinity":      {npyFile("<f8", false, "(1, 1)", inf...), []string{"-Inf at row 0"}},
		"float":         {npyFile("<f4", false, "(1, 1)", 0, 0, 0, 0), []string{"--range"}},
		"NCHW":          {npyFile("|u1", false, "(1, 3, 2, 2)", ramp(12)...), []string{"2 channels as NHWC", "--layout NCHW"}},
		"channels":      {npyFile("|u1", false, "(2, 2, 2, 5)", ramp(40)...), []string{"5 channels", "three"}},
	} {
		path := write(t, name, c.content)
		_, err := Open(path)
		require.ErrorContains(t, err, path, name)
		for _, word := range c.words {
			assert.ErrorContains(t, err, word, name)
		}
	}
}

func TestNPYInAFolderIsOneImage(t *testing.T) {
	for _, c := range []struct {
		file []byte
		word string
	}{
		{npyFile("|u1", false, "(2, 1, 3)", ramp(6)...), "2 images"},
		{npyFile("|u1", false, "(2, 3)", ramp(5)...), "announces 6 bytes"},
		{npyFile("|u1", false, "(6,)", ramp(6)...), "no set of images"},
		{npyFile("|u1", true, "(2, 3)", ramp(6)...), "Fortran"},
	} {
		dir := files{"a.npy": c.file}.folder(t)
		_, err := Open(dir)
		wantError(t, err, filepath.Join(dir, "a.npy"), c.word)
	}
	s, err := OpenOptions{Layout: "HWC"}.Open(files{"a.npy": npyFile("|u1", false, "(2, 1, 3)", ramp(6)...)}.folder(t))
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2, 1, 3}, []int{s.Len(), s.H, s.W, s.C})
}

func TestNPZTakesTheArrayOfImages(t *testing.T) {
	images, labels := npyFile("|u1", false, "(3, 2, 2)", ramp(12)...), npyFile("|u1", false, "(3,)", 1, 2, 3)
	path := write(t, "set.npz", files{"images.npy": images, "labels.npy": labels}.zip(t))
	s, err := OpenOptions{Limit: 2}.Open(path)
	require.NoError(t, err)
	assert.Equal(t, []int{2, 2, 2, 1}, []int{s.Len(), s.H, s.W, s.C})
	assert.Equal(t, ramp(12)[:8], ToBytes(s.Pixels))
	assert.Equal(t, "set", s.Name)
	_, err = OpenOptions{Array: "labels"}.Open(path)
	require.ErrorContains(t, err, "no set of images")

	both := write(t, "set.npz", files{"x_train.npy": images, "x_test.npy": npyFile("|u1", false, "(1, 2, 2)", 9, 9, 9, 9), "y.npy": labels}.zip(t))
	_, err = Open(both)
	wantError(t, err, both, "several arrays", "x_train, x_test", "--array")
	s, err = OpenOptions{Array: "x_test"}.Open(both)
	require.NoError(t, err)
	assert.Equal(t, bytes.Repeat([]uint8{9}, 4), ToBytes(s.Pixels))
	_, err = OpenOptions{Array: "z"}.Open(both)
	wantError(t, err, both, `no array "z"`)

	cut := write(t, "cut.npz", files{"images.npy": images[:len(images)-2]}.zip(t))
	_, err = Open(cut)
	wantError(t, err, filepath.Join(cut, "images.npy"), "announces 12 bytes", "holds 10")
	flipped := files{"images.npy": images}.zip(t)
	flipped[bytes.Index(flipped, []byte("PK\x01\x02"))+16] ^= 1 // the checksum in the list of files
	rotten := write(t, "rotten.npz", flipped)
	_, err = Open(rotten)
	wantError(t, err, filepath.Join(rotten, "images.npy"), "checksum")
	bomb := write(t, "bomb.npz", files{"images.npy": npyFile("|u1", false, "(4, 1024, 1024)", make([]byte, 4<<20)...)}.zip(t))
	_, err = Open(bomb)
	wantError(t, err, filepath.Join(bomb, "images.npy"), "unpacks to")
}

func TestASetIsWrittenAsOneArray(t *testing.T) {
	for _, c := range []int{1, 3} {
		want := &Set{Name: "set", H: 2, W: 3, C: c, Pixels: make([]float32, 4*2*3*c)}
		for i := range want.Pixels {
			want.Pixels[i] = float32(i)/float32(len(want.Pixels)) - .5
		}
		path := filepath.Join(t.TempDir(), "set.npy")
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, want.WriteNPY(f))
		require.NoError(t, f.Close())
		got, err := OpenOptions{Range: "-1,1"}.Open(path)
		require.NoError(t, err)
		assert.Equal(t, []int{4, 2, 3, c}, []int{got.Len(), got.H, got.W, got.C})
		assert.Equal(t, want.Pixels, got.Pixels)

		want.Pixels[7*c] = float32(math.NaN())
		assert.ErrorContains(t, want.WriteNPY(io.Discard), "NaN in image 1")
	}
}
