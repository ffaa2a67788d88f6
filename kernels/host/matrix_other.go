//go:build !amd64

package host

// Levels that cannot be used here have no kernels.
var avx2Matrix, avx512Matrix matrixKernels
