package data

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"
)

// recipe is what [OpenOptions] ask of each image, checked.
type recipe struct {
	crop, size, channels int
	loseColour           bool
	background           background
	values               valueRange
}

// recipe checks the options that concern single images.
func (o OpenOptions) recipe() (recipe, error) {
	r := recipe{crop: o.Crop, size: o.Size, channels: o.Channels, loseColour: o.Grey}
	for _, number := range []struct {
		flag        string
		value, most int
	}{{"--crop", o.Crop, maxSide}, {"--size", o.Size, maxSide}, {"--limit", o.Limit, math.MaxInt}} {
		if number.value < 0 || number.value > number.most {
			return r, &Error{
				Path:   fmt.Sprintf("%s %d", number.flag, number.value),
				Wrong:  fmt.Sprintf("is not within 0 to %d", number.most),
				Remedy: "give another number, or leave it out",
			}
		}
	}
	if o.Channels != 0 && o.Channels != 1 && o.Channels != 3 {
		return r, &Error{Path: fmt.Sprintf("--channels %d", o.Channels), Wrong: "is no kind of image", Remedy: "give 1 (grey) or 3 (colour), or leave it out"}
	}
	switch o.Background {
	case "":
	case "black":
		r.background = overBlack
	case "white":
		r.background = overWhite
	default:
		return r, &Error{Path: "--background " + strconv.Quote(o.Background), Wrong: "is unknown", Remedy: "give black or white, or leave it out"}
	}
	var err error
	r.values, err = parseRange(o.Range)
	return r, err
}

// maxSide bounds what a caller may ask for, so that no product of sides overflows.
const maxSide = 1 << 14

// changes reports whether the recipe alters an 8-bit image of h x w x c.
func (r recipe) changes(h, w, c int) bool {
	differs := func(asked, side int) bool { return asked != 0 && asked != side }
	return differs(r.crop, h) || differs(r.crop, w) || differs(r.size, h) || differs(r.size, w) ||
		differs(r.channels, c) || r.values.kind != rangeAuto
}

// prepare carries the recipe out on st: channels, crop, map of values, size, in this order, so that
// percentiles are those of the stored values that are kept. It returns the map.
func (r recipe) prepare(st *stored, path string) (Affine, error) {
	if err := st.finite(path); err != nil {
		return Affine{}, err
	}
	if r.channels == 1 && st.c == 3 && !st.grey(r.loseColour) {
		return Affine{}, &Error{
			Path:   path,
			Wrong:  fmt.Sprintf("is a %d-bit colour image where grey is expected", st.depth),
			Remedy: "give grey images, or ask with --grey for the colour to be dropped",
		}
	}
	if r.crop > 0 {
		if r.crop > min(st.h, st.w) {
			return Affine{}, &Error{
				Path:   path,
				Wrong:  fmt.Sprintf("is %s, smaller than the crop of %d", dimensions(st.h, st.w), r.crop),
				Remedy: fmt.Sprintf("give --crop %d or less", min(st.h, st.w)),
			}
		}
		st.crop(r.crop, r.crop)
	}
	affine, err := r.values.affine(st, path)
	if err != nil {
		return Affine{}, err
	}
	if r.size > 0 {
		side := min(st.h, st.w)
		st.crop(side, side)
		st.resize(r.size)
	}
	if r.channels == 3 && st.c == 1 {
		st.colour()
	}
	return affine, nil
}

// dimensions words a size as image tools do, width first.
func dimensions(h, w int) string { return fmt.Sprintf("%d pixels wide and %d high", w, h) }

// choose gives, for each of n images in their natural order, its place in the set, or -1 where the
// set leaves it out, and the number of those that stay.
func (o OpenOptions) choose(n int) (places []int, kept int) {
	order := inOrder(n)
	if o.Shuffle {
		order = permutation(n, o.Seed, shuffleStream)
	}
	kept = n
	if o.Limit > 0 {
		kept = min(n, o.Limit)
	}
	places = make([]int, n)
	for i := range places {
		places[i] = -1
	}
	for place, i := range order[:kept] {
		places[i] = place
	}
	return places, kept
}

// The streams of a seed: a split of a shuffled set must not undo the shuffle.
const (
	splitStream = iota
	shuffleStream
)

// permutation orders 0 to n-1 at random: a Fisher-Yates shuffle driven by the PCG-DXSM generator
// seeded with (seed, stream), where step i takes the high word of draw*(i+1). The bias of that
// product is below n/2^64. The order is the same in every version of the program.
func permutation(n int, seed, stream uint64) []int {
	order := inOrder(n)
	draws := rand.NewPCG(seed, stream)
	for i := n - 1; i > 0; i-- {
		j, _ := bits.Mul64(draws.Uint64(), uint64(i+1))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// inOrder is 0 to n-1.
func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}
