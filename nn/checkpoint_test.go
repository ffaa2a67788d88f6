package nn

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

// slot downloads a whole slot.
func slot(p *Params, s Slot) []float32 {
	v := make([]float32, p.Len())
	p.Set().Download(v, p.Buffer(s))
	return v
}

// trained returns a network after a few steps, so that all slots hold something.
func trained(t *testing.T, set kernels.Set) *UNet {
	u := newNetwork(t, set, small())
	tape := NewTape(set, Training)
	for step := 1; step <= 2; step++ {
		tape.Reset()
		x, time, dy := inputs(tape, u.Config, 2)
		tape.Backward(u.Forward(tape, x, time), dy)
		DefaultAdamW().Step(u.Params, step, EMAWarmup(0.999, step-1))
	}
	return u
}

func weightsFile(t *testing.T, u *UNet, s Slot) []byte {
	var b bytes.Buffer
	require.NoError(t, u.WriteWeights(&b, s, map[string]string{"round": "3"}))
	return b.Bytes()
}

func TestStateContinuesTrainingBitForBit(t *testing.T) {
	set := ref.New()
	u := trained(t, set)
	var b bytes.Buffer
	require.NoError(t, u.WriteState(&b, map[string]string{"step": "2"}))
	f, err := parse(b.Bytes())
	require.NoError(t, err)
	assert.Equal(t, "2", f.Metadata["step"])
	cfg, err := StoredConfig(f)
	require.NoError(t, err)
	assert.Equal(t, u.Config, cfg)

	v := newNetwork(t, set, cfg)
	require.NoError(t, v.ReadState(f))
	for _, s := range []Slot{Weights, Moment1, Moment2, EMA} {
		assert.Equal(t, slot(u.Params, s), slot(v.Params, s), s.String())
	}
	for _, n := range []*UNet{u, v} {
		tape := NewTape(set, Training)
		x, time, dy := inputs(tape, cfg, 2)
		tape.Backward(n.Forward(tape, x, time), dy)
		DefaultAdamW().Step(n.Params, 3, 0.5)
	}
	assert.Equal(t, slot(u.Params, Weights), slot(v.Params, Weights))
	assert.Equal(t, slot(u.Params, EMA), slot(v.Params, EMA))
}

func TestEMAWeightsRunWithoutCopyingAndCanBeWritten(t *testing.T) {
	set := ref.New()
	u := trained(t, set)
	f, err := parse(weightsFile(t, u, EMA))
	require.NoError(t, err)
	assert.Equal(t, "pt", f.Metadata["format"])
	assert.Equal(t, "3", f.Metadata["round"])
	v := newNetwork(t, set, u.Config)
	require.NoError(t, v.ReadWeights(f))
	assert.Equal(t, slot(u.Params, EMA), slot(v.Params, Weights))
	assert.Equal(t, slot(u.Params, EMA), slot(v.Params, EMA), "reading weights restarts the average")
	assert.Equal(t, make([]float32, v.Params.Len()), slot(v.Params, Moment1))

	run := func(n *UNet, ema bool) []float32 {
		tape := NewTape(set, Inference)
		tape.UseEMA = ema
		x, time, _ := inputs(tape, n.Config, 2)
		return download(set, n.Forward(tape, x, time))
	}
	assert.Equal(t, run(v, false), run(u, true))
	assert.NotEqual(t, run(u, false), run(u, true))
}

func TestOlderNamesOfAttentionLayersAreRead(t *testing.T) {
	set := ref.New()
	u := newNetwork(t, set, small())
	old := strings.NewReplacer(".to_q.", ".query.", ".to_k.", ".key.", ".to_v.", ".value.", ".to_out.0.", ".proj_attn.")
	var tensors []TensorSource
	for _, e := range u.Params.Entries() {
		values, err := u.Params.Download(Weights, e.Name)
		require.NoError(t, err)
		tensors = append(tensors, source(old.Replace(e.Name), values, e.Shape...))
	}
	assert.True(t, slices.ContainsFunc(tensors, func(s TensorSource) bool { return strings.HasSuffix(s.Name, "proj_attn.bias") }))
	var b bytes.Buffer
	require.NoError(t, WriteSafetensors(&b, tensors, nil))
	f, err := parse(b.Bytes())
	require.NoError(t, err)
	v := newNetwork(t, set, small())
	v.Init(99)
	require.NoError(t, v.ReadWeights(f))
	assert.Equal(t, slot(u.Params, Weights), slot(v.Params, Weights))
	_, err = StoredConfig(f)
	assert.ErrorContains(t, err, "has no emdiff.unet")
}

func TestUnfitFilesNameTheTensorAndChangeNothing(t *testing.T) {
	set := ref.New()
	u := newNetwork(t, set, small())
	before := slot(u.Params, Weights)
	edit := func(change func([]TensorSource) []TensorSource) error {
		var tensors []TensorSource
		for _, e := range u.Params.Entries() {
			values, err := u.Params.Download(Weights, e.Name)
			require.NoError(t, err)
			tensors = append(tensors, source(e.Name, values, e.Shape...))
		}
		var b bytes.Buffer
		require.NoError(t, WriteSafetensors(&b, change(tensors), nil))
		f, err := parse(b.Bytes())
		require.NoError(t, err)
		return u.ReadWeights(f)
	}
	last := u.Params.Entries()[len(u.Params.Entries())-1]
	nan := slices.Repeat([]float32{float32(math.NaN())}, last.Len())
	for reason, change := range map[string]func([]TensorSource) []TensorSource{
		"tensor conv_in.weight is missing": func(s []TensorSource) []TensorSource { return s[1:] },
		"tensor conv_in.weight has shape [8 36], the network needs [8 4 3 3]": func(s []TensorSource) []TensorSource {
			return append(s[1:], source("conv_in.weight", make([]float32, 8*36), 8, 36))
		},
		"tensor extra is not part": func(s []TensorSource) []TensorSource { return append(s, source("extra", []float32{1}, 1)) },
		"tensor conv_out.bias holds NaN at position 0": func(s []TensorSource) []TensorSource {
			return append(s[:len(s)-1], source(last.Name, nan, last.Shape...))
		},
	} {
		assert.ErrorContains(t, edit(change), reason)
		assert.Equal(t, before, slot(u.Params, Weights), reason)
	}
	f, err := parse(weightsFile(t, u, Weights))
	require.NoError(t, err)
	assert.ErrorContains(t, u.ReadState(f), "tensor weights.conv_in.weight is missing")
	f.Metadata[configKey] = "["
	_, err = StoredConfig(f)
	assert.ErrorContains(t, err, "is not a configuration")
	f.Tensors[3].DType = "I32"
	assert.ErrorContains(t, u.ReadWeights(f), "has type I32")
}

func TestErrorsOfReadFileNameThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	u := newNetwork(t, ref.New(), small())
	var file bytes.Buffer
	require.NoError(t, u.WriteWeights(&file, Weights, nil))
	require.NoError(t, os.WriteFile(path, file.Bytes(), 0o600))
	require.NoError(t, ReadFile(path, u.ReadWeights))

	assert.Error(t, ReadFile(path+".absent", u.ReadWeights))
	require.NoError(t, os.WriteFile(path, file.Bytes()[:file.Len()-1], 0o600))
	assert.ErrorContains(t, ReadFile(path, u.ReadWeights), path)
	assert.ErrorContains(t, ReadFile(path, u.ReadWeights), "cut short")
}
