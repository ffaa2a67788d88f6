package inspect

import (
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"emdiff/gpu/ptx"
)

// Diff compares two PTX files: which kernels B adds, removes and changes, and for the changed ones how the mix of their instructions
// does. Line numbers and comments do not count.
func Diff(out io.Writer, a, b string) error {
	before, err := readPTX(a)
	if err != nil {
		return err
	}
	after, err := readPTX(b)
	if err != nil {
		return err
	}
	if from, to := header(before), header(after); from != to {
		fmt.Fprintf(out, "! %s -> %s\n", from, to)
	}
	same := 0
	for _, name := range names(before, after) {
		f, g := before.Function(name), after.Function(name)
		switch {
		case f == nil:
			fmt.Fprintf(out, "+ %s: %d instructions\n", name, len(g.Body))
		case g == nil:
			fmt.Fprintf(out, "- %s: %d instructions\n", name, len(f.Body))
		case reflect.DeepEqual(unplaced(f), unplaced(g)):
			same++
		default:
			fmt.Fprintf(out, "~ %s: %d -> %d instructions: %s\n", name, len(f.Body), len(g.Body), mixChange(f, g))
		}
	}
	_, err = fmt.Fprintf(out, "= %d unchanged\n", same)
	return err
}

func readPTX(path string) (*ptx.Module, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := ptx.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func header(m *ptx.Module) string { return fmt.Sprintf("PTX %s for %s", m.Version, m.Target) }

// names lists the functions of both modules.
func names(modules ...*ptx.Module) []string {
	all := map[string]bool{}
	for _, m := range modules {
		for _, f := range m.Functions {
			all[f.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// unplaced is a function without the lines it was read from.
func unplaced(f *ptx.Function) ptx.Function {
	g := *f
	g.Line = 0
	g.Body, g.Params, g.Vars = slices.Clone(f.Body), slices.Clone(f.Params), slices.Clone(f.Vars)
	for i := range g.Body {
		g.Body[i].Line = 0
	}
	for _, variables := range [][]ptx.Variable{g.Params, g.Vars} {
		for i := range variables {
			variables[i].Line = 0
		}
	}
	return g
}

// mixChange says how many more or fewer of each instruction g has than f.
func mixChange(f, g *ptx.Function) string {
	change := map[string]int{}
	for _, in := range f.Body {
		change[in.Opcode()]--
	}
	for _, in := range g.Body {
		change[in.Opcode()]++
	}
	var parts []string
	for _, opcode := range slices.Sorted(maps.Keys(change)) {
		if n := change[opcode]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %+d", opcode, n))
		}
	}
	if parts == nil {
		return "the same mix in another order or with other operands"
	}
	return strings.Join(parts, ", ")
}
