// Package gpu is what a kernel launcher may see of a GPU: memory, streams, events, modules of PTX and launches.
//
// It holds interfaces and the little that every driver shares (argument packing, errors, a caching allocator, the list of drivers,
// trace ranges). Two drivers implement it: gpu/emu executes PTX on the CPU and checks it, gpu/cudrv talks to NVIDIA's driver.
// The launchers in kernels/cuda are written against this package alone, so the same code runs on both.
//
// Streams never wait for each other unless an event or a Sync says so: there is no implicitly ordered default stream. Copies marked
// async take pinned host memory and may run any time before the stream is synchronised. A device fault is sticky: the context is
// dead after it and every later call says so.
//
// May import: nothing of this module.
package gpu
