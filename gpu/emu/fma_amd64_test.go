package emu

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

func TestFusedInstructionIsUnderTest(t *testing.T) {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		var d, a, b, c lanes32
		a[9], b[9], c[9] = 0x40000000, 0x40400000, 0x3F800000 // 2*3+1
		fmaAVX2(&d, &a, &b, &c)
		if d[9] != 0x40E00000 || d[8] != 0 {
			t.Fatalf("2*3+1 = %#x, 0*0+0 = %#x", d[9], d[8])
		}
		return
	}
	if slices.Contains(strings.Split(os.Getenv("EMDIFF_REQUIRE"), ","), "avx2") {
		t.Fatal("EMDIFF_REQUIRE lists avx2, this CPU has none")
	}
	t.Skip("this CPU has no fused multiply-add: only the portable one was tested")
}
