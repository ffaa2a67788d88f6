package physics

import (
	"fmt"
	"math"

	"emdiff/kernels"
)

// MinSigmaY is the least noise that a likelihood assumes: measurements without noise are treated as if they had this
// much, an eighth of a grey level of 256, so that draws and misfits stay finite.
const MinSigmaY = 1e-3

// LikelihoodSigma is the standard deviation of the noise that samplers and misfits use for measurements whose noise has
// standard deviation sigmaY: max(sigmaY, MinSigmaY).
func LikelihoodSigma(sigmaY float64) float64 { return math.Max(sigmaY, MinSigmaY) }

// Random streams of this package: what else draws with the same seed must use other numbers.
const (
	StreamMask    uint32 = 0x70687900 + iota // which pixels RandomInpaint hides
	StreamMeasure                            // the noise of Measure
	StreamProbe                              // the probes of PSF.LogDet and PSF.NormSquared
)

// Batch names the images that an operator works on: image i of a buffer has the global id IDs[i].
type Batch struct {
	N   int
	IDs kernels.Buffer // at least N values of type I32
}

// Operator is a linear camera A, followed by noise that is not part of it. Images x and measurements y are buffers of N
// images of H*W*C values (NHWC), where N is that of the selected batch; all operators here keep the shape.
//
// An Operator is stateful (Select) and has work buffers on its Set: use it from one goroutine, in the order of the
// Set's queue. No method waits for the device but LogDet, where the number of measured values is the image's own.
type Operator interface {
	// Name is the word for it in settings and reports: "denoise", "inpaint", "blur", "psf".
	Name() string
	// Shape returns height, width and channels of x and y.
	Shape() (h, w, c int)
	// PerImage reports whether A differs between images; otherwise the ids of a batch may be nil where nothing is drawn.
	PerImage() bool
	// Select makes b the batch of all following calls.
	Select(b Batch)
	// Apply computes y = A x; y must not be x.
	Apply(y, x kernels.Buffer)
	// Adjoint computes x = A^T y; x must not be y.
	Adjoint(x, y kernels.Buffer)
	// NormSquared is ||A||^2, the largest eigenvalue of A^T A, over all images.
	NormSquared() float64
	// PosteriorGaussian draws x from p(x | y) under the prior N(x; z, R^2 I), exactly:
	//
	//	x = V (A^T S^-1 y + z/R^2) + Temperature V^(1/2) w,  V = (A^T S^-1 A + I/R^2)^-1,  S = LikelihoodSigma(SigmaY)^2 I
	//
	// or the S of p.Compensate. x may be z. Draws are keyed by p.Random and the ids of the batch.
	PosteriorGaussian(x, z, y kernels.Buffer, p GaussianDraw)
	// LogDet returns log det(r^2 A A^T + LikelihoodSigma(sigmaY)^2 I) over the measured values of each image of the batch:
	// with the misfit, the likelihood of y under N(A z, r^2 A A^T + S).
	LogDet(r, sigmaY float64) []float64
	// Restrict sets the entries of y that are not measured to 0, in place.
	Restrict(y kernels.Buffer)
	// InverseCount holds 1/m for each image of the batch, m its number of measured values: the weight that turns a sum
	// over measured entries into a mean. It is valid until the next Select.
	InverseCount() kernels.Buffer
	// Close frees the memory of the operator.
	Close()
}

// GaussianDraw are the parameters of Operator.PosteriorGaussian.
type GaussianDraw struct {
	SigmaY      float64 // standard deviation of the measurement noise
	R           float64 // standard deviation of the Gaussian prior around z
	Temperature float64 // 1 draws, 0 gives the mean
	// Compensate takes R^2 A A^T out of the noise, S = max(SigmaY^2 I - R^2 A A^T, MinSigmaY^2 I), so that y as seen
	// from z, with x integrated out, has the noise SigmaY: A x + S^(1/2) n = A z + SigmaY n' while R ||A|| <= SigmaY.
	Compensate bool
	Random     kernels.Random
}

// noise is the standard deviation of S along a singular vector of gain g.
func (p GaussianDraw) noise(g float64) float64 {
	v := p.SigmaY * p.SigmaY
	if p.Compensate {
		v -= p.R * p.R * g * g
	}
	return LikelihoodSigma(math.Sqrt(math.Max(v, 0)))
}

// kernel adds the shape of a gain and the noise.
func (p GaussianDraw) kernel(g kernels.Gain, noise float64) kernels.GaussianPosterior {
	return kernels.GaussianPosterior{Gain: g, SigmaY: float32(noise), R: float32(p.R),
		Temperature: float32(p.Temperature), Random: p.Random}
}

// logVariance is the logarithm of the variance of y, x integrated out, along a singular vector of gain squared g2.
func logVariance(r, sigmaY, g2 float64) float64 {
	s := LikelihoodSigma(sigmaY)
	return math.Log(r*r*g2 + s*s)
}

// repeat returns n copies of v.
func repeat(v float64, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = v
	}
	return all
}

// frame is what all operators have in common: a shape, a batch, and that every value is measured.
type frame struct {
	set      kernels.Set
	h, w, c  int
	batch    Batch
	invCount *Scratch
}

func newFrame(set kernels.Set, h, w, c int) (frame, error) {
	if h <= 0 || w <= 0 || c <= 0 {
		return frame{}, fmt.Errorf("physics: an image of %dx%dx%d is empty: height, width and channels must be positive", h, w, c)
	}
	return frame{set: set, h: h, w: w, c: c, invCount: NewScratch(set)}, nil
}

func (f *frame) Shape() (h, w, c int) { return f.h, f.w, f.c }

// len is the number of values of an image.
func (f *frame) len() int { return f.h * f.w * f.c }

func (f *frame) Select(b Batch) {
	f.batch = b
	f.set.Fill(f.invCount.Floats(b.N), 1/float32(f.len()), kernels.Elementwise{Len: b.N})
}

func (f *frame) PerImage() bool { return false }

func (f *frame) Restrict(kernels.Buffer) {}

func (f *frame) InverseCount() kernels.Buffer { return f.invCount.Floats(f.batch.N) }

func (f *frame) Close() { f.invCount.Free() }

// elements describes all values of the batch.
func (f *frame) elements() kernels.Elementwise { return kernels.Elementwise{Len: f.batch.N * f.len()} }

// gain describes a gain per pixel that all channels share; gainN is 1 or the size of the batch.
func (f *frame) gain(gainN int) kernels.Gain {
	return kernels.Gain{N: f.batch.N, HW: f.h * f.w, C: f.c, GainN: gainN, GainC: 1}
}
