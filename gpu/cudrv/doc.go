// Package cudrv is the gpu.Driver of real NVIDIA cards, on gorgonia.org/cu. It exists only with the build tag cuda (make cuda),
// which needs gcc and linux/amd64 but no CUDA toolkit: include/cuda.h declares the interface, and tramp_linux_amd64.S defines
// every driver symbol as a jump through a table that shim.c fills when the program starts, from libcuda.so.1 if there is one.
//
// EMDIFF_LIBCUDA overrides the library: a path, or "emu" to send the calls to the driver registered as "emu" in this process
// (emulated.go), so that cu's own code, argument packing included, runs without a card. With no library the program still starts and
// opening the driver says what is missing.
//
// May import: gpu.
package cudrv
