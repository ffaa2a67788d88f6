package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/gpu"
	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

// card opens the emulator as a card is: timed by its clock.
func card() (gpu.Driver, error) { return emu.New(emu.Options{}), nil }

var layers = []kerneltest.Case{
	{Op: "Conv2D", Params: kernels.Conv{N: 1, H: 6, W: 6, Cin: 8, Cout: 8, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1, WeightVersion: 3}},
	{Op: "Conv2D", Params: kernels.Conv{N: 2, H: 6, W: 6, Cin: 8, Cout: 8, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}},
	{Op: "Conv2DWeightGrad", Params: kernels.Conv{N: 1, H: 4, W: 4, Cin: 3, Cout: 8, KH: 1, KW: 1, Stride: 1, Accumulate: true}},
	{Op: "LinearInputGrad", Params: kernels.Linear{Rows: 5, K: 8, M: 4}},
	{Op: "SiLU", Params: kernels.Elementwise{Len: 3}},
}

func TestShapesOfATableAreTunedOnceAtTheirLargest(t *testing.T) {
	list := tunable(layers)
	require.Len(t, list, 3)
	assert.Equal(t, 2, list[0].conv.N)
	assert.False(t, list[1].conv.Accumulate, "what accumulates cannot be repeated")
	assert.Equal(t, cuda.Shape{Op: "Conv2DInputGrad", Precision: "f32", H: 1, W: 1, Cin: 8, Cout: 4, KH: 1, KW: 1, Stride: 1}, list[2].shape)
}

func TestTheEmulatorTunesByCountingAndTheTableHolds(t *testing.T) {
	var out bytes.Buffer
	table, err := Tune(&out, Device{}, layers, TuneOptions{Images: 2, Samples: 1, Tensor3: true})
	require.NoError(t, err)
	assert.Contains(t, out.String(), "measured in thread instructions on PTX emulator")
	require.Len(t, table.Rungs, 3)
	row := table.Rungs[0]
	assert.Equal(t, "tile64", row.Default)
	assert.Len(t, row.Measured, len([]string{"tile128", "tile32", "tile64", "x64", "y64", "any64", "naive", "tensor3"}), "%v", row.Measured)
	for rung, value := range row.Measured {
		assert.GreaterOrEqual(t, value, row.Measured[row.Rung], "%s", rung)
	}
	assert.NotContains(t, table.Rungs[1].Measured, "tile64", "three channels have no 128-bit accesses")
	assert.Contains(t, table.Rungs[1].Measured, "y64")

	again, err := Tune(&out, Device{}, layers, TuneOptions{Images: 2, Samples: 1, Tensor3: true})
	require.NoError(t, err)
	assert.Equal(t, table, again, "counts are exact")

	var file bytes.Buffer
	require.NoError(t, table.Write(&file))
	read, err := cuda.ParseTable(file.Bytes())
	require.NoError(t, err)
	assert.Equal(t, table, read)

	b, err := Device{}.bench(cuda.Options{Table: read})
	require.NoError(t, err)
	p := tunable(layers)[0]
	require.NoError(t, kerneltest.Run(b.set, p.kernelCase()))
	assert.Equal(t, []string{"conv2d_forward_f32_" + row.Rung}, b.launched)
	require.NoError(t, b.close())
}

func TestACardIsTunedByItsClock(t *testing.T) {
	var out bytes.Buffer
	table, err := Tune(&out, Device{card}, layers[:1], TuneOptions{Samples: 3})
	require.NoError(t, err)
	assert.Equal(t, "ms", table.Unit)
	require.Len(t, table.Rungs, 1)
	assert.NotContains(t, table.Rungs[0].Measured, "tensor3", "not asked for")
	for rung, ms := range table.Rungs[0].Measured {
		assert.Positive(t, ms, rung)
	}
}

// spoiled is a driver one of whose kernels does nothing, or cannot be had.
type spoiled struct {
	gpu.Driver
	kernel  string
	missing bool
}

type spoiledModule struct {
	gpu.Module
	spoiled
}

type idle struct{ gpu.Function }

func (idle) Launch(gpu.LaunchConfig) error { return nil }

func (s spoiled) LoadModule(name string, ptx []byte) (gpu.Module, error) {
	m, err := s.Driver.LoadModule(name, ptx)
	return spoiledModule{m, s}, err
}

func (m spoiledModule) Function(name string) (gpu.Function, error) {
	f, err := m.Module.Function(name)
	if name != m.kernel {
		return f, err
	}
	if m.missing {
		return nil, errors.New("spoiled")
	}
	return idle{f}, err
}

func idling(kernel string) func() (gpu.Driver, error) {
	return func() (gpu.Driver, error) { return spoiled{emu.New(emu.Options{}), kernel, false}, nil }
}

func missing(kernel string) func() (gpu.Driver, error) {
	return func() (gpu.Driver, error) { return spoiled{emu.New(emu.Options{}), kernel, true}, nil }
}

func TestAWrongRungIsNeverTimed(t *testing.T) {
	var out bytes.Buffer
	table, err := Tune(&out, Device{idling("conv2d_forward_f32_tile128")}, layers, TuneOptions{Samples: 1})
	require.ErrorContains(t, err, "Conv2D f32 6x6 8->8, 3x3, stride 1: rung tile128: value ")
	require.Len(t, table.Rungs, 3, "the rest is measured")
	assert.NotContains(t, table.Rungs[0].Measured, "tile128")
	assert.Contains(t, table.Rungs[0].Measured, "naive")
}

func TestAFaultCostsItsShapeOnly(t *testing.T) {
	var out bytes.Buffer
	table, err := Tune(&out, Device{missing("conv2d_forward_f32_any64")}, layers, TuneOptions{Samples: 1})
	require.ErrorContains(t, err, "spoiled")
	require.Len(t, table.Rungs, 2, out.String())
	assert.Equal(t, "Conv2DWeightGrad", table.Rungs[0].Op)
}

func TestASmallGainIsNoReasonToLeaveTheDefault(t *testing.T) {
	assert.Equal(t, "tile64", fastest(map[string]float64{"tile64": 100, "tile128": 99.5, "naive": 300}, "tile64"))
	assert.Equal(t, "tile128", fastest(map[string]float64{"tile64": 100, "tile128": 98, "naive": 300}, "tile64"))
}

func TestRunMeasuresAnOpOrTheOpOfAKernel(t *testing.T) {
	for _, c := range []struct{ what, shape, rung, kernel string }{
		{"SiLU", "Len=64", "", "silu_forward_f32_vec4"},
		{"SiLU", "Len=64", "naive", "silu_forward_f32_naive"},
		{"Conv2D", "N=1,H=4,W=4,Cin=8,Cout=8", "tile128", "conv2d_forward_f32_tile128"},
		{"silugrad_forward_f32_naive", "", "", ""},
		{"conv2d_forward_bf16_tensor", "N=1,H=9,W=9,Cin=8,Cout=8", "", "conv2d_forward_bf16_tensor"},
		{"attention_delta_f32_naive", "", "", "attention_delta_f32_naive"},
		{"matmul_forward_f32_any64nn", "", "", "matmul_forward_f32_any64nn"},
		{"upsample2x_grad_f32_vec4", "N=1,H=2,W=2,C=4", "", "upsample2x_grad_f32_vec4"},
	} {
		var out bytes.Buffer
		err := Run(&out, Device{}, c.what, c.shape, c.rung, true)
		if c.kernel == "" {
			assert.ErrorContains(t, err, "neither an op")
			continue
		}
		require.NoError(t, err, c.what)
		var r Result
		require.NoError(t, json.Unmarshal(out.Bytes(), &r))
		assert.Contains(t, r.Kernels, c.kernel)
		assert.LessOrEqual(t, r.Budget, 1.0)
		assert.Len(t, r.Launches, len(r.Kernels))
		total := int64(0)
		for _, l := range r.Launches {
			total += l.ThreadInstructions
		}
		assert.Equal(t, float64(total), r.Took)
	}
	var out bytes.Buffer
	require.NoError(t, Run(&out, Device{card}, "Copy", "Len=256", "", false))
	assert.Regexp(t, `^Copy:Len=256 on PTX emulator: correct, the worst error is 0\.00 of its budget\ncopy_forward_f32_vec4: [0-9.]+ ms, 0\.0 GFLOP/s, [0-9.]+ GB/s\n$`, out.String())
	out.Reset()
	require.NoError(t, Run(&out, Device{}, "Copy", "Len=256", "", false))
	assert.Contains(t, out.String(), "thread instructions; an emulator has no time to measure")
	assert.ErrorContains(t, Run(&out, Device{}, "Copy", "", "fast", false), `there is no rung "fast": choose from any64, `)
	assert.ErrorContains(t, Run(&out, Device{}, "conv2d_forward_f32_tile64", "", "", false), "no such shape launches conv2d_forward_f32_tile64: Conv2D launches conv2d_forward_f32_any64", "three channels")
	assert.ErrorContains(t, Run(&out, Device{missing("copy_forward_f32_vec4")}, "Copy", "Len=3", "", false), "spoiled")
}

func TestEveryOpIsTimed(t *testing.T) {
	shapes := timedShapes(3, []string{"f32", "tf32", "bf16"})
	ops := map[string]bool{}
	for _, s := range shapes {
		_, err := parseShape(s)
		assert.NoError(t, err)
		op, _, _ := strings.Cut(s, ":")
		ops[op] = true
	}
	for _, op := range kerneltest.Ops() {
		assert.True(t, ops[op], "%s is never timed", op)
	}
	assert.Contains(t, shapes, "Linear:Rows=768,K=256,M=768,Precision=bf16")
	assert.Contains(t, shapes, "Gather:N=3,Len=3072,Rows=3")
}
