package data

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// Kernel is a point-spread function: what a camera makes of a single bright pixel.
type Kernel struct {
	H, W   int       // odd
	Values []float32 // [H][W], sum 1
}

const kernelRemedy = "give a grey image, a .npy array of two dimensions or a text file with a line of numbers for each row, both sides odd"

// maxKernelSide bounds kernels: beyond it a file is no kernel.
const maxKernelSide = 255

// OpenKernel reads a point-spread function from a grey PNG or TIFF file, a .npy array, or a text file of numbers, rows on lines of
// their own. It is divided by its sum.
func OpenKernel(path string) (*Kernel, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, openError(path, err)
	}
	refuse := func(wrong string) (*Kernel, error) {
		return nil, &Error{Path: path, Wrong: wrong, Remedy: kernelRemedy}
	}
	var st *stored
	switch {
	case bytes.HasPrefix(content, []byte(npyMagic)) || codecFor(content) != nil:
		if st, err = (OpenOptions{}).decodeMember(content, path, background(0)); err != nil {
			return nil, err
		}
		if st.c != 1 && !st.grey(false) {
			return refuse("is a colour image, which is no kernel")
		}
		if err := st.finite(path); err != nil {
			return nil, err
		}
	default:
		if st = parseKernel(content); st == nil {
			return refuse("is no kernel")
		}
	}
	if st.h%2 == 0 || st.w%2 == 0 || max(st.h, st.w) > maxKernelSide {
		return refuse(fmt.Sprintf("is a kernel of %d rows and %d columns, which must be odd and at most %d", st.h, st.w, maxKernelSide))
	}
	sum := 0.0
	for _, v := range st.values {
		sum += v
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return refuse(fmt.Sprintf("is a kernel whose values add up to %g, which must be positive", sum))
	}
	k := &Kernel{H: st.h, W: st.w, Values: make([]float32, len(st.values))}
	for i, v := range st.values {
		k.Values[i] = float32(v / sum)
	}
	return k, nil
}

// parseKernel reads lines of numbers with blanks, commas or tabs between them; nil if content is something else.
func parseKernel(content []byte) *stored {
	if len(content) > 1<<22 {
		return nil
	}
	st := &stored{c: 1}
	for line := range strings.Lines(string(content)) {
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\r' || r == '\n' })
		if len(fields) == 0 {
			continue
		}
		if st.h > 0 && len(fields) != st.w {
			return nil
		}
		st.h, st.w = st.h+1, len(fields)
		for _, f := range fields {
			v, err := strconv.ParseFloat(f, 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return nil
			}
			st.values = append(st.values, v)
		}
	}
	if st.h == 0 {
		return nil
	}
	return st
}
