//go:build !amd64

package emu

// fmaF32 is fma.rn.f32.
var fmaF32 = fmaPortable
