// Package inspect looks at the CUDA kernels from outside, for the command emdiff-ptx: what they are, whether they hold under all
// checks of the emulator, what they execute on given shapes, and how two builds of their PTX differ. On a card it also runs, checks,
// times and tunes them; without one the emulator stands in, which counts instead of timing, so that all of it is tested anywhere.
//
// May import: kernels, kernels/cuda, kernels/kerneltest, gpu, gpu/emu, gpu/gputest, gpu/ptx.
package inspect
