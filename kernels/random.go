package kernels

import "fmt"

// Random names a family of draws. Element e of image i is a function of (Seed, Stream, Step, id of image i, e) alone, the
// same bits on every implementation (see Philox): it depends neither on the batch nor on threads.
type Random struct {
	Seed       uint64
	Stream     uint32 // which use of randomness: one number per consumer
	Step       uint32
	FirstImage uint32 // id of image 0 when no ids are given; image i then has id FirstImage + i
}

// Dropout zeroes each value with probability Rate and scales the rest by 1/(1-Rate); the same struct applied to dy is
// the gradient. A value survives when its Philox uniform is >= Rate.
type Dropout struct {
	N, Len int
	Rate   float32
	Random
}

// Validate reports the first impossible parameter.
func (p Dropout) Validate() error {
	if !(p.Rate >= 0 && p.Rate < 1) {
		return fmt.Errorf("Rate = %g must lie in [0, 1)", p.Rate)
	}
	return positive("N", p.N, "Len", p.Len)
}

// Cost reads and writes once; the mask is never stored.
func (p Dropout) Cost() Cost { return floats(2*float64(p.N*p.Len), 2*p.N*p.Len) }

// Draw fills N images of Len values with independent numbers.
type Draw struct {
	N, Len int
	Random
}

// Validate reports the first impossible parameter.
func (p Draw) Validate() error { return positive("N", p.N, "Len", p.Len) }

// Cost writes once.
func (p Draw) Cost() Cost { return floats(0, p.N*p.Len) }

// Update is the step of every sampler, in one pass:
//
//	y = A x + B d + C scale[n] e + Noise w,   w ~ N(0, I) drawn inside
//
// d, e and scale may be nil (their terms vanish; a nil scale is 1). DDPM, DDIM, Euler, Heun, DPS and Langevin steps all
// have this form: PMC-RED, x + gamma(-g) + c(D(x)-x) + sqrt(2 gamma) w, is A = 1-c, B = c, C = -gamma with e = g; PMC-PnP,
// whose denoiser sees z = x - gamma g, is A = 1-c, B = c, C = -gamma(1-c).
type Update struct {
	N, Len         int
	A, B, C, Noise float32
	Random
}

// Validate reports the first impossible parameter.
func (p Update) Validate() error {
	if p.Noise < 0 {
		return fmt.Errorf("Noise = %g must not be negative", p.Noise)
	}
	return positive("N", p.N, "Len", p.Len)
}

// Cost is that of all four terms.
func (p Update) Cost() Cost { return floats(7*float64(p.N*p.Len), 4*p.N*p.Len) }
