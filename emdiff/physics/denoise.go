package physics

import "emdiff/kernels"

// Denoise is A = I: the measurement is the image with noise.
type Denoise struct{ frame }

// NewDenoise makes the identity for images of h x w x c.
func NewDenoise(set kernels.Set, h, w, c int) (*Denoise, error) {
	f, err := newFrame(set, h, w, c)
	if err != nil {
		return nil, err
	}
	return &Denoise{f}, nil
}

// Name is "denoise".
func (d *Denoise) Name() string { return "denoise" }

// Apply copies x.
func (d *Denoise) Apply(y, x kernels.Buffer) { d.set.Copy(y, x, d.elements()) }

// Adjoint copies y.
func (d *Denoise) Adjoint(x, y kernels.Buffer) { d.set.Copy(x, y, d.elements()) }

// NormSquared is 1.
func (d *Denoise) NormSquared() float64 { return 1 }

// PosteriorGaussian draws entry by entry.
func (d *Denoise) PosteriorGaussian(x, z, y kernels.Buffer, p GaussianDraw) {
	d.set.GaussianPosterior(x, z, y, nil, d.batch.IDs, p.kernel(d.gain(1), p.noise(1)))
}

// LogDet is that of a multiple of the identity.
func (d *Denoise) LogDet(r, sigmaY float64) []float64 {
	return repeat(float64(d.len())*logVariance(r, sigmaY, 1), d.batch.N)
}
