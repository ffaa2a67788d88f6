package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// files are names (with slashes) and contents.
type files map[string][]byte

// names in an order that is not sorted, as archives may have it.
func (f files) names() []string {
	names := slices.Sorted(maps.Keys(f))
	slices.Reverse(names)
	return names
}

func (f files) folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range f {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	return dir
}

func (f files) tar(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o700}))
	for _, name := range f.names() {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "./" + name, Size: int64(len(f[name])), Mode: 0o600}))
		_, err := w.Write(f[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func (f files) zip(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range f.names() {
		member, err := w.Create(name)
		require.NoError(t, err)
		_, err = member.Write(f[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// exported is an image file whose stored values are given.
func exported(t testing.TB, values []float64, h, w, c int, format Format, depth int) []byte {
	t.Helper()
	o := Origin{Format: format, BitDepth: depth, Affine: Affine{Scale: 65536, Offset: 0}} // exact in float32
	pixels := make([]float32, len(values))
	for i, v := range values {
		pixels[i] = o.Affine.Apply(v)
	}
	var out bytes.Buffer
	require.NoError(t, Export(&out, pixels, h, w, c, o))
	return out.Bytes()
}

// flat is a PNG of one grey value.
func flat(t testing.TB, h, w int, v uint8) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = v
	}
	return encodedPNG(t, m)
}

func encodedPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, m))
	return out.Bytes()
}

func encodedJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, m, &jpeg.Options{Quality: 95}))
	return out.Bytes()
}

// flatWebP is a lossless WebP image of one colour: a VP8L stream whose five prefix codes have one
// symbol each, so that the pixels take no bits.
func flatWebP(h, w int, p color.NRGBA) []byte {
	var bits uint64
	var n int
	var stream []byte
	put := func(v uint64, count int) {
		bits |= v << n
		for n += count; n >= 8; n -= 8 {
			stream = append(stream, byte(bits))
			bits >>= 8
		}
	}
	put(0x2f, 8)
	put(uint64(w-1), 14)
	put(uint64(h-1), 14)
	put(1, 1) // there is alpha
	put(0, 3) // version
	put(0, 3) // no transform, colour cache or meta codes
	for _, symbol := range []uint8{p.G, p.R, p.B, p.A} {
		put(1|0<<1|1<<2, 3) // a simple code of one symbol of eight bits
		put(uint64(symbol), 8)
	}
	put(1, 3) // distances: one symbol of one bit
	put(0, 1)
	put(0, 7)
	chunk := append([]byte("VP8L"), binary.LittleEndian.AppendUint32(nil, uint32(len(stream)))...)
	chunk = append(chunk, stream...)
	if len(stream)%2 == 1 {
		chunk = append(chunk, 0)
	}
	file := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(4+len(chunk)))...)
	return append(append(file, "WEBP"...), chunk...)
}

// crc32PNG is the checksum of a PNG chunk's type and data.
func crc32PNG(chunk []byte) [4]byte {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(chunk))
	return sum
}

// storedOf is image i of a set in the units of its file.
func storedOf(s *Set, i int) []float64 {
	var values []float64
	for _, x := range s.Image(i) {
		values = append(values, s.Origin(i).Affine.Invert(x))
	}
	return values
}
