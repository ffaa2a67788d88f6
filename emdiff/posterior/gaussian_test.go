package posterior

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

const testRank = 3

// lowRank is a Gaussian with random mean and directions, and the same as matrices.
func lowRank(set kernels.Set, op physics.Operator, r float64) (*Gaussian, law) {
	random := rand.New(rand.NewPCG(4, 5))
	values := []float32{float32(r)}
	for range (testRank + 1) * length {
		values = append(values, float32(.4*random.NormFloat64()))
	}
	g := NewGaussian(set, op, testRank, 1)
	g.SetValues(values)
	f := mat.NewDense(testRank, length, nil)
	mean := mat.NewVecDense(length, nil)
	for i := range length {
		for j := range testRank {
			f.Set(j, i, float64(values[1+j*length+i]))
		}
		mean.SetVec(i, float64(values[1+testRank*length+i]))
	}
	return g, law{mean, sum(mul(f.T(), f), identity(length, r*r))}
}

func TestDrawsUnderALowRankGaussianFollowThePosterior(t *testing.T) {
	set := openSet(t)
	for _, cam := range cameras(t, set, newGaussian(set)) {
		g, prior := lowRank(set, cam.Operator, .25)
		want := (&gaussian{law: prior}).posterior(cam.a, cam.y, sigmaY)
		const n = 40000
		x := set.Alloc(kernels.F32, n*length)
		y := upload(set, repeated(floats(cam.y), n))
		g.Sample(x, batchOf(set, firstIDs(n)...), y, sigmaY, 1, kernels.Random{Seed: 3})
		requireDraws(t, want, download(set, x, n*length), cam.Name())
		g.Close()
		set.Free(x)
		set.Free(y)
	}
}

func TestTheDensityOfMeasurementsUnderALowRankGaussianIsTheDenseOne(t *testing.T) {
	set := openSet(t)
	for _, cam := range cameras(t, set, newGaussian(set)) {
		g, prior := lowRank(set, cam.Operator, .25)
		defer g.Close()
		var seen []int // measured entries
		for i := range length {
			if mat.Norm(cam.a.RowView(i), 2) > 0 {
				seen = append(seen, i)
			}
		}
		all := sum(mul(mul(cam.a, prior.cov), cam.a.T()), identity(length, sigmaY*sigmaY))
		mean := apply(cam.a, prior.mean)
		cov := mat.NewSymDense(len(seen), nil)
		mu, y := make([]float64, len(seen)), make([]float64, len(seen))
		for i, a := range seen {
			mu[i], y[i] = mean.AtVec(a), cam.y.AtVec(a)
			for j, b := range seen {
				cov.SetSym(i, j, (all.At(a, b)+all.At(b, a))/2)
			}
		}
		var chol mat.Cholesky
		require.True(t, chol.Factorize(cov))
		residual := mat.NewVecDense(len(seen), nil)
		residual.SubVec(mat.NewVecDense(len(seen), y), mat.NewVecDense(len(seen), mu))
		var solved mat.VecDense
		require.NoError(t, chol.SolveVecTo(&solved, residual))
		want := -.5 * (mat.Dot(residual, &solved) + chol.LogDet() + float64(len(seen))*math.Log(2*math.Pi))
		got := g.LogDensity(batchOf(set, 0, 1), upload(set, repeated(floats(cam.y), 2)), sigmaY)
		for i := range got {
			assert.InDelta(t, want, got[i], 1e-3, cam.Name())
		}
	}
}

// A mask for each image: draws and densities must be those of the operator with that mask alone.
func TestEveryImageKeepsItsOwnMaskUnderALowRankGaussian(t *testing.T) {
	set := openSet(t)
	const n = 3
	masks := make([]float32, n*height*width)
	for i := range n {
		physics.RandomMask(masks[i*height*width:(i+1)*height*width], 4+i, 9, uint32(i))
	}
	each, err := physics.NewInpaint(set, height, width, channels, masks)
	require.NoError(t, err)
	defer each.Close()
	y := make([]float32, n*length)
	for i := range y {
		y[i] = float32(math.Sin(float64(i)))
	}
	measured := upload(set, y)
	batch := batchOf(set, firstIDs(n)...)
	each.Select(batch)
	each.Restrict(measured)
	g, _ := lowRank(set, each, .25)
	defer g.Close()
	x := set.Alloc(kernels.F32, n*length)
	g.Sample(x, batch, measured, sigmaY, 1, kernels.Random{Seed: 8})
	draws, densities := download(set, x, n*length), g.LogDensity(batch, measured, sigmaY)
	for i := range n {
		alone, err := physics.NewInpaint(set, height, width, channels, masks[i*height*width:(i+1)*height*width])
		require.NoError(t, err)
		defer alone.Close()
		h, _ := lowRank(set, alone, .25)
		defer h.Close()
		one := upload(set, download(set, measured, n*length)[i*length:(i+1)*length])
		b := batchOf(set, int32(i))
		h.Sample(x, b, one, sigmaY, 1, kernels.Random{Seed: 8})
		assert.InDeltaSlice(t, draws[i*length:(i+1)*length], download(set, x, length), 1e-4, fmt.Sprint(i))
		assert.InDelta(t, h.LogDensity(b, one, sigmaY)[0], densities[i], 1e-3)
	}
}

func TestFitFindsMeanDirectionsAndTheRest(t *testing.T) {
	set := openSet(t)
	op, err := physics.NewDenoise(set, height, width, channels)
	require.NoError(t, err)
	defer op.Close()
	from, want := lowRank(set, op, .2)
	defer from.Close()
	const n = 40000
	x := set.Alloc(kernels.F32, n*length)
	defer set.Free(x)
	y := set.Alloc(kernels.F32, n*length) // hardly says anything about x
	defer set.Free(y)
	from.Sample(x, batchOf(set, firstIDs(n)...), y, 1e4, 1, kernels.Random{Seed: 3})
	g := NewGaussian(set, op, testRank, 1)
	defer g.Close()
	g.Fit(x, n, 1)
	g.Fit(x, n, 1) // more sweeps
	v := g.Values()
	require.Len(t, v, NumValues(testRank, length))
	f := mat.NewDense(testRank, length, nil)
	for i := range testRank * length {
		f.Set(i/length, i%length, float64(v[1+i]))
	}
	got := sum(mul(f.T(), f), identity(length, g.R*g.R))
	assert.InDelta(t, .2, g.R, .002)
	for i := range length {
		assert.InDelta(t, want.mean.AtVec(i), float64(v[1+testRank*length+i]), 5*math.Sqrt(want.cov.At(i, i)/n))
		for j := range length {
			spread := math.Sqrt((want.cov.At(i, i)*want.cov.At(j, j) + want.cov.At(i, j)*want.cov.At(i, j)) / n)
			assert.InDelta(t, want.cov.At(i, j), got.At(i, j), 5*spread)
		}
	}
}
