package data

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

const (
	idxImagesMagic = 0x00000803 // unsigned bytes (08) in three dimensions (03)
	idxLabelsMagic = 0x00000801

	idxHeaderBytes = 16

	// maxGzipRatio bounds how many pixels a gzip file may claim per byte of its own: photographs
	// give 2 to 5, drawings up to about 20. Deflate itself can reach 1032.
	maxGzipRatio = 32

	// gzipAllowance is what a gzip file may claim however small it is, so that a few blank
	// images are no offence.
	gzipAllowance = 1 << 20

	// chunkBytes is the piece in which files are read and hashed.
	chunkBytes = 1 << 16
)

const idxRemedy = "fetch the file again, or give another image file"

// readIDX reads an uncompressed IDX image file of size bytes: the big-endian words 0x803, images,
// rows and columns, then one byte per pixel (the format of MNIST and its descendants). Memory: 4
// bytes per byte of the file, taken only after the header has been held against size.
func readIDX(r io.Reader, path string, size int64) (*Set, error) {
	return idxPixels(r, path, func(pixels uint64) error {
		if held := max(size-idxHeaderBytes, 0); pixels != uint64(held) {
			return &Error{Path: path, Wrong: fmt.Sprintf("the header announces %d pixels and the file holds %d", pixels, held), Remedy: idxRemedy}
		}
		return nil
	})
}

// readGzipIDX reads an IDX image file compressed to size bytes. Memory: at most 4*maxGzipRatio
// bytes per byte of the file, or 4 MiB where that is more.
func readGzipIDX(r io.Reader, path string, size int64) (*Set, error) {
	unzip, err := gzip.NewReader(bufio.NewReaderSize(r, chunkBytes))
	if err != nil {
		return nil, readError(path, "its gzip header", idxRemedy, err)
	}
	return idxPixels(unzip, path, func(pixels uint64) error {
		if most := max(gzipAllowance, maxGzipRatio*size); pixels > uint64(most) {
			return &Error{
				Path:   path,
				Wrong:  fmt.Sprintf("the header announces %d pixels, more than %d per compressed byte", pixels, maxGzipRatio),
				Remedy: "if the file is sound, decompress it with gunzip and give the result",
			}
		}
		return nil
	})
}

// idxPixels reads header and pixels of an IDX stream. Before it takes memory it asks check about
// the number of pixels that the header announces.
func idxPixels(r io.Reader, path string, check func(pixels uint64) error) (*Set, error) {
	var header [idxHeaderBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, readError(path, "its IDX header", idxRemedy, err)
	}
	word := func(i int) uint64 { return uint64(binary.BigEndian.Uint32(header[4*i:])) }
	switch magic := word(0); magic {
	case idxImagesMagic:
	case idxLabelsMagic:
		return nil, &Error{Path: path, Wrong: "is an IDX file of labels", Remedy: "give the file of images that belongs to it"}
	default:
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("is no IDX file of 8-bit images (it starts with %#08x)", magic), Remedy: "give a file that starts with 0x00000803"}
	}
	n, h, w := word(1), word(2), word(3)
	if n == 0 || h == 0 || w == 0 {
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("the header announces %d images of %dx%d", n, h, w), Remedy: idxRemedy}
	}
	pixels := uint64(math.MaxUint64) // more than any file holds, where the product overflows
	if n*h <= math.MaxUint64/w {     // n*h cannot overflow: each is below 2^32
		pixels = n * h * w
	}
	if err := check(pixels); err != nil {
		return nil, err
	}

	s := &Set{H: int(h), W: int(w), C: 1, Pixels: make([]float32, pixels)}
	var buf [chunkBytes]byte
	for rest := s.Pixels; len(rest) > 0; {
		chunk := buf[:min(len(rest), len(buf))]
		if _, err := io.ReadFull(r, chunk); err != nil {
			return nil, readError(path, "the pixels", idxRemedy, err)
		}
		for i, v := range chunk {
			rest[i] = fromByte[v]
		}
		rest = rest[len(chunk):]
	}
	if err := mustEnd(r, path, fmt.Sprintf("holds more than the %d images that its header announces", n), idxRemedy); err != nil {
		return nil, err
	}
	return s, nil
}
