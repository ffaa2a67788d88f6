// Package cuda is the op set on an NVIDIA GPU: CUDA C++ sources (*.cu, on the device header dev.cuh), the PTX that clang makes of them
// (ptx/, committed and embedded), and the launchers. The launchers are written against gpu.Driver alone, so the same code and the same
// PTX run on hardware (gpu/cudrv) and, checked and counted, on a CPU (gpu/emu).
//
// Every op has a ladder of kernels named op_direction_dtype_variant; the head of each .cu file says what its rungs are, and variants.go
// which one a shape takes. No kernel uses float atomics, and no variant or split depends on the number of images, so results are
// deterministic and an image is computed alike in every batch.
//
// May import: kernels, gpu.
package cuda
