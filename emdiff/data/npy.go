package data

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	npyMagic = "\x93NUMPY"

	npyMaxHeader = 1 << 16 // numpy itself writes a few hundred bytes at most

	npyRemedy = "write it again with numpy.save"
)

// npyHeader is what stands before the values of a .npy file.
type npyHeader struct {
	bytes  int64 // of the header itself
	kind   string
	order  binary.ByteOrder
	shape  []int
	values int64 // the product of shape
}

// The values of the header's dictionary, as numpy.lib.format writes it.
var (
	npyDescr   = regexp.MustCompile(`'descr': *'([<>|=]?)([a-zA-Z]\w*)'`)
	npyFortran = regexp.MustCompile(`'fortran_order': *(True|False)`)
	npyShape   = regexp.MustCompile(`'shape': *\(([0-9, ]*)\)`)
)

// npyBytes is the size of one value of each kind that can be read.
var npyBytes = map[string]int64{"u1": 1, "u2": 2, "f4": 4, "f8": 8}

// readNPYHeader reads the header of numpy's format, versions 1 to 3 (NEP 1).
func readNPYHeader(r io.Reader, path string) (*npyHeader, error) {
	fixed := make([]byte, 12)
	if _, err := io.ReadFull(r, fixed[:8]); err != nil {
		return nil, readError(path, "its .npy header", npyRemedy, err)
	}
	if string(fixed[:6]) != npyMagic {
		return nil, &Error{Path: path, Wrong: "is no .npy file, whatever its name says", Remedy: npyRemedy}
	}
	lengthBytes := 4
	if fixed[6] == 1 {
		lengthBytes = 2
	}
	if _, err := io.ReadFull(r, fixed[8:8+lengthBytes]); err != nil {
		return nil, readError(path, "its .npy header", npyRemedy, err)
	}
	length := binary.LittleEndian.Uint32(fixed[8:]) // the upper half is zero in version 1
	if fixed[6] < 1 || fixed[6] > 3 || length > npyMaxHeader {
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("has a .npy header of version %d and %d bytes", fixed[6], length), Remedy: npyRemedy}
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, readError(path, "its .npy header", npyRemedy, err)
	}
	descr, fortran, shape := npyDescr.FindSubmatch(text), npyFortran.FindSubmatch(text), npyShape.FindSubmatch(text)
	if descr == nil || fortran == nil || shape == nil {
		return nil, &Error{Path: path, Wrong: "is no array of plain numbers", Remedy: "save an array of uint8, uint16, float32 or float64"}
	}
	h := &npyHeader{bytes: int64(8+lengthBytes) + int64(length), kind: string(descr[2]), order: binary.LittleEndian}
	switch size, known := npyBytes[h.kind]; {
	case !known:
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("holds values of type %s", h.kind), Remedy: "save it as uint8, uint16, float32 or float64 (numpy.ndarray.astype)"}
	case string(descr[1]) == ">":
		h.order = binary.BigEndian
	case size > 1 && string(descr[1]) != "<":
		return nil, &Error{Path: path, Wrong: "does not say the byte order of its values", Remedy: npyRemedy}
	}
	if string(fortran[1]) == "True" {
		return nil, &Error{Path: path, Wrong: "is stored in Fortran order", Remedy: "save numpy.ascontiguousarray of it"}
	}
	h.values = 1
	for field := range strings.SplitSeq(string(shape[1]), ",") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue // after the last comma
		}
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 || h.values > math.MaxInt64/8/int64(n) {
			return nil, &Error{Path: path, Wrong: fmt.Sprintf("has the impossible shape (%s)", shape[1]), Remedy: npyRemedy}
		}
		h.shape = append(h.shape, n)
		h.values *= int64(n)
	}
	return h, nil
}

// depth is the number of bits of a value.
func (h *npyHeader) depth() int { return 8 * int(npyBytes[h.kind]) }

// layouts gives, for a number of dimensions, the layout that is understood without asking.
var layouts = map[int]string{2: "HW", 3: "NHW", 4: "NHWC"}

// knownLayouts are those that may be asked for.
const knownLayouts = "HW NHW HWC CHW NHWC NCHW"

// npyGeometry says how the values of an array make images. An image is contiguous in the file.
type npyGeometry struct {
	n, h, w, c                int
	strideH, strideW, strideC int // between values of one image
}

// geometry reads the shape in the light of the layout asked for, "" meaning the usual one.
func (h *npyHeader) geometry(layout, path string) (g npyGeometry, err error) {
	asked := layout != ""
	if !asked {
		layout = layouts[len(h.shape)]
	}
	if len(layout) != len(h.shape) || layout == "" {
		wrong := fmt.Sprintf("has the shape %v, which is no set of images", h.shape)
		if asked {
			wrong = fmt.Sprintf("has the shape %v, which has no layout %s", h.shape, layout)
		}
		return g, &Error{Path: path, Wrong: wrong, Remedy: "save an array of shape (H,W), (N,H,W) or (N,H,W,C), or name another order with --layout"}
	}
	g = npyGeometry{n: 1, c: 1}
	stride := 1
	for i := len(layout) - 1; i >= 0; i-- {
		size := h.shape[i]
		switch layout[i] {
		case 'N':
			g.n = size
		case 'H':
			g.h, g.strideH = size, stride
		case 'W':
			g.w, g.strideW = size, stride
		case 'C':
			g.c, g.strideC = size, stride
		}
		stride *= size
	}
	if g.c == 1 || g.c == 3 {
		return g, nil
	}
	remedy := "save one channel (grey) or three (red, green, blue)"
	if first := h.shape[max(len(h.shape)-3, 0)]; !asked && (first == 1 || first == 3) {
		remedy = "say --layout NCHW if the channels come before the rows"
	}
	return g, &Error{Path: path, Wrong: fmt.Sprintf("has the shape %v, and so %d channels as %s", h.shape, g.c, layout), Remedy: remedy}
}

// npyImages reads the values after the header, image by image, and hands the images to visit.
// Memory: one image, 8 bytes per value and the values as they are stored.
func npyImages(r io.Reader, h *npyHeader, g npyGeometry, path string, visit func(i int, st *stored) error) error {
	size := int(npyBytes[h.kind])
	raw := make([]byte, g.h*g.w*g.c*size)
	value := func(b []byte) float64 { return float64(b[0]) }
	switch h.kind {
	case "u2":
		value = func(b []byte) float64 { return float64(h.order.Uint16(b)) }
	case "f4":
		value = func(b []byte) float64 { return float64(math.Float32frombits(h.order.Uint32(b))) }
	case "f8":
		value = func(b []byte) float64 { return math.Float64frombits(h.order.Uint64(b)) }
	}
	for i := range g.n {
		if _, err := io.ReadFull(r, raw); err != nil {
			return readError(path, fmt.Sprintf("image %d", i), npyRemedy, err)
		}
		st := &stored{h: g.h, w: g.w, c: g.c, format: NPY, depth: h.depth(), values: make([]float64, 0, g.h*g.w*g.c)}
		for y := range g.h {
			for x := range g.w {
				for ch := range g.c {
					st.values = append(st.values, value(raw[(y*g.strideH+x*g.strideW+ch*g.strideC)*size:]))
				}
			}
		}
		if err := visit(i, st); err != nil {
			return err
		}
	}
	return mustEnd(r, path, "holds more values than its header announces", npyRemedy)
}

// beginNPY reads the header of an array of size bytes, its own included, and refuses one that does not
// describe exactly so many, before any memory is taken for values.
func (o OpenOptions) beginNPY(r io.Reader, path string, size int64) (*npyHeader, npyGeometry, error) {
	h, err := readNPYHeader(r, path)
	if err != nil {
		return nil, npyGeometry{}, err
	}
	if want := h.values * npyBytes[h.kind]; want != size-h.bytes {
		return nil, npyGeometry{}, &Error{
			Path:   path,
			Wrong:  fmt.Sprintf("the header announces %d bytes of values and the file holds %d", want, size-h.bytes),
			Remedy: npyRemedy,
		}
	}
	g, err := h.geometry(o.Layout, path)
	return h, g, err
}

// readNPY reads an array of size bytes, header included, as a set. Memory: 4 bytes per value that
// the set keeps, and one image.
func (o OpenOptions) readNPY(r io.Reader, path string, size int64) (*Set, error) {
	rec, err := o.recipe()
	if err != nil {
		return nil, err
	}
	header, g, err := o.beginNPY(r, path, size)
	if err != nil {
		return nil, err
	}
	places, kept := o.choose(g.n)
	b := builder{recipe: rec, n: kept, bytes: size}
	err = npyImages(r, header, g, path, func(i int, st *stored) error {
		if places[i] < 0 {
			return nil
		}
		return b.put(places[i], st, fmt.Sprintf("%s, image %d", path, i), Origin{Path: filepath.Base(path), Index: i})
	})
	if err != nil {
		return nil, err
	}
	return b.made, nil
}

// decodeNPY reads the one image of a .npy file that is a member of a folder or archive.
func (o OpenOptions) decodeNPY(r io.Reader, path string, size int64) (st *stored, err error) {
	header, g, err := o.beginNPY(r, path, size)
	if err != nil {
		return nil, err
	}
	if g.n != 1 {
		return nil, &Error{
			Path:   path,
			Wrong:  fmt.Sprintf("has the shape %v, and so %d images", header.shape, g.n),
			Remedy: "open that file by itself, or say --layout HWC if it is one image",
		}
	}
	err = npyImages(r, header, g, path, func(_ int, image *stored) error { st = image; return nil })
	return st, err
}

// WriteNPY writes the whole set as one float32 array in numpy's format: of shape (images, H, W), or (images, H, W, C) where
// there are several channels, with the values of the set. An error is one of w, or an [*Error] if a value is NaN.
func (s *Set) WriteNPY(w io.Writer) error {
	values := make([]float64, len(s.Pixels))
	for i, x := range s.Pixels {
		if values[i] = float64(x); math.IsNaN(values[i]) {
			return &Error{Path: s.Name, Wrong: fmt.Sprintf("has the value NaN in image %d", i/s.ImageLen()), Remedy: "look for the step that computed it"}
		}
	}
	return writeNPY(w, values, 32, append([]int{s.Len()}, imageShape(s.H, s.W, s.C)...))
}

// imageShape is the shape of one image as an array: grey images have two dimensions.
func imageShape(height, width, c int) []int {
	if c == 1 {
		return []int{height, width}
	}
	return []int{height, width, c}
}

// writeNPY writes an array in numpy's format, version 1, little-endian, with values of 8, 16, 32 or 64 bits.
func writeNPY(w io.Writer, values []float64, depth int, shape []int) error {
	kind := map[int]string{8: "|u1", 16: "<u2", 32: "<f4", 64: "<f8"}[depth]
	dims := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(shape), "[]")), ", ")
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", kind, dims)
	const align = 64 // the values start at a multiple of it, as numpy's own do
	text += strings.Repeat(" ", (align-(10+len(text)+1)%align)%align) + "\n"
	out := append([]byte(npyMagic), 1, 0)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(text)))
	out = append(out, text...)
	for _, v := range values {
		switch depth {
		case 8:
			out = append(out, uint8(v))
		case 16:
			out = binary.LittleEndian.AppendUint16(out, uint16(v))
		case 32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v)))
		case 64:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
		}
	}
	_, err := w.Write(out)
	return err
}
