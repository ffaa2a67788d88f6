package physics

import (
	"fmt"
	"math"

	"emdiff/kernels"
)

// Inpaint hides pixels: y = mask x, one mask entry per pixel for all channels, 1 measured and 0 hidden. The masks are
// kept on the device, 4 H W bytes each, and the batch's own are gathered by id.
type Inpaint struct {
	frame
	rows   int            // masks kept; 1 serves every image
	table  kernels.Buffer // [rows][H*W]
	counts kernels.Buffer // [rows] 1/(measured values)
	shared float32        // 1/(measured values) of row 0
	masks  *Scratch       // [N][H*W] of the batch
}

// NewInpaint makes an operator of given masks, [images][h*w] values 0 or 1, image id i using row i. A single row is
// shared by all images, whatever their ids; otherwise ids must be smaller than the number of rows.
func NewInpaint(set kernels.Set, h, w, c int, masks []float32) (*Inpaint, error) {
	f, err := newFrame(set, h, w, c)
	if err != nil {
		return nil, err
	}
	hw := h * w
	if len(masks) == 0 || len(masks)%hw != 0 {
		return nil, fmt.Errorf("physics: %d mask values are not a whole number of %dx%d masks", len(masks), h, w)
	}
	rows := len(masks) / hw
	inverse := make([]float32, rows)
	for i := range inverse {
		measured := 0
		for _, v := range masks[i*hw : (i+1)*hw] {
			switch v {
			case 1:
				measured++
			case 0:
			default:
				return nil, fmt.Errorf("physics: mask %d holds %g: every value must be 0 (hidden) or 1 (measured)", i, v)
			}
		}
		if measured == 0 {
			return nil, fmt.Errorf("physics: mask %d measures no pixel: leave that image out", i)
		}
		inverse[i] = 1 / float32(measured*c)
	}
	p := &Inpaint{frame: f, rows: rows, shared: inverse[0], masks: NewScratch(set),
		table: set.Alloc(kernels.F32, len(masks)), counts: set.Alloc(kernels.F32, rows)}
	set.Upload(p.table, masks)
	set.Upload(p.counts, inverse)
	return p, nil
}

// NewRandomInpaint hides exactly int(h*w*fraction) pixels of every image, chosen by RandomMask from seed and id, for
// the ids 0 to images-1.
func NewRandomInpaint(set kernels.Set, h, w, c int, fraction float64, seed uint64, images int) (*Inpaint, error) {
	hidden := int(float64(h*w) * fraction)
	if !(fraction >= 0) || hidden >= h*w {
		return nil, fmt.Errorf("physics: hiding a fraction %g of %dx%d pixels leaves none to see: choose one in [0, 1)", fraction, h, w)
	}
	if images <= 0 {
		return nil, fmt.Errorf("physics: masks for %d images: the number must be positive", images)
	}
	masks := make([]float32, images*h*w)
	for i := range images {
		RandomMask(masks[i*h*w:(i+1)*h*w], hidden, seed, uint32(i))
	}
	return NewInpaint(set, h, w, c, masks)
}

// RandomMask fills mask with ones and hidden zeros, a function of seed and image id alone: all subsets of that size are
// equally likely, up to a factor 1 + len(mask)/2^32 per pixel.
func RandomMask(mask []float32, hidden int, seed uint64, id uint32) {
	r := kernels.Random{Seed: seed, Stream: StreamMask}
	order := make([]int, len(mask))
	for i := range order {
		order[i] = i
		mask[i] = 1
	}
	var words [4]uint32
	for i := range hidden { // the first steps of a Fisher-Yates shuffle
		if i%4 == 0 {
			words = kernels.Philox(r, id, uint32(i/4))
		}
		j := i + int(uint64(words[i%4])*uint64(len(order)-i)>>32)
		order[i], order[j] = order[j], order[i]
		mask[order[i]] = 0
	}
}

// Name is "inpaint".
func (p *Inpaint) Name() string { return "inpaint" }

// PerImage is false where one mask serves all images.
func (p *Inpaint) PerImage() bool { return p.rows > 1 }

// Select gathers the masks of b.
func (p *Inpaint) Select(b Batch) {
	p.batch = b
	if p.rows == 1 {
		p.set.Fill(p.invCount.Floats(b.N), p.shared, kernels.Elementwise{Len: b.N})
		return
	}
	p.set.Gather(p.masks.Floats(b.N*p.h*p.w), p.table, b.IDs, p.rows, kernels.PerImage{N: b.N, Len: p.h * p.w})
	p.set.Gather(p.invCount.Floats(b.N), p.counts, b.IDs, p.rows, kernels.PerImage{N: b.N, Len: 1})
}

// mask returns the gains of the batch and how they are laid out.
func (p *Inpaint) mask() (kernels.Buffer, kernels.Gain) {
	if p.rows == 1 {
		return p.table, p.gain(1)
	}
	return p.masks.Floats(p.batch.N * p.h * p.w), p.gain(p.batch.N)
}

// Apply hides pixels.
func (p *Inpaint) Apply(y, x kernels.Buffer) {
	mask, g := p.mask()
	p.set.Gain(y, x, mask, g)
}

// Adjoint hides the same pixels: a mask is its own transpose.
func (p *Inpaint) Adjoint(x, y kernels.Buffer) { p.Apply(x, y) }

// Restrict hides the pixels of y in place.
func (p *Inpaint) Restrict(y kernels.Buffer) { p.Apply(y, y) }

// NormSquared is 1.
func (p *Inpaint) NormSquared() float64 { return 1 }

// PosteriorGaussian draws entry by entry: hidden pixels from N(z, R^2).
func (p *Inpaint) PosteriorGaussian(x, z, y kernels.Buffer, d GaussianDraw) {
	mask, g := p.mask()
	p.set.GaussianPosterior(x, z, y, mask, p.batch.IDs, d.kernel(g, d.noise(1)))
}

// LogDet counts the measured values of each image.
func (p *Inpaint) LogDet(r, sigmaY float64) []float64 {
	inverse := make([]float32, p.batch.N)
	p.set.Download(inverse, p.InverseCount())
	dets := make([]float64, p.batch.N)
	for i, v := range inverse {
		dets[i] = math.Round(1/float64(v)) * logVariance(r, sigmaY, 1)
	}
	return dets
}

// Close frees the masks.
func (p *Inpaint) Close() {
	p.frame.Close()
	p.masks.Free()
	p.set.Free(p.table)
	p.set.Free(p.counts)
}
