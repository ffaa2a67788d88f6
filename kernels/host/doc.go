// Package host is the op set on CPUs: Go and assembly, at one of the levels of its processor, chosen when a Set is opened:
//
//	portable   Go only, any architecture
//	avx2       AVX2 and FMA
//	avx512     AVX-512 F, BW, DQ and VL
//	neon       any arm64
//
// Convolutions, linear layers and matrix products share one register-blocked core (matrix.go; slide.go, weightgrad.go and
// dense.go are the loops around it); every other op is a loop over rows of vector kernels (vec*.go). Work is cut into
// parts by shape alone, so results do not depend on the number of threads. EMDIFF_CPU holds the level down. The package
// imports kernels and nothing else of the module.
package host
