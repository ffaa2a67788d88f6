package data

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kernel is a point-spread function: what a camera makes of a single bright pixel.
type Kernel struct {
	H, W   int       // odd
	Values []float32 // [H][W], sum 1
}

// Weights are what a pixel of the blurred image takes of its surroundings: the kernel turned by half a circle, since the light
// that a pixel receives from above comes from a point that spreads it downwards.
func (k *Kernel) Weights() []float32 {
	weights := slices.Clone(k.Values)
	slices.Reverse(weights)
	return weights
}

const (
	// maxKernelBytes bounds a file that is read whole: a kernel of 1023x1023 float64 values has 8 MiB.
	maxKernelBytes = 1 << 26

	kernelRemedy = "give a .npy array of shape (H,W), a grey PNG or TIFF image, or rows of numbers as plain text"
)

// OpenKernel reads a point-spread function of odd height and width, and scales it to the sum 1. The file is recognised by
// content:
//
//   - an .npy array of shape (H, W) of any type that [Open] reads;
//   - a grey PNG or TIFF image of 8 or 16 bits, 0 being no light;
//   - plain text, a row of numbers in each line, parted by blanks or by commas; what follows a # is passed over.
//
// Values must be finite and their sum positive; single values may be negative, as estimates of kernels are. An error is an
// [*Error].
func OpenKernel(path string) (*Kernel, error) {
	content, err := readKernel(path)
	if err != nil {
		return nil, err
	}
	var st *stored
	switch {
	case bytes.HasPrefix(content, []byte(npyMagic)):
		st, err = kernelArray(content, path)
	case codecFor(content) != nil:
		st, err = kernelImage(content, path)
	default:
		st, err = kernelText(content, path)
	}
	if err != nil {
		return nil, err
	}
	return newKernel(st, path)
}

// readKernel reads a file whole, if it is of a size that a kernel can have.
func readKernel(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, openError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, openError(path, err)
	case !info.Mode().IsRegular():
		return nil, &Error{Path: path, Wrong: "is no plain file", Remedy: kernelRemedy}
	case info.Size() == 0:
		return nil, &Error{Path: path, Wrong: "is empty", Remedy: kernelRemedy}
	case info.Size() > maxKernelBytes:
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("has %d bytes, too many for a kernel", info.Size()), Remedy: kernelRemedy}
	}
	return readMember(f, path, info.Size(), kernelRemedy)
}

func kernelArray(content []byte, path string) (*stored, error) {
	header, err := readNPYHeader(bytes.NewReader(content), path)
	if err != nil {
		return nil, err
	}
	if len(header.shape) != 2 {
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("has the shape %v, which is no kernel", header.shape), Remedy: "save an array of shape (H,W)"}
	}
	return OpenOptions{}.decodeNPY(bytes.NewReader(content), path, int64(len(content)))
}

func kernelImage(content []byte, path string) (*stored, error) {
	if f := codecFor(content).format; f != PNG && f != TIFF {
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("is a %s image, whose compression may have changed the kernel", f), Remedy: kernelRemedy}
	}
	st, err := decodeImage(content, path, imageBudget(len(content)), noBackground)
	if err != nil {
		return nil, err
	}
	if st.c == 3 && !st.grey(false) {
		return nil, &Error{Path: path, Wrong: "is a colour image where grey is expected", Remedy: "give one kernel, for all channels"}
	}
	return st, nil
}

// kernelText reads rows of numbers.
func kernelText(content []byte, path string) (*stored, error) {
	if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
		return nil, &Error{Path: path, Wrong: "is no kernel that this program knows", Remedy: kernelRemedy}
	}
	st := &stored{c: 1, depth: 64}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(content), "\ufeff")) { // a mark that some editors put first
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		fields := strings.Fields(line)
		if strings.Contains(line, ",") {
			fields = strings.Split(line, ",")
		}
		for _, field := range fields {
			v, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
			if err != nil {
				return nil, &Error{Path: path, Wrong: fmt.Sprintf("line %d holds %q, which is no number that can be read", number, field), Remedy: kernelRemedy}
			}
			st.values = append(st.values, v)
		}
		if st.h++; st.h == 1 {
			st.w = len(fields)
		}
		if len(fields) != st.w {
			return nil, &Error{
				Path:   path,
				Wrong:  fmt.Sprintf("line %d has %d numbers and the first row %d", number, len(fields), st.w),
				Remedy: "give rows of equal length",
			}
		}
	}
	if st.h == 0 {
		return nil, &Error{Path: path, Wrong: "holds no numbers", Remedy: kernelRemedy}
	}
	return st, nil
}

// newKernel checks and scales the values of a file.
func newKernel(st *stored, path string) (*Kernel, error) {
	if err := st.finite(path); err != nil {
		return nil, err
	}
	if st.h%2 == 0 || st.w%2 == 0 {
		return nil, &Error{
			Path:   path,
			Wrong:  fmt.Sprintf("is %s, and an even side has no middle", dimensions(st.h, st.w)),
			Remedy: "give a kernel of odd height and width: add a row or column of zeros on the side that leaves the middle where it belongs",
		}
	}
	sum := 0.0
	for _, v := range st.values {
		sum += v
	}
	if !(sum > 0) {
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("has the sum %g", sum), Remedy: "give a kernel with a positive sum"}
	}
	k := &Kernel{H: st.h, W: st.w, Values: make([]float32, len(st.values))}
	for i, v := range st.values {
		k.Values[i] = float32(v / sum)
		if math.IsInf(float64(k.Values[i]), 0) || math.IsInf(sum, 0) {
			return nil, &Error{
				Path:   path,
				Wrong:  fmt.Sprintf("holds %g at row %d, column %d, which cannot be scaled by the sum %g", v, i/st.w, i%st.w, sum),
				Remedy: "give values of ordinary size",
			}
		}
	}
	return k, nil
}
