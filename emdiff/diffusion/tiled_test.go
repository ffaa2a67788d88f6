package diffusion

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	_ "emdiff/kernels/host"
)

// linear is a denoiser of 4x4 patches with 2 channels that a matrix describes; its Jacobian is not symmetric.
type linear struct {
	set    kernels.Set
	matrix kernels.Buffer // [32][32]
	tmp    kernels.Buffer
	most   int // largest batch seen
}

const patch, patchValues = 4, 32

// newLinear keeps constants: its columns sum to 1.
func newLinear(set kernels.Set) *linear {
	m := make([]float32, patchValues*patchValues)
	for j := range patchValues {
		total := float32(0)
		for i := range patchValues {
			m[i*patchValues+j] = 1 + float32(math.Sin(float64(i*7+j*j)))
			total += m[i*patchValues+j]
		}
		for i := range patchValues {
			m[i*patchValues+j] /= total
		}
	}
	l := &linear{set: set, matrix: set.Alloc(kernels.F32, len(m)), tmp: set.Alloc(kernels.F32, 1<<16)}
	set.Upload(l.matrix, m)
	return l
}

func (l *linear) Shape() (h, w, c int) { return patch, patch, 2 }

func (l *linear) Denoise(d, x kernels.Buffer, n int, sigma float64) {
	l.most = max(l.most, n)
	l.set.Linear(l.tmp, x, l.matrix, kernels.Epilogue{}, kernels.Linear{Rows: n, K: patchValues, M: patchValues})
	l.set.Copy(d, l.tmp, kernels.Elementwise{Len: n * patchValues})
}

func (l *linear) Linearize(d, x kernels.Buffer, n int, sigma float64) func(g, v kernels.Buffer) {
	l.Denoise(d, x, n, sigma)
	return func(g, v kernels.Buffer) {
		l.set.LinearInputGrad(g, v, l.matrix, kernels.Linear{Rows: n, K: patchValues, M: patchValues})
	}
}

func ramp(set kernels.Set, n int, phase float64) (kernels.Buffer, []float32) {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.Sin(phase + 0.37*float64(i)))
	}
	b := set.Alloc(kernels.F32, n)
	set.Upload(b, v)
	return b, v
}

func download(set kernels.Set, b kernels.Buffer, n int) []float32 {
	v := make([]float32, n)
	set.Download(v, b)
	return v
}

func TestACanvasOfOnePatchIsThePatch(t *testing.T) {
	set := openHost(t)
	inner := newLinear(set)
	tiled, err := NewTiled(set, inner, patch, patch, 8)
	require.NoError(t, err)
	defer tiled.Close()
	x, _ := ramp(set, 3*patchValues, 1)
	want, got := set.Alloc(kernels.F32, 3*patchValues), set.Alloc(kernels.F32, 3*patchValues)
	inner.Denoise(want, x, 3, 1)
	tiled.Denoise(got, x, 3, 1)
	assert.Equal(t, download(set, want, 3*patchValues), download(set, got, 3*patchValues))
	assert.Equal(t, 1, tiled.Patches())
}

// A patch may see anything: what all patches leave alone must come out as it went in, wherever the patches lie.
func TestWindowsSumToOneEverywhere(t *testing.T) {
	set := openHost(t)
	for _, size := range [][2]int{{4, 5}, {7, 4}, {11, 13}, {16, 9}} {
		inner := newLinear(set)
		tiled, err := NewTiled(set, inner, size[0], size[1], 6)
		require.NoError(t, err)
		n := 2 * size[0] * size[1] * 2
		x := set.Alloc(kernels.F32, n)
		set.Fill(x, 0.7, kernels.Elementwise{Len: n})
		tiled.Denoise(x, x, 2, 1) // in place
		for _, v := range download(set, x, n) {
			require.InDelta(t, 0.7, v, 1e-6)
		}
		assert.LessOrEqual(t, inner.most, 6)
		tiled.Close()
	}
}

func TestAnImageIsDenoisedAloneAsInABatch(t *testing.T) {
	set := openHost(t)
	tiled, err := NewTiled(set, newLinear(set), 9, 6, 5)
	require.NoError(t, err)
	defer tiled.Close()
	const n, length = 5, 9 * 6 * 2
	x, values := ramp(set, n*length, 2)
	d := set.Alloc(kernels.F32, n*length)
	tiled.Denoise(d, x, n, 1)
	all := download(set, d, n*length)
	for i := range n {
		one := set.Alloc(kernels.F32, length)
		set.Upload(one, values[i*length:(i+1)*length])
		tiled.Denoise(one, one, 1, 1)
		assert.Equal(t, all[i*length:(i+1)*length], download(set, one, length))
	}
}

// <v, D x> = <J^T v, x> for a linear D, twice for one linearization.
func TestTheJacobianOfTilesIsTransposed(t *testing.T) {
	set := openHost(t)
	tiled, err := NewTiled(set, newLinear(set), 10, 7, 4)
	require.NoError(t, err)
	defer tiled.Close()
	const n, length = 2, 10 * 7 * 2
	x, xs := ramp(set, n*length, 3)
	d, g := set.Alloc(kernels.F32, n*length), set.Alloc(kernels.F32, n*length)
	vjp := tiled.Linearize(d, x, n, 1)
	ds := download(set, d, n*length)
	for phase := range 2 {
		v, vs := ramp(set, n*length, float64(5+phase))
		vjp(g, v)
		gs := download(set, g, n*length)
		left, right := 0.0, 0.0
		for i := range vs {
			left += float64(vs[i]) * float64(ds[i])
			right += float64(gs[i]) * float64(xs[i])
		}
		assert.InDelta(t, left, right, 1e-4)
		assert.Greater(t, math.Abs(left), 1e-2)
	}
}

func TestACanvasBelowThePatchIsRefused(t *testing.T) {
	set := openHost(t)
	_, err := NewTiled(set, newLinear(set), 3, 8, 4)
	assert.ErrorContains(t, err, "3 x 8 pixels")
}

// openHost opens the best level that works here.
func openHost(t *testing.T) kernels.Set {
	t.Helper()
	for _, i := range kernels.Implementations() {
		if i.Usable() == nil {
			set, err := i.Open(kernels.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { set.Close() })
			return set
		}
	}
	t.Fatal("no implementation of the kernels works here")
	return nil
}
