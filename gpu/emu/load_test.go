package emu

import (
	"os"
	"strings"
	"testing"
)

// FuzzLoad edits compiler output: whatever text comes, loading must end in a module or an error.
func FuzzLoad(f *testing.F) {
	for _, file := range []string{"testdata/kernels.ptx", "testdata/bugs.ptx"} {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.SplitAfter(string(src), "\n}\n") {
			f.Add(part)
		}
	}
	f.Add(string(asm("mov.b64 {%r1, %r2}, %rd1; call foo; bfe.u64 %rd1, %rd1, 3, 4; set.lt.u32.f32 %r1, %f1, %f2;")))
	f.Fuzz(func(t *testing.T, src string) {
		if !strings.Contains(src, ".version") {
			src = ".version 7.0\n.target sm_80\n.address_size 64\n.extern .shared .align 4 .b8 dynamic[];\n" + src
		}
		_, _ = New(Options{Memory: 1 << 20}).LoadModule("fuzz", []byte(src))
	})
}
