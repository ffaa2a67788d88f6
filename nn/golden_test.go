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
	"emdiff/kernels/ref"
)

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

// results are named tensors.
type results map[string][]float32

// errors returns the largest error of each tensor, relative to its largest value. Some gradients are zero but for rounding
// (the bias of a key moves all scores of a query alike), so gradients count as at least 1/100 of the largest of all.
func (want results) errors(t testing.TB, got results) map[string]float64 {
	largest := func(v []float32) (top float64) {
		for _, x := range v {
			top = max(top, math.Abs(float64(x)))
		}
		return top
	}
	floor := 0.0
	for name, v := range want {
		if strings.HasPrefix(name, "grad.") {
			floor = max(floor, largest(v)/100)
		}
	}
	errors := map[string]float64{}
	require.Len(t, got, len(want))
	for name, v := range want {
		require.Len(t, got[name], len(v), name)
		worst := 0.0
		for i := range v {
			if d := math.Abs(float64(v[i]) - float64(got[name][i])); !(d <= worst) { // NaN is the worst
				worst = d
			}
		}
		top := largest(v)
		if strings.HasPrefix(name, "grad.") {
			top = max(top, floor)
		}
		errors[name] = worst / top
	}
	return errors
}

func worst(errors map[string]float64) (name string, value float64) {
	for n, x := range errors {
		if !(x <= value) {
			name, value = n, x
		}
	}
	return name, value
}

// compare runs a computation on every Set and holds it to the golden values, which are float64. The budget is that of the
// house, summed along the network: each op may have three times the error of plain float32 arithmetic, so all of them together
// three times that of the computation in plain arithmetic (ref.Naive against ref, so that a mistake of ours cannot widen it;
// the worst tensor, as chance decides which one that is), and 2 ulp for each of the about 64 ops on a way forward and back.
func compare(t *testing.T, want results, compute func(t *testing.T, set kernels.Set) results) {
	const ulp, depth = 1.0 / (1 << 23), 64
	_, unit := worst(compute(t, ref.New()).errors(t, compute(t, ref.Naive())))
	budget := 3*unit + depth*2*ulp
	onSets(t, func(t *testing.T, set kernels.Set) {
		errors := want.errors(t, compute(t, set))
		name, value := worst(errors)
		t.Logf("worst relative error %.2g (%s), budget %.2g", value, name, budget)
		for name, x := range errors {
			assert.LessOrEqual(t, x, budget, name)
		}
	})
}

func TestUNetComputesWhatDiffusersDoes(t *testing.T) {
	for _, name := range []string{"ddpm", "scale_shift", "deep"} {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name)
			want := g.results(t, func(name string) bool { return name == "y" || name == "dx" || strings.HasPrefix(name, "grad.") })
			compare(t, want, func(t *testing.T, set kernels.Set) results { return g.differentiate(t, set, want) })
		})
	}
}

// results reads the tensors that keep selects.
func (g golden) results(t *testing.T, keep func(name string) bool) results {
	r := results{}
	for _, s := range g.Tensors {
		if keep(s.Name) {
			r[s.Name], _ = g.values(t, s.Name)
		}
	}
	return r
}

// differentiate runs the network forward and backward, and returns the output and the gradients that are wanted.
func (g golden) differentiate(t *testing.T, set kernels.Set, wanted results) results {
	u := g.network(t, set)
	defer u.Close()
	tape := NewTape(set, Differentiate)
	defer tape.Close()
	x, time, dy := g.tensor(t, tape, "x"), g.tensor(t, tape, "t"), g.tensor(t, tape, "dy")
	y := u.Forward(tape, x, time)
	dx := tape.Backward(y, dy, x)[0]
	r := results{"y": download(set, y), "dx": download(set, dx)}
	for name := range wanted {
		if entry, ok := strings.CutPrefix(name, "grad."); ok {
			r[name] = fetch(t, u, Grads, entry)
		}
	}
	return r
}

func fetch(t *testing.T, u *UNet, s Slot, name string) []float32 {
	v, err := u.Params.Download(s, name)
	require.NoError(t, err)
	return v
}

func TestAdamWAndMovingAverageFollowPyTorch(t *testing.T) {
	g := openGolden(t, "ddpm")
	want := g.results(t, func(name string) bool { return strings.HasPrefix(name, "step1.") || strings.HasPrefix(name, "ema3.") })
	compare(t, want, g.optimize)
}

// optimize takes the golden file's steps and returns the weights after the first and the moving average after the last.
func (g golden) optimize(t *testing.T, set kernels.Set) results {
	u := g.network(t, set)
	defer u.Close()
	tape := NewTape(set, Differentiate)
	defer tape.Close()
	opt := AdamW{LR: g.adamw.LR, Beta1: g.adamw.Betas[0], Beta2: g.adamw.Betas[1], Eps: g.adamw.Eps,
		WeightDecay: g.adamw.WeightDecay, ClipNorm: g.adamw.Clip}
	r := results{}
	for i, decay := range g.adamw.Decays {
		tape.Reset()
		y := u.Forward(tape, g.tensor(t, tape, "x"), g.tensor(t, tape, "t"))
		tape.Backward(y, g.tensor(t, tape, "dy"))
		opt.Step(u.Params, i+1, decay)
		norm := u.Params.LastNorm()
		assert.True(t, norm.Finite)
		assert.Less(t, norm.Clip, float32(1), "the golden gradient is large enough to be clipped")
		assert.InEpsilon(t, opt.ClipNorm, norm.Clip*norm.L2, 1e-5)
		for _, p := range u.Params.Entries() {
			if i == 0 {
				r["step1."+p.Name] = fetch(t, u, Weights, p.Name)
			}
			r["ema3."+p.Name] = fetch(t, u, EMA, p.Name)
		}
	}
	return r
}
