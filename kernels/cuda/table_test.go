package cuda_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emdiff/gpu"
	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var tunedConv = kernels.Conv{N: 1, H: 4, W: 4, Cin: 8, Cout: 8, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}

func tableOf(rows ...cuda.Tuned) *cuda.Table {
	return &cuda.Table{Format: cuda.TableFormat, Card: "a card", PTX: cuda.PTXHash(), Unit: "ms", Rungs: rows}
}

func row(op, rung string, p kernels.Conv) cuda.Tuned {
	return cuda.Tuned{Shape: cuda.ShapeOf(op, p), Rung: rung, Default: "tile64"}
}

func text(t *testing.T, table *cuda.Table) string {
	var out bytes.Buffer
	require.NoError(t, table.Write(&out))
	return out.String()
}

// kernelsOf runs cases with options and returns the kernels launched.
func kernelsOf(t *testing.T, o cuda.Options, cases ...kerneltest.Case) (names []string) {
	o.OnLaunch = func(kernel string) { names = append(names, kernel) }
	s := open(t, o)
	defer s.Close()
	for _, c := range cases {
		require.NoError(t, kerneltest.Run(s, c))
	}
	return names
}

func TestATableChoosesByShapeAndNotByTheNumberOfImages(t *testing.T) {
	many, other, misaligned := tunedConv, tunedConv, tunedConv
	many.N, other.H, misaligned.XStride = 3, 5, 9
	linear := kernels.Linear{Rows: 3, K: 8, M: 8}
	table := tableOf(row("Conv2DInputGrad", "tile128", tunedConv), row("Conv2DInputGrad", "naive", kernels.Linear{Rows: 1, K: 8, M: 8}.Conv()))
	names := kernelsOf(t, cuda.Options{Table: table},
		kerneltest.Case{Op: "Conv2DInputGrad", Params: tunedConv},
		kerneltest.Case{Op: "Conv2DInputGrad", Params: many},
		kerneltest.Case{Op: "LinearInputGrad", Params: linear},
		kerneltest.Case{Op: "Conv2DInputGrad", Params: other},
		kerneltest.Case{Op: "Conv2DInputGrad", Params: misaligned},
		kerneltest.Case{Op: "Conv2DWeightGrad", Params: tunedConv})
	assert.Equal(t, []string{"conv2d_inputgrad_f32_tile128", "conv2d_inputgrad_f32_tile128", "conv2d_inputgrad_f32_naive",
		"conv2d_inputgrad_f32_tile32", "conv2d_inputgrad_f32_y64", "conv2d_weightgrad_f32_tile64"}, names)
	names = kernelsOf(t, cuda.Options{Table: table, Rung: "any64"}, kerneltest.Case{Op: "Conv2DInputGrad", Params: tunedConv})
	assert.Equal(t, []string{"conv2d_inputgrad_f32_any64"}, names, "a rung that is asked for comes first")
}

func TestTablesAreReadAsTheyWereWritten(t *testing.T) {
	want := tableOf(row("Conv2D", "tile128", tunedConv))
	want.Rungs[0].Measured = map[string]float64{"tile128": 0.5, "tile64": 0.75}
	path := filepath.Join(t.TempDir(), "table.json")
	require.NoError(t, os.WriteFile(path, []byte(text(t, want)), 0o666))
	got, err := cuda.ReadTable(path)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	_, err = cuda.ReadTable("missing.json")
	assert.ErrorContains(t, err, "missing.json")
	assert.ErrorContains(t, err, "emdiff-ptx tune")
}

func TestWrongTablesAreRefusedWithTheReason(t *testing.T) {
	odd := tunedConv
	odd.Cin = 3
	good := text(t, tableOf(row("Conv2D", "tile64", tunedConv)))
	for want, file := range map[string]string{
		"it is no JSON":   "tile64",
		"it has format 7": strings.Replace(good, `"format": 1`, `"format": 7`, 1),
		"unknown field":   strings.Replace(good, `"rung"`, `"wrung"`, 1),
		"measured on other kernels (PTX 000000000000":                                                          strings.Replace(good, cuda.PTXHash(), strings.Repeat("0", 64), 1),
		`row 1 (Conv2D f32 4x4 8->8, 3x3, stride 1): there is no rung "tile65" for f32: choose from tile128, `: strings.Replace(good, `"rung": "tile64"`, `"rung": "tile65"`, 1),
		`there is no rung "tile64" for tf32: choose from tensorfew, tensor, anytensor`:                         strings.Replace(good, `"f32"`, `"tf32"`, 1),
		`there is no precision "f64"`:                                                                          strings.Replace(good, `"f32"`, `"f64"`, 1),
		`there is no op "MatMul": choose from Conv2D, `:                                                        strings.Replace(good, `"Conv2D"`, `"MatMul"`, 1),
		"must be positive": strings.Replace(good, `"h": 4`, `"h": 0`, 1),
		"rung tile64 needs channels that are multiples of four":                text(t, tableOf(row("Conv2D", "tile64", odd))),
		"row 2 (Conv2D f32 4x4 8->8, 3x3, stride 1): the shape is there twice": text(t, tableOf(row("Conv2D", "tile64", tunedConv), row("Conv2D", "naive", tunedConv))),
	} {
		_, err := cuda.ParseTable([]byte(file))
		assert.ErrorContains(t, err, want)
	}
	_, err := cuda.ParseTable([]byte(text(t, tableOf(row("Conv2D", "y64", odd)))))
	assert.NoError(t, err)
}

// smallCard has the shared memory of Turing.
type smallCard struct{ gpu.Driver }

func (c smallCard) Properties() gpu.Properties {
	p := c.Driver.Properties()
	p.MaxSharedOptIn = 64 << 10
	return p
}

func TestATableThatTheCardCannotRunIsRefused(t *testing.T) {
	d := emu.New(emu.Options{})
	defer d.Close()
	_, err := cuda.New(smallCard{d}, cuda.Options{Table: tableOf(row("Conv2D", "tensor3", tunedConv))})
	assert.ErrorIs(t, err, cuda.ErrTable)
	assert.ErrorContains(t, err, "the tuning table of a card takes rung tensor3 for Conv2D f32 4x4 8->8, 3x3, stride 1, whose 118784 bytes of shared memory PTX emulator does not have (65536)")
}

func TestTheHashOfATableIsThatOfItsChoices(t *testing.T) {
	a, b := row("Conv2D", "tile128", tunedConv), row("Conv2DWeightGrad", "tile64", tunedConv)
	hash := tableOf(a, b).Hash()
	same := tableOf(b, a)
	same.Card, same.Rungs[0].Measured = "another", map[string]float64{"tile64": 3}
	assert.Equal(t, hash, same.Hash())
	assert.Len(t, hash, 64)
	b.Rung = "naive"
	assert.NotEqual(t, hash, tableOf(a, b).Hash())
	assert.NotEqual(t, hash, tableOf(a).Hash())
	other := tableOf(a, row("Conv2DWeightGrad", "tile64", tunedConv))
	other.PTX = "other kernels"
	assert.NotEqual(t, hash, other.Hash())
}

func TestEveryRungThatKeepsTheBitsIsNamed(t *testing.T) {
	s := open(t, cuda.Options{})
	defer s.Close()
	rungs, taken := cuda.Rungs(s, "Conv2D", tunedConv)
	assert.Equal(t, []string{"tile128", "tile32", "tile64", "x64", "y64", "any64", "naive", "tensor3"}, rungs)
	assert.Equal(t, "tile32", taken)
	assert.False(t, cuda.SameBits("tensor3"))
	for _, rung := range rungs[:7] {
		assert.True(t, cuda.SameBits(rung))
		o := cuda.Options{Rung: rung}
		other := open(t, o)
		for _, op := range []string{"Conv2DInputGrad", "Conv2DWeightGrad"} {
			assert.NoError(t, kerneltest.CheckSame(s, other, kerneltest.Case{Op: op, Params: tunedConv}), rung)
		}
		require.NoError(t, other.Close())
	}
	assert.Contains(t, cuda.Kernels(), "conv2d_forward_f32_tile128")
}
