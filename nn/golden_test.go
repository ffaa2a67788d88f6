package nn

import (
	"encoding/json"
	"math"
	"os"
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

// tensorErrors are the largest errors of tensors, relative to their largest values.
type tensorErrors map[string]float64

// add measures one tensor; values below floor count as floor.
func (e tensorErrors) add(t testing.TB, name string, want, got []float32, floor float64) {
	require.Len(t, got, len(want), name)
	worst, top := 0.0, floor
	for i := range want {
		top = max(top, math.Abs(float64(want[i])))
		if d := math.Abs(float64(want[i]) - float64(got[i])); !(d <= worst) { // NaN is the worst
			worst = d
		}
	}
	e[name] = worst / top
}

func (e tensorErrors) worst() (name string, worst float64) {
	for n, x := range e {
		if !(x <= worst) {
			name, worst = n, x
		}
	}
	return name, worst
}

// check holds every tensor to the budget of the house, summed along the network: each op may have three times the error of
// plain float32 arithmetic, so all of them together three times that of the network in plain arithmetic (ref.Naive; its worst
// tensor, as chance decides which one that is), and 2 ulp for each of the about 64 ops on a way forward and back. The golden
// values are float64.
func (e tensorErrors) check(t *testing.T, naive tensorErrors) {
	const ulp, depth = 1.0 / (1 << 23), 64
	_, unit := naive.worst()
	budget := 3*unit + depth*2*ulp
	name, worst := e.worst()
	t.Logf("worst relative error %.2g (%s), budget %.2g", worst, name, budget)
	for name, x := range e {
		assert.LessOrEqual(t, x, budget, name)
	}
}

// differentiate runs the network forward and backward and measures output and gradients.
func (g golden) differentiate(t *testing.T, set kernels.Set) tensorErrors {
	u := g.network(t, set)
	defer u.Close()
	tape := NewTape(set, Differentiate)
	defer tape.Close()
	x, time, dy := g.tensor(t, tape, "x"), g.tensor(t, tape, "t"), g.tensor(t, tape, "dy")
	y := u.Forward(tape, x, time)
	dx := tape.Backward(y, dy, x)[0]

	e := tensorErrors{}
	want, _ := g.values(t, "y")
	e.add(t, "y", want, download(set, y), 0)
	want, _ = g.values(t, "dx")
	e.add(t, "dx", want, download(set, dx), 0)
	grads := map[string][]float32{}
	top := 0.0
	for _, p := range u.Params.Entries() {
		if _, ok := g.Lookup("grad." + p.Name); ok {
			grads[p.Name], _ = g.values(t, "grad."+p.Name)
			for _, v := range grads[p.Name] {
				top = max(top, math.Abs(float64(v)))
			}
		}
	}
	require.NotEmpty(t, grads)
	for name, want := range grads {
		got, err := u.Params.Download(Grads, name)
		require.NoError(t, err)
		// Some gradients are zero but for rounding (the bias of a key moves all scores of a query alike).
		e.add(t, "grad."+name, want, got, top/100)
	}
	return e
}

func TestUNetComputesWhatDiffusersDoes(t *testing.T) {
	for _, name := range []string{"ddpm", "scale_shift", "deep"} {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name)
			naive := g.differentiate(t, ref.Naive())
			onSets(t, func(t *testing.T, set kernels.Set) { g.differentiate(t, set).check(t, naive) })
		})
	}
}

// optimize takes the golden file's steps and measures weights and moving average.
func (g golden) optimize(t *testing.T, set kernels.Set) tensorErrors {
	u := g.network(t, set)
	defer u.Close()
	tape := NewTape(set, Differentiate)
	defer tape.Close()
	opt := AdamW{LR: g.adamw.LR, Beta1: g.adamw.Betas[0], Beta2: g.adamw.Betas[1], Eps: g.adamw.Eps,
		WeightDecay: g.adamw.WeightDecay, ClipNorm: g.adamw.Clip}
	e := tensorErrors{}
	measure := func(prefix string, slot Slot) {
		for _, p := range u.Params.Entries() {
			want, _ := g.values(t, prefix+p.Name)
			got, err := u.Params.Download(slot, p.Name)
			require.NoError(t, err)
			e.add(t, prefix+p.Name, want, got, 0)
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
			measure("step1.", Weights)
		}
	}
	measure("ema3.", EMA)
	return e
}

func TestAdamWAndMovingAverageFollowPyTorch(t *testing.T) {
	g := openGolden(t, "ddpm")
	naive := g.optimize(t, ref.Naive())
	onSets(t, func(t *testing.T, set kernels.Set) { g.optimize(t, set).check(t, naive) })
}
