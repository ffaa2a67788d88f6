package cuda_test

import (
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"sync"
	"testing"

	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// launched collects the names of the kernels that the tests of this package ran, and their instructions.
var launched = struct {
	sync.Mutex
	kernels      map[string]int
	instructions int64
}{kernels: map[string]int{}}

func record(r emu.Report) {
	launched.Lock()
	defer launched.Unlock()
	launched.kernels[r.Kernel]++
	launched.instructions += r.Counters.ThreadInstructions
}

// open returns the op set on an emulated device with all checks on.
func open(t testing.TB, o cuda.Options) kernels.Set {
	s, err := cuda.New(emu.New(emu.Options{Checks: emu.AllChecks(), OnLaunch: record}), o)
	require.NoError(t, err)
	return s
}

func opener(o cuda.Options) func(*testing.T) kernels.Set {
	return func(t *testing.T) kernels.Set { return open(t, o) }
}

func TestTheEmulatedGPUFulfilsTheContract(t *testing.T) {
	kerneltest.RunAll(t, opener(cuda.Options{}))
}

// rungs is those that the table does not choose at the sizes of the suite, and the ops that have them; naive, which all have, apart.
func rungs() map[string][]string {
	products := []string{"Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad", "Linear", "LinearInputGrad", "LinearWeightGrad"}
	all := append([]string{"Attention", "AttentionGrad"}, products...)
	return map[string][]string{"any64": all, "tile128": products, "tile32": products, "tensorfew": products, "anytensor": all, "tensor3": all}
}

func TestEveryRungFulfilsTheContract(t *testing.T) {
	t.Run("naive", func(t *testing.T) {
		kerneltest.RunAll(t, opener(cuda.Options{Rung: "naive"}), kerneltest.Limit(4e6))
	})
	for rung, ops := range rungs() {
		t.Run(rung, func(t *testing.T) {
			kerneltest.RunAll(t, opener(cuda.Options{Rung: rung}), kerneltest.Limit(2e6), kerneltest.Only(ops...))
		})
	}
}

func FuzzOps(f *testing.F) {
	kerneltest.FuzzOps(f, func(t testing.TB) kernels.Set { return open(t, cuda.Options{}) })
}

// The choice of a rung must not show in a result, or a table tuned on one card would change the numbers of another.
func TestTheRungsOfAProductAgreeBitForBit(t *testing.T) {
	table, others := open(t, cuda.Options{}), []kernels.Set{}
	defer table.Close()
	for _, rung := range []string{"naive", "tile128", "tile32", "tensorfew", "anytensor"} {
		s := open(t, cuda.Options{Rung: rung})
		defer s.Close()
		others = append(others, s)
	}
	for _, op := range []string{"Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad", "Linear", "LinearInputGrad", "LinearWeightGrad", "MatMul",
		"SiLU", "SiLUGrad", "Update", "Normal", "GaussianPosterior", "AdamW"} {
		for _, c := range kerneltest.Cases(op) {
			if c.Cost().FLOPs > 4e6 || c.Data != kerneltest.Normal {
				continue
			}
			for _, other := range others {
				assert.NoError(t, kerneltest.CheckSame(table, other, c))
			}
		}
	}
}

// Batches large enough for what small ones skip, split sums and the widest tiles; and ways of transposing that the suite has in float32
// alone.
func casesBeyondTheSuite() []kerneltest.Case {
	conv := kernels.Conv{N: 3, H: 25, W: 24, Cin: 4, Cout: 8, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}
	accumulated := conv
	accumulated.Accumulate = true
	wide := kernels.Conv{N: 2, H: 33, W: 32, Cin: 8, Cout: 100, KH: 1, KW: 1, Stride: 1}
	cases := []kerneltest.Case{
		{Op: "Conv2DWeightGrad", Params: conv},
		{Op: "Conv2DWeightGrad", Params: accumulated},
		{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: wide, Act: kernels.ActSiLU}},
		{Op: "SumRows", Params: kernels.SumRows{Groups: 2, Rows: 700, C: 33, XStride: 40}},
		{Op: "SumRows", Params: kernels.SumRows{Groups: 1, Rows: 256*256 + 5, C: 1, Accumulate: true}},
		{Op: "GradNorm", Params: kernels.GradNorm{Len: 3*16384 + 1, MaxNorm: 1}},
		{Op: "GroupNorm", Params: kernels.GroupNorm{N: 1, HW: 900, C: 32, Groups: 2, Eps: 1e-5, SiLU: true}},
		{Op: "GroupNormGrad", Params: kernels.GroupNorm{N: 1, HW: 900, C: 32, Groups: 2, Eps: 1e-5, SiLU: true}},
		{Op: "GroupNorm", Params: kernels.GroupNorm{N: 1, HW: 1024, C: 64, Groups: 2, Eps: 1e-5, SiLU: true}},
		{Op: "GroupNormGrad", Params: kernels.GroupNorm{N: 1, HW: 1024, C: 64, Groups: 2, Eps: 1e-5, SiLU: true}},
		{Op: "GroupNorm", Params: kernels.GroupNorm{N: 1, HW: 3400, C: 8, Groups: 2, Eps: 1e-5}},
		{Op: "GroupNormGrad", Params: kernels.GroupNorm{N: 1, HW: 3400, C: 8, Groups: 2, Eps: 1e-5, Accumulate: true}},
		{Op: "GroupNorm", Params: kernels.GroupNorm{N: 2, HW: 50, C: 48, Groups: 4, Eps: 1e-5, SiLU: true, XStride: 52, YStride: 96}},
		{Op: "GroupNormGrad", Params: kernels.GroupNorm{N: 2, HW: 50, C: 48, Groups: 4, Eps: 1e-5, SiLU: true, XStride: 52, Accumulate: true}},
		{Op: "GroupNorm", Params: kernels.GroupNorm{N: 1, HW: 90, C: 56, Groups: 2, Eps: 1e-5}},
		{Op: "GroupNormGrad", Params: kernels.GroupNorm{N: 1, HW: 90, C: 56, Groups: 2, Eps: 1e-5}},
		{Op: "GroupNorm", Params: kernels.GroupNorm{N: 1, HW: 1100, C: 24, Groups: 2, Eps: 1e-5, SiLU: true}},
		{Op: "GroupNormGrad", Params: kernels.GroupNorm{N: 1, HW: 1100, C: 24, Groups: 2, Eps: 1e-5, SiLU: true}},
		{Op: "GroupNorm", Params: kernels.GroupNorm{N: 1, HW: 700, C: 16, Groups: 1, Eps: 1e-5}}, // 44 KiB: with what the kernel declares, over 48
		{Op: "Gain", Params: kernels.Gain{N: 3, HW: 700, C: 2, GainN: 3, GainC: 1}},
		{Op: "Gain", Params: kernels.Gain{N: 3, HW: 700, C: 4, GainN: 1, GainC: 1, Accumulate: true}},
		{Op: "GaussianPosterior", Params: kernels.GaussianPosterior{Gain: kernels.Gain{N: 3, HW: 700, C: 3, GainN: 1, GainC: 1}, SigmaY: 0.1, R: 0.3, Temperature: 1}},
		{Op: "Blur", Params: kernels.Blur{N: 1, H: 37, W: 35, C: 3, K: 9}},
		{Op: "BlurAdjoint", Params: kernels.Blur{N: 1, H: 37, W: 35, C: 3, K: 9}},
	}
	for _, precision := range []kernels.Precision{kernels.PrecisionTF32, kernels.PrecisionBF16} {
		for transposed := range 4 {
			cases = append(cases, kerneltest.Case{Op: "MatMul", Params: kernels.MatMul{Batch: 2, M: 20, N: 135, K: 37, TransA: transposed&1 != 0,
				TransB: transposed&2 != 0, StrideA: 740, StrideB: 4995, StrideC: 2700, Alpha: 0.5, Precision: precision}})
		}
	}
	return cases
}

func TestShapesBeyondTheSuiteFulfilTheContract(t *testing.T) {
	s := open(t, cuda.Options{})
	defer s.Close()
	for _, c := range casesBeyondTheSuite() {
		assert.NoError(t, kerneltest.Check(s, c))
	}
}

// The last test of the file: it looks back on the others.
func TestEveryKernelWasRun(t *testing.T) {
	if testing.Short() || len(launched.kernels) < 50 {
		t.Skip("only part of the suite has run")
	}
	for _, name := range kernelNames(t) {
		assert.NotZero(t, launched.kernels[name], "no test launches %s", name)
	}
	assert.Less(t, launched.instructions, int64(15e9), "the suite executes too many thread instructions")
	t.Logf("%d kernels, %.2f G thread instructions", len(launched.kernels), float64(launched.instructions)/1e9)
}

func ptxFiles(t *testing.T) map[string][]byte {
	entries, err := os.ReadDir("ptx")
	require.NoError(t, err)
	files := map[string][]byte{}
	for _, e := range entries {
		files[e.Name()], err = os.ReadFile("ptx/" + e.Name())
		require.NoError(t, err)
	}
	require.NotEmpty(t, files)
	return files
}

func kernelNames(t *testing.T) (names []string) {
	for _, text := range ptxFiles(t) {
		names = append(names, entries(text)...)
	}
	return names
}

// entries is the kernels of a PTX file.
func entries(text []byte) (names []string) {
	for _, m := range regexp.MustCompile(`(?m)^\.visible \.entry (\w+)\(`).FindAllSubmatch(text, -1) {
		names = append(names, string(m[1]))
	}
	return names
}

func TestKernelsAreNamedOpDirectionTypeVariant(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range kernelNames(t) {
		assert.Regexp(t, `^[a-z0-9]+_[a-z]+_(f32|tf32|bf16|f16)_[a-z0-9]+$`, name)
		assert.False(t, seen[name], "%s is in two files", name)
		seen[name] = true
	}
}

func TestNoKernelUsesLocalMemoryAtomicsOrGenericAddresses(t *testing.T) {
	bad := regexp.MustCompile(`\t(\.local|atom\.|red\.|(ld|st)\.(v[24]\.)?[fbus](8|16|32|64))[^\n]*`)
	for file, text := range ptxFiles(t) {
		assert.Empty(t, string(bad.Find(text)), file)
	}
}

func TestCopiesOfAnySizePassThroughStaging(t *testing.T) {
	s := open(t, cuda.Options{})
	defer s.Close()
	const n = 3<<18 + 77 // three staging slots and a bit
	want := make([]float32, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range want {
		want[i] = r.Float32()
	}
	b := s.Alloc(kernels.F32, n)
	s.Upload(b, want)
	got := make([]float32, n)
	s.Download(got, b)
	require.NoError(t, s.Sync())
	assert.Equal(t, want, got)
}

func TestAFaultIsStickyAndNamesItsLaunch(t *testing.T) {
	s := open(t, cuda.Options{Sync: true})
	defer s.Close()
	p := kernels.PerImage{N: 1, Len: 4}
	x, ids := s.Alloc(kernels.F32, 4), s.Alloc(kernels.I32, 1)
	s.Fill(x, 3, kernels.Elementwise{Len: 4})
	s.UploadInts(ids, []int32{1 << 20})
	require.NoError(t, s.Sync())
	s.Copy(x, x, kernels.Elementwise{Len: 4})
	s.Gather(x, x, ids, 1, p)
	err := s.Sync()
	require.ErrorContains(t, err, "launch gather_forward_f32_vec4")
	require.ErrorContains(t, err, "launches since the last good Sync: copy_forward_f32_vec4)")
	s.Fill(x, 4, kernels.Elementwise{Len: 4})
	untouched := []float32{9}
	s.Download(untouched, x)
	s.Free(s.Alloc(kernels.F32, 10))
	assert.Equal(t, err, s.Sync(), "the first failure stays")
	assert.Equal(t, []float32{9}, untouched)
}

func TestRunningOutOfMemoryNamesWhatHoldsIt(t *testing.T) {
	s, err := cuda.New(emu.New(emu.Options{Memory: 1 << 20}), cuda.Options{})
	require.NoError(t, err)
	defer s.Close()
	kept := s.Alloc(kernels.F32, 200_000)
	s.Fill(s.Alloc(kernels.F32, 100_000), 1, kernels.Elementwise{Len: 100_000})
	err = s.Sync()
	require.ErrorContains(t, err, "out of device memory")
	assert.ErrorContains(t, err, "200000 float32")
	s.Free(kept)
}

func TestShapesBeyondTheIndexRangeAreRefused(t *testing.T) {
	s := open(t, cuda.Options{})
	defer s.Close()
	inner := kernels.Unwrap(s)
	x := s.Alloc(kernels.F32, 16)
	inner.Fill(x, 0, kernels.Elementwise{Len: math.MaxInt32 + 1})
	assert.ErrorContains(t, s.Sync(), "use a smaller batch")
}

func TestOldDevicesAreRefused(t *testing.T) {
	d := emu.New(emu.Options{SM: 61})
	defer d.Close()
	_, err := cuda.New(d, cuda.Options{})
	assert.ErrorContains(t, err, "compute capability 6.1, the kernels need 7.0")
}
