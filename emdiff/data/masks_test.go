package data

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pictures are two 2x3 images with files of their own, one in a subfolder.
func pictures(t *testing.T) *Set {
	t.Helper()
	s, err := Open(files{"b/two.jpg": flat(t, 2, 3, 7), "one.png": flat(t, 2, 3, 9)}.folder(t))
	require.NoError(t, err)
	require.Equal(t, "b/two.jpg", s.Origin(0).Path)
	return s
}

var (
	maskOne = []float64{0, 1, 1, 0, 0, 1}
	maskTwo = []float64{1, 0, 1, 1, 1, 0}

	twoThenOne = []float32{1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1}
)

// maskFile is a mask as a file of the given format whose measured pixels hold white.
func maskFile(t *testing.T, mask []float64, white float64, format Format, depth int) []byte {
	t.Helper()
	values := make([]float64, len(mask))
	for i, v := range mask {
		values[i] = v * white
	}
	return exported(t, values, 2, len(mask)/2, 1, format, depth)
}

func TestMasksAreFoundByTheNamesOfTheImages(t *testing.T) {
	images := pictures(t)
	for name, masks := range map[string]files{
		"8 bits":  {"one.png": maskFile(t, maskOne, 255, PNG, 8), "b/two.png": maskFile(t, maskTwo, 255, PNG, 8)},
		"mixture": {"one.tif": maskFile(t, maskOne, 65535, TIFF, 16), "b/two.png": maskFile(t, maskTwo, 1, PNG, 8)},
		"arrays":  {"one.npy": maskFile(t, maskOne, 1, NPY, 8), "b/two.npy": maskFile(t, maskTwo, 1, NPY, 64)},
		"surplus": {"one.png": maskFile(t, maskOne, 1, PNG, 16), "b/two.png": maskFile(t, maskTwo, 255, PNG, 8),
			"two.png": flat(t, 2, 3, 99), "README": []byte("x")},
	} {
		for kind, path := range map[string]string{
			"folder": masks.folder(t), "zip": write(t, "m.zip", masks.zip(t)),
			"tar": write(t, "m.tar", masks.tar(t)), "tar.gz": write(t, "m.tgz", gzipped(t, masks.tar(t))),
		} {
			got, err := OpenMasks(path, images)
			require.NoError(t, err, "%s, %s", name, kind)
			assert.Equal(t, twoThenOne, got, "%s, %s", name, kind)
		}
	}
}

func TestMasksOfAnArrayGoInTheOrderOfTheImages(t *testing.T) {
	images := pictures(t)
	array := npyFile("|u1", false, "(2, 2, 3)", 1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1)
	for name, content := range map[string][]byte{
		"m.npy": array,
		"m.npz": files{"masks.npy": array}.zip(t),
		"n.npz": files{"masks.npy": array, "labels.npy": npyFile("|u1", false, "(2,)", 0, 1)}.zip(t),
	} {
		got, err := OpenMasks(write(t, name, content), images)
		require.NoError(t, err, name)
		assert.Equal(t, twoThenOne, got, name)
	}
}

func TestOneMaskHoldsForAllImages(t *testing.T) {
	images := pictures(t)
	embedded := &Set{H: 2, W: 3, C: 1, Pixels: make([]float32, 30)} // five images without files
	for name, content := range map[string][]byte{
		"m.png": maskFile(t, maskOne, 255, PNG, 8),
		"m.tif": maskFile(t, maskOne, 65535, TIFF, 16),
		"m.npy": maskFile(t, maskOne, 1, NPY, 32),
		"n.npy": npyFile("|u1", false, "(1, 2, 3)", 0, 255, 255, 0, 0, 255),
		"m.npz": files{"m.npy": maskFile(t, maskOne, 1, NPY, 8)}.zip(t),
	} {
		for _, s := range []*Set{images, embedded} {
			got, err := OpenMasks(write(t, name, content), s)
			require.NoError(t, err, name)
			assert.Equal(t, []float32{0, 1, 1, 0, 0, 1}, got, name)
		}
	}
}

func TestBadMasksAreRefusedByName(t *testing.T) {
	images := pictures(t)
	good := maskFile(t, maskOne, 255, PNG, 8)
	for _, c := range []struct {
		name  string
		masks files
		at    string
		words []string
	}{
		{"missing", files{"one.png": good, "two.png": good}, "b/two.*", []string{"is missing, the mask of the image b/two.jpg"}},
		{"grey", files{"one.png": good, "b/two.png": maskFile(t, []float64{1, 0, 1, 1, 0.5, 0}, 254, PNG, 8)}, "b/two.png",
			[]string{"holds 254 at row 0, column 0", "0 and 1 or 0 and 255"}},
		{"two whites", files{"one.png": good, "b/two.png": exported(t, []float64{0, 255, 0, 0, 1, 0}, 2, 3, 1, PNG, 8)}, "b/two.png",
			[]string{"holds 1 at row 1, column 1"}},
		{"8-bit white in 16 bits", files{"one.png": good, "b/two.png": maskFile(t, maskTwo, 255, PNG, 16)}, "b/two.png",
			[]string{"holds 255 at row 0, column 0", "0 and 65535"}},
		{"floating point", files{"one.png": good, "b/two.npy": maskFile(t, maskTwo, 0.25, NPY, 32)}, "b/two.npy",
			[]string{"holds 0.25 at row 0, column 0", "a mask holds 0 and 1:"}},
		{"hides everything", files{"one.png": flat(t, 2, 3, 0), "b/two.png": good}, "one.png", []string{"hides every pixel"}},
		{"another size", files{"one.png": good, "b/two.png": flat(t, 2, 4, 255)}, "one.png", []string{"3 pixels wide and 2 high", "two.png is 4"}},
		{"all of another size", files{"one.png": flat(t, 3, 2, 255), "b/two.png": flat(t, 3, 2, 255)}, "b/two.png",
			[]string{"is 2 pixels wide and 3 high, while the images are 3 pixels wide and 2 high"}},
		{"twice", files{"one.png": good, "one.npy": maskFile(t, maskOne, 1, NPY, 8), "b/two.png": good}, "one.png", []string{"same name as one.npy"}},
		{"colour", files{"one.png": exported(t, integers(18, 8), 2, 3, 3, PNG, 8), "b/two.png": good}, "one.png", []string{"colour image where grey is expected"}},
	} {
		root := c.masks.folder(t)
		_, err := OpenMasks(root, images)
		wantError(t, err, filepath.Join(root, filepath.FromSlash(c.at)), c.words...)
		assert.NotContains(t, err.Error(), "--", "%s: no flag for images helps a mask", c.name)
	}
}

func TestMasksThatDoNotFitTheSetAreRefused(t *testing.T) {
	images := pictures(t)
	path := write(t, "three.npy", npyFile("|u1", false, "(3, 2, 3)", make([]byte, 18)...))
	_, err := OpenMasks(path, images)
	wantError(t, err, path, "holds 3 masks for 2 images")

	path = write(t, "dark.npy", npyFile("|u1", false, "(2, 2, 3)", 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0))
	_, err = OpenMasks(path, images)
	wantError(t, err, path+", mask 1", "hides every pixel")

	path = write(t, "large.png", flat(t, 5, 5, 255))
	_, err = OpenMasks(path, images)
	wantError(t, err, path, "is 5 pixels wide")

	path = filepath.Join(t.TempDir(), "nothing")
	_, err = OpenMasks(path, images)
	wantError(t, err, path, "cannot be opened")

	masks := files{"one.png": flat(t, 2, 3, 255)}
	noFiles := &Set{H: 2, W: 3, C: 1, Pixels: make([]float32, 6)}
	ofOneFile := noFiles.Subset([]int{0, 0})
	ofOneFile.Origins = []Origin{{Path: "one.npy"}, {Path: "one.npy", Index: 1}}
	for _, s := range []*Set{noFiles, ofOneFile} {
		path = masks.folder(t)
		_, err = OpenMasks(path, s)
		wantError(t, err, path, "has no file of its own")
	}
	// An archive of one mask is still one that lacks the others.
	for _, content := range [][]byte{masks.zip(t), masks.tar(t)} {
		path = write(t, "m", content)
		_, err = OpenMasks(path, images)
		wantError(t, err, filepath.Join(path, "b/two.*"), "is missing")
	}
}
