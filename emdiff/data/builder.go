package data

import (
	"fmt"
	"math"
)

const (
	// minSetBytes is the memory that a set may take however small its files are.
	minSetBytes = 1 << 30

	// maxSetRatio bounds the memory of a set beyond that, in bytes per byte of its files: what
	// deflate can at most unpack, as float32. It stops archives made to exhaust the memory.
	maxSetRatio = 4096
)

// builder makes a set of n images that arrive in any order. The first image decides the shape;
// after it, put may be called from several goroutines for different places.
type builder struct {
	recipe recipe
	n      int
	bytes  int64 // of the files, which bound the memory of the set

	made  *Set
	first string // the image that decided the shape
}

// put prepares an image and stores it at its place. The name stands for the image in errors; the
// origin lacks what the image itself tells.
func (b *builder) put(place int, st *stored, name string, origin Origin) error {
	origin.Format, origin.BitDepth = st.format, st.depth
	var err error
	if origin.Affine, err = b.recipe.prepare(st, name); err != nil {
		return err
	}
	if b.made == nil {
		if err := b.begin(st, name); err != nil {
			return err
		}
	}
	s := b.made
	switch {
	case st.h != s.H || st.w != s.W:
		return &Error{
			Path:   name,
			Wrong:  fmt.Sprintf("is %s, while %s is %s", dimensions(st.h, st.w), b.first, dimensions(s.H, s.W)),
			Remedy: "make all images alike with --size N, or --crop N for the centre of each",
		}
	case st.c != s.C:
		return &Error{
			Path:   name,
			Wrong:  fmt.Sprintf("is %s, while %s is %s", colourName(st.c), b.first, colourName(s.C)),
			Remedy: "make all images alike with --channels 3, or --channels 1 --grey, which drops the colour",
		}
	}
	out := s.Image(place)
	for i, v := range st.values {
		x := origin.Affine.Apply(v)
		if math.IsInf(float64(x), 0) {
			return &Error{Path: name, Wrong: fmt.Sprintf("holds %g, too far outside the range to be mapped", v), Remedy: "replace such values before use, or widen the range"}
		}
		out[i] = x
	}
	s.Origins[place] = origin
	return nil
}

// begin takes the memory of the set.
func (b *builder) begin(st *stored, name string) error {
	most := max(minSetBytes, maxSetRatio*b.bytes)
	if need := 4 * int64(len(st.values)); need > most/int64(b.n) {
		return &Error{
			Path:   name,
			Wrong:  fmt.Sprintf("makes a set of %d images of %s too large for %d bytes of files", b.n, dimensions(st.h, st.w), b.bytes),
			Remedy: "take fewer with --limit N, or smaller ones with --size N",
		}
	}
	b.first = name
	b.made = &Set{H: st.h, W: st.w, C: st.c, Pixels: make([]float32, b.n*len(st.values)), Origins: make([]Origin, b.n)}
	return nil
}

// revise applies the options to a set of 8-bit images that was read whole.
func (o OpenOptions) revise(s *Set) (*Set, error) {
	rec, err := o.recipe()
	if err != nil {
		return nil, err
	}
	places, kept := o.choose(s.Len())
	ids := make([]int, kept)
	for i, place := range places {
		if place >= 0 {
			ids[place] = i
		}
	}
	if !rec.changes(s.H, s.W, s.C) {
		if kept == s.Len() && !o.Shuffle {
			return s, nil
		}
		return s.Subset(ids), nil
	}
	b := builder{recipe: rec, n: kept, bytes: int64(len(s.Pixels))}
	for place, i := range ids {
		st := &stored{h: s.H, w: s.W, c: s.C, format: PNG, depth: 8, values: make([]float64, s.ImageLen())}
		for k, v := range ToBytes(s.Image(i)) {
			st.values[k] = float64(v)
		}
		if err := b.put(place, st, fmt.Sprintf("%s, image %d", s.Source, i), Origin{Index: i}); err != nil {
			return nil, err
		}
	}
	b.made.Name, b.made.Source = s.Name, s.Source
	return b.made, nil
}
