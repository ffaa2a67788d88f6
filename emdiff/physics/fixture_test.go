package physics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"emdiff/kernels"
	_ "emdiff/kernels/host"
)

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

func batchOf(set kernels.Set, ids ...int32) Batch {
	b := set.Alloc(kernels.I32, len(ids))
	set.UploadInts(b, ids)
	return Batch{N: len(ids), IDs: b}
}

func firstIDs(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	return ids
}

func randoms(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// repeated returns n copies of v, one after the other.
func repeated(v []float32, n int) []float32 {
	out := make([]float32, 0, n*len(v))
	for range n {
		out = append(out, v...)
	}
	return out
}

const maskSeed = 11

// operators opens every kind of operator for images of h x w x c; masks exist for ids 0 to 63.
func operators(t *testing.T, set kernels.Set, h, w, c, taps int) []Operator {
	t.Helper()
	d, err := NewDenoise(set, h, w, c)
	require.NoError(t, err)
	p, err := NewRandomInpaint(set, h, w, c, 0.6, maskSeed, 64)
	require.NoError(t, err)
	shared := make([]float32, h*w)
	RandomMask(shared, h*w/3, maskSeed, 0)
	s, err := NewInpaint(set, h, w, c, shared)
	require.NoError(t, err)
	b, err := NewGaussianBlur(set, h, w, c, taps, 2)
	require.NoError(t, err)
	f, err := NewPSF(set, h, w, c, randomKernel(), psfH, psfW)
	require.NoError(t, err)
	all := []Operator{d, p, s, b, f}
	for _, op := range all {
		t.Cleanup(op.Close)
	}
	return all
}

// dense returns the matrix of op for one image, column by column.
func dense(set kernels.Set, op Operator, id int32) *mat.Dense {
	h, w, c := op.Shape()
	n := h * w * c
	ids := make([]int32, n)
	unit := make([]float32, n*n)
	for i := range n {
		ids[i] = id
		unit[i*n+i] = 1
	}
	op.Select(batchOf(set, ids...))
	y := set.Alloc(kernels.F32, n*n)
	op.Apply(y, upload(set, unit))
	a := mat.NewDense(n, n, nil)
	for i, v := range download(set, y, n*n) {
		a.Set(i%n, i/n, float64(v))
	}
	return a
}

func vec(v []float32) *mat.VecDense {
	d := mat.NewVecDense(len(v), nil)
	for i, x := range v {
		d.SetVec(i, float64(x))
	}
	return d
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func norm(a []float32) float64 { return math.Sqrt(dot(a, a)) }

func label(op Operator) string {
	h, w, c := op.Shape()
	return fmt.Sprintf("%s/%dx%dx%d", op.Name(), h, w, c)
}
