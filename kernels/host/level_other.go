//go:build !amd64

package host

func missingAVX2() error   { return lacking(false, "AVX2 and FMA") }
func missingAVX512() error { return lacking(false, "AVX-512 F, BW, DQ and VL") }
