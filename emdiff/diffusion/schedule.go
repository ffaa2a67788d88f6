package diffusion

import (
	"fmt"
	"math"
	"sort"
)

// VP is a discrete variance-preserving noise schedule: x_t = sqrt(AlphaBar[t]) x + sqrt(1-AlphaBar[t]) e, t = 0..T-1.
// On the VE scale its noise level at step t is Sigma[t] = sqrt((1-AlphaBar[t])/AlphaBar[t]), increasing in t.
type VP struct {
	AlphaBar []float64
	Sigma    []float64
}

// LinearVP is the schedule of DDPM (Ho et al. 2020): steps betas evenly spaced from betaMin to betaMax. 1000, 1e-4, 0.02
// gives sigma from 0.01 to 157.4.
func LinearVP(steps int, betaMin, betaMax float64) VP {
	return newVP(steps, func(t int) float64 {
		if steps == 1 {
			return betaMin
		}
		return betaMin + (betaMax-betaMin)*float64(t)/float64(steps-1)
	})
}

// CosineVP is the schedule of improved DDPM (Nichol & Dhariwal 2021): alphaBar(t) follows
// cos^2((t/T + 0.008)/1.008 * pi/2), betas capped at 0.999.
func CosineVP(steps int) VP {
	f := func(u float64) float64 {
		c := math.Cos((u + 0.008) / 1.008 * math.Pi / 2)
		return c * c
	}
	return newVP(steps, func(t int) float64 {
		return min(1-f(float64(t+1)/float64(steps))/f(float64(t)/float64(steps)), 0.999)
	})
}

func newVP(steps int, beta func(t int) float64) VP {
	if steps < 1 {
		panic(fmt.Sprintf("diffusion: a schedule of %d steps", steps))
	}
	v := VP{make([]float64, steps), make([]float64, steps)}
	prod := 1.0
	for t := range steps {
		prod *= 1 - beta(t)
		v.AlphaBar[t] = prod
		v.Sigma[t] = math.Sqrt((1 - prod) / prod)
	}
	return v
}

// Time returns the fractional step whose noise level is sigma, interpolating linearly in log sigma and clamping to the
// schedule's ends.
func (v VP) Time(sigma float64) float64 {
	last := len(v.Sigma) - 1
	i := sort.SearchFloat64s(v.Sigma, sigma)
	switch {
	case i == 0:
		return 0
	case i > last:
		return float64(last)
	}
	lo, hi := math.Log(v.Sigma[i-1]), math.Log(v.Sigma[i])
	return float64(i-1) + (math.Log(sigma)-lo)/(hi-lo)
}

// Grid returns the noise levels of steps evenly respaced steps of the schedule, from its largest level down, and a
// final 0.
func (v VP) Grid(steps int) []float64 {
	grid := make([]float64, steps+1)
	for i := range steps {
		t := float64(len(v.Sigma)-1) * (1 - float64(i)/float64(max(steps-1, 1)))
		grid[i] = v.Sigma[int(math.Round(t))]
	}
	return grid
}

// EDMGrid returns steps noise levels from high to low, evenly spaced in sigma^(1/7) (Karras et al. 2022, eq. 5 with
// rho = 7), and a final 0.
func EDMGrid(steps int, low, high float64) []float64 {
	const rho = 7
	grid := make([]float64, steps+1)
	a, b := math.Pow(high, 1.0/rho), math.Pow(low, 1.0/rho)
	for i := range steps {
		u := 0.0
		if steps > 1 {
			u = float64(i) / float64(steps-1)
		}
		grid[i] = math.Pow(a+u*(b-a), rho)
	}
	return grid
}
