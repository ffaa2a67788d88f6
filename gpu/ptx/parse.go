package ptx

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits that keep hostile text from taking the machine's memory.
const (
	maxRegisters = 1 << 16
	maxVariable  = 1 << 26 // bytes
	maxVector    = 1 << 10 // elements
	maxNesting   = 16
)

// Parse reads a PTX module. It checks syntax and names; Verify checks meaning.
func Parse(src []byte) (*Module, error) {
	tokens, err := lex(strings.TrimRight(string(src), "\x00"))
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, mod: &Module{}}
	if err := p.module(); err != nil {
		return nil, err
	}
	return p.mod, nil
}

type parser struct {
	tokens []token
	pos    int
	mod    *Module

	fn     *Function
	scopes []map[string]int // register names to indices, innermost last
	ranges []registerRange  // %r<98>, by declaration
	opcode string           // of the instruction being parsed, for errors
	depth  int
}

// registerRange is a declaration like %r<98>; its registers have consecutive indices.
type registerRange struct {
	prefix       string
	first, count int
	scope        int
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (p *parser) errorAt(line int, format string, args ...any) error {
	return &Error{Line: line, Opcode: p.opcode, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) accept(punct string) bool {
	if p.peek().is(punct) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) acceptDot(word string) bool {
	if t := p.peek(); t.kind == tokDot && t.text == word {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(punct string) error {
	if t := p.next(); !t.is(punct) {
		return p.errorAt(t.line, "expected %q, found %s", punct, t)
	}
	return nil
}

func (p *parser) name() (string, error) {
	t := p.next()
	if t.kind != tokName {
		return "", p.errorAt(t.line, "expected a name, found %s", t)
	}
	return t.text, nil
}

func (p *parser) integer() (int, error) {
	t := p.next()
	if t.kind != tokInt || t.bits > 1<<40 {
		return 0, p.errorAt(t.line, "expected a small integer, found %s", t)
	}
	return int(t.bits), nil
}

// skipLine drops the rest of the current line (debug directives end with it).
func (p *parser) skipLine() {
	for line := p.peek().line; p.peek().line == line && p.peek().kind != tokEOF; {
		p.pos++
	}
}

// module parses the file's directives.
func (p *parser) module() error {
	for {
		t := p.peek()
		if t.kind == tokEOF {
			break
		}
		if t.kind != tokDot {
			return p.errorAt(t.line, "expected a directive, found %s", t)
		}
		if err := p.directive(); err != nil {
			return err
		}
	}
	if p.mod.Version == (Version{}) {
		return p.errorAt(1, "no .version directive")
	}
	if p.mod.Target == "" {
		return p.errorAt(1, "no .target directive")
	}
	return nil
}

func (p *parser) directive() error {
	extern := false
	for p.acceptDot("visible") || p.acceptDot("weak") || p.acceptDot("extern") {
		extern = extern || p.tokens[p.pos-1].text == "extern"
	}
	t := p.peek()
	switch t.text {
	case "version":
		return p.version()
	case "target":
		return p.target()
	case "address_size":
		p.next()
		n, err := p.integer()
		if err == nil && n != 64 {
			err = p.errorAt(t.line, ".address_size %d: only 64-bit addresses are supported", n)
		}
		return err
	case "file", "loc":
		p.skipLine()
		return nil
	case "entry", "func":
		return p.function()
	case "global", "shared", "const":
		v, err := p.variable(extern)
		if err == nil {
			p.mod.Vars = append(p.mod.Vars, v)
			err = p.expect(";")
		}
		return err
	}
	return p.errorAt(t.line, "unknown directive %s", t)
}

func (p *parser) version() error {
	p.next()
	t := p.next() // lexed as a decimal number: 7.0
	major, minor, ok := strings.Cut(t.text, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if !ok || err1 != nil || err2 != nil {
		return p.errorAt(t.line, ".version wants MAJOR.MINOR, found %s", t)
	}
	p.mod.Version = Version{a, b}
	return nil
}

func (p *parser) target() error {
	p.next()
	for {
		line := p.peek().line
		name, err := p.name()
		if err != nil {
			return err
		}
		if num, ok := strings.CutPrefix(name, "sm_"); ok {
			sm, err := strconv.Atoi(strings.TrimRight(num, "af"))
			if err != nil {
				return p.errorAt(line, "unknown .target %s", name)
			}
			p.mod.Target, p.mod.SM = name, sm
		} else if name != "debug" {
			return p.errorAt(line, ".target %s is not supported", name)
		}
		if !p.accept(",") {
			return nil
		}
	}
}

// variable parses ".space .align n .type name[n][m] = {...}" without the final semicolon.
func (p *parser) variable(extern bool) (Variable, error) {
	t := p.next()
	v := Variable{Line: t.line, Align: 0}
	var ok bool
	if v.Space, ok = SpaceOf(t.text); !ok || t.kind != tokDot {
		return v, p.errorAt(t.line, "expected a state space, found %s", t)
	}
	elems := 1
	for p.peek().kind == tokDot {
		t := p.next()
		switch {
		case t.text == "align":
			n, err := p.integer()
			if err != nil {
				return v, err
			}
			if n < 1 || n > 4096 || n&(n-1) != 0 {
				return v, p.errorAt(t.line, ".align %d is not a power of two up to 4096", n)
			}
			v.Align = n
		case TypeOf(t.text) != NoType:
			v.Type = TypeOf(t.text)
		case t.text == "ptr": // .param .u64 .ptr .global .align 4 x: what a pointer points at
			for p.peek().kind == tokDot {
				if p.next().text == "align" {
					if _, err := p.integer(); err != nil {
						return v, err
					}
				}
			}
		case t.text == "v2":
			elems = 2
		case t.text == "v4":
			elems = 4
		case t.text == "attribute": // .attribute(.managed)
			if err := p.skipParens(); err != nil {
				return v, err
			}
		default:
			return v, p.errorAt(t.line, "unknown attribute %s of a variable", t)
		}
	}
	if v.Type.Size() == 0 {
		return v, p.errorAt(t.line, "a variable needs a type with a size")
	}
	var err error
	if v.Name, err = p.name(); err != nil {
		return v, err
	}
	for p.accept("[") {
		n := 0
		if !p.peek().is("]") {
			if n, err = p.integer(); err != nil {
				return v, err
			}
		} else if !extern {
			return v, p.errorAt(t.line, "array %s has no length", v.Name)
		}
		if n > maxVariable || elems*n > maxVariable {
			return v, p.errorAt(t.line, "%s is too large", v.Name)
		}
		elems *= n
		if err := p.expect("]"); err != nil {
			return v, err
		}
	}
	v.Size = elems * v.Type.Size()
	if v.Align == 0 {
		v.Align = v.Type.Size()
	}
	if p.accept("=") {
		if err := p.initialiser(&v); err != nil {
			return v, err
		}
	}
	return v, nil
}

// initialiser parses a number or (nested) braces of numbers.
func (p *parser) initialiser(v *Variable) error {
	v.Init = make([]byte, 0, v.Size)
	for depth := 0; ; {
		t := p.next()
		switch {
		case t.is("{"):
			depth++
		case t.is("}"):
			depth--
		case t.is(","):
		case t.is("-"), t.kind == tokInt, t.kind == tokFloat:
			neg := t.is("-")
			if neg {
				t = p.next()
			}
			o, err := p.literal(t, neg)
			if err != nil {
				return err
			}
			bits := o.Imm
			if o.Kind == FImm {
				bits = o.FloatBits(v.Type)
			}
			for i := range v.Type.Size() {
				v.Init = append(v.Init, byte(bits>>(8*i)))
			}
		default:
			return p.errorAt(t.line, "initialiser of %s: only numbers are supported, found %s", v.Name, t)
		}
		if len(v.Init) > v.Size {
			return p.errorAt(t.line, "initialiser of %s is longer than its %d bytes", v.Name, v.Size)
		}
		if depth <= 0 {
			break
		}
	}
	v.Init = append(v.Init, make([]byte, v.Size-len(v.Init))...)
	return nil
}

func (p *parser) skipParens() error {
	if err := p.expect("("); err != nil {
		return err
	}
	for !p.accept(")") {
		if t := p.next(); t.kind == tokEOF {
			return p.errorAt(t.line, "parenthesis without end")
		}
	}
	return nil
}

// function parses an .entry or .func, prototype or with body.
func (p *parser) function() error {
	t := p.next()
	fn := &Function{Entry: t.text == "entry", Labels: map[string]int{}, Line: t.line}
	p.fn, p.scopes, p.ranges = fn, []map[string]int{{}}, nil
	defer func() { p.fn, p.opcode = nil, "" }()
	var err error
	if p.peek().is("(") {
		if fn.Returns, err = p.params(); err != nil {
			return err
		}
	}
	if fn.Name, err = p.name(); err != nil {
		return err
	}
	if p.peek().is("(") {
		if fn.Params, err = p.params(); err != nil {
			return err
		}
	}
	for p.peek().kind == tokDot {
		if err := p.performance(fn); err != nil {
			return err
		}
	}
	if p.accept(";") {
		return nil // prototype
	}
	if p.mod.Function(fn.Name) != nil {
		return p.errorAt(fn.Line, "function %s is defined twice", fn.Name)
	}
	if err := p.expect("{"); err != nil {
		return err
	}
	if err := p.block(); err != nil {
		return err
	}
	p.mod.Functions = append(p.mod.Functions, fn)
	return nil
}

func (p *parser) params() ([]Variable, error) {
	var out []Variable
	if err := p.expect("("); err != nil {
		return nil, err
	}
	for !p.accept(")") {
		if p.acceptDot("reg") { // (.reg .b32 x) of device functions
			p.pos--
			p.tokens[p.pos] = token{kind: tokDot, text: "param", line: p.peek().line}
		}
		v, err := p.variable(false)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if !p.accept(",") && !p.peek().is(")") {
			return nil, p.errorAt(p.peek().line, "expected , or ) after parameter %s, found %s", v.Name, p.peek())
		}
	}
	return out, nil
}

// performance parses the directives between parameters and body.
func (p *parser) performance(fn *Function) error {
	t := p.next()
	switch t.text {
	case "maxntid", "reqntid":
		fn.MaxThreads = 1
		for {
			n, err := p.integer()
			if err != nil {
				return err
			}
			if n < 1 || n > 1024 {
				return p.errorAt(t.line, "%s %d is not in 1..1024", t, n)
			}
			fn.MaxThreads *= n
			if !p.accept(",") {
				return nil
			}
		}
	case "minnctapersm", "maxnreg", "maxnctapersm":
		_, err := p.integer()
		return err
	case "noreturn":
		return nil
	case "pragma":
		return p.pragma()
	}
	return p.errorAt(t.line, "unknown directive %s of a function", t)
}

func (p *parser) pragma() error {
	for p.peek().kind == tokString || p.peek().is(",") {
		p.pos++
	}
	return p.expect(";")
}

// block parses statements up to the closing brace.
func (p *parser) block() error {
	if p.depth++; p.depth > maxNesting {
		return p.errorAt(p.peek().line, "scopes nested too deeply")
	}
	defer func() { p.depth-- }()
	for {
		p.opcode = ""
		t := p.peek()
		switch {
		case t.is("}"):
			p.pos++
			return nil
		case t.is("{"):
			p.pos++
			p.scopes = append(p.scopes, map[string]int{})
			if err := p.block(); err != nil {
				return err
			}
			p.scopes = p.scopes[:len(p.scopes)-1]
			for len(p.ranges) > 0 && p.ranges[len(p.ranges)-1].scope > len(p.scopes) {
				p.ranges = p.ranges[:len(p.ranges)-1]
			}
		case t.is(";"):
			p.pos++
		case t.kind == tokDot:
			if err := p.bodyDirective(); err != nil {
				return err
			}
		case t.kind == tokName && p.tokens[p.pos+1].is(":"):
			if _, twice := p.fn.Labels[t.text]; twice {
				return p.errorAt(t.line, "label %s is defined twice", t.text)
			}
			p.fn.Labels[t.text] = len(p.fn.Body)
			p.pos += 2
		case t.kind == tokName || t.is("@"):
			if err := p.instruction(); err != nil {
				return err
			}
		default:
			return p.errorAt(t.line, "expected an instruction, found %s", t)
		}
	}
}

func (p *parser) bodyDirective() error {
	t := p.peek()
	switch t.text {
	case "reg":
		p.next()
		return p.registers()
	case "shared", "local", "param":
		v, err := p.variable(false)
		if err == nil {
			p.fn.Vars = append(p.fn.Vars, v)
			err = p.expect(";")
		}
		return err
	case "loc":
		p.skipLine()
		return nil
	case "pragma":
		p.next()
		return p.pragma()
	}
	return p.errorAt(t.line, "unknown directive %s in a function", t)
}

// registers parses ".type %r<98>, x;" after .reg.
func (p *parser) registers() error {
	t := p.next()
	typ := TypeOf(t.text)
	if t.kind != tokDot || typ == NoType {
		return p.errorAt(t.line, "expected a register type, found %s", t)
	}
	for {
		name, err := p.name()
		if err != nil {
			return err
		}
		count := 1
		if p.accept("<") {
			if count, err = p.integer(); err != nil {
				return err
			}
			if err := p.expect(">"); err != nil {
				return err
			}
			p.ranges = append(p.ranges, registerRange{name, len(p.fn.Regs), count, len(p.scopes)})
		} else {
			p.scopes[len(p.scopes)-1][name] = len(p.fn.Regs)
		}
		if len(p.fn.Regs)+count > maxRegisters {
			return p.errorAt(t.line, "more than %d registers", maxRegisters)
		}
		if p.tokens[p.pos-1].is(">") {
			for i := range count {
				p.fn.Regs = append(p.fn.Regs, Register{name + strconv.Itoa(i), typ})
			}
		} else {
			p.fn.Regs = append(p.fn.Regs, Register{name, typ})
		}
		if !p.accept(",") {
			return p.expect(";")
		}
	}
}

// register resolves a name, innermost scope first.
func (p *parser) register(name string) (int, bool) {
	for i := len(p.scopes) - 1; i >= 0; i-- {
		if r, ok := p.scopes[i][name]; ok {
			return r, true
		}
	}
	digits := len(name)
	for digits > 0 && isDigit(name[digits-1]) {
		digits--
	}
	n, err := strconv.Atoi(name[digits:])
	if err != nil || len(name)-digits > 1 && name[digits] == '0' {
		return 0, false
	}
	for i := len(p.ranges) - 1; i >= 0; i-- {
		if r := p.ranges[i]; r.prefix == name[:digits] && n < r.count {
			return r.first + n, true
		}
	}
	return 0, false
}
