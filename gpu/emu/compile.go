package emu

import (
	"fmt"
	"strings"

	"emdiff/gpu/ptx"
)

// compiler turns one PTX function into a program. Registers are numbered virtually first; allocate gives them slots.
type compiler struct {
	mod     *ptx.Module
	fn      *ptx.Function
	prog    *program
	symbols map[string]symbol
	code    []*inst
	uses    []operands // by instruction of code
	targets map[int]int

	bank    []uint8 // of each PTX register: 1 predicate, 2 32-bit, 3 64-bit
	number  []int32 // of each PTX register in its bank
	regs32  int32   // virtual registers of the banks
	regs64  int32
	fixed32 map[string]int32 // constants, by a key that tells them apart
	fixed64 map[string]int32
	cur     *ptx.Instruction
	src     int32
}

// operands are the register fields of an instruction, for liveness and slot assignment.
type operands struct {
	use32, def32, use64, def64 []*int32
}

// symbol is where a variable lives.
type symbol struct {
	space ptx.Space
	addr  uint64
}

const (
	bankPred = 1
	bank32   = 2
	bank64   = 3
)

// unsupported is how compile functions give up on the current instruction.
type unsupported struct{ msg string }

func (c *compiler) refuse(format string, args ...any) {
	panic(unsupported{fmt.Sprintf(format, args...)})
}

// compile returns the program of an entry. globals says where the module's global and constant variables are.
func compile(mod *ptx.Module, fn *ptx.Function, globals map[string]symbol) (p *program, err error) {
	c := &compiler{mod: mod, fn: fn, symbols: map[string]symbol{}, targets: map[int]int{},
		fixed32: map[string]int32{}, fixed64: map[string]int32{},
		prog: &program{name: fn.Name, params: fn.Params, maxThreads: fn.MaxThreads, preds: 2, sharedGrain: 4, globalGrain: 4}}
	if c.prog.maxThreads == 0 {
		c.prog.maxThreads = 1024
	}
	defer func() {
		if r := recover(); r != nil {
			u, ok := r.(unsupported)
			if !ok {
				panic(r)
			}
			e := &ptx.Error{Line: fn.Line, Msg: u.msg}
			if c.cur != nil {
				e.Line, e.Opcode = c.cur.Line, c.cur.Opcode()
			}
			p, err = nil, e
		}
	}()
	for name, s := range globals {
		c.symbols[name] = s
	}
	c.layout()
	c.declare()
	first := make([]int, len(fn.Body)+1) // compiled index of each PTX instruction
	for i := range fn.Body {
		first[i] = len(c.code)
		c.cur, c.src = &fn.Body[i], int32(i)
		class, flops := classify(c.cur)
		c.prog.sources = append(c.prog.sources, source{c.cur.Line, c.cur.Opcode(), class, flops})
		c.instruction()
	}
	c.cur = nil
	first[len(fn.Body)] = len(c.code)
	c.src = int32(len(fn.Body))
	c.prog.sources = append(c.prog.sources, source{line: fn.Line, opcode: "end", class: ClassOther})
	c.emit(kExit) // falling off the end
	for at, label := range c.targets {
		c.code[at].target = int32(first[label])
	}
	c.allocate()
	return c.prog, nil
}

// layout places the function's shared and local variables, and the dynamic shared memory after them.
func (c *compiler) layout() {
	align := func(n, a int) int { return (n + a - 1) &^ (a - 1) }
	for _, vars := range [][]ptx.Variable{c.mod.Vars, c.fn.Vars} {
		for _, v := range vars {
			switch {
			case v.Space == ptx.Shared && v.Size > 0:
				c.prog.static = align(c.prog.static, v.Align)
				c.symbols[v.Name] = symbol{ptx.Shared, uint64(c.prog.static)}
				c.prog.static += v.Size
			case v.Space == ptx.Local:
				c.prog.local = align(c.prog.local, v.Align)
				c.symbols[v.Name] = symbol{ptx.Local, uint64(c.prog.local)}
				c.prog.local += v.Size
			}
		}
	}
	for _, v := range c.mod.Vars {
		if v.Space == ptx.Shared && v.Size == 0 {
			c.prog.static = align(c.prog.static, max(v.Align, 16))
			c.symbols[v.Name] = symbol{ptx.Shared, uint64(c.prog.static)}
		}
	}
}

// declare numbers the registers by bank.
func (c *compiler) declare() {
	for _, r := range c.fn.Regs {
		switch {
		case r.Type == ptx.Pred:
			c.bank, c.number = append(c.bank, bankPred), append(c.number, int32(c.prog.preds))
			c.prog.preds++
		case r.Type.Size() == 8:
			c.bank, c.number = append(c.bank, bank64), append(c.number, c.regs64)
			c.regs64++
		default:
			c.bank, c.number = append(c.bank, bank32), append(c.number, c.regs32)
			c.regs32++
		}
	}
}

// emit appends an instruction without guard and operands.
func (c *compiler) emit(k kind) *inst {
	p := &inst{kind: k, guard: -1, src: c.src}
	c.code = append(c.code, p)
	c.uses = append(c.uses, operands{})
	return p
}

// start emits an instruction of the given kind under the current guard.
func (c *compiler) start(k kind) *inst {
	p := c.emit(k)
	if g := c.cur.Guard; g.Reg >= 0 {
		p.guard, p.not = c.number[g.Reg], g.Not
	}
	return p
}

// temp returns a fresh virtual register of a bank.
func (c *compiler) temp(bank uint8) int32 {
	if bank == bank64 {
		c.regs64++
		return c.regs64 - 1
	}
	c.regs32++
	return c.regs32 - 1
}

// useReg and defReg record that the current instruction's field holds a register of a bank.
func (c *compiler) useReg(field *int32, bank uint8, reg int32) {
	*field = reg
	o := &c.uses[len(c.uses)-1]
	if bank == bank64 {
		o.use64 = append(o.use64, field)
	} else {
		o.use32 = append(o.use32, field)
	}
}

func (c *compiler) defReg(field *int32, bank uint8, reg int32) {
	*field = reg
	o := &c.uses[len(c.uses)-1]
	if bank == bank64 {
		o.def64 = append(o.def64, field)
	} else {
		o.def32 = append(o.def32, field)
	}
}

// bankOf returns the bank a value of type t is in.
func bankOf(t ptx.Type) uint8 {
	if t.Size() == 8 {
		return bank64
	}
	return bank32
}

// use reads operand o as a value of type t.
func (c *compiler) use(field *int32, o ptx.Operand, t ptx.Type) {
	bank := bankOf(t)
	if o.Kind == ptx.Reg {
		if c.bank[o.Reg] == bankPred {
			c.refuse("a predicate where a value is wanted")
		}
		if c.bank[o.Reg] != bank { // ld/st/cvt allow wider registers
			c.refuse("register %s has another width than .%s", c.fn.Regs[o.Reg].Name, t)
		}
		c.useReg(field, bank, c.number[o.Reg])
		return
	}
	c.useReg(field, bank, c.constant(o, t, bank))
}

// def writes operand o of type t; a sink gets a register nobody reads.
func (c *compiler) def(field *int32, o ptx.Operand, t ptx.Type) {
	bank := bankOf(t)
	if o.Kind == ptx.Sink {
		c.defReg(field, bank, c.temp(bank))
		return
	}
	if o.Kind != ptx.Reg || c.bank[o.Reg] != bank {
		c.refuse("destination is not a register of the width of .%s", t)
	}
	c.defReg(field, bank, c.number[o.Reg])
}

// constant returns the register that holds an immediate, special register or symbol's address. Constants are numbered from -1
// down until allocate gives them the first slots.
func (c *compiler) constant(o ptx.Operand, t ptx.Type, bank uint8) int32 {
	k := constant{param: -1}
	switch o.Kind {
	case ptx.Imm:
		k.value = o.Imm
	case ptx.FImm:
		k.value = o.FloatBits(t)
	case ptx.Symbol:
		s, ok := c.symbols[o.Sym]
		if !ok {
			c.refuse("symbol %s has no address", o.Sym)
		}
		k.value = s.addr + o.Imm
	case ptx.Special:
		k.name = o.Sym
		if _, ok := specials[o.Sym]; !ok {
			c.refuse("special register %s is not supported", o.Sym)
		}
	default:
		c.refuse("a %s where a value is wanted", o.Kind)
	}
	return c.fixed(k, bank)
}

// fixed returns the number of a constant, shared by equal ones.
func (c *compiler) fixed(k constant, bank uint8) int32 {
	if bank == bank32 {
		k.value &= 0xFFFFFFFF
	}
	key := fmt.Sprint(k.name, "/", k.value, "/", k.param, "/", k.shift, "/", k.typ)
	table, list := c.fixed32, &c.prog.consts32
	if bank == bank64 {
		table, list = c.fixed64, &c.prog.consts64
	}
	n, ok := table[key]
	if !ok {
		*list = append(*list, k)
		n = -int32(len(*list))
		table[key] = n
	}
	return n
}

// predicate returns the index of a predicate operand, which may be a constant; not says whether it is negated.
func (c *compiler) predicate(o ptx.Operand) (index int32, not bool) {
	switch {
	case o.Kind == ptx.Imm && o.Imm == 0:
		return predFalse, false
	case o.Kind == ptx.Imm:
		return predTrue, false
	case o.Kind == ptx.Reg && c.bank[o.Reg] == bankPred:
		return c.number[o.Reg], o.Not
	case o.Kind == ptx.Sink:
		c.prog.preds++
		return int32(c.prog.preds - 1), false
	}
	c.refuse("a %s where a predicate is wanted", o.Kind)
	return 0, false
}

// instruction compiles the current instruction.
func (c *compiler) instruction() {
	in := c.cur
	switch in.Op {
	case "ld", "ldu", "st", "atom", "red", "cp", "ldmatrix", "mma", "shfl", "vote", "match", "activemask", "bar", "barrier":
		c.memory()
	case "bra":
		c.start(kBranch)
		c.targets[len(c.code)-1] = c.fn.Labels[in.Args[0].Sym]
	case "ret", "exit":
		c.start(kExit)
	case "trap":
		c.start(kTrap)
	case "membar", "fence", "prefetch":
		c.start(kNop)
	case "mov":
		c.mov()
	case "cvt":
		c.cvt()
	case "cvta":
		c.cvta()
	case "setp", "set":
		c.compare()
	case "selp":
		c.selp()
	default:
		if !c.arithmetic() {
			c.refuse("this form is not implemented by the emulator")
		}
	}
}

// has reports whether the current instruction has a modifier.
func (c *compiler) has(m string) bool { return c.cur.Has(m) }

// modifierFrom returns the first of the current modifiers that is a key of table.
func modifierFrom[V any](in *ptx.Instruction, table map[string]V) (string, bool) {
	for _, m := range in.Mods {
		if _, ok := table[m]; ok {
			return m, true
		}
	}
	return "", false
}

// set returns the words of s.
func set(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}
