package data

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ramp is n bytes 0, 7, 14, ... modulo 256.
func ramp(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(7 * i)
	}
	return b
}

// idxFile is an IDX image file with the given header words and pixels.
func idxFile(n, h, w uint32, pixels []byte) []byte {
	var b []byte
	for _, v := range []uint32{idxImagesMagic, n, h, w} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(b, pixels...)
}

func gzipped(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

// cifarRecord is one CIFAR-10 record whose planes hold r, g and b plus the pixel index modulo 4.
func cifarRecord(label, r, g, b byte) []byte {
	record := []byte{label}
	for _, v := range []byte{r, g, b} {
		for p := range cifarPlane {
			record = append(record, v+byte(p%4))
		}
	}
	return record
}

func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// wantError asserts that err is one sentence that holds path and all the words.
func wantError(t *testing.T, err error, path string, words ...string) {
	t.Helper()
	require.Error(t, err)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, path, e.Path)
	assert.NotEmpty(t, e.Remedy)
	assert.NotContains(t, err.Error(), "\n")
	for _, w := range append(words, path) {
		assert.Contains(t, err.Error(), w)
	}
}

func TestEmbeddedIsFashionMNIST(t *testing.T) {
	s, err := Embedded()
	require.NoError(t, err)
	assert.Equal(t, []int{10000, 28, 28, 1}, []int{s.Len(), s.H, s.W, s.C})
	assert.Equal(t, "fashion-mnist-10k", s.Name)
	sum := sha256.Sum256(idxFile(10000, 28, 28, ToBytes(s.Pixels)))
	assert.Equal(t, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", hex.EncodeToString(sum[:]),
		"the pixels, written back, must be the file of ORIGIN.md")
}

func TestOpenReadsIDXPlainAndCompressed(t *testing.T) {
	pixels := ramp(3 * 5 * 4)
	file := idxFile(3, 5, 4, pixels)
	for name, content := range map[string][]byte{"three-images": file, "three-images.gz": gzipped(t, file)} {
		path := write(t, name, content)
		s, err := Open(path)
		require.NoError(t, err, name)
		assert.Equal(t, []int{3, 5, 4, 1}, []int{s.Len(), s.H, s.W, s.C})
		assert.Equal(t, "three-images", s.Name)
		assert.Equal(t, path, s.Source)
		assert.Equal(t, pixels, ToBytes(s.Pixels))
	}
}

func TestOpenReadsIDXLargerThanAChunk(t *testing.T) {
	pixels := ramp(100 * 33 * 41)
	s, err := Open(write(t, "many", idxFile(100, 33, 41, pixels)))
	require.NoError(t, err)
	assert.Equal(t, pixels, ToBytes(s.Pixels))
}

func TestOpenTurnsCIFARPlanesIntoNHWC(t *testing.T) {
	path := write(t, "some_batch.bin", append(cifarRecord(9, 10, 20, 30), cifarRecord(0, 40, 50, 60)...))
	s, err := Open(path)
	require.NoError(t, err)
	assert.Equal(t, []int{2, 32, 32, 3}, []int{s.Len(), s.H, s.W, s.C})
	assert.Equal(t, "some_batch", s.Name)
	assert.Equal(t, []uint8{10, 20, 30, 11, 21, 31, 12, 22, 32, 13, 23, 33, 10, 20, 30}, ToBytes(s.Image(0)[:15]))
	assert.Equal(t, []uint8{43, 53, 63}, ToBytes(s.Image(1)[3*cifarPlane-3:]))
}

func TestOpenReadsTheTwoPartsOfACIFARFolder(t *testing.T) {
	dir := t.TempDir()
	for name, red := range map[string]byte{"data_batch_2.bin": 20, "data_batch_1.bin": 10, "test_batch.bin": 99} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), cifarRecord(1, red, 0, 0), 0o600))
	}
	for _, part := range []string{"", Train} {
		s, err := OpenOptions{Part: part}.Open(dir)
		require.NoError(t, err)
		require.Equal(t, 2, s.Len())
		assert.Equal(t, "cifar10-train", s.Name)
		assert.Equal(t, uint8(10), ToBytes(s.Image(0))[0], "files are read in the order of their names")
		assert.Equal(t, uint8(20), ToBytes(s.Image(1))[0])
		assert.Equal(t, filepath.Join(dir, "{data_batch_1.bin,data_batch_2.bin}"), s.Source)
	}
	s, err := OpenOptions{Part: Test}.Open(dir)
	require.NoError(t, err)
	require.Equal(t, 1, s.Len())
	assert.Equal(t, "cifar10-test", s.Name)
	assert.Equal(t, uint8(99), ToBytes(s.Image(0))[0])
}

func TestOpenRefusesDamagedFilesInOneSentence(t *testing.T) {
	good := idxFile(2, 3, 3, ramp(18))
	zipped := gzipped(t, good)
	flipped := bytes.Clone(zipped)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	labels := append([]byte{0, 0, 8, 1, 0, 0, 0, 2}, 3, 4, 5, 6, 7, 8, 9, 10)

	for name, c := range map[string]struct {
		content []byte
		words   []string
	}{
		"empty":                 {nil, []string{"is empty"}},
		"text":                  {[]byte("hello there"), []string{"no image set"}},
		"idx header cut":        {good[:9], []string{"ends inside its IDX header"}},
		"idx pixels cut":        {good[:len(good)-1], []string{"announces 18 pixels", "holds 17"}},
		"idx surplus":           {append(bytes.Clone(good), 1), []string{"announces 18 pixels", "holds 19"}},
		"idx of nothing":        {idxFile(0, 3, 3, nil), []string{"0 images of 3x3"}},
		"idx of no width":       {idxFile(4, 3, 0, nil), []string{"4 images of 3x0"}},
		"idx overflow":          {idxFile(1<<31, 1<<31, 1<<31, ramp(9)), []string{"announces", "holds 9"}},
		"idx wrap to zero":      {idxFile(1<<31, 1<<31, 4, nil), []string{"announces", "holds 0"}},
		"idx labels":            {labels, []string{"labels", "images that belongs"}},
		"gzip cut in header":    {zipped[:5], []string{"inside its gzip header"}},
		"gzip cut in pixels":    {gzipped(t, idxFile(40, 30, 30, ramp(36000)))[:200], []string{"inside the pixels"}},
		"gzip cut in checksum":  {zipped[:len(zipped)-3], []string{"inside its last bytes"}},
		"gzip checksum":         {flipped, []string{"its last bytes cannot be read", "checksum"}},
		"gzip surplus":          {gzipped(t, append(bytes.Clone(good), 1)), []string{"more than the 2 images"}},
		"gzip pixels missing":   {gzipped(t, good[:20]), []string{"inside the pixels"}},
		"gzip of text":          {gzipped(t, []byte("hello there, this is text")), []string{"no IDX file", "0x68656c6c"}},
		"gzip bomb":             {gzipped(t, idxFile(1<<20, 1<<10, 1<<10, nil)), []string{"more than 32 per compressed byte", "gunzip"}},
		"cifar cut.bin":         {cifarRecord(1, 2, 3, 4)[:3072], []string{"3072 bytes", "3073"}},
		"cifar label.bin":       {append(cifarRecord(1, 2, 3, 4), cifarRecord(10, 2, 3, 4)...), []string{"image 1 has label 10"}},
		"cifar, another ending": {cifarRecord(77, 2, 3, 4), []string{"image 0 has label 77"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, name, c.content)
			s, err := Open(path)
			assert.Nil(t, s)
			wantError(t, err, path, c.words...)
		})
	}
}

func TestOpenRefusesWrongPathsAndParts(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	_, err := Open(missing)
	wantError(t, err, missing, "no such file")
	assert.True(t, errors.Is(err, fs.ErrNotExist))

	_, err = Open(dir)
	wantError(t, err, dir, "holds no files")
	_, err = OpenOptions{Part: Test}.Open(dir)
	wantError(t, err, dir, `no part "test"`)
	_, err = OpenOptions{Part: "validation"}.Open(dir)
	wantError(t, err, dir, `no part "validation"`)

	file := write(t, "file", idxFile(1, 2, 2, ramp(4)))
	_, err = OpenOptions{Part: Test}.Open(file)
	wantError(t, err, file, `no part "test"`)

	unreadable := filepath.Join(dir, "data_batch_1.bin")
	require.NoError(t, os.Mkdir(unreadable, 0o700))
	_, err = Open(dir)
	wantError(t, err, unreadable)
	_, err = OpenOptions{Part: Test}.Open(dir)
	wantError(t, err, dir, "without test_batch.bin")
}

func TestGzipAllowanceLetsBlankImagesThrough(t *testing.T) {
	file := gzipped(t, idxFile(10, 28, 28, make([]byte, 7840)))
	require.Greater(t, 7840, maxGzipRatio*len(file), "the case must need the allowance")
	s, err := Open(write(t, "blank.gz", file))
	require.NoError(t, err)
	assert.Equal(t, 10, s.Len())
}

func TestOpenReadsRealCIFAR(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "cifar10")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no CIFAR-10 files in " + dir)
	}
	s, err := OpenOptions{Part: Test}.Open(dir)
	require.NoError(t, err)
	assert.Equal(t, []int{10000, 32, 32, 3}, []int{s.Len(), s.H, s.W, s.C})
	var sum, side, down float64
	for i, v := range s.Pixels[:100*s.ImageLen()] {
		sum += float64(v)
		x := i / 3 % 32
		y := i / 96 % 32
		if x > 0 {
			side += abs(v - s.Pixels[i-3])
		}
		if y > 0 {
			down += abs(v - s.Pixels[i-96])
		}
	}
	n := float64(100 * 31 * 32 * 3)
	assert.InDelta(t, 0, sum/float64(100*s.ImageLen()), 0.2, "natural images are grey on average")
	assert.Less(t, side/n, 0.15, "neighbours in a natural image are alike, if the layout is right")
	assert.Less(t, down/n, 0.15)
}

func abs(v float32) float64 { return max(float64(v), -float64(v)) }

func FuzzIDX(f *testing.F) {
	good := idxFile(2, 3, 3, ramp(18))
	f.Add(good)
	f.Add(good[:17])
	f.Add(idxFile(1<<31, 1<<31, 4, nil))
	f.Add(gzipped(f, good))
	f.Add(gzipped(f, idxFile(1<<20, 1<<10, 1<<10, ramp(4))))
	f.Fuzz(func(t *testing.T, file []byte) {
		checkFuzzed(t, len(file), 4*len(file), func() (*Set, error) { return readIDX(bytes.NewReader(file), "fuzz", int64(len(file))) })
		checkFuzzed(t, len(file), 4*max(gzipAllowance, maxGzipRatio*len(file)), func() (*Set, error) {
			return readGzipIDX(bytes.NewReader(file), "fuzz", int64(len(file)))
		})
	})
}

func FuzzCIFAR(f *testing.F) {
	good := cifarRecord(1, 2, 3, 4)
	f.Add(good)
	f.Add(good[:100])
	f.Add(append(good, cifarRecord(10, 2, 3, 4)...))
	f.Fuzz(func(t *testing.T, file []byte) {
		checkFuzzed(t, len(file), 4*len(file), func() (*Set, error) {
			images, err := cifarImages("fuzz", int64(len(file)))
			if err != nil {
				return nil, err
			}
			s := &Set{H: cifarSide, W: cifarSide, C: 3, Pixels: make([]float32, images*3*cifarPlane)}
			rest, err := decodeCIFAR(s.Pixels, bytes.NewReader(file), "fuzz")
			if err != nil {
				return nil, err
			}
			require.Empty(t, rest)
			return s, nil
		})
	})
}

// checkFuzzed asserts that read ends in a whole set of at most maxBytes or in a sentence, and takes no more memory for
// either than that and a mebibyte of buffers.
func checkFuzzed(t *testing.T, size, maxBytes int, read func() (*Set, error)) {
	t.Helper()
	before := totalAlloc()
	s, err := read()
	require.LessOrEqual(t, totalAlloc()-before, uint64(1<<20+maxBytes), "from %d bytes", size)
	if err != nil {
		require.Nil(t, s)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.False(t, strings.Contains(err.Error(), "\n"))
		return
	}
	require.Positive(t, s.Len())
	require.Equal(t, s.Len()*s.ImageLen(), len(s.Pixels))
	require.LessOrEqual(t, 4*len(s.Pixels), maxBytes, "from %d bytes", size)
	for _, v := range s.Pixels {
		require.True(t, v >= -1 && v <= 1)
	}
}
