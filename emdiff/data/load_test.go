package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fiveFlat are 4x6 grey images of the values 10 to 50 in the order of their paths, and files that
// are to be passed over.
func fiveFlat(t testing.TB) files {
	return files{
		"a/2.png": flat(t, 4, 6, 20), "a/1.PNG": flat(t, 4, 6, 10), "a/3.npy": exported(t, bytesAs(24, 30), 4, 6, 1, NPY, 8),
		"b.tif": exported(t, bytesAs(24, 40), 4, 6, 1, TIFF, 8), "c d/e/f.png": flat(t, 4, 6, 50),
		"list.txt": []byte("names"), ".hidden.png": []byte("no image"), "__MACOSX/a/._1.png": []byte("no image"),
	}
}

// bytesAs is n times v.
func bytesAs(n int, v float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = v
	}
	return values
}

// firstBytes gives the first value of each image.
func firstBytes(s *Set) (values []uint8) {
	for i := range s.Len() {
		values = append(values, ToBytes(s.Image(i))[0])
	}
	return values
}

func TestFoldersAndArchivesAreOneSetInTheOrderOfPaths(t *testing.T) {
	f := fiveFlat(t)
	for name, path := range map[string]string{
		"folder": f.folder(t),
		"zip":    write(t, "set.zip", f.zip(t)),
		"tar":    write(t, "set.tar", f.tar(t)),
		"tar.gz": write(t, "set.tar.gz", gzipped(t, f.tar(t))),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(path)
			require.NoError(t, err)
			assert.Equal(t, []int{5, 4, 6, 1}, []int{s.Len(), s.H, s.W, s.C})
			assert.Equal(t, []uint8{10, 20, 30, 40, 50}, firstBytes(s))
			assert.Equal(t, path, s.Source)
			if name != "folder" {
				assert.Equal(t, "set", s.Name)
			} else {
				assert.Equal(t, filepath.Base(path), s.Name)
			}
			var names []string
			for i := range s.Len() {
				names = append(names, s.Origin(i).Path)
			}
			assert.Equal(t, []string{"a/1.PNG", "a/2.png", "a/3.npy", "b.tif", "c d/e/f.png"}, names)
			assert.Equal(t, TIFF, s.Origin(3).Format)
			assert.Equal(t, "c d/e/f.png", s.Subset([]int{4}).Origin(0).Path, "a subset keeps its origins")

			s, err = OpenOptions{Limit: 2}.Open(path)
			require.NoError(t, err)
			assert.Equal(t, []uint8{10, 20}, firstBytes(s))
			s, err = OpenOptions{Shuffle: true, Seed: 3}.Open(path)
			require.NoError(t, err)
			assert.Equal(t, []uint8{30, 20, 50, 40, 10}, firstBytes(s), "fixed by the seed in every version")
			fewer, err := OpenOptions{Shuffle: true, Seed: 3, Limit: 2}.Open(path)
			require.NoError(t, err)
			assert.Equal(t, firstBytes(s)[:2], firstBytes(fewer))
		})
	}
}

func TestAFolderOfTrainAndTestHasParts(t *testing.T) {
	dir := files{"train/a.png": flat(t, 2, 2, 1), "test/b.png": flat(t, 2, 2, 2)}.folder(t)
	for part, want := range map[string]uint8{"": 1, Train: 1, Test: 2} {
		s, err := OpenOptions{Part: part}.Open(dir)
		require.NoError(t, err)
		assert.Equal(t, []uint8{want}, firstBytes(s))
	}
	_, err := OpenOptions{Part: Test}.Open(filepath.Join(dir, "train"))
	wantError(t, err, filepath.Join(dir, "train"), "no part")
}

func TestADamagedFileAmongManyIsNamed(t *testing.T) {
	f := files{}
	for i := range 40 {
		f[fmt.Sprintf("%02d.png", i)] = flat(t, 4, 4, uint8(i))
	}
	f["17.png"] = f["17.png"][:50]
	f["23.png"] = []byte("also no image")
	folder := f.folder(t)
	for range 5 { // whichever is found first by the goroutines, the earlier one is named
		_, err := Open(folder)
		wantError(t, err, filepath.Join(folder, "17.png"))
	}
	for name, content := range map[string][]byte{"set.zip": f.zip(t), "set.tar.gz": gzipped(t, f.tar(t))} {
		path := write(t, name, content) // in reverse order
		_, err := Open(path)
		wantError(t, err, filepath.Join(path, "23.png"), "no PNG, JPEG, WebP or TIFF")
	}
}

func TestTheErrorOfTheEarliestJobCounts(t *testing.T) {
	early, late := errors.New("early"), errors.New("late")
	for first := range 2 { // whichever of the two jobs fails first
		c := newCrew(2)
		firstFailed := make(chan struct{})
		for i, err := range []error{early, late} {
			given := c.do(i, func() error {
				if i != first {
					<-firstFailed
				}
				return err
			})
			if given != nil { // the first has failed before the second could be given
				require.Equal(t, early, given)
			}
		}
		for c.failure() == nil {
			runtime.Gosched()
		}
		close(firstFailed)
		assert.Equal(t, early, c.wait())
		assert.Error(t, c.do(2, func() error { panic("no job starts after a failure") }))
	}
}

func TestMembersThatShrankOrGrewAreRefused(t *testing.T) {
	for _, size := range []int64{2, 4} {
		_, err := readMember(strings.NewReader("abc"), "a.png", size, imageRemedy)
		wantError(t, err, "a.png", fmt.Sprintf("the %d bytes", size))
	}
}

func TestMixedSetsAreRefusedNamingBothFilesAndTheRemedy(t *testing.T) {
	dir := files{"a.png": flat(t, 4, 6, 1), "b.png": flat(t, 4, 6, 2), "c.png": flat(t, 6, 4, 3)}.folder(t)
	_, err := Open(dir)
	wantError(t, err, filepath.Join(dir, "c.png"), filepath.Join(dir, "a.png"), "4 pixels wide and 6 high", "--size")
	s, err := OpenOptions{Size: 3}.Open(dir)
	require.NoError(t, err)
	assert.Equal(t, []uint8{1, 2, 3}, firstBytes(s))
	_, err = OpenOptions{Crop: 5}.Open(dir)
	require.ErrorContains(t, err, "smaller than the crop of 5")

	dir = files{"a.png": flat(t, 2, 2, 1), "b.png": exported(t, integers(12, 8), 2, 2, 3, PNG, 8)}.folder(t)
	_, err = Open(dir)
	wantError(t, err, filepath.Join(dir, "b.png"), "is colour", "a.png is grey", "--channels")
}

func TestContainersWithoutImagesSaySo(t *testing.T) {
	dir := files{"a.gif": {1}, "b.BMP": {1}, "README": {1}}.folder(t)
	_, err := Open(dir)
	wantError(t, err, dir, "only .bmp, .gif, no extension", "PNG, JPEG, WebP, TIFF")
	for name, content := range map[string][]byte{"a.zip": files{}.zip(t), "a.tar": files{}.tar(t)} {
		path := write(t, name, content)
		_, err := Open(path)
		wantError(t, err, path, "holds no files")
	}
	path := write(t, "set.zip", files{"a.p\nx": {1}}.zip(t))
	_, err = Open(path)
	wantError(t, err, path, "only .p\ufffdx") // in one line
	dir = files{"a.png": {}}.folder(t)
	_, err = Open(dir)
	wantError(t, err, filepath.Join(dir, "a.png"), "is empty")
}

func TestDamagedArchivesAreRefused(t *testing.T) {
	f := files{"a.png": flat(t, 40, 40, 1), "b.png": exported(t, integers(1600, 8), 40, 40, 1, PNG, 8)}
	tarred, zipped := f.tar(t), f.zip(t)
	flipped := gzipped(t, tarred)
	flipped[len(flipped)-6] ^= 1
	rotten := bytes.Clone(zipped)
	rotten[60] ^= 0x55 // in the first file, b.png
	bomb := files{"a.png": make([]byte, 4<<20)}
	for name, c := range map[string]struct {
		content []byte
		words   []string
	}{
		"cut.tar":      {tarred[:1000], []string{"ends inside the archive"}},
		"cut.tar.gz":   {gzipped(t, tarred)[:200], []string{"ends inside the archive"}},
		"sum.tgz":      {flipped, []string{"the archive cannot be read", "checksum"}},
		"cut.zip":      {zipped[:len(zipped)-30], []string{"list of files"}},
		"rotten.zip":   {rotten, []string{"b.png", "content"}},
		"bomb.zip":     {bomb.zip(t), []string{"a.png", "unpacks to 4194304 bytes"}},
		"bomb.tar.gz":  {gzipped(t, bomb.tar(t)), []string{"a.png", "unpacks to 4194304 bytes"}},
		"prefix.zip":   {zipped[:10], []string{"list of files"}},
		"garbled.gz":   {[]byte{0x1f, 0x8b, 8, 0, 0, 0}, []string{"gzip header"}},
		"part of.tar?": {append(bytes.Clone(tarred[:512]), 1, 2, 3), []string{"archive"}},
	} {
		path := write(t, name, c.content)
		_, err := Open(path)
		var e *Error
		require.ErrorAs(t, err, &e, name)
		for _, word := range append(c.words, path) {
			assert.ErrorContains(t, err, word, name)
		}
	}
}

func TestNamesInArchivesCannotLeadOut(t *testing.T) {
	f := files{"../../x.png": flat(t, 1, 1, 1), `..\y.png`: flat(t, 1, 1, 2), "/z.png": flat(t, 1, 1, 3)}
	for _, path := range []string{write(t, "set.zip", f.zip(t)), write(t, "set.tar", f.tar(t))} {
		s, err := Open(path)
		require.NoError(t, err)
		for i, want := range []string{"x.png", "y.png", "z.png"} {
			assert.Equal(t, want, s.Origin(i).Path)
		}
	}
}

// CelebA's aligned images are 178x218: the centre crops that papers use, reduced to 64x64.
func TestCelebAIsCropAndSize(t *testing.T) {
	face := image.NewRGBA(image.Rect(0, 0, 178, 218))
	for y := range 218 {
		for x := range 178 {
			face.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: 100, A: 255})
		}
	}
	path := write(t, "img_align_celeba.zip", files{"img_align_celeba/000001.jpg": encodedJPEG(t, face)}.zip(t))
	for _, crop := range []int{178, 140, 128} {
		s, err := OpenOptions{Crop: crop, Size: 64}.Open(path)
		require.NoError(t, err)
		require.Equal(t, []int{1, 64, 64, 3}, []int{s.Len(), s.H, s.W, s.C})
		for _, at := range [][2]int{{0, 0}, {0, 63}, {63, 0}, {31, 40}} {
			y, x := at[0], at[1]
			scale := float64(crop) / 64
			wantR := float64(178-crop)/2 + (float64(x)+0.5)*scale - 0.5 // a ramp is reduced to itself, but for the border
			wantG := float64(218-crop)/2 + (float64(y)+0.5)*scale - 0.5
			got := ToBytes(s.Pixels[(y*64+x)*3:][:2])
			assert.InDelta(t, wantR, got[0], 4, "crop %d, %v", crop, at)
			assert.InDelta(t, wantG, got[1], 4, "crop %d, %v", crop, at)
		}
	}
}

func TestOptionsReachEveryFormat(t *testing.T) {
	path := write(t, "set", idxFile(5, 6, 8, ramp(240)))
	whole, err := Open(path)
	require.NoError(t, err)
	s, err := OpenOptions{Limit: 2}.Open(path)
	require.NoError(t, err)
	assert.Equal(t, whole.Pixels[:96], s.Pixels)
	assert.Equal(t, "set", s.Name)
	s, err = OpenOptions{Crop: 6, Channels: 3, Shuffle: true, Seed: 3}.Open(path)
	require.NoError(t, err)
	assert.Equal(t, []int{5, 6, 6, 3}, []int{s.Len(), s.H, s.W, s.C})
	assert.Equal(t, 2, s.Origin(0).Index)
	assert.Equal(t, whole.Image(2)[1], s.Image(0)[0], "one column is cut from the left")
	assert.Equal(t, whole.Image(2)[1], s.Image(0)[2])
	crop, err := OpenOptions{Crop: 6}.Open(path)
	require.NoError(t, err)
	s, err = OpenOptions{Size: 6}.Open(path)
	require.NoError(t, err)
	assert.Equal(t, crop.Pixels, s.Pixels, "the largest centred square, not a squashed image")
	s, err = OpenOptions{Crop: 6}.Open(write(t, "tall", idxFile(5, 8, 6, ramp(240))))
	require.NoError(t, err)
	assert.Equal(t, []int{6, 6}, []int{s.H, s.W})
	s, err = OpenOptions{Crop: 3}.Open(path)
	require.NoError(t, err)
	assert.Equal(t, whole.Pixels[8+2], s.Pixels[0], "of an odd rest the smaller part is cut above and left")
	s, err = OpenOptions{Range: "0,510"}.Open(path)
	require.NoError(t, err)
	assert.Equal(t, spanning(0, 510), s.Origin(0).Affine)
	assert.Equal(t, float32(-1), s.Pixels[0])
	assert.InDelta(t, 7, s.Origin(0).Affine.Invert(s.Pixels[1]), 1e-4)

	s, err = OpenOptions{Size: 32, Limit: 3}.Embedded()
	require.NoError(t, err)
	assert.Equal(t, []int{3, 32, 32, 1}, []int{s.Len(), s.H, s.W, s.C})
	assert.Equal(t, "fashion-mnist-10k", s.Name)
	_, err = OpenOptions{Part: Test}.Embedded()
	wantError(t, err, "embedded Fashion-MNIST", "no part")
}

func TestImpossibleOptionsNameTheirFlag(t *testing.T) {
	path := write(t, "a.png", flat(t, 2, 2, 1))
	for flag, o := range map[string]OpenOptions{
		"--crop -1":           {Crop: -1},
		"--size 20000":        {Size: 20000},
		"--limit -5":          {Limit: -5},
		"--channels 2":        {Channels: 2},
		`--background "pink"`: {Background: "pink"},
		`--range "1"`:         {Range: "1"},
		`--layout "CWH"`:      {Layout: "CWH"},
	} {
		_, err := o.Open(path)
		wantError(t, err, flag)
		_, err = o.Embedded()
		wantError(t, err, flag)
	}
	_, err := OpenOptions{Crop: 3}.Open(path)
	wantError(t, err, path, "smaller than the crop of 3", "--crop 2")
}

func TestPercentileRangeIsOfEachImageAndOfTheCropAlone(t *testing.T) {
	frame := func(inner, outer float64) []byte {
		values := bytesAs(36, outer)
		for y := 1; y < 5; y++ {
			for x := 1; x < 5; x++ {
				values[6*y+x] = inner + float64(x)
			}
		}
		return exported(t, values, 6, 6, 1, TIFF, 16)
	}
	dir := files{"a.tif": frame(1000, 65535), "b.tif": frame(300, 0)}.folder(t)
	s, err := OpenOptions{Crop: 4, Range: "percentile:0,100"}.Open(dir)
	require.NoError(t, err)
	assert.Equal(t, spanning(1001, 1004), s.Origin(0).Affine)
	assert.Equal(t, spanning(301, 304), s.Origin(1).Affine)
	assert.InDeltaSlice(t, []float64{-1, -1. / 3, 1. / 3, 1}, asFloat64(s.Image(0)[:4]), 1e-6)
	assert.Equal(t, s.Image(0), s.Image(1))

	var out bytes.Buffer
	require.NoError(t, Export(&out, s.Image(0), 4, 4, 1, s.Origin(0)))
	back, err := Open(write(t, "back.tif", out.Bytes()))
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float64{1001, 1002, 1003, 1004}, storedOf(back, 0)[:4], 0.01)
}

func asFloat64(x []float32) (values []float64) {
	for _, v := range x {
		values = append(values, float64(v))
	}
	return values
}

func TestTheArchiveOfCIFARIsReadInTheOrderOfItsBatches(t *testing.T) {
	f := files{
		"cifar-10-batches-bin/data_batch_1.bin": append(cifarRecord(1, 10, 0, 0), cifarRecord(1, 11, 0, 0)...),
		"cifar-10-batches-bin/data_batch_2.bin": cifarRecord(1, 20, 0, 0),
		"cifar-10-batches-bin/test_batch.bin":   cifarRecord(1, 99, 0, 0),
		"cifar-10-batches-bin/batches.meta.txt": []byte("airplane"),
		"cifar-10-batches-bin/readme.html":      []byte("<html>"),
	}
	path := write(t, "cifar-10-binary.tar.gz", gzipped(t, f.tar(t)))
	s, err := Open(path)
	require.NoError(t, err)
	assert.Equal(t, []uint8{10, 11, 20}, firstBytes(s))
	assert.Equal(t, "cifar10-train", s.Name)
	assert.Equal(t, filepath.Join(path, "{data_batch_1.bin,data_batch_2.bin}"), s.Source)
	s, err = OpenOptions{Part: Test, Channels: 3, Size: 8}.Open(path)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 8, 8, 3}, []int{s.Len(), s.H, s.W, s.C})
	assert.Equal(t, "cifar10-test", s.Name)

	delete(f, "cifar-10-batches-bin/test_batch.bin")
	f["cifar-10-batches-bin/data_batch_2.bin"][0] = 77
	path = write(t, "broken.tar.gz", gzipped(t, f.tar(t)))
	_, err = Open(path)
	wantError(t, err, filepath.Join(path, "cifar-10-batches-bin", "data_batch_2.bin"), "label 77")
	_, err = OpenOptions{Part: Test}.Open(path)
	wantError(t, err, path, "without test_batch.bin")
	f["cifar-10-batches-bin/data_batch_2.bin"] = []byte("short")
	path = write(t, "short.tar", f.tar(t))
	_, err = Open(path)
	wantError(t, err, filepath.Join(path, "cifar-10-batches-bin", "data_batch_2.bin"), "5 bytes")
}

func TestSetsTooLargeForTheirFilesAreRefusedBeforeTheMemoryIsTaken(t *testing.T) {
	b := builder{n: 1 << 20, bytes: 1 << 10}
	st := &stored{h: 64, w: 64, c: 1, depth: 8, values: make([]float64, 4096)}
	err := b.put(0, st, "a.png", Origin{})
	wantError(t, err, "a.png", "1048576 images", "--limit")
	assert.Nil(t, b.made)
}

func TestExportRefusesWhatCannotBeWritten(t *testing.T) {
	nan := []float32{0, float32(asNaN())}
	err := Export(&bytes.Buffer{}, nan, 1, 2, 1, Origin{Path: "x.png", Format: PNG, BitDepth: 8, Affine: byteAffine})
	wantError(t, err, "x.png", "NaN at pixel 1")
	for _, o := range []Origin{{Path: "x", Format: PNG, BitDepth: 32}, {Path: "x", Format: "gif", BitDepth: 8}, {Path: "x", Format: NPY, BitDepth: 12}} {
		o.Affine = byteAffine
		err := Export(&bytes.Buffer{}, []float32{0}, 1, 1, 1, o)
		wantError(t, err, "x", "bit")
	}
	full := errors.New("disk full")
	for _, format := range []Format{PNG, TIFF, NPY} {
		err := Export(failing{full}, []float32{0}, 1, 1, 1, Origin{Format: format, BitDepth: 8, Affine: byteAffine})
		assert.ErrorIs(t, err, full)
	}
	assert.Panics(t, func() { Export(&bytes.Buffer{}, []float32{0}, 1, 2, 1, Origin{}) })
}

func TestExportClampsAndRoundsIntegers(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Export(&out, []float32{-2, -1, 0.4 / 127.5, 0.6 / 127.5, 1, 3}, 1, 6, 1, Origin{Format: JPEG, BitDepth: 8, Affine: byteAffine}))
	s, err := Open(write(t, "a.png", out.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, []uint8{0, 0, 128, 128, 255, 255}, ToBytes(s.Pixels))
	assert.Equal(t, PNG, s.Origin(0).Format, "JPEG is written as PNG")
}

// failing is a writer that cannot write.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
