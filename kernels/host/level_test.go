package host

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"emdiff/kernels"
)

func TestTheVariableHoldsTheLevelDown(t *testing.T) {
	t.Setenv(cpuVariable, "portable")
	_, err := New("avx2", kernels.Options{})
	assert.EqualError(t, err, "host/avx2 is held down by EMDIFF_CPU=portable")
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
	assert.Equal(t, []string{"host/avx512", "host/avx2", "host/portable"}, names)
}
