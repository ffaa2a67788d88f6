package ptx

import (
	"fmt"
	"strings"
)

// Newest and oldest PTX versions that Verify accepts, and the compute capabilities it knows with the version that introduced them.
var (
	oldestVersion = Version{6, 0}
	newestVersion = Version{8, 5}
	targets       = map[int]Version{50: {4, 0}, 52: {4, 1}, 53: {4, 2}, 60: {5, 0}, 61: {5, 0}, 62: {5, 0}, 70: {6, 0}, 72: {6, 1},
		75: {6, 3}, 80: {7, 0}, 86: {7, 1}, 87: {7, 4}, 89: {7, 8}, 90: {7, 8}}
)

// Verify checks a parsed module the way an assembler would. The first error is returned.
func Verify(m *Module) error {
	if m.Version.Less(oldestVersion) || newestVersion.Less(m.Version) {
		return &Error{Line: 1, Msg: fmt.Sprintf(".version %s is not supported: %s to %s are", m.Version, oldestVersion, newestVersion)}
	}
	since, known := targets[m.SM]
	if !known {
		return &Error{Line: 1, Msg: fmt.Sprintf(".target %s is not known", m.Target)}
	}
	if m.Version.Less(since) {
		return &Error{Line: 1, Msg: fmt.Sprintf(".target %s needs .version %s or newer, this is %s", m.Target, since, m.Version)}
	}
	globals := map[string]bool{}
	for _, v := range m.Vars {
		if globals[v.Name] {
			return &Error{Line: v.Line, Msg: v.Name + " is defined twice"}
		}
		globals[v.Name] = true
	}
	for _, f := range m.Functions {
		v := verifier{mod: m, fn: f, symbols: map[string]bool{}}
		for name := range globals {
			v.symbols[name] = true
		}
		for _, list := range [][]Variable{f.Params, f.Returns, f.Vars} {
			for _, d := range list {
				v.symbols[d.Name] = true
			}
		}
		for i := range f.Body {
			if err := v.instruction(&f.Body[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

type verifier struct {
	mod     *Module
	fn      *Function
	symbols map[string]bool
}

func (v *verifier) instruction(in *Instruction) error {
	fail := func(format string, args ...any) error {
		return &Error{Line: in.Line, Opcode: in.Opcode(), Msg: fmt.Sprintf(format, args...)}
	}
	s, ok := opcodes[in.Op]
	if !ok {
		return fail("unknown opcode")
	}
	if v.mod.SM < s.sm {
		return fail("needs .target sm_%d or newer, this is %s", s.sm, v.mod.Target)
	}
	if v.mod.Version.Less(s.isa) {
		return fail("needs .version %s or newer, this is %s", s.isa, v.mod.Version)
	}
	if in.Guard.Reg >= 0 && v.fn.Regs[in.Guard.Reg].Type != Pred {
		return fail("guard %s is not a predicate", v.fn.Regs[in.Guard.Reg].Name)
	}
	if s.types != "" && len(in.Types) == 0 {
		return fail("no type")
	}
	if s.types != "" && !contains(s.types, in.Types[0].String()) {
		return fail("type .%s is not one of %s", in.Types[0], s.types)
	}
	for _, m := range in.Mods {
		if TypeOf(m) == NoType && !contains(s.mods, m) {
			return fail("unknown modifier .%s", m)
		}
	}
	return v.operands(in, s, fail)
}

func (v *verifier) operands(in *Instruction, s spec, fail func(string, ...any) error) error {
	patterns := strings.Fields(v.patterns(in, s))
	least := 0
	for _, p := range patterns {
		if !strings.HasSuffix(p, "?") {
			least++
		}
	}
	if n := len(in.Args); n < least || n > len(patterns) {
		return fail("%d operands, wants %d", n, least)
	}
	for i, o := range in.Args {
		if msg := v.operand(in, strings.TrimSuffix(patterns[i], "?"), o); msg != "" {
			return fail("operand %d: %s", i+1, msg)
		}
	}
	return nil
}

// patterns resolves the few opcodes whose operands depend on a modifier.
func (v *verifier) patterns(in *Instruction, s spec) string {
	switch {
	case in.Op == "mul" && in.Has("wide"):
		return "dw s s"
	case in.Op == "mul":
		return "d s s"
	case in.Op == "mad" && in.Has("wide"):
		return "dw s s sw"
	case in.Op == "mad":
		return "d s s s"
	case in.Op == "cvt" && len(in.Types) == 2 && len(in.Args) == 2:
		return "dx sx1"
	}
	return s.args
}

// operand checks one operand against its pattern and returns what is wrong, or "".
func (v *verifier) operand(in *Instruction, pattern string, o Operand) string {
	if o.Kind == Symbol && pattern != "l" && !v.symbols[o.Sym] && v.mod.Function(o.Sym) == nil && in.Op != "call" {
		return "undefined symbol " + o.Sym
	}
	t := NoType
	if len(in.Types) > 0 {
		t = in.Types[0]
	}
	if rest, ok := strings.CutSuffix(pattern, "1"); ok {
		if pattern, t = rest, NoType; len(in.Types) > 1 {
			t = in.Types[1]
		}
	}
	switch pattern {
	case "d", "s":
		return v.value(o, t, pattern == "d", false)
	case "dx", "sx":
		return v.value(o, t, pattern == "dx", true)
	case "dw", "sw":
		return v.value(o, wider(t), pattern == "dw", false)
	case "dv", "sv":
		return v.vector(in, o, t, pattern == "dv")
	case "u":
		return v.value(o, B32, false, false)
	case "pd":
		elems := []Operand{o}
		if o.Kind == Pair {
			elems = o.Elems
		}
		for _, e := range elems {
			if msg := v.value(e, Pred, true, false); msg != "" {
				return msg
			}
		}
	case "ps":
		if o.Kind != Imm {
			return v.value(o, Pred, false, false)
		}
	case "m":
		return v.address(o)
	case "i":
		if o.Kind != Imm {
			return "a " + o.Kind.String() + ", wants an integer constant"
		}
	case "l":
		if o.Kind != Symbol {
			return "a " + o.Kind.String() + ", wants a label"
		}
		if _, ok := v.fn.Labels[o.Sym]; !ok {
			return "undefined label " + o.Sym
		}
	}
	return ""
}

func wider(t Type) Type {
	switch t {
	case U16:
		return U32
	case S16:
		return S32
	case U32:
		return U64
	case S32:
		return S64
	}
	return t
}

// value checks a register or constant against a type; wide registers are allowed where loose.
func (v *verifier) value(o Operand, t Type, dest, loose bool) string {
	switch o.Kind {
	case Reg:
		r := v.fn.Regs[o.Reg]
		if (r.Type == Pred) != (t == Pred) {
			return fmt.Sprintf("register %s is .%s, wants .%s", r.Name, r.Type, t)
		}
		if o.Not && t != Pred {
			return "! before a register that is not a predicate"
		}
		if sizeOK := r.Type.Size() == t.Size() || loose && r.Type.Size() > t.Size(); !sizeOK {
			return fmt.Sprintf("register %s is .%s, wants .%s", r.Name, r.Type, t)
		}
		a, b := r.Type.Class(), t.Class()
		if a != b && a != Bits && b != Bits {
			return fmt.Sprintf("register %s is .%s, wants .%s", r.Name, r.Type, t)
		}
		return ""
	case Sink:
		if dest {
			return ""
		}
	case Imm:
		if !dest && t != Pred {
			return ""
		}
	case FImm:
		if !dest && (t.Class() == Float || t.Class() == Bits) {
			return ""
		}
	case Special, Symbol:
		if !dest && t.Class() != Float {
			return ""
		}
	}
	return fmt.Sprintf("a %s, wants .%s", o.Kind, t)
}

// vector checks the data operand of a load or store.
func (v *verifier) vector(in *Instruction, o Operand, t Type, dest bool) string {
	n := 1
	if in.Has("v2") {
		n = 2
	} else if in.Has("v4") {
		n = 4
	}
	if n*t.Size() > 16 {
		return "more than 16 bytes"
	}
	if n == 1 {
		return v.value(o, t, dest, true)
	}
	if o.Kind != Vector || len(o.Elems) != n {
		return fmt.Sprintf("wants a vector of %d", n)
	}
	for _, e := range o.Elems {
		if msg := v.value(e, t, dest, true); msg != "" {
			return msg
		}
	}
	return ""
}

func (v *verifier) address(o Operand) string {
	if o.Kind != Addr {
		return "a " + o.Kind.String() + ", wants an address"
	}
	if o.Sym != "" && !v.symbols[o.Sym] {
		return "undefined symbol " + o.Sym
	}
	if o.Reg >= 0 {
		if r := v.fn.Regs[o.Reg]; r.Type.Size() < 4 || r.Type.Class() == Float {
			return fmt.Sprintf("register %s is .%s, wants an address", r.Name, r.Type)
		}
	}
	return ""
}
