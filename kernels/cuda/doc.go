// Package cuda is the op set on an NVIDIA GPU: CUDA C++ sources (*.cu, on the device header dev.cuh), the PTX that clang makes of them
// (ptx/, committed and embedded), and the launchers. The launchers are written against gpu.Driver alone, so the same code and the same
// PTX run on hardware (gpu/cudrv) and, checked and counted, on a CPU (gpu/emu).
//
// Every op has a ladder of kernels named op_direction_dtype_variant; the head of each .cu file says what its rungs are, and variants.go
// which one a shape takes. No kernel uses float atomics, and no variant or split depends on the number of images, so results are
// deterministic and an image is computed alike in every batch.
//
// The emulator runs the PTX that clang made; simt/ is a second opinion, that of another compiler and another executor. `make simt-check`
// (build tag simt; g++, or clang++ by CXX) compiles the same sources, unchanged, as C++ for the host, where simt/simt.h stands in for what
// they take from CUDA, and every thread of a block is a fiber (simt/simt.cpp). Each launch of the conformance suite, on every rung, then
// runs on both from the same memory, and all buffers that the kernel can reach are compared: bit for bit, NaN payloads apart, and within
// 4 ulp for kernels with ex2.approx or rcp.approx, whose float64 functions are not the same on both sides. Tensor-core sums have one
// definition on both, that of gpu/emu/mma.go. It fails on a difference, on a kernel that no launch compares, on a write outside a buffer and
// on threads that wait for each other in vain; a test plants such bugs and sees each found. What it cannot see is what both sides share:
// the sources' own mistakes, launchers, and the reading of PTX where simt.h and the emulator read it alike.
//
// May import: kernels, gpu.
package cuda
