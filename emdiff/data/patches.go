package data

import "fmt"

// Patches cuts every image into squares of size x size pixels, stride apart in rows and columns, with a last row and column at
// the far borders so that every pixel is in one. The patches of an image follow each other, row by row, and keep its
// origin.
func (s *Set) Patches(size, stride int) (*Set, error) {
	if size < 1 || size > s.H || size > s.W {
		return nil, &Error{Path: s.Source, Wrong: fmt.Sprintf("holds images %s, which have no patches of %d", dimensions(s.H, s.W), size),
			Remedy: fmt.Sprintf("give --patch %d or less", min(s.H, s.W))}
	}
	tops, lefts := patchPlaces(s.H, size, stride), patchPlaces(s.W, size, stride)
	p := &Set{Name: s.Name, Source: s.Source, H: size, W: size, C: s.C}
	p.Pixels = make([]float32, 0, s.Len()*len(tops)*len(lefts)*size*size*s.C)
	for i := range s.Len() {
		image := s.Image(i)
		for _, top := range tops {
			for _, left := range lefts {
				for y := top; y < top+size; y++ {
					row := (y*s.W + left) * s.C
					p.Pixels = append(p.Pixels, image[row:row+size*s.C]...)
				}
				if s.Origins != nil {
					p.Origins = append(p.Origins, s.Origins[i])
				}
			}
		}
	}
	return p, nil
}

// patchPlaces are where patches begin along a side.
func patchPlaces(side, size, stride int) []int {
	var at []int
	for p := 0; p < side-size; p += max(1, stride) {
		at = append(at, p)
	}
	return append(at, side-size)
}
