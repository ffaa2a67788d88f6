//go:build simt

package cuda_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The sources as C++ for the host. What they take from CUDA is either a name that simt/simt.h defines, or one of these forms:
//
//	asm [volatile]("TEXT" : "=r"(a) : "f"(b), "n"(c) : ...)   MANGLED_TEXT(a, b, c)
//	typedef T name __attribute__((ext_vector_type(N)))        typedef simt::Vector<T, N> name
//	extern __shared__ T name[]                                T* name = (T*)simt::dynamic_shared()
//	__attribute__((shared))                                   thread_local: see simt.cpp
//	other attributes of CUDA                                  nothing
var (
	vectorType    = regexp.MustCompile(`typedef (\w+) (\w+) __attribute__\(\(ext_vector_type\((\d)\)\)\)`)
	dynamicShared = regexp.MustCompile(`extern __shared__ (\w+) (\w+)\[\]`)
	attribute     = regexp.MustCompile(`__attribute__\(\((global|device|launch_bounds\(threads, blocks\)|address_space\(\d\))\)\)`)
	assembler     = regexp.MustCompile(`\basm( volatile)?\(`)
	otherwise     = regexp.MustCompile(`[^A-Za-z0-9]+`)
	operand       = regexp.MustCompile(`^\s*"[^"]*"\s*\((.*)\)\s*$`)
)

func translate(source string) (string, error) {
	source = vectorType.ReplaceAllString(source, "typedef simt::Vector<$1, $3> $2")
	source = dynamicShared.ReplaceAllString(source, "$1* $2 = ($1*)simt::dynamic_shared()")
	source = strings.ReplaceAll(source, "__attribute__((shared))", "thread_local")
	source = attribute.ReplaceAllString(source, "")
	var out strings.Builder
	for {
		at := assembler.FindStringIndex(source)
		if at == nil {
			break
		}
		out.WriteString(source[:at[0]])
		parts, rest, err := cut(source[at[1]:], ':')
		if err != nil {
			return "", err
		}
		call, err := instruction(parts)
		if err != nil {
			return "", err
		}
		out.WriteString(call)
		source = rest
	}
	return out.String() + source, nil
}

// cut splits the text up to the parenthesis that closes it at a separator outside parentheses, brackets and strings.
func cut(text string, separator byte) (parts []string, rest string, err error) {
	depth, start, quoted := 0, 0, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ')' && depth == 0:
			return append(parts, text[start:i]), text[i+1:], nil
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == separator && depth == 0:
			parts, start = append(parts, text[start:i]), i+1
		}
	}
	return nil, "", fmt.Errorf("no parenthesis closes %.60q", text)
}

// instruction is the call for an asm statement: its text, outputs, inputs, and what else it overwrites.
func instruction(parts []string) (string, error) {
	var arguments []string
	for _, list := range parts[1:min(len(parts), 3)] {
		operands, _, err := cut(list+")", ',')
		if err != nil {
			return "", err
		}
		for _, o := range operands {
			if strings.TrimSpace(o) == "" {
				continue
			}
			m := operand.FindStringSubmatch(o)
			if m == nil {
				return "", fmt.Errorf("%q is no operand of inline PTX", o)
			}
			arguments = append(arguments, m[1])
		}
	}
	name := strings.Trim(otherwise.ReplaceAllString(parts[0], "_"), "_")
	return name + "(" + strings.Join(arguments, ", ") + ")", nil
}

// hostBuild compiles sources (all if none are named) and links them to an executable. edit, if not nil, may change the text of a file
// before it is translated: a planted bug.
func hostBuild(t *testing.T, edit func(file, text string) string, units ...string) string {
	compiler := cmp.Or(os.Getenv("CXX"), "g++")
	_, err := exec.LookPath(compiler)
	require.NoError(t, err, "the kernels are compiled for the host with a C++17 compiler: install g++ (Debian: apt install g++), or set CXX")
	dir := t.TempDir()
	headers, err := filepath.Glob("*.cuh")
	require.NoError(t, err)
	for _, file := range headers {
		write(t, dir, file, translated(t, file, edit))
	}
	sources := []string{"simt/simt.cpp"}
	for file, ptx := range ptxFiles(t) {
		unit, _, _ := strings.Cut(file, ".")
		if len(units) > 0 && !slices.Contains(units, unit) {
			continue
		}
		// The names of a source are its own, as they are in a translation unit for the device.
		text := "#include \"simt.h\"\nnamespace {\n" + translated(t, unit+".cu", edit) + "\n"
		for _, name := range entries(ptx) {
			text += fmt.Sprintf("simt::Kernel entry_%s(\"%[1]s\", %[1]s);\n", name)
		}
		sources = append(sources, write(t, dir, unit+".cpp", text+"}\n"))
	}
	flags := []string{"-std=c++17", "-O2", "-march=native", "-ffp-contract=off", "-fno-strict-aliasing", "-U_FORTIFY_SOURCE", "-w", "-Isimt", "-c"}
	program := filepath.Join(dir, "simt")
	link := []string{"-pthread", "-o", program}
	errs := make([]error, len(sources))
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var jobs sync.WaitGroup
	for i, source := range sources {
		object := filepath.Join(dir, filepath.Base(source)+".o")
		link = append(link, object)
		jobs.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			if out, err := exec.Command(compiler, slices.Concat(flags, []string{source, "-o", object})...).CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("%s %s: %w\n%.3000s", compiler, filepath.Base(source), err, out)
			}
		})
	}
	jobs.Wait()
	require.NoError(t, errors.Join(errs...))
	out, err := exec.Command(compiler, link...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

func translated(t *testing.T, file string, edit func(file, text string) string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	source := string(text)
	if edit != nil {
		source = edit(file, source)
	}
	source, err = translate(source)
	require.NoError(t, err, file)
	return source
}

func write(t *testing.T, dir, file, text string) string {
	path := filepath.Join(dir, file)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}
