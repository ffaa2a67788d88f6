package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"path"
	"strings"

	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Format is a kind of image file.
type Format string

// The formats that folders and archives may hold.
const (
	PNG  Format = "png"
	JPEG Format = "jpeg"
	WebP Format = "webp"
	TIFF Format = "tiff"
	NPY  Format = "npy"
)

// isImageName tells by its extension whether a member of a folder or archive is an image. Of what
// format, its first bytes say.
func isImageName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".npy":
		return true
	}
	return false
}

// codec reads one image format.
type codec struct {
	format Format
	magic  string // the first bytes, '?' standing for any
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

var codecs = []codec{
	{PNG, "\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode},
	{JPEG, "\xff\xd8\xff", jpeg.DecodeConfig, jpeg.Decode},
	{WebP, "RIFF????WEBP", webp.DecodeConfig, webp.Decode},
	{TIFF, "II*\x00", tiff.DecodeConfig, tiff.Decode},
	{TIFF, "MM\x00*", tiff.DecodeConfig, tiff.Decode},
}

// codecFor looks at how a file begins. It is nil where no codec reads such files.
func codecFor(content []byte) *codec {
	for i, c := range codecs {
		if len(content) >= len(c.magic) && matches(content, c.magic) {
			return &codecs[i]
		}
	}
	return nil
}

func matches(content []byte, magic string) bool {
	for i := range len(magic) {
		if magic[i] != '?' && content[i] != magic[i] {
			return false
		}
	}
	return true
}

const (
	// minImagePixels is the number of pixels that an image may unpack to however small its file
	// is: 4096x4096.
	minImagePixels = 1 << 24

	// maxImageRatio is the number of pixels per byte of its file that a larger image may unpack
	// to. Photographs have about 1 to 10.
	maxImageRatio = 32
)

// imageBudget is the most pixels that a file of size bytes may unpack to.
func imageBudget(size int) int { return max(minImagePixels, maxImageRatio*size) }

const imageRemedy = "save it again from its source, or leave it out"

// decodeImage reads a PNG, JPEG, WebP or TIFF file of at most budget pixels, after a look at the
// size that its header announces. Memory: at most 64 bytes per pixel of the budget (8 in the decoder's
// image, 24 in float64, the rest for what a decoder keeps beside it).
func decodeImage(content []byte, path string, budget int, under background) (*stored, error) {
	c := codecFor(content)
	if c == nil {
		return nil, &Error{Path: path, Wrong: "is no PNG, JPEG, WebP or TIFF image, whatever its name says", Remedy: imageRemedy}
	}
	cfg, err := c.config(bytes.NewReader(content))
	if err != nil {
		return nil, readError(path, fmt.Sprintf("its %s header", c.format), imageRemedy, err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > budget/cfg.Height {
		return nil, &Error{
			Path:   path,
			Wrong:  fmt.Sprintf("announces %s, too many for a file of %d bytes", dimensions(cfg.Height, cfg.Width), len(content)),
			Remedy: "if the file is sound, save it with less compression or in smaller pieces",
		}
	}
	if c.format == TIFF {
		if err := onePage(content, path); err != nil {
			return nil, err
		}
	}
	img, err := c.decode(bytes.NewReader(content))
	if err != nil {
		return nil, readError(path, fmt.Sprintf("its %s data", c.format), imageRemedy, err)
	}
	st, err := unpack(img, c.format, under)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Path = path
		}
		return nil, err
	}
	return st, nil
}

// onePage refuses a TIFF file of several pages, of which the decoder would read the first and
// silently leave the others.
func onePage(content []byte, path string) error {
	var order binary.ByteOrder = binary.LittleEndian
	if content[0] == 'M' {
		order = binary.BigEndian
	}
	first := int64(order.Uint32(content[4:]))
	entries := int64(order.Uint16(content[first:]))
	if next := first + 2 + 12*entries; next+4 <= int64(len(content)) && order.Uint32(content[next:]) != 0 {
		return &Error{Path: path, Wrong: "is a TIFF file of several pages", Remedy: "save each page as a file of its own, or all of them as one .npy file"}
	}
	return nil
}

// background is what shows through transparent pixels.
type background int

const (
	noBackground background = iota // a transparent pixel is an error
	overBlack
	overWhite
)

// unpack takes the stored values out of a decoded image.
func unpack(img image.Image, format Format, under background) (*stored, error) {
	bounds := img.Bounds()
	st := &stored{h: bounds.Dy(), w: bounds.Dx(), c: 3, depth: 8, format: format}

	// pixel gives red, green, blue and alpha in units of the depth.
	var pixel func(x, y int) (r, g, b, a uint16)
	premultiplied := false
	switch m := img.(type) {
	case *image.Gray:
		st.c = 1
		pixel = func(x, y int) (r, g, b, a uint16) { v := uint16(m.GrayAt(x, y).Y); return v, v, v, 0xff }
	case *image.Gray16:
		st.c, st.depth = 1, 16
		pixel = func(x, y int) (r, g, b, a uint16) { v := m.Gray16At(x, y).Y; return v, v, v, 0xffff }
	case *image.YCbCr:
		toRGB := color.YCbCrToRGB
		if format == WebP {
			toRGB = studioRGB
		}
		pixel = func(x, y int) (r, g, b, a uint16) {
			p := m.YCbCrAt(x, y)
			return opaque(toRGB(p.Y, p.Cb, p.Cr))
		}
	case *image.NYCbCrA: // WebP alone
		pixel = func(x, y int) (r, g, b, a uint16) {
			p := m.YCbCrAt(x, y)
			r, g, b, _ = opaque(studioRGB(p.Y, p.Cb, p.Cr))
			return r, g, b, uint16(m.A[m.AOffset(x, y)])
		}
	case *image.RGBA:
		premultiplied = true
		pixel = func(x, y int) (r, g, b, a uint16) { return bytesOf(color.NRGBA(m.RGBAAt(x, y))) }
	case *image.NRGBA:
		pixel = func(x, y int) (r, g, b, a uint16) { return bytesOf(m.NRGBAAt(x, y)) }
	case *image.RGBA64:
		premultiplied, st.depth = true, 16
		pixel = func(x, y int) (r, g, b, a uint16) { p := m.RGBA64At(x, y); return p.R, p.G, p.B, p.A }
	case *image.NRGBA64:
		st.depth = 16
		pixel = func(x, y int) (r, g, b, a uint16) { p := m.NRGBA64At(x, y); return p.R, p.G, p.B, p.A }
	case *image.Paletted:
		table := make([]color.NRGBA, len(m.Palette))
		for i, entry := range m.Palette {
			table[i] = color.NRGBAModel.Convert(entry).(color.NRGBA)
		}
		pixel = func(x, y int) (r, g, b, a uint16) { return bytesOf(table[m.ColorIndexAt(x, y)]) }
	default:
		return nil, &Error{Wrong: "has colours for print (CMYK), which no profile-free rule turns into RGB", Remedy: "save it as RGB"}
	}

	white := float64(uint(1)<<st.depth - 1)
	st.values = make([]float64, 0, st.h*st.w*st.c)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, g, b, a := pixel(x, y)
			rgb := [3]float64{float64(r), float64(g), float64(b)}
			if float64(a) != white {
				if under == noBackground {
					return nil, &Error{
						Wrong:  fmt.Sprintf("is transparent at row %d, column %d", y, x),
						Remedy: "lay it over a background, or choose one with --background white or black",
					}
				}
				alpha, shows := float64(a)/white, 0.0
				if under == overWhite {
					shows = white
				}
				for i := range rgb {
					if !premultiplied {
						rgb[i] *= alpha
					}
					rgb[i] = min(rgb[i]+(1-alpha)*shows, white) // which premultiplied colours may exceed
				}
			}
			st.values = append(st.values, rgb[:st.c]...)
		}
	}
	return st, nil
}

func bytesOf(p color.NRGBA) (r, g, b, a uint16) {
	return uint16(p.R), uint16(p.G), uint16(p.B), uint16(p.A)
}

func opaque(r, g, b uint8) (uint16, uint16, uint16, uint16) {
	return uint16(r), uint16(g), uint16(b), 0xff
}

// studioRGB converts the luma 16 to 235 and chroma 16 to 240 of ITU-R BT.601, in which lossy WebP
// stores its pixels. The decoder hands them out as if they were JPEG's 0 to 255, which would lift
// black to 16 and lower white to 235.
func studioRGB(luma, cb, cr uint8) (r, g, b uint8) {
	y := 255.0 / 219 * (float64(luma) - 16)
	u, v := 255.0/224*(float64(cb)-128), 255.0/224*(float64(cr)-128)
	round := func(value float64) uint8 { return uint8(min(max(value+0.5, 0), 255)) }
	return round(y + 1.402*v), round(y - 0.344136*u - 0.714136*v), round(y + 1.772*u)
}
