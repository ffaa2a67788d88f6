package data

import (
	"fmt"
	"math"
)

// stored is one image in the units of its file.
type stored struct {
	h, w, c int
	format  Format
	depth   int       // bits per value: 8 and 16 are integers from 0, 32 and 64 floating point
	values  []float64 // HWC; float64 holds every value of every format exactly
}

func (st *stored) isFloat() bool { return st.depth > 16 }

// colourName words a number of channels.
func colourName(c int) string {
	if c == 1 {
		return "grey"
	}
	return "colour"
}

// finite refuses NaN and infinities, which only floating-point files can hold.
func (st *stored) finite(path string) error {
	if !st.isFloat() {
		return nil
	}
	for i, v := range st.values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			pixel := i / st.c
			return &Error{
				Path:   path,
				Wrong:  fmt.Sprintf("holds %g at row %d, column %d", v, pixel/st.w, pixel%st.w),
				Remedy: "replace such values before use (numpy.nan_to_num)",
			}
		}
	}
	return nil
}

// crop keeps the centre of h x w pixels; an odd remainder leaves the larger margin below and right.
func (st *stored) crop(h, w int) {
	if h == st.h && w == st.w {
		return
	}
	top, left := (st.h-h)/2, (st.w-w)/2
	values := make([]float64, 0, h*w*st.c)
	for y := top; y < top+h; y++ {
		row := (y*st.w + left) * st.c
		values = append(values, st.values[row:row+w*st.c]...)
	}
	st.h, st.w, st.values = h, w, values
}

// resize scales to size x size pixels.
func (st *stored) resize(size int) {
	if size == st.h && size == st.w {
		return
	}
	st.values = resize(st.values, st.h, st.w, st.c, size, size)
	st.h, st.w = size, size
}

// grey turns colour to grey. It reports false, and changes nothing, where that would lose colour
// and the loss is not allowed.
func (st *stored) grey(lossy bool) bool {
	values := make([]float64, len(st.values)/3)
	for p := range values {
		r, g, b := st.values[3*p], st.values[3*p+1], st.values[3*p+2]
		switch {
		case r == g && g == b:
			values[p] = r
		case lossy:
			values[p] = 0.299*r + 0.587*g + 0.114*b
		default:
			return false
		}
	}
	st.c, st.values = 1, values
	return true
}

// colour repeats the one channel of a grey image three times.
func (st *stored) colour() {
	values := make([]float64, 0, 3*len(st.values))
	for _, v := range st.values {
		values = append(values, v, v, v)
	}
	st.c, st.values = 3, values
}
