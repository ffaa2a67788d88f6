package bench

import (
	"go/parser"
	"go/token"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/host"
	"emdiff/kernels/kerneltest"
)

func TestEveryOpHasABenchmarkOfItsName(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "ops_test.go", nil, 0)
	require.NoError(t, err)
	for _, op := range kerneltest.Ops() {
		assert.NotNil(t, file.Scope.Lookup("Benchmark"+op), "there is no Benchmark%s", op)
		assert.NotEmpty(t, cases()[op], "Benchmark%s has nothing to time", op)
	}
	assert.Len(t, slices.Collect(maps.Keys(cases())), len(kerneltest.Ops()), "cases of no op")
}

func TestTheLayersOfTheNetworksAreTimed(t *testing.T) {
	for where, conv := range map[string]string{
		"net=quick": "n=16/hw=14/cin=32/cout=32/k=3",
		"net=small": "n=16/hw=16/cin=64/cout=64/k=3",
		"net=ddpm":  "n=16/hw=32/cin=128/cout=128/k=3",
	} {
		for _, op := range []string{"Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad"} {
			assert.True(t, slices.ContainsFunc(cases()[op], func(c timed) bool { return strings.HasPrefix(c.label(), where+"/"+conv) }), "%s %s", op, where)
		}
		for _, op := range []string{"GroupNorm", "GroupNormGrad", "Attention", "AttentionGrad", "Linear", "SiLU", "Upsample2xGrad", "AdamW"} {
			assert.True(t, slices.ContainsFunc(cases()[op], func(c timed) bool { return c.where == where }), "%s %s", op, where)
		}
	}
}

func TestNamesOfBenchmarksAreUnique(t *testing.T) {
	for op, list := range cases() {
		seen := map[string]kerneltest.Case{}
		for _, c := range list {
			other, twice := seen[c.label()]
			assert.False(t, twice, "%s/%s names\n%s\n%s", op, c.label(), c.Case, other)
			seen[c.label()] = c.Case
			assert.NotContains(t, c.label(), " ")
		}
	}
}

func TestReducedCasesAreValidAndKeepTheLayer(t *testing.T) {
	for _, list := range cases() {
		for _, c := range list {
			r := reduced(c.Case)
			require.NoError(t, r.Params.(interface{ Validate() error }).Validate(), "%s", r)
			assert.LessOrEqual(t, r.Cost().FLOPs, c.Cost().FLOPs)
		}
	}
	p := kernels.GroupNorm{N: 16, HW: 1024, C: 128, Groups: 32, Eps: 1e-6, XStride: 256}
	one := p
	one.N = 4
	assert.Equal(t, one, reduced(kerneltest.Case{Op: "GroupNorm", Params: p}).Params)
}

func TestWrongProductsAreNotTimed(t *testing.T) {
	s, err := host.New("portable", kernels.Options{Threads: 1})
	require.NoError(t, err)
	defer s.Close()
	checked := 0
	for _, op := range []string{"Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad", "Linear", "LinearInputGrad", "LinearWeightGrad"} {
		for _, c := range cases()[op] {
			if c.where != "net=quick" {
				continue
			}
			p := place(s, c)
			p.run()
			p.check(t, s)
			assert.True(t, fails(func(tb testing.TB) { p.spoil(s); p.check(tb, s) }), "%s %s", op, c.label())
			checked++
		}
	}
	assert.Greater(t, checked, 20)
}

func TestNoOpAllocatesAfterItsFirstCall(t *testing.T) {
	s, err := host.New(hostLevels()[0], kernels.Options{Threads: 2})
	require.NoError(t, err)
	defer s.Close()
	for op, list := range cases() {
		c := list[0]
		if isProduct(op) {
			p := place(s, c)
			p.run()
			assert.Zero(t, testing.AllocsPerRun(2, p.run), "%s %s", op, c.label())
			continue
		}
		call, err := kerneltest.NewCall(s, reduced(c.Case))
		require.NoError(t, err)
		call.Queue()
		assert.Zero(t, testing.AllocsPerRun(2, call.Queue), "%s %s", op, c.label())
	}
}

// spoil adds a fraction of a product to every value of the result.
func (p *product) spoil(s kernels.Set) {
	values := make([]float32, p.result.Len())
	s.Download(values, p.result)
	for i := range values {
		values[i] += 0.1
	}
	s.Upload(p.result, values)
}

// fails reports whether a check fails.
func fails(check func(tb testing.TB)) bool {
	tb := &trial{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(tb)
	}()
	<-done
	return tb.failed
}

// trial is a test that may fail.
type trial struct {
	testing.TB
	failed bool
}

func (t *trial) Helper() {}
func (t *trial) Fatalf(string, ...any) {
	t.failed = true
	runtime.Goexit()
}
