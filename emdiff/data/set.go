package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
)

// Set is a number of images of one shape, held in memory.
type Set struct {
	Name   string // short, fit for a file name or a table: "cifar10-train"
	Source string // where the pixels came from, for the record of a run

	H, W, C int // height and width in pixels, and channels (1 grey, 3 RGB)

	// Pixels holds the images one after the other, NHWC without gaps, in [-1, 1]:
	// black is -1 and white is 1. Only where [OpenOptions.Range] sets a range may values lie
	// outside: they are kept, since to clip noise would bias it.
	Pixels []float32

	// Origins says of each image where it came from and how to write it back. It is nil for sets
	// of plain 8-bit images without files of their own (IDX, CIFAR-10): see [Set.Origin].
	Origins []Origin
}

// Origin says where image i came from, and how [Export] writes its like.
func (s *Set) Origin(i int) Origin {
	if s.Origins == nil {
		return Origin{Index: i, Format: PNG, BitDepth: 8, Affine: byteAffine}
	}
	return s.Origins[i]
}

// ImageLen is the number of values of one image, H*W*C.
func (s *Set) ImageLen() int { return s.H * s.W * s.C }

// Len is the number of images.
func (s *Set) Len() int { return len(s.Pixels) / s.ImageLen() }

// Image is image i as HWC values. It shares the memory of the set.
func (s *Set) Image(i int) []float32 {
	n := s.ImageLen()
	return s.Pixels[i*n : (i+1)*n : (i+1)*n]
}

// Subset copies the images with the given indices, in the given order. An index may repeat.
func (s *Set) Subset(ids []int) *Set {
	t := *s
	t.Pixels = make([]float32, 0, len(ids)*s.ImageLen())
	for _, i := range ids {
		t.Pixels = append(t.Pixels, s.Image(i)...)
	}
	if s.Origins != nil {
		t.Origins = make([]Origin, 0, len(ids))
		for _, i := range ids {
			t.Origins = append(t.Origins, s.Origins[i])
		}
	}
	return &t
}

// Split chooses heldOut images at random to be kept from training, and returns the indices of
// both parts, each in rising order. The choice depends on (Len, heldOut, seed) alone, and is
// the same in every version of the program.
//
// Splits of the same seed are nested: more held-out images contain the fewer.
//
// It panics unless 0 <= heldOut <= Len; a caller that took the number from a user checks first.
func (s *Set) Split(heldOut int, seed uint64) (train, held []int) {
	n := s.Len()
	if heldOut < 0 || heldOut > n {
		panic(fmt.Sprintf("data: cannot hold out %d of %d images", heldOut, n))
	}
	order := permutation(n, seed, splitStream)
	train, held = order[:n-heldOut:n-heldOut], order[n-heldOut:]
	slices.Sort(train)
	slices.Sort(held)
	return train, held
}

// SHA256 identifies the images whatever file they came from: the hexadecimal SHA-256 of
// (images, H, W, C) as little-endian uint64 and then of the pixels as little-endian float32.
func (s *Set) SHA256() string {
	sum := sha256.New()
	var buf []byte
	for _, v := range []int{s.Len(), s.H, s.W, s.C} {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(v))
	}
	for chunk := range slices.Chunk(s.Pixels, chunkBytes/4) {
		for _, v := range chunk {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		sum.Write(buf)
		buf = buf[:0]
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// ToBytes maps values of [-1, 1] to 8 bits, round(127.5 (v + 1)), with values outside clamped;
// NaN becomes 0. It inverts the readers exactly.
func ToBytes(values []float32) []uint8 {
	out := make([]uint8, len(values))
	for i, v := range values {
		// The comparison is written so that NaN fails it.
		if v > -1 {
			out[i] = uint8(math.Round(127.5 * (float64(min(v, 1)) + 1)))
		}
	}
	return out
}

// fromByte holds v/127.5 - 1 for each byte value v.
var fromByte = func() (table [256]float32) {
	for v := range table {
		table[v] = float32(float64(v)/127.5 - 1)
	}
	return table
}()
