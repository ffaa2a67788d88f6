package kerneltest

import (
	"testing"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

func TestTheOracleConforms(t *testing.T) {
	RunAll(t, func(*testing.T) kernels.Set { return ref.New() })
}

func TestTheNaiveSetConforms(t *testing.T) {
	RunAll(t, func(*testing.T) kernels.Set { return ref.Naive() })
}

func TestTheOracleHasNoThreadsToDependOn(t *testing.T) {
	RunThreads(t, func(int) kernels.Set { return ref.New() })
}

func FuzzRef(f *testing.F) {
	FuzzOps(f, func(testing.TB) kernels.Set { return ref.New() })
}
