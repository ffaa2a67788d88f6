package kernels

import "fmt"

// Gain multiplies every pixel by an entry of a mask or of a spectrum. gain is [GainN][HW][GainC]: GainN is N or 1 (one
// for the whole batch), GainC is C or 1 (shared by the channels).
type Gain struct {
	N, HW, C, GainN, GainC int
	Accumulate             bool
}

// Validate reports the first impossible parameter.
func (p Gain) Validate() error {
	if err := positive("N", p.N, "HW", p.HW, "C", p.C); err != nil {
		return err
	}
	if (p.GainN != 1 && p.GainN != p.N) || (p.GainC != 1 && p.GainC != p.C) {
		return fmt.Errorf("GainN = %d, GainC = %d: want 1 or N = %d, and 1 or C = %d", p.GainN, p.GainC, p.N, p.C)
	}
	return nil
}

// Len is the number of gains.
func (p Gain) Len() int { return p.GainN * p.HW * p.GainC }

// Cost reads and writes every value once.
func (p Gain) Cost() Cost { return floats(float64(p.N*p.HW*p.C), 2*p.N*p.HW*p.C+p.Len()) }

// GaussianPosterior draws from the product of N(x; z, R^2) and the likelihood of y = gain x + SigmaY n, entry by entry:
//
//	v = 1/(gain^2/SigmaY^2 + 1/R^2),  x = v (gain y/SigmaY^2 + z/R^2) + Temperature sqrt(v) w,  w ~ N(0, I)
//
// It is exact for denoising (gain 1), masks, and in the singular basis of a blur. A nil gain means 1 everywhere.
// Temperature 1 draws, 0 gives the mean.
type GaussianPosterior struct {
	Gain
	SigmaY, R, Temperature float32
	Random
}

// Validate reports the first impossible parameter.
func (p GaussianPosterior) Validate() error {
	if !(p.SigmaY > 0 && p.R > 0 && p.Temperature >= 0) {
		return fmt.Errorf("SigmaY = %g, R = %g, Temperature = %g: want the first two positive, the last not negative", p.SigmaY, p.R, p.Temperature)
	}
	return p.Gain.Validate()
}

// Cost reads z and y and writes x.
func (p GaussianPosterior) Cost() Cost {
	return floats(10*float64(p.N*p.HW*p.C), 3*p.N*p.HW*p.C+p.Len())
}

// Blur is a separable convolution of every channel with Taps along both axes under reflect padding (the edge pixel is
// not repeated), K odd:
//
//	y[i,j] = sum over a,b of taps[a] taps[b] x[r(i+a-K/2), r(j+b-K/2)],  r(-k) = k, r(H-1+k) = H-1-k
//
// BlurAdjoint is its transpose.
type Blur struct {
	N, H, W, C, K int
}

// Validate reports the first impossible parameter.
func (p Blur) Validate() error {
	if err := positive("N", p.N, "H", p.H, "W", p.W, "C", p.C, "K", p.K); err != nil {
		return err
	}
	if p.K%2 == 0 || p.K/2 >= p.H || p.K/2 >= p.W {
		return fmt.Errorf("K = %d must be odd and K/2 smaller than the %dx%d image", p.K, p.H, p.W)
	}
	return nil
}

// Cost is that of the two one-dimensional passes with one read and one write.
func (p Blur) Cost() Cost {
	n := p.N * p.H * p.W * p.C
	return floats(4*float64(n)*float64(p.K), 2*n)
}
