package inspect

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"emdiff/gpu/emu"
	"emdiff/gpu/ptx"
	"emdiff/kernels/cuda"
)

// kernel is one kernel of the embedded PTX.
type kernel struct {
	name, file, target string
	sm                 int // compute capability of the target, 80 for 8.0
	registers          int // live at once: a hint
	shared             int // bytes, declared
	dynamic            bool
}

// embedded reads the kernels out of the embedded PTX, by name.
func embedded() ([]kernel, error) {
	files, err := fs.Glob(cuda.PTX(), "*.ptx")
	if err != nil {
		return nil, err
	}
	d := emu.New(emu.Options{})
	defer d.Close()
	var kernels []kernel
	for _, file := range files {
		text, err := fs.ReadFile(cuda.PTX(), file)
		if err != nil {
			return nil, err
		}
		parsed, err := ptx.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		sm, err := strconv.Atoi(strings.TrimPrefix(parsed.Target, "sm_"))
		if err != nil {
			return nil, fmt.Errorf("%s: target %s: %w", file, parsed.Target, err)
		}
		loaded, err := d.LoadModule(file, text)
		if err != nil {
			return nil, err
		}
		for _, f := range parsed.Functions {
			if !f.Entry {
				continue
			}
			compiled, err := loaded.Function(f.Name)
			if err != nil {
				return nil, err
			}
			kernels = append(kernels, kernel{f.Name, file, parsed.Target, sm, emu.Registers(compiled), compiled.Attributes().StaticShared, usesDynamicShared(parsed, f)})
		}
	}
	slices.SortFunc(kernels, func(a, b kernel) int { return cmp.Compare(a.name, b.name) })
	return kernels, nil
}

// usesDynamicShared reports whether a function names shared memory whose size the launch decides.
func usesDynamicShared(m *ptx.Module, f *ptx.Function) bool {
	dynamic := func(o ptx.Operand) bool {
		return slices.ContainsFunc(m.Vars, func(v ptx.Variable) bool { return v.Space == ptx.Shared && v.Size == 0 && v.Name == o.Sym })
	}
	return slices.ContainsFunc(f.Body, func(in ptx.Instruction) bool { return slices.ContainsFunc(in.Args, dynamic) })
}

// List prints a line per kernel: name, target, file, a hint of its registers, and its bytes of shared memory, "+" if a launch adds some.
func List(out io.Writer) error {
	kernels, err := embedded()
	if err != nil {
		return err
	}
	t := table(out)
	fmt.Fprintln(t, "kernel\ttarget\tfile\tregisters\tshared")
	for _, k := range kernels {
		plus := ""
		if k.dynamic {
			plus = "+"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d%s\n", k.name, k.target, k.file, k.registers, k.shared, plus)
	}
	return t.Flush()
}

func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }
