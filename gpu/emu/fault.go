package emu

import (
	"fmt"
	"math/bits"

	"emdiff/gpu/ptx"
)

// FaultKind is the check a kernel or host program has failed.
type FaultKind string

// The checks.
const (
	OutOfBounds       FaultKind = "out of bounds"
	Misaligned        FaultKind = "misaligned access"
	UseAfterFree      FaultKind = "use after free"
	Uninitialised     FaultKind = "read of uninitialised memory"
	SharedRace        FaultKind = "shared memory race"
	GlobalRace        FaultKind = "global memory race"
	AsyncCopy         FaultKind = "access to a cp.async in flight"
	BarrierDivergence FaultKind = "barrier in divergent code"
	LaneDivergence    FaultKind = "collective without all its lanes"
	StreamOrder       FaultKind = "streams not ordered"
	HostMemory        FaultKind = "host memory changed during an async copy"
	Timeout           FaultKind = "kernel does not end"
	Trap              FaultKind = "trap"
)

// Fault is a violation found while a kernel ran, or between operations of streams (then without a place in a kernel).
type Fault struct {
	Kind    FaultKind
	Kernel  string
	Line    int    // of the PTX
	Opcode  string // at that line
	Block   [3]int
	Thread  [3]int
	Space   ptx.Space
	Address uint64
	Buffer  string // buffer concerned, if global memory is
	Detail  string
}

// Error names everything that is known.
func (f *Fault) Error() string {
	s := string(f.Kind)
	if f.Kernel != "" {
		s += fmt.Sprintf(": kernel %s", f.Kernel)
	}
	if f.Line > 0 {
		s += fmt.Sprintf(", PTX line %d (%s), block %v, thread %v", f.Line, f.Opcode, f.Block, f.Thread)
	}
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	if f.Buffer != "" {
		s += ", " + f.Buffer
	}
	return s
}

// faultAt describes a fault of the lane at instruction in.
func (w *warp) faultAt(in *inst, lane int, kind FaultKind, space ptx.Space, addr uint64, format string, args ...any) *Fault {
	src := w.wk.prog.sources[in.src]
	f := &Fault{Kind: kind, Kernel: w.wk.prog.name, Line: src.line, Opcode: src.opcode, Block: w.wk.block, Thread: w.thread(lane),
		Space: space, Address: addr, Detail: fmt.Sprintf(format, args...)}
	if space == ptx.Global {
		f.Buffer = w.wk.l.mem.describe(addr)
	}
	return f
}

// fail stops the block with a fault; the worker recovers it.
func (w *warp) fail(in *inst, lane int, kind FaultKind, space ptx.Space, addr uint64, format string, args ...any) {
	panic(w.faultAt(in, lane, kind, space, addr, format, args...))
}

// thread returns a lane's position in the block.
func (w *warp) thread(lane int) [3]int {
	return threadAt(w.id*warpSize+lane, w.wk.l.cfg.Block)
}

func threadAt(n int, block [3]int) [3]int {
	return [3]int{n % block[0], n / block[0] % block[1], n / block[0] / block[1]}
}

// first returns the lowest lane of a mask.
func first(m uint32) int { return bits.TrailingZeros32(m) }

// describeAccess says what a lane did, for messages.
func describeAccess(write bool, bytes int, space ptx.Space, addr uint64) string {
	verb := "read"
	if write {
		verb = "write"
	}
	return fmt.Sprintf("%s of %d bytes at %s address %#x", verb, bytes, space, addr)
}
