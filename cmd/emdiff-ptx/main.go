// Command emdiff-ptx looks at the CUDA kernels that are built into emdiff: what they are, whether they hold under all checks of the
// emulator, what they execute, and how two builds of their PTX differ. On a card it also times, tunes and checks them.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"emdiff/cmd/internal/cli"
	"emdiff/kernels/cuda/inspect"
)

type flags struct {
	List     listCommand     `cmd:"" help:"Print a line per kernel: target, file, registers live at once (a hint), bytes of shared memory."`
	Check    checkCommand    `cmd:"" help:"Run all kernels on the conformance cases under all checks of the emulator; takes half a minute."`
	Count    countCommand    `cmd:"" help:"Count exactly what kernels execute: ops on shapes, or whole passes of networks."`
	Run      runCommand      `cmd:"" help:"Check one op on one shape against the float64 oracle, and time or count it."`
	Tune     tuneCommand     `cmd:"" help:"Measure every variant of the convolutions and linear layers of U-Nets, and write the table of the fastest."`
	GPUCheck gpuCheckCommand `cmd:"" name:"gpu-check" help:"On a card: conformance of driver and kernels, timings and tuning, into one JSON file."`
	Diff     diffCommand     `cmd:"" help:"Compare two PTX files: kernels added (+), removed (-) and changed (~)."`

	cli.Profiles
}

type listCommand struct{}

func (listCommand) Run() error { return inspect.List(os.Stdout) }

type checkCommand struct {
	Ops []string `arg:"" optional:"" name:"op" help:"Ops to check, for example Conv2D. Default: all."`
}

func (c checkCommand) Run() error { return inspect.Check(os.Stdout, c.Ops) }

type diffCommand struct {
	A string `arg:"" help:"The PTX file before."`
	B string `arg:"" help:"The PTX file after."`
}

func (c diffCommand) Run() error { return inspect.Diff(os.Stdout, c.A, c.B) }

func main() {
	f := &flags{}
	command := kong.Parse(f, kong.Name("emdiff-ptx"), cli.ExitCodes(), kong.Description("Look at emdiff's CUDA kernels, on a card or on the emulator."))
	if err := f.Around(func() error { return command.Run() }); err != nil {
		fmt.Fprintln(os.Stderr, "emdiff-ptx:", err)
		os.Exit(1)
	}
}
