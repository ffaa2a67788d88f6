package learn

import (
	"emdiff/emdiff/data"
	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// measurements are the fixed y of an image set, on the device, and the operator that made them.
type measurements struct {
	set   kernels.Set
	op    physics.Operator
	sigma float64
	count int
	first int // id of image 0
	y     kernels.Buffer
	len   int // values per image

	ids    kernels.Buffer // ids and positions of the selected batch
	at     kernels.Buffer
	batchY kernels.Buffer
	room   int
}

// measureAll takes or simulates the measurements of the training and held-out images. Ids start with the training images.
func measureAll(set kernels.Set, c Config, images Images) (train, held *measurements, err error) {
	total := images.Train.Len() + images.Held.Len()
	op, err := c.Task.Operator(set, images.Train.H, images.Train.W, images.Train.C, total, c.Seed, images.Camera)
	if err != nil {
		return nil, nil, err
	}
	take := measure
	if images.Measured {
		take = measured
	}
	train = take(set, op, c, images.Train, 0)
	held = take(set, op, c, images.Held, images.Train.Len())
	return train, held, set.Sync()
}

// Camera is what the user's files say of A, beside TaskConfig.
type Camera struct {
	Masks  []float32    // inpaint: [images][H*W] values 0 (hidden) or 1, by id, or one for all; nil = random ones
	Kernel *data.Kernel // deblur: the point-spread function; nil = TaskConfig's Gaussian
}

// Operator makes A for images of h x w x c with the ids 0 to images-1.
func (t TaskConfig) Operator(set kernels.Set, h, w, c, images int, seed uint64, camera Camera) (physics.Operator, error) {
	switch t.Name {
	case "inpaint":
		if camera.Masks != nil {
			return physics.NewInpaint(set, h, w, c, camera.Masks)
		}
		return physics.NewRandomInpaint(set, h, w, c, t.Masked, seed, images)
	case "deblur":
		if k := camera.Kernel; k != nil {
			return physics.NewPSF(set, h, w, c, k.Weights(), k.H, k.W)
		}
		return physics.NewGaussianBlur(set, h, w, c, t.BlurSize, t.BlurStd)
	}
	return physics.NewDenoise(set, h, w, c)
}

// newMeasurements has room for the measurements of as many images as s has.
func newMeasurements(set kernels.Set, op physics.Operator, c Config, s *data.Set, first int) *measurements {
	return &measurements{set: set, op: op, sigma: c.Task.Sigma, count: s.Len(), first: first, len: s.ImageLen(),
		y: set.Alloc(kernels.F32, len(s.Pixels))}
}

// measure simulates measurements of the truth.
func measure(set kernels.Set, op physics.Operator, c Config, truth *data.Set, first int) *measurements {
	m := newMeasurements(set, op, c, truth, first)
	x := set.Alloc(kernels.F32, min(chunk, m.count)*m.len)
	defer set.Free(x)
	m.chunks(func(start, n int, b physics.Batch, y kernels.Buffer) {
		set.Upload(x, truth.Pixels[start*m.len:(start+n)*m.len])
		physics.Measure(set, op, b, y, x, c.Task.Sigma, c.Seed)
	})
	return m
}

// measured takes the user's measurements; what their masks hide is set to 0.
func measured(set kernels.Set, op physics.Operator, c Config, y *data.Set, first int) *measurements {
	m := newMeasurements(set, op, c, y, first)
	set.Upload(m.y, y.Pixels)
	m.chunks(func(_, _ int, b physics.Batch, y kernels.Buffer) {
		op.Select(b)
		op.Restrict(y)
	})
	return m
}

// chunk bounds the workspace of chunks; a multiple of 16 keeps the slices aligned.
const chunk = 1024

// chunks calls f for all measurements, part by part.
func (m *measurements) chunks(f func(start, n int, b physics.Batch, y kernels.Buffer)) {
	for start := 0; start < m.count; start += chunk {
		n := min(chunk, m.count-start)
		f(start, n, m.name(sequence(start, n)), m.y.Slice(start*m.len, n*m.len))
	}
}

// name uploads the positions of a batch and returns it under its ids.
func (m *measurements) name(positions []int) physics.Batch {
	m.reserve(len(positions))
	ids, at := make([]int32, len(positions)), make([]int32, len(positions))
	for i, p := range positions {
		ids[i], at[i] = int32(m.first+p), int32(p)
	}
	m.set.UploadInts(m.ids, ids)
	m.set.UploadInts(m.at, at)
	return physics.Batch{N: len(positions), IDs: m.ids}
}

// take selects the images at positions and returns the batch and its measurements, valid until the next call.
func (m *measurements) take(positions []int) (physics.Batch, kernels.Buffer) {
	b := m.name(positions)
	m.set.Gather(m.batchY, m.y, m.at, m.count, kernels.PerImage{N: b.N, Len: m.len})
	m.op.Select(b)
	return b, m.batchY
}

// subset returns the measurements at positions in a buffer of their own.
func (m *measurements) subset(positions []int) kernels.Buffer {
	m.name(positions)
	out := m.set.Alloc(kernels.F32, len(positions)*m.len)
	m.set.Gather(out, m.y, m.at, m.count, kernels.PerImage{N: len(positions), Len: m.len})
	return out
}

func (m *measurements) reserve(n int) {
	if n <= m.room {
		return
	}
	m.freeBatch()
	m.room = n
	m.ids, m.at = m.set.Alloc(kernels.I32, n), m.set.Alloc(kernels.I32, n)
	m.batchY = m.set.Alloc(kernels.F32, n*m.len)
}

func (m *measurements) freeBatch() {
	if m.room > 0 {
		m.set.Free(m.ids)
		m.set.Free(m.at)
		m.set.Free(m.batchY)
	}
	m.room = 0
}

// close frees the measurements; the operator is shared.
func (m *measurements) close() {
	m.freeBatch()
	m.set.Free(m.y)
}

// pixels downloads all measurements.
func (m *measurements) pixels() []float32 {
	out := make([]float32, m.count*m.len)
	m.set.Download(out, m.y)
	return out
}

// sequence returns n consecutive numbers.
func sequence(first, n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = first + i
	}
	return s
}
