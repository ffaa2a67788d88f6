// Package kernels is the op set of the engine: what each op computes, the shapes it takes, what it costs, and the Set
// interface that an implementation provides. It holds no kernels itself; they live in
//
//	kernels/ref    float64 oracle: one plain loop nest per op
//	kernels/host   CPU: portable Go, AVX2+FMA, AVX-512 and NEON
//	kernels/cuda   NVIDIA GPUs
//
// and kernels/kerneltest holds every implementation to the oracle. The package imports nothing of the module.
//
// # Conventions
//
// Activations are NHWC and contiguous, unless an op has a stride: XStride and YStride count the floats from one pixel to
// the next, so that a channel slice of a wider tensor (concat) can be read or written in place. A stride of 0 means
// contiguous. Convolution weights are [KH][KW][Cin][Cout], linear weights [K][M]. Arithmetic and storage are float32;
// reductions are deterministic and never depend on the number of threads, and the value of one image of a batch never
// depends on the others.
//
// Arguments come in the order: destinations, inputs, saved outputs of the forward pass, one parameter struct. A nil
// Buffer leaves an optional argument out. Unless an op says otherwise, a destination may be the same view as an input of
// the same shape for elementwise ops, and must not overlap any input for all others.
//
// Shape mistakes panic with *ShapeError (see Checked). Ops return nothing; a device failure is reported by Sync.
package kernels
