package gputest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/gpu"
	"emdiff/gpu/emu"
)

func emulator() (gpu.Driver, error) { return emu.New(emu.Options{Memory: 64 << 20}), nil }

func TestTheSuiteRunsOutsideOfGoTest(t *testing.T) {
	verdicts := Verdicts(emulator)
	require.Len(t, verdicts, len(tests))
	for _, v := range verdicts {
		assert.Equal(t, Verdict{Name: v.Name, OK: true}, v)
	}
}

// faulty fills nothing, panics when it is asked for an event, and cannot be closed twice.
type faulty struct{ gpu.Driver }

func (faulty) FillAsync(gpu.Buffer, byte, gpu.Stream) error { return nil }
func (faulty) NewEvent() (gpu.Event, error)                 { panic("no events") }

func TestEachTestFailsForItself(t *testing.T) {
	failed := map[string]string{}
	for _, v := range Verdicts(func() (gpu.Driver, error) { d, err := emulator(); return faulty{d}, err }) {
		if !v.OK {
			failed[v.Name] = v.Error
		}
	}
	require.Len(t, failed, 3, "%v", failed)
	assert.Contains(t, failed["FillSetsEveryByte"], "Not equal")
	assert.NotContains(t, failed["FillSetsEveryByte"], "\n")
	assert.Equal(t, "panics: no events", failed["EventsMeasureTime"])
	assert.Equal(t, "panics: no events", failed["EventsOrderStreams"])
	for _, v := range Verdicts(func() (gpu.Driver, error) { return nil, errors.New("no card") }) {
		assert.Equal(t, Verdict{Name: v.Name, Error: "no card"}, v)
	}
}
