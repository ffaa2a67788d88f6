package nn

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

// goldenBound is the largest error of a tensor relative to its largest value. The golden values are float64. A path through
// these networks has about 60 ops, each of which adds, to values of the order of the largest, rounding of a few units of
// 2^-24 (sums of up to 432 random terms and their blocked accumulation: sqrt(432)/4 = 5). Errors of different ops are
// independent, so their sum is about sqrt(60)*5*2^-24 = 2.3e-6; the bound leaves a factor of 6 for the worst of the tensors'
// values and for the amplification of the norms.
const goldenBound = 1.5e-5

// golden is one file of bench/peers/golden/unet.py.
type golden struct {
	*Safetensors
	config UNetConfig
	adamw  struct {
		LR, Eps, Clip float32
		Betas, Decays []float32
		WeightDecay   float32 `json:"weight_decay"`
	}
}

func openGolden(t *testing.T, name string) golden {
	file, err := os.Open("testdata/unet_" + name + ".safetensors")
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	info, err := file.Stat()
	require.NoError(t, err)
	var g golden
	g.Safetensors, err = ReadSafetensors(file, info.Size())
	require.NoError(t, err)
	g.config, err = ParseDiffusersConfig([]byte(g.Metadata["config"]))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(g.Metadata["adamw"]), &g.adamw))
	return g
}

func (g golden) values(t *testing.T, name string) ([]float32, []int) {
	s, ok := g.Lookup(name)
	require.True(t, ok, name)
	v, err := g.Read(s)
	require.NoError(t, err)
	return v, s.Shape
}

// tensor uploads x or dy.
func (g golden) tensor(t *testing.T, tape *Tape, name string) *Tensor {
	v, s := g.values(t, name)
	if len(s) == 1 {
		return upload(tape, v, s[0], 1, 1, 1)
	}
	return upload(tape, v, s[0], s[1], s[2], s[3])
}

// network builds the network with the file's weights, as ReadWeights finds them.
func (g golden) network(t *testing.T, set kernels.Set) *UNet {
	u, err := NewUNet(set, g.config)
	require.NoError(t, err)
	weights := *g.Safetensors
	weights.Tensors = nil
	for _, s := range g.Tensors {
		if _, _, err := u.Params.find(s.Name); err == nil {
			weights.Tensors = append(weights.Tensors, s)
		}
	}
	require.NoError(t, u.ReadWeights(&weights))
	return u
}

// near checks the largest error against the bound, relative to the largest value or to floor.
func near(t *testing.T, name string, want, got []float32, floor float64) (worst float64) {
	t.Helper()
	require.Len(t, got, len(want), name)
	top, at := floor, 0
	for i := range want {
		top = max(top, math.Abs(float64(want[i])))
		if d := math.Abs(float64(want[i]) - float64(got[i])); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= goldenBound*top) {
		t.Errorf("%s: relative error %.3g at %d (want %g, got %g)", name, worst/top, at, want[at], got[at])
	}
	return worst / top
}

var goldens = []string{"ddpm", "scale_shift", "deep"}

func TestUNetComputesWhatDiffusersDoes(t *testing.T) {
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			onSets(t, func(t *testing.T, set kernels.Set) {
				g := openGolden(t, name)
				u := g.network(t, set)
				defer u.Close()
				tape := NewTape(set, Differentiate)
				defer tape.Close()
				x, time, dy := g.tensor(t, tape, "x"), g.tensor(t, tape, "t"), g.tensor(t, tape, "dy")
				y := u.Forward(tape, x, time)
				want, _ := g.values(t, "y")
				worst := near(t, "y", want, download(set, y), 0)

				dx := tape.Backward(y, dy, x)[0]
				want, _ = g.values(t, "dx")
				worst = max(worst, near(t, "dx", want, download(set, dx), 0))
				worst = max(worst, g.checkGrads(t, u))
				t.Logf("worst relative error %.2g, bound %.2g", worst, goldenBound)
			})
		})
	}
}

// checkGrads compares the parameter gradients. Some are zero but for rounding (the bias of a key moves all scores of a
// query alike), so errors are relative to at least 1/1000 of the largest gradient.
func (g golden) checkGrads(t *testing.T, u *UNet) (worst float64) {
	top := float64(0)
	for _, s := range g.Tensors {
		if strings.HasPrefix(s.Name, "grad.") {
			v, _ := g.values(t, s.Name)
			for _, x := range v {
				top = max(top, math.Abs(float64(x)))
			}
		}
	}
	require.Positive(t, top)
	for _, e := range u.Params.Entries() {
		if _, ok := g.Lookup("grad." + e.Name); ok {
			want, _ := g.values(t, "grad."+e.Name)
			got, err := u.Params.Download(Grads, e.Name)
			require.NoError(t, err)
			worst = max(worst, near(t, "grad."+e.Name, want, got, top/1000))
		}
	}
	return worst
}

func TestAdamWAndMovingAverageFollowPyTorch(t *testing.T) {
	onSets(t, func(t *testing.T, set kernels.Set) {
		g := openGolden(t, "ddpm")
		u := g.network(t, set)
		defer u.Close()
		tape := NewTape(set, Differentiate)
		defer tape.Close()
		opt := AdamW{LR: g.adamw.LR, Beta1: g.adamw.Betas[0], Beta2: g.adamw.Betas[1], Eps: g.adamw.Eps,
			WeightDecay: g.adamw.WeightDecay, ClipNorm: g.adamw.Clip}
		compare := func(prefix string, slot Slot) {
			for _, e := range u.Params.Entries() {
				want, _ := g.values(t, prefix+e.Name)
				got, err := u.Params.Download(slot, e.Name)
				require.NoError(t, err)
				near(t, prefix+e.Name, want, got, 0)
			}
		}
		for i, decay := range g.adamw.Decays {
			tape.Reset()
			y := u.Forward(tape, g.tensor(t, tape, "x"), g.tensor(t, tape, "t"))
			tape.Backward(y, g.tensor(t, tape, "dy"))
			opt.Step(u.Params, i+1, decay)
			norm := u.Params.LastNorm()
			assert.True(t, norm.Finite)
			assert.Less(t, norm.Clip, float32(1), "the golden gradient is large enough to be clipped")
			assert.InEpsilon(t, opt.ClipNorm, norm.Clip*norm.L2, 1e-5)
			if i == 0 {
				compare("step1.", Weights)
			}
		}
		compare("ema3.", EMA)
	})
}
