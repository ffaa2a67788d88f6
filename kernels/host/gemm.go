package host

// matrixKernels are the micro-kernels of the matrix core at one level.
type matrixKernels struct{}

var portableMatrix, avx2Matrix, avx512Matrix matrixKernels
