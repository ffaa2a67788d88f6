package ptx

import "math"

// instruction parses "@!p op.mods a, b, c;".
func (p *parser) instruction() error {
	in := Instruction{Guard: Guard{Reg: -1}, Line: p.peek().line}
	if p.accept("@") {
		in.Guard.Not = p.accept("!")
		name, err := p.name()
		if err != nil {
			return err
		}
		r, ok := p.register(name)
		if !ok {
			return p.errorAt(in.Line, "undefined predicate %s", name)
		}
		in.Guard.Reg = r
	}
	var err error
	if in.Op, err = p.name(); err != nil {
		return err
	}
	for p.peek().kind == tokDot {
		m := p.next().text
		in.Mods = append(in.Mods, m)
		if t := TypeOf(m); t != NoType {
			in.Types = append(in.Types, t)
		}
	}
	p.opcode = in.Opcode()
	for !p.accept(";") {
		o, err := p.operand()
		if err != nil {
			return err
		}
		in.Args = append(in.Args, o)
		if len(in.Args) > maxVector {
			return p.errorAt(in.Line, "too many operands")
		}
		if !p.accept(",") && !p.peek().is(";") {
			t := p.peek()
			return p.errorAt(t.line, "expected , or ; after an operand, found %s", t)
		}
	}
	p.fn.Body = append(p.fn.Body, in)
	return nil
}

// operand parses one operand, with its d|p form.
func (p *parser) operand() (Operand, error) {
	o, err := p.simpleOperand()
	if err != nil || !p.accept("|") {
		return o, err
	}
	second, err := p.simpleOperand()
	return Operand{Kind: Pair, Elems: []Operand{o, second}}, err
}

func (p *parser) simpleOperand() (Operand, error) {
	t := p.next()
	switch {
	case t.is("{"):
		return p.vector("}")
	case t.is("("):
		return p.vector(")")
	case t.is("["):
		return p.address()
	case t.is("!"):
		name := p.next()
		r, ok := p.register(name.text)
		if name.kind != tokName || !ok {
			return Operand{}, p.errorAt(t.line, "! before %s, which is not a register", name)
		}
		return Operand{Kind: Reg, Reg: r, Not: true}, nil
	case t.is("-"):
		return p.literal(p.next(), true)
	case t.kind == tokInt || t.kind == tokFloat:
		return p.literal(t, false)
	case t.kind == tokName:
		return p.named(t)
	}
	return Operand{}, p.errorAt(t.line, "expected an operand, found %s", t)
}

func (p *parser) literal(t token, neg bool) (Operand, error) {
	switch t.kind {
	case tokInt:
		if neg {
			t.bits = -t.bits
		}
		return Operand{Kind: Imm, Imm: t.bits, Reg: -1}, nil
	case tokFloat:
		o := Operand{Kind: FImm, Imm: t.bits, Type: F32, Reg: -1}
		sign := uint64(1) << 31
		if t.wide {
			o.Type, sign = F64, 1<<63
		}
		if neg {
			o.Imm ^= sign
		}
		return o, nil
	}
	return Operand{}, p.errorAt(t.line, "expected a number, found %s", t)
}

// FloatBits returns the bits of a float immediate as type t (F32 or F64).
func (o Operand) FloatBits(t Type) uint64 {
	switch {
	case o.Type == F64 && t.Size() == 4:
		return uint64(math.Float32bits(float32(math.Float64frombits(o.Imm))))
	case o.Type == F32 && t.Size() == 8:
		return math.Float64bits(float64(math.Float32frombits(uint32(o.Imm))))
	}
	return o.Imm
}

func (p *parser) vector(end string) (Operand, error) {
	o := Operand{Kind: Vector, Reg: -1}
	if p.depth++; p.depth > maxNesting {
		return o, p.errorAt(p.peek().line, "operands nested too deeply")
	}
	defer func() { p.depth-- }()
	for !p.accept(end) {
		e, err := p.simpleOperand()
		if err != nil {
			return o, err
		}
		o.Elems = append(o.Elems, e)
		if len(o.Elems) > maxVector {
			return o, p.errorAt(p.peek().line, "vector too long")
		}
		if !p.accept(",") && !p.peek().is(end) {
			return o, p.errorAt(p.peek().line, "expected , or %s in a vector, found %s", end, p.peek())
		}
	}
	return o, nil
}

// address parses "[base+offset]" after the bracket.
func (p *parser) address() (Operand, error) {
	o := Operand{Kind: Addr, Reg: -1}
	t := p.next()
	switch t.kind {
	case tokName:
		if r, ok := p.register(t.text); ok {
			o.Reg = r
		} else if t.text[0] == '%' {
			return o, p.errorAt(t.line, "undefined register %s", t.text)
		} else {
			o.Sym = t.text
		}
	case tokInt:
		o.Imm = t.bits
	default:
		return o, p.errorAt(t.line, "expected an address, found %s", t)
	}
	for !p.accept("]") {
		op := p.next()
		neg := op.is("-")
		if !neg && !op.is("+") {
			return o, p.errorAt(op.line, "expected + or ] in an address, found %s", op)
		}
		if !neg {
			neg = p.accept("-") // [%rd1+-4]
		}
		off := p.next()
		if off.kind != tokInt {
			return o, p.errorAt(off.line, "expected an offset, found %s", off)
		}
		if neg {
			off.bits = -off.bits
		}
		o.Imm += off.bits
	}
	return o, nil
}

// named parses an operand that starts with a name: register, special register, symbol or label.
func (p *parser) named(t token) (Operand, error) {
	if t.text == "_" {
		return Operand{Kind: Sink, Reg: -1}, nil
	}
	if r, ok := p.register(t.text); ok {
		return Operand{Kind: Reg, Reg: r}, nil
	}
	o := Operand{Kind: Symbol, Sym: t.text, Reg: -1}
	if t.text[0] == '%' || t.text == "WARP_SZ" {
		o.Kind = Special
		if p.peek().kind == tokDot {
			o.Sym += "." + p.next().text
		}
		if !specialRegisters[o.Sym] {
			return o, p.errorAt(t.line, "undefined register %s", o.Sym)
		}
		return o, nil
	}
	if p.peek().is("+") && p.tokens[p.pos+1].kind == tokInt { // symbol+offset
		o.Imm = p.tokens[p.pos+1].bits
		p.pos += 2
	}
	return o, nil
}

var specialRegisters = func() map[string]bool {
	m := map[string]bool{"WARP_SZ": true}
	for _, name := range []string{"laneid", "warpid", "nwarpid", "smid", "nsmid", "gridid", "clock", "clock64", "globaltimer",
		"lanemask_eq", "lanemask_le", "lanemask_lt", "lanemask_ge", "lanemask_gt", "dynamic_smem_size", "total_smem_size"} {
		m["%"+name] = true
	}
	for _, name := range []string{"tid", "ntid", "ctaid", "nctaid"} {
		for _, axis := range []string{"x", "y", "z"} {
			m["%"+name+"."+axis] = true
		}
	}
	return m
}()
