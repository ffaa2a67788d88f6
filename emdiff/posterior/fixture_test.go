package posterior

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"emdiff/emdiff/physics"
	"emdiff/kernels"
	_ "emdiff/kernels/host"
)

// The images of these tests: odd shapes, two channels, 24 values.
const height, width, channels, length = 4, 3, 2, 24

// openSet opens the best implementation that this machine can use.
func openSet(t *testing.T) kernels.Set {
	t.Helper()
	for _, i := range kernels.Implementations() {
		if i.Usable() != nil {
			continue
		}
		set, err := i.Open(kernels.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, set.Sync()); require.NoError(t, set.Close()) })
		return set
	}
	require.Fail(t, "no implementation is usable")
	return nil
}

func upload(set kernels.Set, v []float32) kernels.Buffer {
	b := set.Alloc(kernels.F32, len(v))
	set.Upload(b, v)
	return b
}

func download(set kernels.Set, b kernels.Buffer, n int) []float32 {
	v := make([]float32, n)
	set.Download(v, b)
	return v
}

func batchOf(set kernels.Set, ids ...int32) physics.Batch {
	b := set.Alloc(kernels.I32, len(ids))
	set.UploadInts(b, ids)
	return physics.Batch{N: len(ids), IDs: b}
}

func firstIDs(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	return ids
}

func repeated(v []float32, n int) []float32 {
	out := make([]float32, 0, n*len(v))
	for range n {
		out = append(out, v...)
	}
	return out
}

func floats(m mat.Matrix) []float32 {
	r, c := m.Dims()
	v := make([]float32, 0, r*c)
	for i := range r {
		for j := range c {
			v = append(v, float32(m.At(i, j)))
		}
	}
	return v
}

// gaussian is the prior N(mean, cov), whose denoiser is linear: D(x, s) = mean + cov (cov + s^2 I)^-1 (x - mean).
type gaussian struct {
	law
	set    kernels.Set
	eigen  mat.EigenSym
	layers map[float64][2]kernels.Buffer // matrix and bias of D at each noise level
	tmp    *physics.Scratch
	calls  int
}

// newGaussian has a smooth covariance, coupled between the channels, of standard deviation 0.5.
func newGaussian(set kernels.Set) *gaussian {
	mean := mat.NewVecDense(length, nil)
	cov := mat.NewSymDense(length, nil)
	at := func(i int) (y, x, c float64) {
		return float64(i / channels / width), float64(i / channels % width), float64(i % channels)
	}
	for i := range length {
		yi, xi, ci := at(i)
		mean.SetVec(i, .2*xi-.1*yi+.3*ci-.2)
		for j := i; j < length; j++ {
			yj, xj, cj := at(j)
			d := (yi-yj)*(yi-yj) + (xi-xj)*(xi-xj) + (ci-cj)*(ci-cj)
			v := .2 * math.Exp(-d/4)
			if i == j {
				v += .05
			}
			cov.SetSym(i, j, v)
		}
	}
	g := &gaussian{law: law{mean, mat.DenseCopyOf(cov)}, set: set,
		layers: map[float64][2]kernels.Buffer{}, tmp: physics.NewScratch(set)}
	g.eigen.Factorize(cov, true)
	return g
}

// denoiser is D(., sigma) as an affine map.
func (g *gaussian) denoiser(sigma float64) step {
	var v mat.Dense
	g.eigen.VectorsTo(&v)
	shrink := identity(length, 0)
	for i, l := range g.eigen.Values(nil) {
		shrink.Set(i, i, l/(l+sigma*sigma))
	}
	k := mul(mul(&v, shrink), v.T())
	return step{k, plus(g.mean, -1, apply(k, g.mean)), nil}
}

func (g *gaussian) Shape() (h, w, c int) { return height, width, channels }

func (g *gaussian) layer(sigma float64) (k, bias kernels.Buffer) {
	l, ok := g.layers[sigma]
	if !ok {
		d := g.denoiser(sigma)
		l = [2]kernels.Buffer{upload(g.set, floats(d.f.T())), upload(g.set, floats(d.b))}
		g.layers[sigma] = l
	}
	return l[0], l[1]
}

func (g *gaussian) Denoise(d, x kernels.Buffer, n int, sigma float64) {
	g.calls++
	k, bias := g.layer(sigma)
	tmp := g.tmp.Floats(n * length)
	g.set.Linear(tmp, x, k, kernels.Epilogue{Bias: bias}, kernels.Linear{Rows: n, K: length, M: length})
	g.set.Copy(d, tmp, kernels.Elementwise{Len: n * length})
}

func (g *gaussian) Linearize(d, x kernels.Buffer, n int, sigma float64) func(gx, v kernels.Buffer) {
	g.Denoise(d, x, n, sigma)
	k, _ := g.layer(sigma)
	return func(gx, v kernels.Buffer) {
		g.set.LinearInputGrad(gx, v, k, kernels.Linear{Rows: n, K: length, M: length})
	}
}

// posterior is p(x | y) in closed form, for noise of standard deviation sigmaY.
func (g *gaussian) posterior(a *mat.Dense, y *mat.VecDense, sigmaY float64) law {
	return g.posteriorNoise(a, y, identity(length, sigmaY*sigmaY))
}

// posteriorNoise is p(x | y) in closed form, for noise of covariance noise.
func (g *gaussian) posteriorNoise(a *mat.Dense, y *mat.VecDense, noise *mat.Dense) law {
	gain := mul(mul(g.cov, a.T()), inverse(sum(mul(mul(a, g.cov), a.T()), noise)))
	return law{plus(g.mean, 1, apply(gain, plus(y, -1, apply(a, g.mean)))),
		sum(g.cov, scaled(-1, mul(mul(gain, a), g.cov)))}
}

// camera is an operator with its matrix, and a measurement of one draw of the prior.
type camera struct {
	physics.Operator
	a *mat.Dense
	y *mat.VecDense
}

const sigmaY = .3

// cameras opens denoising, inpainting with one mask for all images, and blur.
func cameras(t *testing.T, set kernels.Set, prior *gaussian) []camera {
	t.Helper()
	denoise, err := physics.NewDenoise(set, height, width, channels)
	require.NoError(t, err)
	mask := make([]float32, height*width)
	physics.RandomMask(mask, 5, 1, 0)
	inpaint, err := physics.NewInpaint(set, height, width, channels, mask)
	require.NoError(t, err)
	blur, err := physics.NewGaussianBlur(set, height, width, channels, 3, 1)
	require.NoError(t, err)

	var list []camera
	for _, op := range []physics.Operator{denoise, inpaint, blur} {
		list = append(list, lookAt(t, set, prior, op))
	}
	return list
}

// lookAt makes a camera of op, which is closed after the test.
func lookAt(t *testing.T, set kernels.Set, prior *gaussian, op physics.Operator) camera {
	t.Helper()
	t.Cleanup(op.Close)
	var chol mat.Cholesky
	require.True(t, chol.Factorize(mat.NewSymDense(length, mul(identity(length, 1), prior.cov).RawMatrix().Data)))
	var l mat.TriDense
	chol.LTo(&l)
	r := rand.New(rand.NewPCG(1, 2))
	white := mat.NewVecDense(length, nil)
	for i := range length {
		white.SetVec(i, r.NormFloat64())
	}
	truth := floats(plus(prior.mean, 1, apply(&l, white)))

	one := set.Alloc(kernels.F32, length)
	physics.Measure(set, op, batchOf(set, 0), one, upload(set, truth), sigmaY, 3)
	y := mat.NewVecDense(length, nil)
	for i, v := range download(set, one, length) {
		y.SetVec(i, float64(v))
	}
	op.Select(batchOf(set, firstIDs(length)...))
	columns := set.Alloc(kernels.F32, length*length)
	op.Apply(columns, upload(set, floats(identity(length, 1))))
	a := mat.NewDense(length, length, nil)
	for i, v := range download(set, columns, length*length) {
		a.Set(i%length, i/length, float64(v))
	}
	return camera{op, a, y}
}

// draw runs the sampler on chains images that share one measurement.
func draw(t *testing.T, set kernels.Set, s Sampler, prior *gaussian, cam camera, chains int, weight float64) []float32 {
	t.Helper()
	x := set.Alloc(kernels.F32, chains*length)
	require.NoError(t, s.Sample(x, Problem{Prior: prior, Batch: batchOf(set, firstIDs(chains)...), SigmaY: sigmaY,
		Y: upload(set, repeated(floats(cam.y), chains)), PriorWeight: weight, Seed: 17}))
	return download(set, x, chains*length)
}
