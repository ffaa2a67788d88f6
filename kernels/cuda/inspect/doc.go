// Package inspect looks at the CUDA kernels from outside, for the command emdiff-ptx: what they are, whether they hold under all
// checks of the emulator, what they execute on given shapes, and how two builds of their PTX differ. It needs no GPU.
//
// May import: kernels, kernels/cuda, kernels/kerneltest, gpu/emu, gpu/ptx.
package inspect
