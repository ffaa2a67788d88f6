//go:build cuda

package device

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"emdiff/gpu"
	"emdiff/gpu/cudrv"
	"emdiff/gpu/emu"
)

func TestARoundOfEMThroughTheCUDADriverIsThatOfTheEmulatorBitForBit(t *testing.T) {
	cudrv.Emulate(func() (gpu.Driver, error) { return emu.New(emu.Options{}), nil })
	assert.Equal(t, learnTiny(t, "emu"), learnTiny(t, "cuda"))
}

func TestABadTableIsNoReasonToTakeTheHost(t *testing.T) {
	cudrv.Emulate(func() (gpu.Driver, error) { return emu.New(emu.Options{}), nil })
	t.Setenv(tuningFile, "missing.json")
	_, err := Open("auto", 1)
	assert.ErrorContains(t, err, "missing.json")
	_, err = Open("cuda", 1)
	assert.ErrorContains(t, err, "missing.json")
}
