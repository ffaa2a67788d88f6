package emu

import (
	"math/bits"

	"emdiff/gpu/ptx"
)

// arithmetic compiles an instruction that works lane by lane and reports whether it could.
func (c *compiler) arithmetic() bool {
	in := c.cur
	if len(in.Types) == 0 || len(in.Args) == 0 {
		return false
	}
	t := in.Types[0]
	if t == ptx.Pred {
		return c.predicateLogic()
	}
	f, ok := c.function(t)
	if !ok {
		return false
	}
	p := c.start(f.kind)
	p.alu = &f.alu
	wide := t
	switch f.kind {
	case kWiden2, kWiden3:
		wide = ptx.B64
	}
	// Operand types in order; shift amounts and positions are 32-bit, counts give 32-bit results.
	types := []ptx.Type{wide, t, t, t, t}
	switch f.kind {
	case kNarrow:
		types[0] = ptx.B32
	case kShift64:
		types[2] = ptx.B32
	case kWiden3:
		types[3] = ptx.B64
	case kField64:
		types[3], types[4] = ptx.B32, ptx.B32
	}
	fields := []*int32{&p.d, &p.a, &p.b, &p.c, &p.e}
	c.def(fields[0], in.Args[0], types[0])
	args := in.Args[1:]
	if in.Op == "lop3" {
		args = args[:3]
	}
	if in.Op == "bfe" && f.kind == kField64 { // no second 64-bit source: b repeats a
		args = []ptx.Operand{args[0], args[0], args[1], args[2]}
	}
	for i, a := range args {
		c.use(fields[i+1], a, types[i+1])
	}
	return true
}

// found is an arithmetic function and how to call it.
type found struct {
	kind kind
	alu  alu
}

// function looks the current instruction up.
func (c *compiler) function(t ptx.Type) (found, bool) {
	switch t {
	case ptx.F32:
		return c.float32Function()
	case ptx.F64:
		return c.float64Function()
	case ptx.F16, ptx.F16x2, ptx.BF16, ptx.BF16x2:
		return c.halfFunction(t)
	}
	if f, ok := c.bitFunction(t); ok {
		return f, true
	}
	op := c.cur.Op
	switch {
	case (op == "mul" || op == "mad") && c.has("wide"):
		return wideFunction(op, t)
	case op == "mul" || op == "mad":
		if c.has("hi") {
			op += ".hi"
		} else {
			op += ".lo"
		}
	case c.has("sat"):
		return found{}, false
	}
	switch t {
	case ptx.U16, ptx.B16:
		return intFunction[uint32, uint16](op)
	case ptx.S16:
		return intFunction[uint32, int16](op)
	case ptx.U32, ptx.B32:
		return intFunction[uint32, uint32](op)
	case ptx.S32:
		return intFunction[uint32, int32](op)
	case ptx.U64, ptx.B64:
		return intFunction[uint64, uint64](op)
	case ptx.S64:
		return intFunction[uint64, int64](op)
	}
	return found{}, false
}

// pick wraps whichever of the functions is not nil.
func pick(a alu) (found, bool) {
	switch {
	case a.un32 != nil:
		return found{kUn32, a}, true
	case a.bin32 != nil:
		return found{kBin32, a}, true
	case a.tern32 != nil:
		return found{kTern32, a}, true
	case a.quad32 != nil:
		return found{kQuad32, a}, true
	case a.un64 != nil:
		return found{kUn64, a}, true
	case a.bin64 != nil:
		return found{kBin64, a}, true
	case a.tern64 != nil:
		return found{kTern64, a}, true
	case a.widen2 != nil:
		return found{kWiden2, a}, true
	case a.widen3 != nil:
		return found{kWiden3, a}, true
	case a.narrow != nil:
		return found{kNarrow, a}, true
	case a.shift64 != nil:
		return found{kShift64, a}, true
	case a.field64 != nil:
		return found{kField64, a}, true
	}
	return found{}, false
}

func intFunction[L lane, T integer](op string) (found, bool) {
	var a alu
	un, bin, tern := unaryInt[L, T](op), binaryInt[L, T](op), ternaryInt[L, T](op)
	var shift func(d, a *[warpSize]L, b *lanes32)
	if op == "shl" || op == "shr" {
		shift = shiftInt[L, T](op)
	}
	switch any(L(0)).(type) {
	case uint32:
		a.un32, _ = any(un).(func(d, a *lanes32))
		a.bin32, _ = any(bin).(func(d, a, b *lanes32))
		a.tern32, _ = any(tern).(func(d, a, b, c *lanes32))
		if shift != nil {
			a.bin32, _ = any(shift).(func(d, a, b *lanes32))
		}
	case uint64:
		a.un64, _ = any(un).(func(d, a *lanes64))
		a.bin64, _ = any(bin).(func(d, a, b *lanes64))
		a.tern64, _ = any(tern).(func(d, a, b, c *lanes64))
		a.shift64, _ = any(shift).(func(d, a *lanes64, b *lanes32))
	}
	return pick(a)
}

func wideFunction(op string, t ptx.Type) (found, bool) {
	var a alu
	switch {
	case op == "mul" && t == ptx.U32:
		a.widen2 = mulWideU32
	case op == "mul" && t == ptx.S32:
		a.widen2 = mulWideS32
	case op == "mad" && t == ptx.U32:
		a.widen3 = madWideU32
	case op == "mad" && t == ptx.S32:
		a.widen3 = madWideS32
	case op == "mul" && t == ptx.U16:
		a.bin32 = each2(func(a, b uint32) uint32 { return uint32(uint16(a)) * uint32(uint16(b)) })
	case op == "mul" && t == ptx.S16:
		a.bin32 = each2(func(a, b uint32) uint32 { return uint32(int32(int16(a)) * int32(int16(b))) })
	case op == "mad" && t == ptx.U16:
		a.tern32 = each3(func(a, b, c uint32) uint32 { return uint32(uint16(a))*uint32(uint16(b)) + c })
	case op == "mad" && t == ptx.S16:
		a.tern32 = each3(func(a, b, c uint32) uint32 { return uint32(int32(int16(a))*int32(int16(b))) + c })
	}
	return pick(a)
}

// bitFunction handles the bit-field and permutation instructions.
func (c *compiler) bitFunction(t ptx.Type) (found, bool) {
	wide := t.Size() == 8
	var a alu
	switch c.cur.Op {
	case "shf":
		a.tern32 = each3(funnel(c.has("l"), c.has("wrap")))
	case "lop3":
		if len(c.cur.Args) != 5 || c.has("or") || c.has("and") {
			return found{}, false
		}
		a.tern32 = lop3(uint32(c.cur.Args[4].Imm))
	case "prmt":
		if len(c.cur.Mods) > 1 {
			return found{}, false
		}
		a.tern32 = each3(prmt)
	case "bfe":
		f := bfeU
		if t.Signed() {
			f = bfeS
		}
		if wide {
			a.field64 = func(d, v, _ *lanes64, pos, n *lanes32) {
				for i := range d {
					d[i] = f(v[i], pos[i], n[i], 64)
				}
			}
		} else {
			a.tern32 = each3(func(v, pos, n uint32) uint32 { return uint32(f(uint64(v), pos, n, 32)) })
		}
	case "bfi":
		if wide {
			a.field64 = func(d, v, w *lanes64, pos, n *lanes32) {
				for i := range d {
					d[i] = bfi(v[i], w[i], pos[i], n[i], 64)
				}
			}
		} else {
			a.quad32 = func(d, v, w, pos, n *lanes32) {
				for i := range d {
					d[i] = uint32(bfi(uint64(v[i]), uint64(w[i]), pos[i], n[i], 32))
				}
			}
		}
	case "popc":
		a.un32 = each1(func(a uint32) uint32 { return uint32(bits.OnesCount32(a)) })
		if wide {
			a = alu{narrow: each1(func(a uint64) uint32 { return uint32(bits.OnesCount64(a)) })}
		}
	case "clz":
		a.un32 = each1(func(a uint32) uint32 { return uint32(bits.LeadingZeros32(a)) })
		if wide {
			a = alu{narrow: each1(func(a uint64) uint32 { return uint32(bits.LeadingZeros64(a)) })}
		}
	case "brev":
		a.un32 = each1(bits.Reverse32)
		if wide {
			a = alu{un64: each1(bits.Reverse64)}
		}
	case "bfind":
		amount := c.has("shiftamt")
		switch t {
		case ptx.U32:
			a.un32 = each1(func(a uint32) uint32 { return bfind(a, amount) })
		case ptx.S32:
			a.un32 = each1(func(a uint32) uint32 { return bfind(int32(a), amount) })
		case ptx.U64:
			a.narrow = each1(func(a uint64) uint32 { return bfind(a, amount) })
		case ptx.S64:
			a.narrow = each1(func(a uint64) uint32 { return bfind(int64(a), amount) })
		}
	}
	return pick(a)
}

// floatModifiers reads the rounding and range modifiers of the current instruction.
func (c *compiler) floatModifiers() floatOp {
	o := floatOp{name: c.cur.Op, ftz: c.has("ftz"), sat: c.has("sat"), nan: c.has("NaN")}
	if m, ok := modifierFrom(c.cur, roundings); ok {
		o.mode = roundings[m]
	}
	return o
}

func (c *compiler) float32Function() (found, bool) {
	o := c.floatModifiers()
	if c.has("approx") || c.has("full") {
		if o.name == "div" {
			o.mode = toNearest
			return pick(alu{bin32: o.binary32()})
		}
		return pick(alu{un32: approx32(o.name, o.ftz)})
	}
	return pick(alu{un32: o.unary32(), bin32: o.binary32(), tern32: o.ternary32()})
}

func (c *compiler) float64Function() (found, bool) {
	o := c.floatModifiers()
	if c.has("approx") {
		return found{}, false
	}
	return pick(alu{un64: o.unary64(), bin64: o.binary64(), tern64: o.ternary64()})
}

// halfFunction handles the sign operations and exact arithmetic of 16-bit floats, alone or in pairs.
func (c *compiler) halfFunction(t ptx.Type) (found, bool) {
	format := formatF16
	if t == ptx.BF16 || t == ptx.BF16x2 {
		format = formatBF16
	}
	return pick(halfALU(c.cur.Op, format, t == ptx.F16x2 || t == ptx.BF16x2, c.has("ftz") || c.has("sat") || c.has("relu") || c.has("NaN")))
}

// predicateLogic compiles and, or, xor, not over predicates.
func (c *compiler) predicateLogic() bool {
	logic := map[string]func(a, b uint32) uint32{
		"and": func(a, b uint32) uint32 { return a & b },
		"or":  func(a, b uint32) uint32 { return a | b },
		"xor": func(a, b uint32) uint32 { return a ^ b },
		"not": func(a, _ uint32) uint32 { return ^a },
		"mov": func(a, _ uint32) uint32 { return a },
	}
	f := logic[c.cur.Op]
	if f == nil {
		return false
	}
	args := c.cur.Args
	p := c.start(kPred)
	p.d, _ = c.predicate(args[0])
	var notA, notB bool
	p.a, notA = c.predicate(args[1])
	p.b = predFalse
	if len(args) > 2 {
		p.b, notB = c.predicate(args[2])
	}
	p.alu = &alu{pred: func(a, b uint32) uint32 { return f(flipIf(a, notA), flipIf(b, notB)) }}
	return true
}

func flipIf(m uint32, not bool) uint32 {
	if not {
		return ^m
	}
	return m
}

// compare compiles setp and set.
func (c *compiler) compare() {
	in := c.cur
	t := in.Types[0]
	if in.Op == "set" {
		if len(in.Types) != 2 {
			c.refuse("set wants two types")
		}
		t = in.Types[1]
	}
	op, ok := modifierFrom(in, relations)
	if !ok {
		op, ok = modifierFrom(in, set("lo ls hi hs"))
	}
	if !ok {
		c.refuse("no comparison")
	}
	a := &alu{cmp32: compare32(op, t, c.has("ftz")), cmp64: compare64(op, t)}
	if a.cmp32 == nil && a.cmp64 == nil {
		c.refuse("comparison .%s of .%s is not implemented", op, t)
	}
	kinds := [2]kind{kCmp32, kCmp64}
	if in.Op == "set" {
		kinds = [2]kind{kSet32, kSet64}
	}
	k := kinds[0]
	if a.cmp64 != nil {
		k = kinds[1]
	}
	p := c.start(k)
	p.alu = a
	p.q, p.e = -1, -1
	switch {
	case in.Op == "set":
		c.def(&p.d, in.Args[0], in.Types[0])
		p.c = -1 // all ones
		if in.Types[0] == ptx.F32 {
			p.c = 0x3F800000
		}
	case in.Args[0].Kind == ptx.Pair:
		p.d, _ = c.predicate(in.Args[0].Elems[0])
		p.q, _ = c.predicate(in.Args[0].Elems[1])
	default:
		p.d, _ = c.predicate(in.Args[0])
	}
	c.use(&p.a, in.Args[1], t)
	c.use(&p.b, in.Args[2], t)
	if len(in.Args) > 3 {
		m, ok := modifierFrom(in, combine)
		if !ok {
			c.refuse("a fourth operand needs .and, .or or .xor")
		}
		f := combine[m]
		var not bool
		p.e, not = c.predicate(in.Args[3])
		a.combine = func(cmp, q uint32) uint32 { return f(cmp, flipIf(q, not)) }
	}
}

func (c *compiler) selp() {
	in := c.cur
	t := in.Types[0]
	k := kSel32
	if bankOf(t) == bank64 {
		k = kSel64
	}
	p := c.start(k)
	c.def(&p.d, in.Args[0], t)
	c.use(&p.a, in.Args[1], t)
	c.use(&p.b, in.Args[2], t)
	var not bool
	if p.c, not = c.predicate(in.Args[3]); not {
		p.a, p.b = p.b, p.a
	}
}

// mov compiles moves, and the packing and unpacking of vectors.
func (c *compiler) mov() {
	in := c.cur
	t := in.Types[0]
	d, a := in.Args[0], in.Args[1]
	switch {
	case t == ptx.Pred:
		c.predicateLogic()
	case d.Kind == ptx.Vector:
		c.unpack(d.Elems, a, t)
	case a.Kind == ptx.Vector:
		c.pack(d, a.Elems, t)
	default:
		k, f := kUn32, alu{un32: unaryInt[uint32, uint32]("mov")}
		if bankOf(t) == bank64 {
			k, f = kUn64, alu{un64: unaryInt[uint64, uint64]("mov")}
		}
		p := c.start(k)
		p.alu = &f
		c.def(&p.d, d, t)
		c.use(&p.a, a, t)
	}
}

// part returns the type of one of n equal parts of t.
func (c *compiler) part(t ptx.Type, n int) ptx.Type {
	switch {
	case n*4 == t.Size():
		return ptx.B32
	case n*2 == t.Size():
		return ptx.B16
	}
	c.refuse("a vector of %d parts of .%s is not supported", n, t)
	return t
}

// unpack splits a register into parts, low part first.
func (c *compiler) unpack(parts []ptx.Operand, a ptx.Operand, t ptx.Type) {
	pt := c.part(t, len(parts))
	width := 8 * pt.Size()
	last := -1
	for i, o := range parts {
		if o.Kind != ptx.Sink {
			last = i
		}
	}
	for i, o := range parts {
		if o.Kind == ptx.Sink {
			continue
		}
		if i < last && o.Kind == ptx.Reg && a.Kind == ptx.Reg && o.Reg == a.Reg {
			c.refuse("a part overwrites the register it is taken from")
		}
		shift := i * width
		if bankOf(t) == bank64 {
			p := c.start(kNarrow)
			p.alu = &alu{narrow: func(d *lanes32, a *lanes64) {
				for i := range d {
					d[i] = uint32(a[i] >> shift)
				}
			}}
			c.def(&p.d, o, pt)
			c.use(&p.a, a, t)
			continue
		}
		p := c.start(kUn32)
		p.alu = &alu{un32: func(d, a *lanes32) {
			for i := range d {
				d[i] = a[i] >> shift
			}
		}}
		c.def(&p.d, o, pt)
		c.use(&p.a, a, t)
	}
}

// pack joins parts into a register, low part first.
func (c *compiler) pack(d ptx.Operand, parts []ptx.Operand, t ptx.Type) {
	pt := c.part(t, len(parts))
	if pt == ptx.B16 && t.Size() == 4 {
		p := c.start(kBin32)
		p.alu = &alu{bin32: packHalves}
		c.def(&p.d, d, t)
		c.use(&p.a, parts[0], pt)
		c.use(&p.b, parts[1], pt)
		return
	}
	var words [2]int32
	if pt == ptx.B16 { // four halves: two words first
		for i := range words {
			p := c.start(kBin32)
			p.alu = &alu{bin32: packHalves}
			words[i] = c.temp(bank32)
			c.defReg(&p.d, bank32, words[i])
			c.use(&p.a, parts[2*i], pt)
			c.use(&p.b, parts[2*i+1], pt)
		}
	}
	p := c.start(kWiden2)
	p.alu = &alu{widen2: func(d *lanes64, a, b *lanes32) {
		for i := range d {
			d[i] = uint64(a[i]) | uint64(b[i])<<32
		}
	}}
	c.def(&p.d, d, t)
	if pt == ptx.B16 {
		c.useReg(&p.a, bank32, words[0])
		c.useReg(&p.b, bank32, words[1])
		return
	}
	c.use(&p.a, parts[0], pt)
	c.use(&p.b, parts[1], pt)
}

func packHalves(d, a, b *lanes32) {
	for i := range d {
		d[i] = a[i]&0xFFFF | b[i]<<16
	}
}

// cvt compiles conversions.
func (c *compiler) cvt() {
	in := c.cur
	if len(in.Types) != 2 {
		c.refuse("a conversion needs two types")
	}
	dt, st := in.Types[0], in.Types[1]
	mode, integral, known := c.conversionRounding()
	if !known {
		c.refuse("this rounding is not implemented")
	}
	if len(in.Args) == 3 {
		if st != ptx.F32 || dt != ptx.BF16x2 && dt != ptx.F16x2 || c.has("sat") || c.has("ftz") {
			c.refuse("this packed conversion is not implemented")
		}
		format := formatF16
		if dt == ptx.BF16x2 {
			format = formatBF16
		}
		p := c.start(kBin32)
		p.alu = &alu{bin32: packHalf(format, mode, c.has("relu"))}
		c.def(&p.d, in.Args[0], dt)
		c.use(&p.a, in.Args[1], st)
		c.use(&p.b, in.Args[2], st)
		return
	}
	if dt == ptx.TF32 {
		if st != ptx.F32 || !c.has("rna") || c.has("relu") {
			c.refuse("only cvt.rna.tf32.f32 is implemented")
		}
		p := c.start(kUn32)
		p.alu = &alu{un32: cvtTF32}
		c.def(&p.d, in.Args[0], dt)
		c.use(&p.a, in.Args[1], st)
		return
	}
	if c.has("rna") || c.has("relu") || dt == ptx.F16x2 || dt == ptx.BF16x2 || st == ptx.F16x2 || st == ptx.BF16x2 || c.has("sat") && (dt == ptx.F16 || dt == ptx.BF16 || dt == ptx.F64) {
		c.refuse("this conversion is not implemented")
	}
	c.scalarConversion(cvtOp{dst: dt, src: st, mode: mode, integral: integral, ftz: c.has("ftz"), sat: c.has("sat")})
}

// conversionRounding reads .rn or .rni and their kin.
func (c *compiler) conversionRounding() (mode rounding, integral, known bool) {
	for _, m := range c.cur.Mods {
		if r, ok := roundings[m]; ok {
			return r, false, true
		}
		if len(m) == 3 && m[2] == 'i' {
			if r, ok := roundings[m[:2]]; ok {
				return r, true, true
			}
		}
	}
	return toNearest, false, true
}

// scalarConversion chooses the banks; registers may be wider than the types.
func (c *compiler) scalarConversion(o cvtOp) {
	f := o.convert()
	if f == nil {
		c.refuse("this conversion is not implemented")
	}
	d, a := c.cur.Args[0], c.cur.Args[1]
	wideD := d.Kind == ptx.Reg && c.bank[d.Reg] == bank64
	wideA := a.Kind == ptx.Reg && c.bank[a.Reg] == bank64 || a.Kind != ptx.Reg && o.src.Size() == 8
	if wideD && o.dst.Size() < 8 && o.dst.Signed() { // a wider destination is filled with the sign
		g, extend := f, extender(o.dst)
		f = func(b uint64) uint64 { return extend(g(b)) }
	}
	dt, st := ptx.B32, ptx.B32
	var p *inst
	switch {
	case wideD && wideA:
		p = c.start(kUn64)
		p.alu = &alu{un64: each1(f)}
		dt, st = ptx.B64, ptx.B64
	case wideD:
		p = c.start(kWiden1)
		p.alu = &alu{widen1: widening(o, f)}
		dt = ptx.B64
	case wideA:
		p = c.start(kNarrow)
		p.alu = &alu{narrow: narrowing(o, f)}
		st = ptx.B64
	default:
		p = c.start(kUn32)
		p.alu = &alu{un32: each1(func(a uint32) uint32 { return uint32(f(uint64(a))) })}
	}
	c.def(&p.d, d, dt)
	c.use(&p.a, a, st)
}

// widening and narrowing are the integer conversions of address arithmetic without a call per lane; others use f.
func widening(o cvtOp, f func(uint64) uint64) func(d *lanes64, a *lanes32) {
	switch {
	case o.src == ptx.U32 && (o.dst == ptx.U64 || o.dst == ptx.S64) && !o.sat:
		return func(d *lanes64, a *lanes32) {
			for i := range d {
				d[i] = uint64(a[i])
			}
		}
	case o.src == ptx.S32 && (o.dst == ptx.U64 || o.dst == ptx.S64) && !o.sat:
		return func(d *lanes64, a *lanes32) {
			for i := range d {
				d[i] = uint64(int64(int32(a[i])))
			}
		}
	}
	return each1(func(a uint32) uint64 { return f(uint64(a)) })
}

func narrowing(o cvtOp, f func(uint64) uint64) func(d *lanes32, a *lanes64) {
	if !o.sat && !isFloat(o.src) && (o.dst == ptx.U32 || o.dst == ptx.S32) && o.src.Size() == 8 {
		return func(d *lanes32, a *lanes64) {
			for i := range d {
				d[i] = uint32(a[i])
			}
		}
	}
	return each1(func(a uint64) uint32 { return uint32(f(a)) })
}

// cvta converts between a space's addresses and generic ones.
func (c *compiler) cvta() {
	in := c.cur
	m, ok := modifierFrom(in, windowBases)
	if !ok {
		c.refuse("no state space")
	}
	base := windowBases[m]
	if c.has("to") {
		base = -base
	}
	p := c.start(kUn64)
	p.alu = &alu{un64: func(d, a *lanes64) {
		for i := range d {
			d[i] = a[i] + base
		}
	}}
	c.def(&p.d, in.Args[0], ptx.B64)
	c.use(&p.a, in.Args[1], ptx.B64)
}
