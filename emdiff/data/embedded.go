package data

import (
	"bytes"
	_ "embed"
)

// fashionTest is the file as its publisher distributes it; fashion/ORIGIN.md has its origin and
// fashion/LICENSE its licence.
//
//go:embed fashion/t10k-images-idx3-ubyte.gz
var fashionTest []byte

// Embedded is the set that needs no file: Fashion-MNIST's 10,000 test images, 28x28 grey (Xiao,
// Rasul and Vollgraf, arXiv:1708.07747; MIT licence). Each call decompresses anew, into memory
// that the caller owns.
func Embedded() (*Set, error) {
	s, err := readGzipIDX(bytes.NewReader(fashionTest), "embedded Fashion-MNIST", int64(len(fashionTest)))
	if err != nil {
		return nil, err
	}
	s.Name = "fashion-mnist-10k"
	s.Source = "embedded: Fashion-MNIST, 10,000 test images (Zalando SE, MIT licence)"
	return s, nil
}
