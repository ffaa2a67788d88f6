package host

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

func TestTheVariableHoldsTheLevelDown(t *testing.T) {
	t.Setenv(cpuVariable, "portable")
	for _, l := range vectorLevels() {
		_, err := New(l.name, kernels.Options{})
		assert.EqualError(t, err, "host/"+l.name+" is held down by EMDIFF_CPU=portable")
	}
	s, err := New("portable", kernels.Options{})
	assert.NoError(t, err)
	assert.Equal(t, "host/portable", s.Name())
	assert.NoError(t, s.Close())
}

func TestAMistakenVariableIsAnError(t *testing.T) {
	t.Setenv(cpuVariable, "sse")
	for _, l := range levels() {
		assert.ErrorContains(t, l.usable(), "EMDIFF_CPU=sse names no level")
	}
}

// A level of another architecture is not among levels(): requiring it must still fail.
func TestEveryLevelHasItsArchitecture(t *testing.T) {
	for _, name := range []string{"avx2", "avx512", "neon"} {
		t.Run(name, func(t *testing.T) {
			_, err := findLevel(name)
			kerneltest.Required(t, name, err)
		})
	}
}

func TestAnUnknownLevelIsAnError(t *testing.T) {
	_, err := New("avx1024", kernels.Options{})
	assert.ErrorContains(t, err, `no level "avx1024"`)
}

func TestLevelsAreRegisteredInOrder(t *testing.T) {
	names := []string{}
	for _, i := range kernels.Implementations() {
		if i.Priority > 0 {
			names = append(names, i.Name)
		}
	}
	want := map[string][]string{
		"amd64": {"host/avx512", "host/avx2", "host/portable"},
		"arm64": {"host/neon", "host/portable"},
	}
	assert.Equal(t, want[runtime.GOARCH], names)
}
