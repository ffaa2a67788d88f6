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
	g.seek(w, n, lo)
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

// seek sets the worker's state to the numbers of image n from flat index lo on.
func (g *generator) seek(w *workspace, n, lo int) {
	w.philox = g.state
	w.philox.image = g.first + uint32(n)
	if g.ids != nil {
		w.philox.image = uint32(g.ids[n])
	}
	w.philox.block = uint32((lo - n*g.length) / 4)
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
	out            *vectorKernels // of what is stored
	x, d, e, scale []float32
	p              kernels.Update
}

func (o *update) strip(w *workspace, dst []float32, n, lo, hi int) {
	c := &w.update
	*c = updateCoefficients{o.p.A, o.p.B, o.p.C, o.p.Noise}
	if o.scale != nil {
		c.C *= o.scale[n]
	}
	var d, e []float32
	if o.d != nil {
		d = o.d[lo:hi]
	}
	if o.e != nil {
		e = o.e[lo:hi]
	}
	if c.Noise <= 0 {
		o.plain(w.gain[:hi-lo], dst, o.x[lo:hi], d, e, c)
		return
	}
	whole := len(dst) / philoxRun * philoxRun
	o.seek(w, n, lo)
	if whole > 0 {
		o.out.update(dst[:whole], o.x[lo:hi], d, e, c, &w.philox)
	}
	if whole < len(dst) {
		tail, sum, noise := dst[whole:], w.gain[:len(dst)-whole], w.noise[:len(dst)-whole]
		if d != nil {
			d = d[whole:]
		}
		if e != nil {
			e = e[whole:]
		}
		o.plain(w.sum[:len(tail)], sum, o.x[lo+whole:hi], d, e, c)
		o.draw(w, noise, n, lo+whole)
		o.vector.addScaled(tail, sum, noise, c.Noise)
	}
}

// plain computes an update without noise: between is scratch, since dst may be one of the sources and is written last.
func (o *update) plain(between, dst, x, d, e []float32, c *updateCoefficients) {
	v, first := o.vector, dst
	if e != nil {
		first = between
	}
	if d == nil {
		v.scale(first, x, c.A)
	} else {
		v.combine(first, x, d, c.A, c.B)
	}
	if e != nil {
		v.addScaled(dst, first, e, c.C)
	}
}

// Update is the step of every sampler; d, e, scale and ids may be nil.
func (s *Set) Update(y, x, d, e, scale, ids kernels.Buffer, p kernels.Update) {
	v := &s.level.vector
	out := s.storing(f32(y), false, p.Len, 4*p.N*p.Len, f32(x), f32(d), f32(e))
	s.update = update{newGenerator(v.normals, p.Random, ids, p.Len), v, out, f32(x), f32(d), f32(e), f32(scale), p}
	s.mapImages(f32(y), p.N, p.Len, false, &s.update)
}
