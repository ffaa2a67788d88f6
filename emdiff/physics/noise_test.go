package physics

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/data"
	"emdiff/kernels"
)

// measureSet returns the measurements of the first n images, and the masks of inpainting.
func measureSet(t *testing.T, s *data.Set, n int, task string, sigma float64) (y, masks []float32) {
	set := openSet(t)
	s = s.Subset(sequence(n))
	var op Operator
	var err error
	switch task {
	case "hidden":
		masks = make([]float32, n*s.H*s.W)
		for i := range n {
			RandomMask(masks[i*s.H*s.W:(i+1)*s.H*s.W], s.H*s.W*6/10, 1, uint32(i))
		}
		op, err = NewInpaint(set, s.H, s.W, s.C, masks)
	case "blurred":
		op, err = NewGaussianBlur(set, s.H, s.W, s.C, 9, 2)
	default:
		op, err = NewDenoise(set, s.H, s.W, s.C)
	}
	require.NoError(t, err)
	defer op.Close()
	x, out := set.Alloc(kernels.F32, len(s.Pixels)), set.Alloc(kernels.F32, len(s.Pixels))
	set.Upload(x, s.Pixels)
	ids := set.Alloc(kernels.I32, n)
	numbers := make([]int32, n)
	for i := range numbers {
		numbers[i] = int32(i)
	}
	set.UploadInts(ids, numbers)
	Measure(set, op, Batch{n, ids}, out, x, sigma, 3)
	y = make([]float32, len(s.Pixels))
	set.Download(y, out)
	return y, masks
}

func sequence(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// The errors that EstimateSigma states.
func TestTheNoiseIsEstimatedFromMeasurementsAlone(t *testing.T) {
	fashion, err := data.Embedded()
	require.NoError(t, err)
	sets := map[string]*data.Set{"fashion": fashion}
	if cifar, err := data.Open("../../../shared/data/cifar10"); err == nil {
		sets["cifar10"] = cifar
	}
	most := map[string]float64{"complete": 0.04, "hidden": 0.1, "blurred": 0.02}
	for name, s := range sets {
		for task, most := range most {
			for _, sigma := range []float64{0.05, 0.1, 0.2, 0.3} {
				if name == "cifar10" && task == "hidden" && sigma == 0.05 {
					most = 0.25
				}
				y, masks := measureSet(t, s, 500, task, sigma)
				got, err := EstimateSigma(y, 500, s.H, s.W, s.C, masks)
				require.NoError(t, err)
				t.Logf("%-8s %-9s sigma %.2f: %+.1f %%", name, task, sigma, 100*(got/sigma-1))
				assert.InEpsilon(t, sigma, got, most, "%s %s", name, task)
			}
		}
	}
}

func TestNoiseCannotBeEstimatedWhereNothingDiffersOrIsMeasured(t *testing.T) {
	_, err := EstimateSigma(make([]float32, 64), 1, 8, 8, 1, nil)
	assert.Error(t, err, "one value")
	y := make([]float32, 64)
	for i := range y {
		y[i] = float32(i * i % 7)
	}
	_, err = EstimateSigma(y, 1, 8, 8, 1, make([]float32, 64))
	assert.Error(t, err, "all hidden")
	got, err := EstimateSigma(y, 1, 8, 8, 1, nil)
	require.NoError(t, err)
	assert.Positive(t, got)
}
