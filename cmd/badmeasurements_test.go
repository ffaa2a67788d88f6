package cmd_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// picture writes a grey PNG file of one value, or, above 255, of many.
func picture(t *testing.T, path string, h, w, value int) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(value)
		if value > 255 {
			m.Pix[i] = uint8(i * (i + value) % 251)
		}
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
}

// text writes a small text file.
func text(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
}

// cameras are mistaken masks and kernels, which training and restoring refuse alike. The measurements are in the folder y.
var cameras = []bad{
	{"a mask of another size", func(t *testing.T, dir string) { picture(t, filepath.Join(dir, "mask.png"), 8, 9, 255) },
		[]string{"--masks", "mask.png"}, "mask.png"},
	{"a mask of many values", func(t *testing.T, dir string) { picture(t, filepath.Join(dir, "mask.png"), 8, 8, 256) },
		[]string{"--masks", "mask.png"}, "mask.png"},
	{"a mask that hides everything", func(t *testing.T, dir string) { picture(t, filepath.Join(dir, "mask.png"), 8, 8, 0) },
		[]string{"--masks", "mask.png"}, "mask.png"},
	{"a missing mask", func(t *testing.T, dir string) { picture(t, filepath.Join(dir, "m", "else.png"), 8, 8, 255) },
		[]string{"--masks", "m"}, "00.png"},
	{"no masks", nil, []string{"--masks", "none"}, "none"},
	{"a kernel with even sides", func(t *testing.T, dir string) { text(t, filepath.Join(dir, "k.txt"), "1 2\n3 4\n") },
		[]string{"--kernel", "k.txt"}, "k.txt"},
	{"a kernel larger than the images", func(t *testing.T, dir string) {
		text(t, filepath.Join(dir, "k.txt"), strings.Repeat(strings.Repeat("1 ", 17)+"\n", 17))
	}, []string{"--kernel", "k.txt"}, "17"},
	{"a kernel that is none", func(t *testing.T, dir string) { text(t, filepath.Join(dir, "k.txt"), "one two three\n") },
		[]string{"--kernel", "k.txt"}, "k.txt"},
	{"no kernel", nil, []string{"--kernel", "none"}, "none"},
	{"masks and a kernel", nil, []string{"--masks", "a", "--kernel", "b"}, "give one"},
	{"an impossible noise", nil, []string{"--sigma=-1"}, "-1"},
	{"an empty folder", func(t *testing.T, dir string) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "y")))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "y"), 0o777))
	}, nil, "y: holds no files"},
	{"a corrupt file in the middle", func(t *testing.T, dir string) { text(t, filepath.Join(dir, "y", "04.png"), "\x89PNG\r\n\x1a\nno more") },
		nil, "04.png"},
}

func TestBadMeasurementsAreOneSentence(t *testing.T) {
	for _, c := range append([]bad{
		{"data as well", nil, []string{"--data", "y"}, "give clean images to measure, or measurements, not both"},
		{"inpainting without masks", nil, []string{"--set", "task.name=inpaint", "--set", "task.masked=0.5"}, "--masks"},
		{"patches larger than the images", nil, []string{"--patch", "16"}, "choose patches of 8 pixels or less"},
		{"patches behind a kernel", nil, []string{"--patch", "4", "--kernel", "k"}, "a patch lacks what the blur brought in"},
		{"clean images of another size", func(t *testing.T, dir string) { picture(t, filepath.Join(dir, "c", "a.png"), 8, 16, 9) },
			[]string{"--clean", "c"}, "all must have one size"},
		{"too high a rank", nil, []string{"--set", "init.rank=64"}, "init.rank = 64 must be below the 64 values of an image"},
	}, cameras...) {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 20 {
				picture(t, filepath.Join(dir, "y", fmt.Sprintf("%02d.png", i)), 8, 8, 256+i)
			}
			if c.make != nil {
				c.make(t, dir)
			}
			refused(t, dir, "emdiff-train", c.want, append([]string{"--preset", "emu-tiny", "--set", "data.size=0", "--set", "init.rank=8", "--set", "init.iterations=2",
				"--measurements", "y", "--device", "host", "--out", "out"}, c.args...)...)
		})
	}
}

func TestBadInputOfRestoringIsOneSentence(t *testing.T) {
	workplace(t)
	for _, c := range append([]bad{
		{"no weights", nil, []string{"--from", "."}, "holds no weights.safetensors"},
		{"nowhere to write", nil, []string{"--out", ""}, "give --out"},
		{"a file as output", nil, []string{"--out", "y/00.png"}, "--out y/00.png cannot be a folder"},
		{"no draws", nil, []string{"--draws", "0"}, "--draws 0 must be positive"},
		{"an unknown sampler", nil, []string{"--sampler", "magic"}, `"magic" is unknown`},
		{"a small image", func(t *testing.T, dir string) { picture(t, filepath.Join(dir, "y", "00.png"), 8, 4, 9) }, nil,
			"00.png: an image of 8 x 4 pixels (height x width) is smaller"},
		{"two of one name", func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "y")))
			picture(t, filepath.Join(dir, "y", "a.jpeg"), 8, 8, 256) // what it holds says that it is PNG
			picture(t, filepath.Join(dir, "y", "a.png"), 8, 8, 256)
		}, []string{"--draws", "1"}, "rename one of them"},
		{"a missing folder", nil, []string{"--images", "none"}, "none"},
	}, cameras...) {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"00.png", "04.png"} {
				picture(t, filepath.Join(dir, "y", name), 8, 8, 256)
			}
			if c.make != nil {
				c.make(t, dir)
			}
			from, images := undisturbed(), "y"
			args := []string{"--device", "host", "--out", "out"}
			for i := 0; i < len(c.args); i++ {
				switch c.args[i] {
				case "--from":
					i++
					from = c.args[i]
				case "--images":
					i++
					images = c.args[i]
				default:
					args = append(args, c.args[i])
				}
			}
			o := command(t, dir, "emdiff-restore", append([]string{from, images}, args...)...)
			assert.Contains(t, []int{1, 2}, o.code)
			assert.Contains(t, o.stderr, c.want)
			assert.Equal(t, 1, strings.Count(o.stderr, "\n"), o.stderr)
			assert.NotContains(t, o.stderr, "panic")
			assert.NotContains(t, strings.Join(temporaries(dir), " "), ".tmp")
		})
	}
}

// temporaries lists all files below a folder.
func temporaries(dir string) (names []string) {
	filepath.Walk(dir, func(path string, _ os.FileInfo, _ error) error {
		names = append(names, path)
		return nil
	})
	return names
}
