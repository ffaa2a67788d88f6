package inspect

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

func TestListHasALinePerKernel(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, List(&out))
	kernels, err := embedded()
	require.NoError(t, err)
	assert.Equal(t, len(kernels)+1, strings.Count(out.String(), "\n"))
	assert.Regexp(t, `(?m)^conv2d_forward_f32_tile64 +sm_70 +conv\.sm70\.ptx +\d+ +16896$`, out.String())
	assert.Regexp(t, `(?m)^conv2d_forward_tf32_tensor +sm_80 +convtensor\.sm80\.ptx +\d+ +\d+\+$`, out.String(), "its size is the launch's")
}

func TestCheckNamesEveryKernelThatTheOpsReach(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Check(&out, []string{"SiLU", "Fill"}))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 4, out.String())
	for i, kernel := range []string{"fill_forward_f32_naive", "fill_forward_f32_vec4", "silu_forward_f32_naive", "silu_forward_f32_vec4"} {
		assert.Regexp(t, `^ok +`+kernel+` +\d+ launches$`, lines[i])
	}
	assert.ErrorContains(t, Check(&out, []string{"Fold"}), `there is no op "Fold": choose from AdamW, `)
}

// broken computes SiLU wrongly, or beyond the end of its buffers.
type broken struct {
	kernels.Set
	overrun bool
}

func (b broken) SiLU(y, x kernels.Buffer, p kernels.Elementwise) {
	if b.overrun {
		p.Len += 1 << 20
		kernels.Unwrap(b.Set).SiLU(y, x, p)
		return
	}
	b.Set.SiLU(y, x, p)
	b.Set.Copy(y, x, p)
}

func TestAWrongResultAndAFaultAreFailuresOfTheirKernels(t *testing.T) {
	for _, c := range []struct {
		overrun bool
		failed  []string
		message string
	}{
		{false, []string{"copy_forward_f32_vec4", "silu_forward_f32_vec4"}, "error"},
		{true, []string{"silu_forward_f32_vec4"}, "out of bounds"},
	} {
		k := checker{device: allChecks, verdicts: map[string]*verdict{}}
		for _, name := range []string{"copy_forward_f32_vec4", "silu_forward_f32_vec4", "fill_forward_f32_vec4"} {
			k.verdicts[name] = &verdict{}
		}
		require.NoError(t, k.open(""))
		good := k.set
		k.set = broken{good, c.overrun}
		length := kernels.Elementwise{Len: 128}
		require.NoError(t, k.run(kerneltest.Case{Op: "Fill", Params: kerneltest.Fill{Elementwise: length}}, ""))
		require.NoError(t, k.run(kerneltest.Case{Op: "SiLU", Params: length}, ""))
		if c.overrun {
			assert.NotEqual(t, broken{good, c.overrun}, k.set, "a dead device is replaced")
		}
		var out bytes.Buffer
		all := []kernel{{name: "copy_forward_f32_vec4"}, {name: "fill_forward_f32_vec4"}, {name: "silu_forward_f32_vec4"}}
		require.Error(t, k.report(&out, all, false))
		var failed []string
		for _, line := range regexp.MustCompile(`(?m)^FAIL +(\w+) +(.*)$`).FindAllStringSubmatch(out.String(), -1) {
			failed = append(failed, line[1])
			assert.Contains(t, line[2], c.message)
		}
		assert.Equal(t, c.failed, failed, out.String())
		require.NoError(t, k.set.Close())
	}
}

func TestAKernelThatNoCaseReachesFailsAFullCheck(t *testing.T) {
	k := checker{verdicts: map[string]*verdict{"a": {launches: 1}, "b": {}}}
	var out bytes.Buffer
	assert.EqualError(t, k.report(&out, []kernel{{name: "a"}, {name: "b"}}, true), "of 2 kernels 0 failed and 1 were not launched")
	assert.Contains(t, out.String(), "MISSED  b")
	assert.NoError(t, k.report(&out, []kernel{{name: "a"}, {name: "b"}}, false))
}

func TestCountsAreExact(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Count(&out, []string{"Copy:Len=4096", "MatMul:Batch=1,M=64,N=64,K=16"}, true))
	var counts []CaseCount
	require.NoError(t, json.Unmarshal(out.Bytes(), &counts))
	require.Len(t, counts, 2)
	assert.Equal(t, "Copy:Len=4096", counts[0].Shape)
	assert.Equal(t, 2*4*4096.0, counts[0].CostBytes)
	require.Len(t, counts[0].Launches, 1)
	l := counts[0].Launches[0]
	assert.Equal(t, "copy_forward_f32_vec4", l.Kernel)
	assert.Equal(t, [2][3]int{{4, 1, 1}, {256, 1, 1}}, [2][3]int{l.Grid, l.Block}, "four values per thread")
	assert.Equal(t, int64(2*4*4096/32), l.Sectors)
	assert.Equal(t, 16.0, l.LoadSectorsPerRequest, "32 lanes of 16 bytes")
	assert.Equal(t, int64(2*4096/4), l.ByClass["global"])
	m := counts[1].Launches[0]
	assert.Equal(t, "matmul_forward_f32_any64nn", m.Kernel)
	assert.GreaterOrEqual(t, float64(m.FLOPs), counts[1].CostFLOPs)
	assert.LessOrEqual(t, float64(m.FLOPs), 1.1*counts[1].CostFLOPs)
	sum := int64(0)
	for _, n := range m.ByClass {
		sum += n
	}
	assert.Equal(t, m.ThreadInstructions, sum)
}

func TestTheTableOfCountsHasALinePerLaunch(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Count(&out, []string{"GradNorm:Len=40000"}, false))
	assert.Regexp(t, `^GradNorm:Len=40000  \(at least 0\.08 MFLOP, 0\.16 MB\)\n  kernel .*\n  gradnorm_partial_f32_vec4 .*\n  gradnorm_finish_f32_vec4 .*\n$`, out.String())
}

func TestShapesStartFromAConformanceCase(t *testing.T) {
	c, err := parseShape("Conv2D:N=2,H=9,Precision=tf32,Act=0")
	require.NoError(t, err)
	want := kerneltest.Cases("Conv2D")[0].Params.(kerneltest.Conv2D)
	want.N, want.H, want.Precision, want.Act = 2, 9, kernels.PrecisionTF32, 0
	assert.Equal(t, kerneltest.Case{Op: "Conv2D", Params: want}, c)
	c, err = parseShape("GroupNorm:Eps=0.5,SiLU=false")
	require.NoError(t, err)
	assert.Equal(t, float32(0.5), c.Params.(kernels.GroupNorm).Eps)
	assert.False(t, c.Params.(kernels.GroupNorm).SiLU)
	for _, shape := range defaultShapes {
		_, err := parseShape(shape)
		assert.NoError(t, err)
	}
}

func TestImpossibleShapesAreRefused(t *testing.T) {
	for shape, want := range map[string]string{
		"Conv3D":                 `there is no op "Conv3D"`,
		"Conv2D:D=3":             `Conv2D has no parameter "D": choose from N, H, W, `,
		"Conv2D:N=many":          `N = "many": want a whole number`,
		"Conv2D:N":               `N = "": want a whole number`,
		"Conv2D:N=0":             "N = 0 must be positive",
		"Conv2D:WeightVersion=-": "want a whole number",
		"Conv2D:Precision=f64":   "want f32, tf32 or bf16",
		"GroupNorm:Eps=x":        "want a number",
		"GroupNorm:SiLU=maybe":   "want true or false",
		"Normal:Random=1":        "cannot be set",
	} {
		assert.ErrorContains(t, Count(nil, []string{shape}, false), want, shape)
	}
}

const before = `.version 7.0
.target sm_70
.address_size 64
.visible .entry same() { .reg .b32 %r<3>; mov.u32 %r1, 1; ret; }
.visible .entry gone() { ret; }
.visible .entry other() { .reg .b32 %r<3>; mov.u32 %r1, 1; add.u32 %r2, %r1, %r1; ret; }
.visible .entry order() { .reg .b32 %r<3>; mov.u32 %r1, 1; mov.u32 %r2, 2; ret; }
`

const after = `// a comment
.version 7.0
.target sm_80
.address_size 64
.visible .entry fresh() { ret; }
.visible .entry order() { .reg .b32 %r<3>; mov.u32 %r2, 2; mov.u32 %r1, 1; ret; }
.visible .entry other() { .reg .b32 %r<3>; mov.u32 %r1, 1; mov.u32 %r1, 1; mul.lo.u32 %r2, %r1, %r1; ret; }
.visible .entry same() {
	.reg .b32 %r<3>;
	mov.u32 %r1, 1;
	ret;
}
`

func TestDiffTellsWhatABuildChanged(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.ptx"), filepath.Join(dir, "b.ptx")
	require.NoError(t, os.WriteFile(a, []byte(before), 0o666))
	require.NoError(t, os.WriteFile(b, []byte(after), 0o666))
	var out bytes.Buffer
	require.NoError(t, Diff(&out, a, b))
	assert.Equal(t, `! PTX 7.0 for sm_70 -> PTX 7.0 for sm_80
+ fresh: 1 instructions
- gone: 1 instructions
~ order: 3 -> 3 instructions: the same mix in another order or with other operands
~ other: 3 -> 4 instructions: add.u32 -1, mov.u32 +1, mul.lo.u32 +1
= 1 unchanged
`, out.String())
	out.Reset()
	require.NoError(t, Diff(&out, a, a))
	assert.Equal(t, "= 4 unchanged\n", out.String())
	assert.ErrorContains(t, Diff(&out, a, filepath.Join(dir, "c.ptx")), "c.ptx")
	require.NoError(t, os.WriteFile(b, []byte("not PTX"), 0o666))
	assert.ErrorContains(t, Diff(&out, a, b), "b.ptx: PTX line 1")
}
