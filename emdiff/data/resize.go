package data

import "math"

// resize scales an HWC image of h x w pixels to outH x outW with the antialiased tent filter: each
// output pixel is the mean of the input under a tent whose half-width is the scale of the
// reduction, at least one input pixel, normalised at the borders. It is separable; columns go
// first. Cost: about 2*(outW*h + outH*outW)*c*max(1, h/outH) multiply-adds.
//
// The choice: this filter is what published 64x64 versions of CelebA are made with (bilinear
// resizing with antialiasing), its weights are never negative, so that no value leaves the range of
// the input and the noise of a measurement is averaged, not sharpened, as Catmull-Rom would. It
// works on the stored values in float64, where golang.org/x/image/draw would round every image,
// floating-point ones included, to 16 bits.
func resize(values []float64, h, w, c, outH, outW int) []float64 {
	columns := tent(w, outW)
	narrow := make([]float64, h*outW*c)
	for y := range h {
		row, out := values[y*w*c:(y+1)*w*c], narrow[y*outW*c:(y+1)*outW*c]
		for x, t := range columns {
			for k, weight := range t.weights {
				for ch := range c {
					out[x*c+ch] += weight * row[(t.first+k)*c+ch]
				}
			}
		}
	}
	rows := tent(h, outH)
	result := make([]float64, outH*outW*c)
	for y, t := range rows {
		out := result[y*outW*c : (y+1)*outW*c]
		for k, weight := range t.weights {
			row := narrow[(t.first+k)*outW*c : (t.first+k+1)*outW*c]
			for i, v := range row {
				out[i] += weight * v
			}
		}
	}
	return result
}

// taps are the weights of consecutive input samples, from first on, in one output sample.
type taps struct {
	first   int
	weights []float64
}

// tent gives the taps of every output sample of a line of in samples scaled to out.
func tent(in, out int) []taps {
	scale := float64(in) / float64(out)
	reach := max(scale, 1) // enlarging, the tent is plain linear interpolation
	line := make([]taps, out)
	for i := range line {
		centre := (float64(i)+0.5)*scale - 0.5
		first := max(int(math.Ceil(centre-reach)), 0)
		last := min(int(math.Floor(centre+reach)), in-1)
		t := taps{first: first, weights: make([]float64, last-first+1)}
		sum := 0.0
		for k := range t.weights {
			t.weights[k] = max(1-math.Abs(float64(first+k)-centre)/reach, 0)
			sum += t.weights[k]
		}
		for k := range t.weights {
			t.weights[k] /= sum
		}
		line[i] = t
	}
	return line
}
