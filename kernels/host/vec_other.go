//go:build !amd64

package host

var avx2Vector, avx512Vector vectorKernels
