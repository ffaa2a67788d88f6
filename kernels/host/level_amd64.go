package host

import "golang.org/x/sys/cpu"

func missingAVX2() error { return lacking(cpu.X86.HasAVX2 && cpu.X86.HasFMA, "AVX2 and FMA") }

func missingAVX512() error {
	x := cpu.X86
	return lacking(x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL, "AVX-512 F, BW, DQ and VL")
}
