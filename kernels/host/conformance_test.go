package host

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

// eachLevel runs f at every level that this processor has; EMDIFF_REQUIRE turns a missing one into a failure.
func eachLevel(t *testing.T, f func(t *testing.T, open func(threads int) kernels.Set)) {
	for _, l := range levels() {
		t.Run(l.name, func(t *testing.T) {
			kerneltest.Required(t, l.name, l.usable())
			f(t, func(threads int) kernels.Set {
				s, err := New(l.name, kernels.Options{Threads: threads})
				require.NoError(t, err)
				return s
			})
		})
	}
}

func TestEveryLevelConforms(t *testing.T) {
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) {
		kerneltest.RunAll(t, func(t *testing.T) kernels.Set { return open(2) })
	})
}

func TestResultsDoNotDependOnThreads(t *testing.T) {
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) { kerneltest.RunThreads(t, open) })
}

func FuzzOps(f *testing.F) {
	kerneltest.FuzzOps(f, func(t testing.TB) kernels.Set {
		best := kernels.Set(nil)
		for _, l := range levels() {
			if l.usable() == nil {
				s, err := New(l.name, kernels.Options{Threads: 2})
				require.NoError(t, err)
				best = s
			}
		}
		return best
	})
}
