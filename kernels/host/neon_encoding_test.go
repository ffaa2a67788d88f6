package host

import (
	"bytes"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels/kerneltest"
)

// encodings are uses of the macros of neon_arm64.h, the instructions that they stand for, and the words that LLVM 14 makes of
// these. Every field of an encoding has a value of its own, so that no two can be swapped.
var encodings = []struct {
	macro       string
	args        []string
	instruction string
	word        int64
}{
	{"FMLA", []string{"3", "30", "31"}, "fmla v31.4s, v30.4s, v3.4s", 0x4e23cfdf},
	{"FMLS", []string{"3", "2", "1"}, "fmls v1.4s, v2.4s, v3.4s", 0x4ea3cc41},
	{"FMLAE", []string{"29", "3", "2", "1"}, "fmla v1.4s, v2.4s, v29.s[3]", 0x4fbd1841},
	{"FMLAE", []string{"7", "0", "31", "16"}, "fmla v16.4s, v31.4s, v7.s[0]", 0x4f8713f0},
	{"FMLAE", []string{"24", "1", "30", "23"}, "fmla v23.4s, v30.4s, v24.s[1]", 0x4fb813d7},
	{"FMLAE", []string{"8", "2", "15", "0"}, "fmla v0.4s, v15.4s, v8.s[2]", 0x4f8819e0},
	{"FADD", []string{"3", "2", "1"}, "fadd v1.4s, v2.4s, v3.4s", 0x4e23d441},
	{"FSUB", []string{"3", "2", "1"}, "fsub v1.4s, v2.4s, v3.4s", 0x4ea3d441},
	{"FMUL", []string{"3", "2", "1"}, "fmul v1.4s, v2.4s, v3.4s", 0x6e23dc41},
	{"FDIV", []string{"3", "2", "1"}, "fdiv v1.4s, v2.4s, v3.4s", 0x6e23fc41},
	{"FMAX", []string{"3", "2", "1"}, "fmax v1.4s, v2.4s, v3.4s", 0x4e23f441},
	{"FMIN", []string{"3", "2", "1"}, "fmin v1.4s, v2.4s, v3.4s", 0x4ea3f441},
	{"FNEG", []string{"2", "1"}, "fneg v1.4s, v2.4s", 0x6ea0f841},
	{"FSQRT", []string{"2", "1"}, "fsqrt v1.4s, v2.4s", 0x6ea1f841},
	{"FRINTN", []string{"2", "1"}, "frintn v1.4s, v2.4s", 0x4e218841},
	{"FCVTZS", []string{"2", "1"}, "fcvtzs v1.4s, v2.4s", 0x4ea1b841},
	{"SCVTF", []string{"2", "1"}, "scvtf v1.4s, v2.4s", 0x4e21d841},
	{"FCMGE", []string{"3", "2", "1"}, "fcmge v1.4s, v2.4s, v3.4s", 0x6e23e441},
	{"FADDP", []string{"3", "2", "1"}, "faddp v1.4s, v2.4s, v3.4s", 0x6e23d441},
	{"FADDPS", []string{"2", "1"}, "faddp s1, v2.2s", 0x7e30d841},
	{"FMAXV", []string{"2", "1"}, "fmaxv s1, v2.4s", 0x6e30f841},
	{"FCVTL", []string{"2", "1"}, "fcvtl v1.2d, v2.2s", 0x0e617841},
	{"FCVTL2", []string{"2", "1"}, "fcvtl2 v1.2d, v2.4s", 0x4e617841},
	{"FMLAD", []string{"3", "2", "1"}, "fmla v1.2d, v2.2d, v3.2d", 0x4e63cc41},
	{"FADDD2", []string{"3", "2", "1"}, "fadd v1.2d, v2.2d, v3.2d", 0x4e63d441},
	{"FADDPD", []string{"2", "1"}, "faddp d1, v2.2d", 0x7e70d841},
	{"AND16", []string{"3", "2", "1"}, "and v1.16b, v2.16b, v3.16b", 0x4e231c41},
	{"EOR16", []string{"3", "2", "1"}, "eor v1.16b, v2.16b, v3.16b", 0x6e231c41},
	{"BIT16", []string{"3", "2", "1"}, "bit v1.16b, v2.16b, v3.16b", 0x6ea31c41},
	{"MOV16", []string{"2", "1"}, "mov v1.16b, v2.16b", 0x4ea21c41},
	{"ZERO", []string{"1"}, "movi v1.4s, #0", 0x4f000401},
	{"DUP", []string{"0", "2", "1"}, "dup v1.4s, v2.s[0]", 0x4e040441},
	{"DUP", []string{"3", "2", "1"}, "dup v1.4s, v2.s[3]", 0x4e1c0441},
	{"ADD4", []string{"3", "2", "1"}, "add v1.4s, v2.4s, v3.4s", 0x4ea38441},
	{"SUB4", []string{"3", "2", "1"}, "sub v1.4s, v2.4s, v3.4s", 0x6ea38441},
	{"SHL4", []string{"23", "2", "1"}, "shl v1.4s, v2.4s, #23", 0x4f375441},
	{"USHR4", []string{"9", "2", "1"}, "ushr v1.4s, v2.4s, #9", 0x6f370441},
	{"SSHR4", []string{"23", "2", "1"}, "sshr v1.4s, v2.4s, #23", 0x4f290441},
	{"UMULL", []string{"3", "2", "1"}, "umull v1.2d, v2.2s, v3.2s", 0x2ea3c041},
	{"UMULL2", []string{"3", "2", "1"}, "umull2 v1.2d, v2.4s, v3.4s", 0x6ea3c041},
	{"UZP1", []string{"3", "2", "1"}, "uzp1 v1.4s, v2.4s, v3.4s", 0x4e831841},
	{"UZP2", []string{"3", "2", "1"}, "uzp2 v1.4s, v2.4s, v3.4s", 0x4e835841},
	{"TRN1", []string{"3", "2", "1"}, "trn1 v1.4s, v2.4s, v3.4s", 0x4e832841},
	{"TRN2", []string{"3", "2", "1"}, "trn2 v1.4s, v2.4s, v3.4s", 0x4e836841},
	{"TRN1D", []string{"3", "2", "1"}, "trn1 v1.2d, v2.2d, v3.2d", 0x4ec32841},
	{"TRN2D", []string{"3", "2", "1"}, "trn2 v1.2d, v2.2d, v3.2d", 0x4ec36841},
	{"LD1P", []string{"9", "4", "1"}, "ld1 {v1.4s}, [x9], x4", 0x4cc47921},
	{"ST1P", []string{"1", "9", "4"}, "st1 {v1.4s}, [x9], x4", 0x4c847921},
	{"LD1R4", []string{"9", "1"}, "ld1r {v1.4s}, [x9], #4", 0x4ddfc921},
	{"ST3P", []string{"4", "9"}, "st3 {v4.4s, v5.4s, v6.4s}, [x9], #48", 0x4c9f4924},
	{"ST4P", []string{"4", "9"}, "st4 {v4.4s, v5.4s, v6.4s, v7.4s}, [x9], #64", 0x4c9f0924},
}

// neonMacro is a macro that makes one word.
var neonMacro = regexp.MustCompile(`(?m)^#define (\w+)\(([\w, ]+)\) WORD \$\((.*)\)\s+// (.*)$`)

func TestMacrosEncodeTheInstructionsTheyName(t *testing.T) {
	header, err := os.ReadFile("neon_arm64.h")
	require.NoError(t, err)
	type macro struct {
		params               []string
		expression, mnemonic string
		tested               bool
	}
	macros := map[string]*macro{}
	for _, m := range neonMacro.FindAllStringSubmatch(string(header), -1) {
		macros[m[1]] = &macro{params: strings.Split(m[2], ", "), expression: m[3], mnemonic: strings.Fields(m[4])[0]}
	}
	assert.Len(t, macros, bytes.Count(header, []byte("WORD $(")), "a macro is not understood")
	for _, e := range encodings {
		m := macros[e.macro]
		require.NotNil(t, m, e.macro)
		require.Len(t, m.params, len(e.args), e.macro)
		m.tested = true
		assert.Equal(t, strings.Fields(e.instruction)[0], m.mnemonic, e.macro)
		// The constant expressions of the assembler are those of Go.
		text := m.expression
		for i, p := range m.params {
			text = regexp.MustCompile(`\b`+p+`\b`).ReplaceAllString(text, e.args[i])
		}
		value, err := types.Eval(token.NewFileSet(), nil, token.NoPos, text)
		require.NoError(t, err, "%s: %s", e.macro, text)
		word, exact := constant.Int64Val(constant.ToInt(value.Value))
		require.True(t, exact)
		assert.Equal(t, e.word, word, "%s: got %#x, want %#x", e.instruction, word, e.word)
	}
	for name, m := range macros {
		assert.True(t, m.tested, "%s has no encoding to be held to", name)
	}
}

// The words of the table come from here.
func TestEncodingsAreThoseOfAnotherAssembler(t *testing.T) {
	path, err := exec.LookPath("llvm-mc")
	kerneltest.Required(t, "llvm-mc", err)
	var source strings.Builder
	for _, e := range encodings {
		source.WriteString(e.instruction + "\n")
	}
	cmd := exec.Command(path, "-triple=aarch64", "-show-encoding")
	cmd.Stdin = strings.NewReader(source.String())
	out, err := cmd.Output()
	require.NoError(t, err)
	found := regexp.MustCompile(`encoding: \[0x(..),0x(..),0x(..),0x(..)\]`).FindAllStringSubmatch(string(out), -1)
	require.Len(t, found, len(encodings))
	for i, b := range found {
		value := constant.MakeFromLiteral("0x"+b[4]+b[3]+b[2]+b[1], token.INT, 0)
		word, _ := constant.Int64Val(value)
		assert.Equal(t, encodings[i].word, word, encodings[i].instruction)
	}
}
