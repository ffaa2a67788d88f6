package host

import (
	"errors"

	"golang.org/x/sys/cpu"
)

func vectorLevels() []level {
	return []level{
		{"avx2", 20, missingAVX2, avx2Matrix, avx2Vector},
		{"avx512", 30, missingAVX512, avx512Matrix, avx512Vector},
	}
}

func missingAVX2() error { return lacking(cpu.X86.HasAVX2 && cpu.X86.HasFMA, "AVX2 and FMA") }

func missingAVX512() error {
	x := cpu.X86
	return lacking(x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL, "AVX-512 F, BW, DQ and VL")
}

// lacking turns a feature test into an error.
func lacking(has bool, what string) error {
	if has {
		return nil
	}
	return errors.New("this processor has no " + what)
}
