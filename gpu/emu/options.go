package emu

import (
	"runtime"

	"emdiff/gpu"
)

// Checks says what is checked while kernels run. Bounds, alignment and freed memory are always checked: the emulator could not go on.
type Checks struct {
	Init    bool // reads of global and shared memory that was never written
	Race    bool // shared memory between barriers, global memory between blocks, cp.async in flight
	Barrier bool // barriers that not all threads of the block reach together; one that has exited does not reach them
	Streams bool // accesses of one buffer by streams that no event or Sync orders
	// MaxTurns limits a block to so many turns of 65,536 loop iterations per warp; 0: no limit.
	MaxTurns int
}

// AllChecks switches everything on.
func AllChecks() Checks {
	return Checks{Init: true, Race: true, Barrier: true, Streams: true, MaxTurns: 1 << 12}
}

// Report is what one launch did.
type Report struct {
	Kernel      string
	Grid, Block [3]int
	Counters    Counters
	Lines       []LineCount // by PTX instruction, in order
	Registers   int         // most registers live at once, 64-bit ones counted twice: a hint, not ptxas's number
	Shared      int         // bytes per block, static and dynamic
}

// Options configure a Driver.
type Options struct {
	Checks  Checks
	Memory  int64 // bytes of device memory; 0: 2 GiB
	SM      int   // compute capability, 80 for 8.0; 0: 80
	Workers int   // goroutines that run blocks; 0: GOMAXPROCS
	// OnLaunch, if set, receives every launch's counts. It must not call the driver.
	OnLaunch func(Report)
}

// Driver's defaults describe a mid-size data-centre card.
func (o Options) properties() gpu.Properties {
	return gpu.Properties{Name: "PTX emulator", Driver: "emu", Major: o.SM / 10, Minor: o.SM % 10, SMs: 108, WarpSize: warpSize,
		MaxThreadsPerBlock: 1024, MaxSharedPerBlock: 48 << 10, MaxSharedOptIn: 163 << 10, TotalMemory: o.Memory,
		MaxGridX: 1<<31 - 1, MaxGridYZ: 65535}
}

func (o Options) withDefaults() Options {
	if o.Memory == 0 {
		o.Memory = 2 << 30
	}
	if o.SM == 0 {
		o.SM = 80
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return o
}
