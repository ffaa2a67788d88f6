package host

import "emdiff/kernels"

// generator draws the numbers of images at one level.
type generator struct {
	run    func(dst []float32, s *philoxState)
	state  philoxState // of block 0 of no image
	first  uint32
	ids    []int32
	length int
}

func newGenerator(run func([]float32, *philoxState), r kernels.Random, ids kernels.Buffer, length int) generator {
	return generator{run, newPhiloxState(r), r.FirstImage, i32(ids), length}
}

// draw fills dst with the numbers of image n from flat index lo on, lo at a multiple of strip within the image.
func (g *generator) draw(w *workspace, dst []float32, n, lo int) {
	w.philox = g.state
	w.philox.image = g.first + uint32(n)
	if g.ids != nil {
		w.philox.image = uint32(g.ids[n])
	}
	w.philox.block = uint32((lo - n*g.length) / 4)
	whole := len(dst) / philoxRun * philoxRun
	if whole > 0 {
		g.run(dst[:whole], &w.philox)
	}
	if whole < len(dst) {
		w.philox.block += uint32(whole / 4)
		g.run(w.run[:], &w.philox)
		copy(dst[whole:], w.run[:])
	}
}

// drawOp is the numbers themselves.
type drawOp struct{ generator }

func (o *drawOp) strip(w *workspace, dst []float32, n, lo, _ int) { o.draw(w, dst, n, lo) }

func (s *Set) fillRandom(y, ids kernels.Buffer, p kernels.Draw, run func([]float32, *philoxState)) {
	s.draw = drawOp{newGenerator(run, p.Random, ids, p.Len)}
	s.mapImages(f32(y), p.N, p.Len, false, &s.draw)
}

// Normal fills y with standard normals; ids may be nil.
func (s *Set) Normal(y, ids kernels.Buffer, p kernels.Draw) {
	s.fillRandom(y, ids, p, s.level.vector.normals)
}

// Uniform fills y with uniforms in (0, 1); ids may be nil.
func (s *Set) Uniform(y, ids kernels.Buffer, p kernels.Draw) {
	s.fillRandom(y, ids, p, s.level.vector.uniforms)
}

// dropout keeps a value whose uniform is at least rate.
type dropout struct {
	generator
	vector *vectorKernels
	x      []float32
	rate   float32
}

func (o *dropout) strip(w *workspace, dst []float32, n, lo, hi int) {
	u := w.noise[:hi-lo]
	o.draw(w, u, n, lo)
	o.vector.dropout(dst, o.x[lo:hi], u, o.rate, 1/(1-o.rate))
}

// Dropout zeroes random values; ids may be nil.
func (s *Set) Dropout(y, x, ids kernels.Buffer, p kernels.Dropout) {
	v := &s.level.vector
	s.dropout = dropout{newGenerator(v.uniforms, p.Random, ids, p.Len), v, f32(x), p.Rate}
	s.mapImages(f32(y), p.N, p.Len, false, &s.dropout)
}

// update is A x + B d + C scale[n] e + Noise w.
type update struct {
	generator
	vector         *vectorKernels
	x, d, e, scale []float32
	p              kernels.Update
}

func (o *update) strip(w *workspace, dst []float32, n, lo, hi int) {
	v, p := o.vector, &o.p
	// y may be one of the inputs: it is written last.
	sum := dst
	if o.e != nil || p.Noise > 0 {
		sum = w.gain[:hi-lo]
	}
	if o.d == nil {
		v.scale(sum, o.x[lo:hi], p.A)
	} else {
		v.combine(sum, o.x[lo:hi], o.d[lo:hi], p.A, p.B)
	}
	if o.e != nil {
		c := p.C
		if o.scale != nil {
			c *= o.scale[n]
		}
		to := dst
		if p.Noise > 0 {
			to = sum
		}
		v.addScaled(to, sum, o.e[lo:hi], c)
	}
	if p.Noise > 0 {
		noise := w.noise[:hi-lo]
		o.draw(w, noise, n, lo)
		v.addScaled(dst, sum, noise, p.Noise)
	}
}

// Update is the step of every sampler; d, e, scale and ids may be nil.
func (s *Set) Update(y, x, d, e, scale, ids kernels.Buffer, p kernels.Update) {
	v := &s.level.vector
	s.update = update{newGenerator(v.normals, p.Random, ids, p.Len), v, f32(x), f32(d), f32(e), f32(scale), p}
	s.mapImages(f32(y), p.N, p.Len, false, &s.update)
}
