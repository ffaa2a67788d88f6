package emu

import "golang.org/x/sys/cpu"

//go:noescape
func fmaAVX2(d, a, b, c *lanes32)

// fmaF32 is fma.rn.f32: the fused instruction where the CPU has one, fmaPortable elsewhere. Both give the same bits.
var fmaF32 = func() func(d, a, b, c *lanes32) {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		return fmaAVX2
	}
	return fmaPortable
}()
