package data

import "fmt"

// Patches cuts every image into squares of size pixels, one every stride pixels from the top left, and a last row or column
// flush with the border where the stride does not end there, so that patches cover all pixels if stride <= size. Patches go
// image by image, row by row. The origin of a patch is that of its image: file, index and units, not the place within.
//
// Memory: 4 bytes per value of the result, about (size/stride)^2 times the images. An error, which is an [*Error], says that
// images are smaller than a patch or that a number is not positive.
func (s *Set) Patches(size, stride int) (*Set, error) {
	for _, number := range []struct {
		name  string
		value int
	}{{"patches", size}, {"stride", stride}} {
		if number.value < 1 {
			return nil, &Error{Path: s.Name, Wrong: fmt.Sprintf("cannot be cut with %s of %d pixels", number.name, number.value), Remedy: "give a positive number"}
		}
	}
	if size > min(s.H, s.W) {
		return nil, &Error{
			Path:   s.Name,
			Wrong:  fmt.Sprintf("has images %s, smaller than patches of %d pixels", dimensions(s.H, s.W), size),
			Remedy: fmt.Sprintf("choose patches of %d pixels or less", min(s.H, s.W)),
		}
	}
	tops, lefts := cuts(s.H, size, stride), cuts(s.W, size, stride)
	n := s.Len() * len(tops) * len(lefts)
	t := &Set{
		Name:    fmt.Sprintf("%s-patches%d", s.Name, size),
		Source:  fmt.Sprintf("%s, patches of %dx%d every %d pixels", s.Source, size, size, stride),
		H:       size,
		W:       size,
		C:       s.C,
		Pixels:  make([]float32, 0, n*size*size*s.C),
		Origins: make([]Origin, 0, n),
	}
	for i := range s.Len() {
		image := s.Image(i)
		for _, top := range tops {
			for _, left := range lefts {
				for y := top; y < top+size; y++ {
					row := (y*s.W + left) * s.C
					t.Pixels = append(t.Pixels, image[row:row+size*s.C]...)
				}
				t.Origins = append(t.Origins, s.Origin(i))
			}
		}
	}
	return t, nil
}

// cuts are the first pixels of the patches along a side.
func cuts(side, size, stride int) (at []int) {
	last := side - size
	stride = min(stride, max(last, 1)) // no more is needed, and sums fit an int
	for p := 0; p < last; p += stride {
		at = append(at, p)
	}
	return append(at, last)
}
