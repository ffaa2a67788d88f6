package data

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// integers are n whole numbers that use all of depth bits.
func integers(n, depth int) []float64 {
	values := make([]float64, n)
	most := uint(1)<<depth - 1
	for i := range values {
		values[i] = float64(uint(i) * 40503 % (most + 1))
	}
	values[0], values[n-1] = 0, float64(most)
	return values
}

func TestExportedImagesAreReadBackExactly(t *testing.T) {
	for _, format := range []Format{PNG, TIFF, NPY} {
		for _, depth := range []int{8, 16} {
			for _, c := range []int{1, 3} {
				values := integers(5*7*c, depth)
				file := exported(t, values, 5, 7, c, format, depth)
				o := OpenOptions{}
				if c == 3 && format == NPY {
					o.Layout = "HWC"
				}
				s, err := o.Open(write(t, "image."+string(format), file))
				require.NoError(t, err, "%s %d %d", format, depth, c)
				assert.Equal(t, []int{1, 5, 7, c}, []int{s.Len(), s.H, s.W, s.C})
				assert.InDeltaSlice(t, values, storedOf(s, 0), 0.01)
				assert.Equal(t, Origin{Path: "image." + string(format), Format: format, BitDepth: depth, Affine: spanning(0, float64(uint(1)<<depth-1))}, s.Origin(0))

				var again bytes.Buffer
				require.NoError(t, Export(&again, s.Image(0), 5, 7, c, s.Origin(0)))
				assert.Equal(t, file, again.Bytes(), "what was not changed is written as it was")
			}
		}
	}
}

func TestDecodeReadsJPEGAndWebP(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 16, 8))
	for i := range m.Pix {
		m.Pix[i] = []uint8{200, 40, 90, 255}[i%4]
	}
	s, err := Open(write(t, "photo", encodedJPEG(t, m)))
	require.NoError(t, err)
	assert.Equal(t, []int{8, 16, 3}, []int{s.H, s.W, s.C})
	for i, v := range ToBytes(s.Pixels) {
		require.InDelta(t, []int{200, 40, 90}[i%3], v, 2)
	}
	assert.Equal(t, JPEG, s.Origin(0).Format)
	assert.Equal(t, PNG, s.Origin(0).Written())

	s, err = Open(write(t, "drawing", flatWebP(3, 5, color.NRGBA{R: 9, G: 200, B: 31, A: 255})))
	require.NoError(t, err)
	assert.Equal(t, []int{3, 5, 3}, []int{s.H, s.W, s.C})
	assert.Equal(t, bytes.Repeat([]uint8{9, 200, 31}, 15), ToBytes(s.Pixels))
	assert.Equal(t, WebP, s.Origin(0).Format)
}

// The corners of ITU-R BT.601's studio range, of which 8-bit chroma gives the colours to one unit.
func TestLossyWebPIsStudioRange(t *testing.T) {
	for ycc, want := range map[[3]uint8][3]uint8{
		{16, 128, 128}: {0, 0, 0}, {235, 128, 128}: {255, 255, 255}, {0, 128, 128}: {0, 0, 0}, {255, 128, 128}: {255, 255, 255},
		{81, 90, 240}: {255, 0, 0}, {145, 54, 34}: {0, 255, 0}, {41, 240, 110}: {0, 0, 255},
	} {
		r, g, b := studioRGB(ycc[0], ycc[1], ycc[2])
		for i, v := range []uint8{r, g, b} {
			assert.InDelta(t, want[i], v, 1, "%v", ycc)
		}
	}
	m := image.NewNYCbCrA(image.Rect(0, 0, 1, 1), image.YCbCrSubsampleRatio444)
	m.Y[0], m.Cb[0], m.Cr[0], m.A[0] = 16, 128, 128, 255
	for _, img := range []image.Image{m, &m.YCbCr} {
		st, err := unpack(img, WebP, noBackground)
		require.NoError(t, err)
		assert.Equal(t, []float64{0, 0, 0}, st.values)
	}
	st, err := unpack(&m.YCbCr, JPEG, noBackground)
	require.NoError(t, err)
	assert.Equal(t, []float64{16, 16, 16}, st.values, "JPEG has the full range")
}

func TestTransparencyIsRefusedOrLaidOver(t *testing.T) {
	half := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	half.SetNRGBA(0, 0, color.NRGBA{R: 100, G: 50, B: 0, A: 255})
	half.SetNRGBA(1, 0, color.NRGBA{R: 100, G: 50, B: 0, A: 51}) // a fifth
	deep := image.NewNRGBA64(half.Bounds())
	for x := range 2 {
		deep.Set(x, 0, half.At(x, 0))
	}
	pale := image.NewPaletted(half.Bounds(), color.Palette{half.At(0, 0), half.At(1, 0)})
	pale.Pix[1] = 1
	for name, m := range map[string]image.Image{"8": half, "16": deep, "palette": pale} {
		path := write(t, "glass.png", encodedPNG(t, m))
		_, err := Open(path)
		wantError(t, err, path, "transparent at row 0, column 1", "--background")
		for colour, want := range map[string][]uint8{"black": {100, 50, 0, 20, 10, 0}, "white": {100, 50, 0, 224, 214, 204}} {
			s, err := OpenOptions{Background: colour}.Open(path)
			require.NoError(t, err)
			assert.Equal(t, want, ToBytes(s.Pixels), "%s over %s", name, colour)
		}
	}
	ready := image.NewRGBA(image.Rect(0, 0, 1, 1)) // premultiplied, as TIFF may have it
	copy(ready.Pix, []uint8{20, 10, 0, 51})
	st, err := unpack(ready, TIFF, overWhite)
	require.NoError(t, err)
	assert.Equal(t, []float64{224, 214, 204}, st.values)
	ready.Pix[0] = 255 // more colour than its alpha allows
	st, err = unpack(ready, TIFF, overWhite)
	require.NoError(t, err)
	assert.Equal(t, []float64{255, 214, 204}, st.values)
	s, err := Open(write(t, "clear.webp", flatWebP(1, 1, color.NRGBA{A: 255})))
	require.NoError(t, err)
	assert.Equal(t, 1, s.Len())
	_, err = Open(write(t, "clear.webp", flatWebP(1, 1, color.NRGBA{})))
	require.ErrorContains(t, err, "transparent")
}

func TestChannelsAreMadeAlikeOnlyWithoutSilentLoss(t *testing.T) {
	same, colour := []float64{7, 7, 7, 200, 200, 200}, []float64{10, 20, 30, 200, 200, 200}
	grey := write(t, "grey.png", exported(t, []float64{7, 200}, 1, 2, 1, PNG, 8))
	alike := write(t, "alike.png", exported(t, same, 1, 2, 3, PNG, 8))
	rgb := write(t, "rgb.tiff", exported(t, colour, 1, 2, 3, TIFF, 16))

	s, err := OpenOptions{Channels: 3}.Open(grey)
	require.NoError(t, err)
	assert.Equal(t, 3, s.C)
	assert.InDeltaSlice(t, same, storedOf(s, 0), 1e-4)
	s, err = OpenOptions{Channels: 1}.Open(alike)
	require.NoError(t, err)
	assert.Equal(t, 1, s.C)
	assert.InDeltaSlice(t, []float64{7, 200}, storedOf(s, 0), 1e-4)

	_, err = OpenOptions{Channels: 1}.Open(rgb)
	wantError(t, err, rgb, "16-bit colour image where grey is expected", "--grey")
	s, err = OpenOptions{Channels: 1, Grey: true}.Open(rgb)
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float64{18.15, 200}, storedOf(s, 0), 0.01, "0.299 R + 0.587 G + 0.114 B")
}

func TestDecodeRefusesInOneSentence(t *testing.T) {
	png8 := flat(t, 30, 40, 3)
	tiff := exported(t, integers(12, 8), 3, 4, 1, TIFF, 8)
	pages := bytes.Clone(tiff)
	directory := binary.LittleEndian.Uint32(pages[4:])
	link := int(directory) + 2 + 12*int(binary.LittleEndian.Uint16(pages[directory:]))
	require.Equal(t, []byte{0, 0, 0, 0}, pages[link:link+4], "the link to the next page")
	pages[link] = 8
	bomb := bytes.Clone(flat(t, 1, 1, 0))
	copy(bomb[16:24], []byte{0, 1, 0, 0, 0, 1, 0, 0}) // 65536x65536
	crc := crc32PNG(bomb[12:29])
	copy(bomb[29:33], crc[:])
	cmyk := []byte("\xff\xd8\xff")

	big := []byte("MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x08") // big-endian: no entries, and a link
	require.ErrorContains(t, onePage(big, "big.tiff"), "several pages")
	big[13] = 0
	require.NoError(t, onePage(big, "big.tiff"))
	_, err := unpack(image.NewCMYK(image.Rect(0, 0, 1, 1)), JPEG, noBackground)
	require.ErrorContains(t, err, "save it as RGB")

	for name, c := range map[string]struct {
		content []byte
		words   []string
	}{
		"cut.png":    {png8[:len(png8)-20], []string{"png data"}},
		"header.png": {png8[:20], []string{"inside its png header"}},
		"cut.jpg":    {encodedJPEG(t, image.NewGray(image.Rect(0, 0, 50, 50)))[:300], []string{"jpeg"}},
		"three.jpg":  {cmyk, []string{"jpeg header"}},
		"cut.webp":   {flatWebP(2, 2, color.NRGBA{A: 255})[:24], []string{"webp"}},
		"cut.tiff":   {tiff[:len(tiff)-30], []string{"tiff header"}},
		"pages.tiff": {pages, []string{"several pages", ".npy"}},
		"bomb.png":   {bomb, []string{"65536 pixels wide and 65536 high", "too many"}},
		"bomb.webp":  {flatWebP(1<<14, 1<<14, color.NRGBA{A: 255}), []string{"16384 pixels wide", "too many"}},
	} {
		path := write(t, name, c.content)
		_, err := Open(path)
		wantError(t, err, path, c.words...)
	}
}
