package ptx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompilerOutputParsesAndVerifies(t *testing.T) {
	files, err := filepath.Glob("../emu/testdata/*.ptx")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		src, err := os.ReadFile(f)
		require.NoError(t, err)
		m, err := Parse(src)
		require.NoError(t, err, f)
		require.NoError(t, Verify(m), f)
	}
}

// kernel wraps a body into a module.
func kernel(body string) string {
	return ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 k_param_0)\n{\n" +
		".reg .pred %p<4>; .reg .b16 %rs<4>; .reg .b32 %r<8>; .reg .f32 %f<8>; .reg .b64 %rd<8>; .reg .f64 %fd<4>;\n" + body + "\nret;\n}\n"
}

func TestParsedTree(t *testing.T) {
	m, err := Parse([]byte(kernel("$L1:\n@!%p1 ld.global.nc.v4.f32 {%f1, %f2, _, %f4}, [%rd1+-16];\nfma.rn.f32 %f1, %f2, 0f3F800000, 1.5;\n" +
		"shfl.sync.bfly.b32 %r1|%p2, %r2, 16, 31, -1;\nbra $L1;")))
	require.NoError(t, err)
	require.NoError(t, Verify(m))
	f := m.Function("k")
	require.Equal(t, Version{7, 0}, m.Version)
	require.Equal(t, 80, m.SM)
	require.Equal(t, 0, f.Labels["$L1"])

	ld := f.Body[0]
	require.Equal(t, "ld.global.nc.v4.f32", ld.Opcode())
	require.Equal(t, []Type{F32}, ld.Types)
	require.True(t, ld.Guard.Not)
	require.Equal(t, "%p1", f.Regs[ld.Guard.Reg].Name)
	require.Equal(t, Sink, ld.Args[0].Elems[2].Kind)
	require.Equal(t, int64(-16), int64(ld.Args[1].Imm))
	require.Equal(t, "%rd1", f.Regs[ld.Args[1].Reg].Name)

	fma := f.Body[1]
	require.Equal(t, uint64(0x3F800000), fma.Args[2].Imm)
	require.Equal(t, uint64(0x3FC00000), fma.Args[3].FloatBits(F32))
	require.Equal(t, Pair, f.Body[2].Args[0].Kind)
	require.Equal(t, uint64(0xFFFFFFFFFFFFFFFF), f.Body[2].Args[4].Imm)
}

func TestScopesShadowRegisters(t *testing.T) {
	m, err := Parse([]byte(kernel("{ .reg .b32 %r<2>; .reg .pred p; setp.eq.u32 p, %r1, 0; @p mov.u32 %r1, 3; }\nmov.u32 %r1, 4;")))
	require.NoError(t, err)
	require.NoError(t, Verify(m))
	f := m.Function("k")
	require.NotEqual(t, f.Body[1].Args[0].Reg, f.Body[2].Args[0].Reg, "the inner %r1 is another register")
}

func TestGlobalInitialiser(t *testing.T) {
	m, err := Parse([]byte(".version 7.0\n.target sm_70\n.address_size 64\n.const .align 4 .f32 c[3] = {0f3F800000, 2.0};\n.global .align 1 .b8 g[4] = {1, -1, 255};"))
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0x80, 0x3F, 0, 0, 0, 0x40, 0, 0, 0, 0}, m.Vars[0].Init)
	require.Equal(t, []byte{1, 255, 255, 0}, m.Vars[1].Init)
}

func TestErrorsNameLineAndOpcode(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"unknown opcode", "frobnicate.f32 %f1, %f2;", "PTX line 7: frobnicate.f32: unknown opcode"},
		{"unknown modifier", "add.f33 %f1, %f2, %f3;", "PTX line 7: add.f33: no type"},
		{"wrong modifier", "add.wide.s32 %r1, %r2, %r3;", "add.wide.s32: unknown modifier .wide"},
		{"undefined label", "bra $nowhere;", "line 7: bra: operand 1: undefined label $nowhere"},
		{"undefined register", "mov.u32 %r1, %r99;", "mov.u32: undefined register %r99"},
		{"wrong size", "add.s32 %r1, %rd2, 1;", "operand 2: register %rd2 is .b64, wants .s32"},
		{"wrong class", "add.f32 %r1, %f2, %f3;\n add.s32 %f1, %r1, 1;", "line 8: add.s32: operand 1: register %f1 is .f32, wants .s32"},
		{"too few operands", "fma.rn.f32 %f1, %f2, %f3;", "3 operands, wants 4"},
		{"guard is no predicate", "@%r1 ret;", "guard %r1 is not a predicate"},
		{"write to a constant", "mov.u32 5, %r1;\nadd.s32 5, %r1, %r2;", "add.s32: operand 1: a integer, wants .s32"},
		{"vector length", "ld.global.v4.f32 {%f1, %f2}, [%rd1];", "wants a vector of 4"},
		{"vector too wide", "ld.global.v4.u64 {%rd1, %rd2, %rd3, %rd4}, [%rd1];", "more than 16 bytes"},
		{"undefined symbol", "mov.u64 %rd1, nothing;", "undefined symbol nothing"},
		{"double label", "$a: $a: ret;", "label $a is defined twice"},
		{"missing semicolon", "mov.u32 %r1, %r2\nret;", "expected , or ; after an operand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse([]byte(kernel(c.body)))
			if err == nil {
				err = Verify(m)
			}
			require.ErrorContains(t, err, c.want)
			var e *Error
			require.ErrorAs(t, err, &e)
		})
	}
}

func TestVersionAndTargetAreChecked(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{".version 7.0", ".version 99.0", ".version 99.0 is not supported: 6.0 to 8.5 are"},
		{".version 7.0", ".version 6.4", ".target sm_80 needs .version 7.0"},
		{"sm_80", "sm_999", ".target sm_999 is not known"},
		{"sm_80", "sm_70", "cp.async.wait_all: needs .target sm_80"},
		{".version 7.0\n", "", "no .version directive"},
	} {
		m, err := Parse([]byte(strings.Replace(kernel("cp.async.wait_all;"), c.from, c.to, 1)))
		if err == nil {
			err = Verify(m)
		}
		require.ErrorContains(t, err, c.want)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("../emu/testdata/*.ptx")
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src[:min(len(src), 6000)]))
	}
	f.Add(kernel("mov.b64 {%r1, %r2}, %rd1;"))
	f.Add(kernel("@!%p1 st.shared.v2.f32 [x+4], {%f1, %f2};"))
	f.Fuzz(func(t *testing.T, src string) {
		if m, err := Parse([]byte(src)); err == nil {
			_ = Verify(m)
		}
	})
}
