package inspect

import (
	"errors"
	"math"
	"slices"

	"emdiff/gpu"
	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

// Device is where kernels are measured: a card by its own clock, the emulator by counting.
type Device struct {
	// Open opens the driver of a card; nil is the emulator.
	Open func() (gpu.Driver, error)
}

// What a Device measures.
const (
	milliseconds = "ms"
	instructions = "thread instructions"
)

// Unit is what the device measures kernels in: milliseconds, or the exact number of thread instructions on the emulator.
func (d Device) Unit() string {
	if d.Open == nil {
		return instructions
	}
	return milliseconds
}

// bench is an open device.
type bench struct {
	set        kernels.Set
	properties gpu.Properties
	clock      *cuda.Clock  // of a card
	launched   []string     // kernels, since forget
	reports    []emu.Report // of the emulator, since forget
}

func (d Device) bench(o cuda.Options) (*bench, error) {
	b := &bench{}
	o.OnLaunch = func(kernel string) { b.launched = append(b.launched, kernel) }
	open := d.Open
	if open == nil {
		open = func() (gpu.Driver, error) {
			return emu.New(emu.Options{OnLaunch: func(r emu.Report) { b.reports = append(b.reports, r) }}), nil
		}
	}
	driver, err := open()
	if err != nil {
		return nil, err
	}
	b.properties = driver.Properties()
	if b.set, err = cuda.New(driver, o); err != nil {
		return nil, errors.Join(err, driver.Close())
	}
	if d.Open != nil {
		b.clock, err = cuda.NewClock(b.set)
	}
	return b, err
}

func (b *bench) close() error {
	if b.clock != nil && b.set.Sync() == nil {
		if err := b.clock.Close(); err != nil {
			return err
		}
	}
	return b.set.Close()
}

func (b *bench) forget() { b.launched, b.reports = nil, nil }

// How a card is timed: a sample repeats the call until it takes about sampleTime, and the median of the samples counts.
const (
	warmUps     = 3
	sampleTime  = 2 // ms
	mostRepeats = 1000
)

// measure returns what a call takes on each rung, in the unit of the device. Samples of the rungs take turns, so that a card that
// changes its clock rate changes it for all.
func (b *bench) measure(call *kerneltest.Call, rungs []string, samples int) (map[string]float64, error) {
	defer cuda.SetRung(b.set, "")
	took := map[string]float64{}
	if b.clock == nil {
		for _, rung := range rungs {
			b.forget()
			cuda.SetRung(b.set, rung)
			call.Queue()
			if err := b.set.Sync(); err != nil {
				return nil, err
			}
			for _, r := range b.reports {
				took[rung] += float64(r.Counters.ThreadInstructions)
			}
		}
		return took, nil
	}
	sample := func(rung string, repeats int) (float64, error) {
		cuda.SetRung(b.set, rung)
		ms, err := b.clock.Milliseconds(func() {
			for range repeats {
				call.Queue()
			}
		})
		return ms / float64(repeats), err
	}
	repeats, times := map[string]int{}, map[string][]float64{}
	for _, rung := range rungs {
		var ms float64
		for range warmUps {
			var err error
			if ms, err = sample(rung, 1); err != nil {
				return nil, err
			}
		}
		repeats[rung] = int(min(max(math.Ceil(sampleTime/max(ms, 1e-6)), 1), mostRepeats))
	}
	for range samples {
		for _, rung := range rungs {
			ms, err := sample(rung, repeats[rung])
			if err != nil {
				return nil, err
			}
			times[rung] = append(times[rung], ms)
		}
	}
	for rung, list := range times {
		slices.Sort(list)
		took[rung] = list[len(list)/2]
	}
	return took, nil
}
