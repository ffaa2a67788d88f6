package data

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/tiff"
)

// Origin says where an image came from and how to write its like.
type Origin struct {
	// Path is the image's file, within the folder or archive that was opened where it is one, with
	// slashes; empty for sets whose images have no files.
	Path string `json:"path,omitempty"`
	// Index counts the images of one file, from 0.
	Index int `json:"index,omitempty"`
	// Format is the format of the file.
	Format Format `json:"format"`
	// BitDepth is the number of bits of a stored value: 8 or 16 for integers from 0, 32 or 64 for
	// floating point (.npy alone).
	BitDepth int `json:"bit_depth"`
	// Affine is the map between stored values and those of the set.
	Affine Affine `json:"affine"`
}

// Written is the format in which [Export] writes: that of the file, except that JPEG and WebP, which
// would lose detail a second time, become PNG. Its text with a dot before it is the usual extension.
func (o Origin) Written() Format {
	if o.Format == JPEG || o.Format == WebP {
		return PNG
	}
	return o.Format
}

// Export writes an image, pixels of h x w x c (c 1 or 3) on the scale of a [Set], in the format, bit
// depth and units that o records: the affine map is inverted, and for integer formats the result
// is rounded to the nearest and clamped to what the bits hold. So an image that was read and not
// changed is written as the same values.
//
// PNG and TIFF have 8 or 16 bits; colour TIFF gets a fourth, opaque channel, and TIFF is not
// compressed, which every reader understands. NPY is of shape (h, w) or (h, w, c), little-endian,
// unsigned integers of 8 or 16 bits or floating point of 32 or 64.
//
// An error is one of w, or an [*Error] if a pixel is NaN or o names no such format. Sizes that do
// not fit together are a programmer's error: panic.
func Export(w io.Writer, pixels []float32, height, width, c int, o Origin) error {
	if height < 1 || width < 1 || (c != 1 && c != 3) || len(pixels) != height*width*c {
		panic(fmt.Sprintf("data: Export of %d pixels as %dx%dx%d", len(pixels), height, width, c))
	}
	format, integers := o.Written(), o.BitDepth == 8 || o.BitDepth == 16
	floats := format == NPY && (o.BitDepth == 32 || o.BitDepth == 64)
	if (format != PNG && format != TIFF && format != NPY) || !(integers || floats) {
		return &Error{
			Path:   o.Path,
			Wrong:  fmt.Sprintf("cannot be written as %d-bit %q", o.BitDepth, o.Format),
			Remedy: "choose png or tiff of 8 or 16 bits, or npy of 8, 16, 32 or 64",
		}
	}
	values := make([]float64, len(pixels))
	most := float64(uint64(1)<<o.BitDepth - 1)
	for i, x := range pixels {
		v := o.Affine.Invert(x)
		if math.IsNaN(v) {
			return &Error{Path: o.Path, Wrong: fmt.Sprintf("the image to write for it is NaN at pixel %d", i/c), Remedy: "look for the step that computed it"}
		}
		if integers {
			v = math.Round(min(max(v, 0), most))
		}
		values[i] = v
	}
	switch format {
	case PNG:
		return png.Encode(w, raster(values, height, width, c, o.BitDepth))
	case TIFF:
		return tiff.Encode(w, raster(values, height, width, c, o.BitDepth), nil)
	}
	return writeNPY(w, values, o.BitDepth, imageShape(height, width, c))
}

// raster packs whole numbers into an image of the standard library.
func raster(values []float64, h, w, c, depth int) image.Image {
	bounds := image.Rect(0, 0, w, h)
	switch {
	case c == 1 && depth == 8:
		m := image.NewGray(bounds)
		for i, v := range values {
			m.Pix[i] = uint8(v)
		}
		return m
	case c == 1:
		m := image.NewGray16(bounds)
		for i, v := range values {
			binary.BigEndian.PutUint16(m.Pix[2*i:], uint16(v))
		}
		return m
	case depth == 8:
		m := image.NewNRGBA(bounds)
		for i := range m.Pix {
			m.Pix[i] = math.MaxUint8 // the alpha that the colours leave
		}
		for i, v := range values {
			m.Pix[i/3*4+i%3] = uint8(v)
		}
		return m
	default:
		m := image.NewNRGBA64(bounds)
		for i := range m.Pix {
			m.Pix[i] = math.MaxUint8
		}
		for i, v := range values {
			binary.BigEndian.PutUint16(m.Pix[2*(i/3*4+i%3):], uint16(v))
		}
		return m
	}
}
