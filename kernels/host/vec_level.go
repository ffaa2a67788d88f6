package host

// vectorKernels are the row kernels of one level.
type vectorKernels struct{}

var portableVector, avx2Vector, avx512Vector vectorKernels

// vectorJobs holds one reusable job per op, so that ops allocate nothing.
type vectorJobs struct{}
