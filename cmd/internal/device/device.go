// Package device chooses the implementation of the kernels a command runs on, and says why. Together with tests it is
// the only place that knows the implementations by name; everything else sees kernels.Set. It may import the
// implementations (kernels/ref, kernels/host, kernels/cuda) and the GPU drivers.
package device

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"emdiff/gpu"
	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	_ "emdiff/kernels/host" // registers host/portable and the levels of the architecture
)

// Choice is an opened Set and the reasoning behind it.
type Choice struct {
	Device  string // host, cuda or emu
	Set     kernels.Set
	Refused []string // "host/avx512: this processor has no AVX-512 F, BW, DQ and VL", best first
	Tuning  string   // hash of the table of CUDA kernel variants, "" without one
	tuned   string   // where that table comes from, for the log
}

// String is one line for the log.
func (c Choice) String() string {
	text := c.Set.Name() + c.tuned
	if c.Set.Name() == portable && os.Getenv("EMDIFF_CPU") != "portable" {
		text += slowly
	}
	if len(c.Refused) == 0 {
		return text
	}
	return fmt.Sprintf("%s (refused %s)", text, strings.Join(c.Refused, "; "))
}

// portable is the level without vector kernels. A run that is left with it, not held down to it, is told what it lacks.
const (
	portable = "host/portable"
	slowly   = ": portable level, no vector kernels for this CPU (needs AVX2 and FMA, AVX-512, or 64-bit Arm), several times slower"
)

// slow is why auto refuses the emulator.
const slow = "emulates a GPU to test its kernels, far slower than the host"

// Names lists the devices for --device.
var Names = []string{"auto", "host", "cuda", "emu"}

// Open returns the best usable implementation of a device of Names: auto is an NVIDIA card, if this build has the driver and there is
// one, and else the host. threads = 0 uses all cores. The emulator runs without
// its checks, which make it slower, unless the environment variable EMDIFF_EMU_CHECKS=1 asks for them.
func Open(name string, threads int) (Choice, error) {
	if !slices.Contains(Names, name) {
		return Choice{}, fmt.Errorf("--device %s is unknown: use %s", name, strings.Join(Names, ", "))
	}
	if threads < 0 {
		return Choice{}, fmt.Errorf("--threads %d must not be negative (0 = all cores)", threads)
	}
	switch name {
	case "host":
		return openHost(threads)
	case "cuda":
		c, err := openCUDA()
		if err != nil {
			err = fmt.Errorf("--device cuda: %w", err)
		}
		return c, err
	case "emu":
		return openEmulator(threads)
	}
	c, why := openCUDA()
	var bad badTuning
	if why == nil || errors.As(why, &bad) {
		return c, why
	}
	c, err := openHost(threads)
	c.Refused = slices.Concat([]string{fmt.Sprintf("cuda: %v", why)}, c.Refused, []string{"emu: " + slow})
	return c, err
}

// OpenDriver opens the NVIDIA card. In a build without the CUDA driver the error says how to get one that has it.
func OpenDriver() (gpu.Driver, error) { return openDriver() }

// openCUDA opens the CUDA kernels on the NVIDIA card.
func openCUDA() (Choice, error) {
	driver, err := openDriver()
	if err != nil {
		return Choice{}, err
	}
	return openKernels("cuda", driver)
}

// openEmulator opens the CUDA kernels on the PTX emulator.
func openEmulator(threads int) (Choice, error) {
	return openKernels("emu", emu.New(emulatorOptions(threads)))
}

// tuningFile is the environment variable that names the table of kernel variants.
const tuningFile = "EMDIFF_CUDA_TUNING"

// badTuning is a table that was asked for and cannot be had: no reason to take another device.
type badTuning struct{ error }

func (b badTuning) Unwrap() error { return b.error }

// openKernels opens the CUDA kernels on a device, with the table of the environment if there is one.
func openKernels(name string, driver gpu.Driver) (Choice, error) {
	c, options := Choice{Device: name}, cuda.Options{}
	path := os.Getenv(tuningFile)
	if path != "" {
		table, err := cuda.ReadTable(path)
		if err != nil {
			return Choice{}, errors.Join(badTuning{fmt.Errorf("%s: %w", tuningFile, err)}, driver.Close())
		}
		options.Table, c.Tuning = table, table.Hash()
		c.tuned = fmt.Sprintf(", tuned by %s for %s", path, table.Card)
	}
	var err error
	if c.Set, err = cuda.New(driver, options); err != nil {
		if errors.Is(err, cuda.ErrTable) {
			err = badTuning{err}
		}
		return Choice{}, errors.Join(err, driver.Close())
	}
	return c, nil
}

func emulatorOptions(threads int) emu.Options {
	o := emu.Options{Workers: threads}
	if os.Getenv("EMDIFF_EMU_CHECKS") == "1" {
		o.Checks = emu.AllChecks()
	}
	return o
}

// openHost opens the best level that the processor has.
func openHost(threads int) (Choice, error) {
	c := Choice{Device: "host"}
	for _, i := range kernels.Implementations() {
		if !strings.HasPrefix(i.Name, "host/") {
			continue
		}
		if err := i.Usable(); err != nil {
			c.Refused = append(c.Refused, err.Error()) // names the level
			continue
		}
		set, err := i.Open(kernels.Options{Threads: threads})
		if err != nil {
			return c, fmt.Errorf("opening %s: %w", i.Name, err)
		}
		c.Set = set
		return c, nil
	}
	return c, fmt.Errorf("no level of the host works here: %s", strings.Join(slices.Compact(c.Refused), "; "))
}
