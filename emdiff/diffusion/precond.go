package diffusion

import "math"

// Precond turns a network F into a denoiser (Karras et al. 2022, eq. 7):
//
//	D(x, sigma) = Skip x + Out F(In x, Noise)
//
// and says how its training is weighted.
type Precond interface {
	// Name is the name used in settings and checkpoints.
	Name() string
	// At returns the coefficients at noise level sigma.
	At(sigma float64) Coef
	// SampleSigma maps a uniform u in (0, 1) to a training noise level.
	SampleSigma(u float64) float64
	// Range returns the lowest and highest noise level the network is trained for.
	Range() (low, high float64)
}

// Coef holds the preconditioning at one noise level. Weight is the weight of |F - target|^2 in the loss.
type Coef struct {
	Skip, Out, In, Noise, Weight float64
}

// EDM is the preconditioning and the noise distribution of Karras et al. 2022, table 1: ln sigma ~ N(Mean, Std^2), loss
// weight (sigma^2 + SigmaData^2)/(sigma SigmaData)^2 on D, which is 1 on F.
type EDM struct {
	SigmaData, Mean, Std float64
	Low, High            float64
}

// DefaultEDM has the constants of the paper.
func DefaultEDM() EDM { return EDM{SigmaData: 0.5, Mean: -1.2, Std: 1.2, Low: 0.002, High: 80} }

// Name is "edm".
func (EDM) Name() string { return "edm" }

// At returns the coefficients at noise level sigma.
func (p EDM) At(sigma float64) Coef {
	v := sigma*sigma + p.SigmaData*p.SigmaData
	return Coef{
		Skip:   p.SigmaData * p.SigmaData / v,
		Out:    sigma * p.SigmaData / math.Sqrt(v),
		In:     1 / math.Sqrt(v),
		Noise:  math.Log(sigma) / 4,
		Weight: 1,
	}
}

// SampleSigma draws from the log-normal law, limited to the range.
func (p EDM) SampleSigma(u float64) float64 {
	z := math.Sqrt2 * math.Erfinv(2*u-1)
	return min(max(math.Exp(p.Mean+p.Std*z), p.Low), p.High)
}

// Range returns Low and High.
func (p EDM) Range() (low, high float64) { return p.Low, p.High }

// Epsilon is the noise prediction of DDPM: F predicts e in x_t = sqrt(abar) x + sqrt(1-abar) e, trained with an
// unweighted loss at uniformly drawn steps. In VE coordinates x_t = (x + sigma e)/sqrt(1+sigma^2) and D = x - sigma F.
type Epsilon struct{ VP VP }

// Name is "vp".
func (Epsilon) Name() string { return "vp" }

// At returns the coefficients at noise level sigma.
func (p Epsilon) At(sigma float64) Coef {
	return Coef{Skip: 1, Out: -sigma, In: 1 / math.Sqrt(1+sigma*sigma), Noise: p.VP.Time(sigma), Weight: 1}
}

// SampleSigma draws a step uniformly.
func (p Epsilon) SampleSigma(u float64) float64 {
	t := min(int(u*float64(len(p.VP.Sigma))), len(p.VP.Sigma)-1)
	return p.VP.Sigma[t]
}

// Range returns the schedule's ends.
func (p Epsilon) Range() (low, high float64) {
	return p.VP.Sigma[0], p.VP.Sigma[len(p.VP.Sigma)-1]
}
