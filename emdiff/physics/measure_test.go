package physics

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

func TestRandomMasksHideAnExactNumberOfPixelsUniformly(t *testing.T) {
	const h, w, images = 6, 5, 4000
	for _, fraction := range []float64{0, .33, .6, .97} {
		hidden := int(h * w * fraction)
		times := make([]int, h*w)
		mask := make([]float32, h*w)
		for id := range images {
			RandomMask(mask, hidden, 3, uint32(id))
			zeros := 0
			for i, v := range mask {
				if v == 0 {
					zeros++
					times[i]++
				}
			}
			require.Equal(t, hidden, zeros)
		}
		p := float64(hidden) / (h * w)
		for i, k := range times {
			assert.InDelta(t, p, float64(k)/images, 5*math.Sqrt(p*(1-p)/images), "pixel %d", i)
		}
	}
}

func TestMasksDependOnSeedAndIDAlone(t *testing.T) {
	set := openSet(t)
	const h, w, c = 5, 7, 3
	const n = h * w * c
	masks := func(seed uint64, images int, ids ...int32) []float32 {
		op, err := NewRandomInpaint(set, h, w, c, .6, seed, images)
		require.NoError(t, err)
		defer op.Close()
		op.Select(batchOf(set, ids...))
		x := set.Alloc(kernels.F32, len(ids)*n)
		set.Fill(x, 1, kernels.Elementwise{Len: len(ids) * n})
		op.Restrict(x)
		return download(set, x, len(ids)*n)
	}
	batch := masks(1, 10, 4, 0, 9, 4)
	assert.Equal(t, batch[:n], masks(1, 5, 4), "neither batch nor data set size matter")
	assert.Equal(t, batch[:n], batch[3*n:], "an id has one mask")
	assert.NotEqual(t, batch[:n], batch[n:2*n], "ids differ")
	assert.NotEqual(t, batch[:n], masks(2, 5, 4), "seeds differ")
	for i := 0; i < len(batch); i += c {
		require.Equal(t, batch[i], batch[i+1])
		require.Equal(t, batch[i], batch[i+2])
	}
	zeros := 0
	for _, v := range batch[:n] {
		if v == 0 {
			zeros++
		}
	}
	assert.Equal(t, c*int(.6*h*w), zeros)
}

func TestMeasureGivesAnImageOneMeasurementForEver(t *testing.T) {
	set := openSet(t)
	const h, w, c, images, sigmaY = 9, 8, 3, 40, .2
	const n = h * w * c
	x := randoms(rand.New(rand.NewPCG(1, 1)), images*n)
	for _, op := range operators(t, set, h, w, c, 9) {
		y, ax := set.Alloc(kernels.F32, images*n), set.Alloc(kernels.F32, images*n)
		all := batchOf(set, firstIDs(images)...)
		Measure(set, op, all, y, upload(set, x), sigmaY, 5)
		first := download(set, y, images*n)
		Measure(set, op, batchOf(set, 30, 2), y, upload(set, append(append([]float32{}, x[30*n:31*n]...), x[2*n:3*n]...)), sigmaY, 5)
		alone := download(set, y, 2*n)
		require.Equal(t, first[30*n:31*n], alone[:n], label(op))
		require.Equal(t, first[2*n:3*n], alone[n:], label(op))

		op.Select(all)
		op.Apply(ax, upload(set, x))
		ones := set.Alloc(kernels.F32, images*n)
		set.Fill(ones, 1, kernels.Elementwise{Len: images * n})
		op.Restrict(ones)
		clean, measured := download(set, ax, images*n), download(set, ones, images*n)
		sum, m := 0.0, 0
		for i := range first {
			if measured[i] == 0 {
				require.Zero(t, first[i], "%s: nothing is left where nothing is measured", label(op))
				continue
			}
			sum += math.Pow(float64(first[i]-clean[i]), 2)
			m++
		}
		// The variance of m noises has relative standard error sqrt(2/m).
		assert.InDelta(t, 1, sum/(float64(m)*sigmaY*sigmaY), 5*math.Sqrt(2/float64(m)), label(op))
	}
}

func TestMisfitIsTheMeanOverMeasuredEntries(t *testing.T) {
	set := openSet(t)
	const h, w, c = 6, 7, 2
	const n = h * w * c
	r := rand.New(rand.NewPCG(4, 4))
	ids := []int32{3, 50, 8}
	for _, op := range operators(t, set, h, w, c, 9) {
		for _, sigmaY := range []float64{.2, 0} {
			b := batchOf(set, ids...)
			x, y := upload(set, randoms(r, 3*n)), set.Alloc(kernels.F32, 3*n)
			Measure(set, op, b, y, upload(set, randoms(r, 3*n)), sigmaY, 1)
			ax, out, ones := set.Alloc(kernels.F32, 3*n), set.Alloc(kernels.F32, 3), set.Alloc(kernels.F32, 3*n)
			Misfit(set, op, b, out, ax, x, y, sigmaY)
			set.Fill(ones, 1, kernels.Elementwise{Len: 3 * n})
			op.Restrict(ones)
			axs, ys, measured := download(set, ax, 3*n), download(set, y, 3*n), download(set, ones, 3*n)
			for i, got := range download(set, out, 3) {
				sum, m := 0.0, 0.0
				for k := i * n; k < (i+1)*n; k++ {
					sum += float64(measured[k]) * math.Pow(float64(axs[k])-float64(ys[k]), 2)
					m += float64(measured[k])
				}
				want := sum / (m * math.Pow(math.Max(sigmaY, 1e-3), 2))
				assert.InEpsilon(t, want, got, 1e-5, label(op))
			}
		}
	}
}
