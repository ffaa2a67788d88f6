//go:build simt

package cuda_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"emdiff/gpu"
	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An approx instruction is a float64 function rounded once on both sides, but not the same float64 function: an exponential may come out
// one unit apart, about once in 2^28. What a kernel makes of it may be this many apart.
const approxULP = 4

// approximate is the kernels that use an approx instruction; all others must agree in every bit.
func approximate(t *testing.T) map[string]bool {
	found := map[string]bool{}
	for _, text := range ptxFiles(t) {
		for _, body := range regexp.MustCompile(`(?s)\.visible \.entry (\w+)\(.*?\n}`).FindAllSubmatch(text, -1) {
			found[string(body[1])] = strings.Contains(string(body[0]), ".approx.")
		}
	}
	return found
}

func TestTheHostBuildAgreesWithTheEmulator(t *testing.T) {
	d := newLockstep(emu.New(emu.Options{}), startHost(t, hostBuild(t, nil)))
	run := func(rung string, limit float64, ops []string, also ...kerneltest.Case) {
		s, err := cuda.New(shared{d}, cuda.Options{Rung: rung})
		require.NoError(t, err)
		for _, op := range ops {
			also = append(also, kerneltest.Cases(op)...)
		}
		for _, c := range also {
			if c.Cost().FLOPs <= limit {
				require.NoError(t, kerneltest.Run(s, c), "%v", c)
			}
		}
		require.NoError(t, s.Close())
	}
	const all = 1e15
	run("", all, kerneltest.Ops(), casesBeyondTheSuite()...)
	run("naive", 4e6, kerneltest.Ops())
	for rung, ops := range rungs() {
		run(rung, 2e6, ops)
	}

	table := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "kernel\tlaunches\tvalues\tresult")
	names, approx, sum := kernelNames(t), approximate(t), comparison{}
	slices.Sort(names)
	for _, name := range names {
		k := d.of(name)
		result := "identical"
		if k.different > 0 {
			result = fmt.Sprintf("%d differ, by up to %d ulp", k.different, k.ulp)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", name, k.launches, k.values, result)
		sum.launches, sum.values, sum.different = sum.launches+k.launches, sum.values+k.values, sum.different+k.different
		assert.NoError(t, k.judge(approx[name]), name)
	}
	fmt.Fprintf(table, "%d kernels\t%d\t%d\t%d differ\n", len(names), sum.launches, sum.values, sum.different)
	require.NoError(t, table.Flush())
}

// shared is a device that outlives the Set it is given to.
type shared struct{ gpu.Driver }

func (shared) Close() error { return nil }

func TestTheHostBuildTranslatesInlinePTX(t *testing.T) {
	for source, want := range map[string]string{
		`asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));`:                                           `cvt_f32_f16_0_1(x, h);`,
		`a(); asm volatile("cp.async.commit_group;" ::: "memory"); b();`:                           `a(); cp_async_commit_group(); b();`,
		"asm volatile(\"x [%0], 16;\" ::\"r\"(f(a, b) ? 1 : 0),\n \"l\"(c[d(2), 3]) : \"memory\")": `x_0_16(f(a, b) ? 1 : 0, c[d(2), 3])`,
		`extern __shared__ float4 room[];`:                                                         `float4* room = (float4*)simt::dynamic_shared();`,
		`typedef u32 pair __attribute__((ext_vector_type(2)));`:                                    `typedef simt::Vector<u32, 2> pair;`,
	} {
		got, err := translate(source)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := translate(`asm("x %0;" : "=r"(y)`)
	assert.ErrorContains(t, err, "no parenthesis closes")
	_, err = translate(`asm("x %0;" : [name] "=r"(y));`)
	assert.ErrorContains(t, err, "is no operand of inline PTX")
}

func TestTheHostBuildFindsPlantedBugs(t *testing.T) {
	conv := kernels.Conv{N: 1, H: 8, W: 8, Cin: 32, Cout: 32, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1, Precision: kernels.PrecisionTF32}
	attention := kernels.Attention{N: 1, T: 70, Heads: 1, HeadDim: 16, Scale: 0.25, Precision: kernels.PrecisionTF32}
	for name, c := range map[string]struct {
		file, old, new, unit string
		run                  kerneltest.Case
		want                 string
	}{
		"another constant": {"dev.cuh", "0xD2511F53 * c0", "0xD2511F55 * c0", "random",
			kerneltest.Case{Op: "Normal", Params: kernels.Draw{N: 2, Len: 40}}, "values differ"},
		"another order of a sum": {"dev.cuh", "lanes = WARP / 2; lanes > 0; lanes /= 2", "lanes = 1; lanes < WARP; lanes *= 2", "images",
			kerneltest.Case{Op: "Dot", Params: kernels.PerImage{N: 9, Len: 999}}, "values differ"},
		"a barrier left out": {"physics.cu", "barrier();\n  for (int i = thread_x(); i < TILE * TILE", "for (int i = thread_x(); i < TILE * TILE", "physics",
			kerneltest.Case{Op: "Blur", Params: kernels.Blur{N: 1, H: 20, W: 20, C: 3, K: 5}}, "values differ"},
		"a barrier that half the block comes to": {"dev.cuh", "barrier();  // room", "if (thread_x() < 128) barrier();  // room", "images",
			kerneltest.Case{Op: "Dot", Params: kernels.PerImage{N: 2, Len: 999}}, "others of its block wait at a barrier"},
		"a shuffle that half the warp comes to": {"dev.cuh", "v += shuffle_xor(v, lanes);", "if (thread_x() % 2 == 0) v += shuffle_xor(v, lanes);", "images",
			kerneltest.Case{Op: "Dot", Params: kernels.PerImage{N: 2, Len: 999}}, "which this thread never comes to"},
		"a fragment of the wrong rows": {"tensor.cuh", "lower = upper + A::EIGHT", "lower = upper", "convtensor",
			kerneltest.Case{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: conv}}, "values differ"},
		"a copy that is not waited for": {"tensor.cuh", `"n"(STAGES - 2)`, `"n"(STAGES - 1)`, "convtensor",
			kerneltest.Case{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: conv}}, "values differ"},
		"a fragment of the wrong tokens": {"attentiontensor.cu", "load_pair<OFFSET + 8 * PITCH>(u[0][1]", "load_pair<OFFSET>(u[0][1]", "attentiontensor",
			kerneltest.Case{Op: "Attention", Params: attention}, "values differ"},
		"a shared array that is not filled": {"physics.cu", "if (thread_x() < k) weights[thread_x()]", "if (thread_x() < k - 1) weights[thread_x()]", "physics",
			kerneltest.Case{Op: "Blur", Params: kernels.Blur{N: 1, H: 20, W: 20, C: 3, K: 5}}, "(NaN) by the host build"},
		"a write far outside": {"elementwise.cu", "y[i] = to_bf16", "y[i + 1000000] = to_bf16", "elementwise",
			kerneltest.Case{Op: "Cast", Params: kerneltest.Cast{Elementwise: kernels.Elementwise{Len: 100}, Through: kernels.BF16}}, "fault at address"},
		"a write just outside": {"elementwise.cu", "y[i] = to_bf16", "y[i + 256] = to_bf16", "elementwise",
			kerneltest.Case{Op: "Cast", Params: kerneltest.Cast{Elementwise: kernels.Elementwise{Len: 100}, Through: kernels.BF16}}, "writes to byte"},
	} {
		t.Run(name, func(t *testing.T) {
			planted := 0
			plant := func(file, text string) string {
				if file != c.file {
					return text
				}
				planted += strings.Count(text, c.old)
				return strings.Replace(text, c.old, c.new, 1)
			}
			d := newLockstep(emu.New(emu.Options{}), startHost(t, hostBuild(t, plant, c.unit)))
			require.NotZero(t, planted, "%s has no %q", c.file, c.old)
			s, err := cuda.New(d, cuda.Options{})
			require.NoError(t, err)
			defer s.Close()
			if err = kerneltest.Run(s, c.run); err == nil {
				approx := approximate(t)
				for name, k := range d.comparisons {
					if err == nil {
						err = k.judge(approx[name])
					}
				}
			}
			require.ErrorContains(t, err, c.want)
			t.Log(err)
		})
	}
}
