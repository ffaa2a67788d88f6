// Package emu is a gpu.Driver that executes PTX on the CPU, exactly and with the checks of a sanitizer.
//
// A module is parsed (gpu/ptx) and compiled once: registers become slots of 32 lanes, every instruction one Go function over whole
// warps. Blocks run in parallel on the CPU's cores, the warps of a block in turns. Lanes of a warp run in lock step and meet again
// at the lowest program counter, or where an instruction needs them all; but the checks never assume so: lanes are ordered by bar.sync
// and bar.warp.sync alone.
//
// An instruction it does not know is an error when the module is loaded. Arithmetic is IEEE; the .approx instructions are defined
// in approx.go, the tensor-core summation order in mma.go. Every launch is counted (Counters) and checked (Checks); a violation is a
// *Fault that names kernel, PTX line, block, thread, address and buffer.
//
// May import: gpu, gpu/ptx.
package emu
