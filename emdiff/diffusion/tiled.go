package diffusion

import (
	"fmt"
	"math"
	"slices"

	"emdiff/kernels"
)

// Tiled makes a denoiser for images of any larger size out of one for patches: the patches of a grid that overlap by half
// are denoised each by itself, and every pixel is the mean of the patches over it, weighted by a window that falls
// towards their borders,
//
//	D(x) = sum_p S_p^T w_p D_patch(S_p x)      S_p cuts patch p out, the windows w_p of a pixel sum to 1
//
// Samplers see one denoiser of the whole image and have one noise field and one operator, so that draws have no seams. What
// lies further apart than a patch is independent under such a prior.
type Tiled struct {
	inner   Denoiser
	set     kernels.Set
	h, w, c int // of the canvas
	ph, pw  int // of a patch
	batch   int // patches denoised at once

	tiles         []tile
	in, out, back kernels.Buffer // [tiles of a group][images][ph*pw*c]
	sum           kernels.Buffer // [images][h*w*c]
	room          int            // images
}

// NewTiled tiles images of h x w pixels for inner, which must not be larger. Up to batch patches are denoised at once; a
// batch below 1 is taken as 1.
func NewTiled(set kernels.Set, inner Denoiser, h, w, batch int) (*Tiled, error) {
	ph, pw, c := inner.Shape()
	if h < ph || w < pw {
		return nil, fmt.Errorf("an image of %d x %d pixels (height x width) is smaller than the %d x %d that the prior was learned from", h, w, ph, pw)
	}
	t := &Tiled{inner: inner, set: set, h: h, w: w, c: c, ph: ph, pw: pw, batch: max(1, batch)}
	tops, lefts := places(h, ph), places(w, pw)
	rows, columns := weights(h, ph, tops), weights(w, pw, lefts)
	for i, top := range tops {
		for j, left := range lefts {
			values := make([]float32, 0, ph*pw)
			for _, r := range rows[i] {
				for _, c := range columns[j] {
					values = append(values, float32(r*c))
				}
			}
			at := tile{top: top, left: left, window: set.Alloc(kernels.F32, len(values))}
			set.Upload(at.window, values)
			t.tiles = append(t.tiles, at)
		}
	}
	return t, nil
}

// places are where patches begin along a side: half a patch apart, the last at the border.
func places(side, patch int) []int {
	var at []int
	for p := 0; p < side-patch; p += max(1, patch/2) {
		at = append(at, p)
	}
	return append(at, side-patch)
}

// weights gives, for each patch along a side, the weights of its pixels: those over a pixel sum to 1.
func weights(side, patch int, places []int) [][]float64 {
	total := make([]float64, side)
	for _, p := range places {
		for i := range patch {
			total[p+i] += window(i, patch)
		}
	}
	list := make([][]float64, len(places))
	for k, p := range places {
		list[k] = make([]float64, patch)
		for i := range patch {
			list[k][i] = window(i, patch) / total[p+i]
		}
	}
	return list
}

// window is a squared sine, positive everywhere.
func window(i, n int) float64 {
	s := math.Sin(math.Pi * (float64(i) + 0.5) / float64(n))
	return s * s
}

// Shape is that of the canvas.
func (t *Tiled) Shape() (h, w, c int) { return t.h, t.w, t.c }

// Patches is the number of patches of an image: calls of the inner denoiser for each call of this one.
func (t *Tiled) Patches() int { return len(t.tiles) }

func (t *Tiled) patchLen() int { return t.ph * t.pw * t.c }

// Denoise computes d = D(x, sigma); d may be x.
func (t *Tiled) Denoise(d, x kernels.Buffer, n int, sigma float64) {
	t.begin(n)
	t.each(n, func(b []tile) {
		t.cut(t.in, x, b, n)
		t.inner.Denoise(t.out, t.in, n*len(b), sigma)
		t.weigh(t.out, b, n)
		t.paste(t.out, b, n)
	})
	t.set.Copy(d, t.sum, t.canvases(n))
}

// Linearize computes d = D(x, sigma) and returns its vector-Jacobian product, which linearizes every patch anew at each
// call: x must not change until then.
func (t *Tiled) Linearize(d, x kernels.Buffer, n int, sigma float64) func(g, v kernels.Buffer) {
	t.Denoise(d, x, n, sigma)
	return func(g, v kernels.Buffer) {
		t.begin(n)
		t.each(n, func(b []tile) {
			t.cut(t.in, x, b, n)
			vjp := t.inner.Linearize(t.out, t.in, n*len(b), sigma)
			t.cut(t.out, v, b, n)
			t.weigh(t.out, b, n)
			vjp(t.back, t.out)
			t.paste(t.back, b, n)
		})
		t.set.Copy(g, t.sum, t.canvases(n))
	}
}

// tile is a place of the grid.
type tile struct {
	top, left int
	window    kernels.Buffer // [ph*pw] weights
}

// begin makes room for n images and clears their sum.
func (t *Tiled) begin(n int) {
	if n > t.room {
		t.free()
		t.room = n
		size := max(n, min(t.batch, n*len(t.tiles))) * t.patchLen()
		t.in, t.out, t.back = t.set.Alloc(kernels.F32, size), t.set.Alloc(kernels.F32, size), t.set.Alloc(kernels.F32, size)
		t.sum = t.set.Alloc(kernels.F32, n*t.h*t.w*t.c)
	}
	t.set.Fill(t.sum, 0, t.canvases(n))
}

// group is the number of tiles that go through the inner denoiser at once, for n images each.
func (t *Tiled) group(n int) int {
	if n*t.patchLen()%kernels.AlignUp(1) != 0 { // the next tile would not be aligned
		return 1
	}
	return min(len(t.tiles), max(1, t.batch/n))
}

// each calls f for all tiles, group by group.
func (t *Tiled) each(n int, f func(b []tile)) {
	for b := range slices.Chunk(t.tiles, t.group(n)) {
		f(b)
	}
}

// slot is the part of a batch that holds tile number k of n images.
func (t *Tiled) slot(batch kernels.Buffer, k, n int) kernels.Buffer {
	return batch.Slice(k*n*t.patchLen(), n*t.patchLen())
}

// cut copies tiles of x into a batch: every row of a tile, of all images at once.
func (t *Tiled) cut(batch, x kernels.Buffer, b []tile, n int) {
	for k, tile := range b {
		slot := t.slot(batch, k, n)
		for row := range t.ph {
			p := t.row(tile, row, n)
			t.set.CopyChannels(slot, x, kernels.Channels{Rows: n, C: p.C, XStride: p.YStride, XOffset: p.YOffset, YStride: p.XStride, YOffset: p.XOffset})
		}
	}
}

// paste adds the tiles of a batch to the sum.
func (t *Tiled) paste(batch kernels.Buffer, b []tile, n int) {
	for k, tile := range b {
		slot := t.slot(batch, k, n)
		for row := range t.ph {
			t.set.CopyChannels(t.sum, slot, t.row(tile, row, n))
		}
	}
}

// row adds a row of a tile of n images to its place on the canvas; images are what the op calls pixels.
func (t *Tiled) row(at tile, row, n int) kernels.Channels {
	return kernels.Channels{Rows: n, C: t.pw * t.c, XStride: t.patchLen(), XOffset: row * t.pw * t.c,
		YStride: t.h * t.w * t.c, YOffset: ((at.top+row)*t.w + at.left) * t.c, Accumulate: true}
}

// weigh multiplies the tiles of a batch by their windows.
func (t *Tiled) weigh(batch kernels.Buffer, b []tile, n int) {
	for k, tile := range b {
		slot := t.slot(batch, k, n)
		t.set.Gain(slot, slot, tile.window, kernels.Gain{N: n, HW: t.ph * t.pw, C: t.c, GainN: 1, GainC: 1})
	}
}

func (t *Tiled) canvases(n int) kernels.Elementwise {
	return kernels.Elementwise{Len: n * t.h * t.w * t.c}
}

func (t *Tiled) free() {
	if t.room > 0 {
		for _, b := range []kernels.Buffer{t.in, t.out, t.back, t.sum} {
			t.set.Free(b)
		}
	}
	t.room = 0
}

// Close frees the work buffers; the inner denoiser stays.
func (t *Tiled) Close() {
	t.free()
	for _, tile := range t.tiles {
		t.set.Free(tile.window)
	}
}
