package physics

import "math"

// chebyshev returns c with f(l) ~ sum over k of c[k] T_k(2 l/top - 1) on [0, top], interpolated at four times as many points
// as it has coefficients, so that what is cut off does not fold back.
func chebyshev(f func(l float64) float64, top float64, degree int) []float64 {
	points := 4 * (degree + 1)
	cos := make([]float64, 4*points)
	for i := range cos {
		cos[i] = math.Cos(math.Pi * float64(i) / float64(2*points))
	}
	values := make([]float64, points)
	for j := range values {
		values[j] = f(top / 2 * (1 + cos[2*j+1]))
	}
	c := make([]float64, degree+1)
	for k := range c {
		for j, v := range values {
			c[k] += v * cos[(2*j+1)*k%len(cos)]
		}
		c[k] *= 2 / float64(points)
	}
	c[0] /= 2
	return c
}

// semiIteration are the coefficients of Chebyshev's iteration for K u = b, K with eigenvalues in [low, high]:
//
//	d = b/middle;  then u += d, d = keep[k] d + take[k] (b - K u) for each k;  at last u += d
//
// All are known beforehand: there is nothing to measure, so that images cannot influence each other. The true residual is
// computed in every step, which corrects the rounding of those before.
type semiIteration struct {
	middle     float64
	keep, take []float64
}

// newSemiIteration takes as many steps as reduce all errors by the factor shrink.
func newSemiIteration(low, high, shrink float64) semiIteration {
	middle, half := (high+low)/2, (high-low)/2
	s := semiIteration{middle: middle}
	steps := int(math.Ceil(math.Sqrt(high/low) / 2 * math.Log(2/shrink)))
	rho := half / middle
	for range steps {
		next := 1 / (2*middle/half - rho)
		s.keep, s.take = append(s.keep, next*rho), append(s.take, 2*next/half)
		rho = next
	}
	return s
}
