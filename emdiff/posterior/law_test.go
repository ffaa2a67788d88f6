package posterior

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// law is a Gaussian in float64: what a chain of linear steps with Gaussian noise makes of a Gaussian start.
type law struct {
	mean *mat.VecDense
	cov  *mat.Dense
}

func identity(n int, s float64) *mat.Dense {
	m := mat.NewDense(n, n, nil)
	for i := range n {
		m.Set(i, i, s)
	}
	return m
}

func mul(a, b mat.Matrix) *mat.Dense {
	var m mat.Dense
	m.Mul(a, b)
	return &m
}

func apply(a mat.Matrix, v *mat.VecDense) *mat.VecDense {
	var m mat.VecDense
	m.MulVec(a, v)
	return &m
}

func sum(a, b mat.Matrix) *mat.Dense {
	var m mat.Dense
	m.Add(a, b)
	return &m
}

func scaled(s float64, a mat.Matrix) *mat.Dense {
	var m mat.Dense
	m.Scale(s, a)
	return &m
}

func plus(a *mat.VecDense, s float64, b *mat.VecDense) *mat.VecDense {
	var m mat.VecDense
	m.AddScaledVec(a, s, b)
	return &m
}

func inverse(a mat.Matrix) *mat.Dense {
	var m mat.Dense
	if err := m.Inverse(a); err != nil {
		panic(err)
	}
	return &m
}

// step is x' = f x + b + N(0, q).
type step struct {
	f *mat.Dense
	b *mat.VecDense
	q *mat.Dense
}

func (l law) after(s step) law {
	return law{plus(apply(s.f, l.mean), 1, s.b), sum(mul(mul(s.f, l.cov), s.f.T()), s.q)}
}

// then is the step that does s first and t second.
func (s step) then(t step) step {
	return step{mul(t.f, s.f), plus(apply(t.f, s.b), 1, t.b), sum(mul(mul(t.f, s.q), t.f.T()), t.q)}
}

// stationary is the law that a contracting step keeps: the limit of its powers, by squaring.
func (s step) stationary() law {
	for range 40 {
		s = s.then(s)
	}
	return law{s.b, s.q}
}

// affine is x' = a x + b (K x + c) + N(0, noise^2 I) with the denoiser's K and c: one kernels.Update.
func affine(d step, a, b, noise float64) step {
	n, _ := d.f.Dims()
	return step{sum(identity(n, a), scaled(b, d.f)), plus(mat.NewVecDense(n, nil), b, d.b), identity(n, noise*noise)}
}

// distance is how far law l is from ref in units of its standard deviations: the largest error of a mean, and of an
// entry of the covariance relative to the two variances.
func (l law) distance(ref law) (mean, cov float64) {
	for i := range l.mean.Len() {
		si := math.Sqrt(ref.cov.At(i, i))
		mean = math.Max(mean, math.Abs(l.mean.AtVec(i)-ref.mean.AtVec(i))/si)
		for j := range l.mean.Len() {
			cov = math.Max(cov, math.Abs(l.cov.At(i, j)-ref.cov.At(i, j))/(si*math.Sqrt(ref.cov.At(j, j))))
		}
	}
	return mean, cov
}

// requireDraws holds the moments of independent draws to a law: five standard errors for every mean and covariance.
func requireDraws(t *testing.T, want law, draws []float32, what string) {
	t.Helper()
	n := want.mean.Len()
	chains := float64(len(draws) / n)
	sums, products := make([]float64, n), make([]float64, n*n)
	diff := make([]float64, n)
	for k := 0; k < len(draws); k += n {
		for i := range diff {
			diff[i] = float64(draws[k+i]) - want.mean.AtVec(i)
			sums[i] += diff[i]
			for j := range i + 1 {
				products[i*n+j] += diff[i] * diff[j]
			}
		}
	}
	for i := range n {
		vi := want.cov.At(i, i)
		require.InDelta(t, 0, sums[i]/chains, 5*math.Sqrt(vi/chains), "%s: mean of entry %d", what, i)
		for j := range i + 1 {
			cij := want.cov.At(i, j)
			se := math.Sqrt((vi*want.cov.At(j, j) + cij*cij) / chains)
			require.InDelta(t, cij, products[i*n+j]/chains, 5*se, "%s: covariance of entries %d, %d", what, i, j)
		}
	}
}
