package emu

import "emdiff/gpu/ptx"

// memory compiles loads, stores, atomics, asynchronous copies and everything that crosses lanes.
func (c *compiler) memory() {
	switch c.cur.Op {
	case "ld", "ldu":
		c.load()
	case "st":
		c.store()
	case "atom", "red":
		c.atomic()
	case "cp":
		c.asyncCopy()
	case "ldmatrix":
		c.ldmatrix()
	case "mma":
		c.mma()
	case "shfl":
		c.shuffle()
	case "vote":
		c.vote()
	case "match":
		c.match()
	case "activemask":
		p := c.start(kActive)
		c.def(&p.d, c.cur.Args[0], ptx.B32)
	case "bar", "barrier":
		c.barrier()
	}
}

// memStart emits a memory instruction.
func (c *compiler) memStart(k kind) (*inst, *memOp) {
	p := c.start(k)
	p.mem = &memOp{index: c.prog.memOps, elems: 1, srcSize: -1}
	c.prog.memOps++
	return p, p.mem
}

// address fills in where m's base register and offset are.
func (c *compiler) address(base *int32, offset *uint64, wide *bool, o ptx.Operand) {
	switch {
	case o.Reg >= 0 && c.bank[o.Reg] == bank64:
		*wide, *offset = true, o.Imm
		c.useReg(base, bank64, c.number[o.Reg])
	case o.Reg >= 0:
		*offset = o.Imm
		c.useReg(base, bank32, c.number[o.Reg])
	default:
		k := constant{param: -1, value: o.Imm}
		if o.Sym != "" {
			s, ok := c.symbols[o.Sym]
			if !ok {
				c.refuse("symbol %s has no address", o.Sym)
			}
			k.value += s.addr
		}
		*wide = true
		c.useReg(base, bank64, c.fixed(k, bank64))
	}
}

// grain lowers the resolution of the race checks to the smallest access.
func (c *compiler) grain(space ptx.Space, size int) {
	if space == ptx.Shared || space == ptx.Generic {
		c.prog.sharedGrain = min(c.prog.sharedGrain, size)
	}
	if space == ptx.Global || space == ptx.Generic {
		c.prog.globalGrain = min(c.prog.globalGrain, size)
	}
}

// space reads the state space; constant memory lives with the globals.
func (c *compiler) space() ptx.Space {
	for _, m := range c.cur.Mods {
		if s, ok := ptx.SpaceOf(m); ok {
			if s == ptx.Const {
				return ptx.Global
			}
			return s
		}
	}
	return ptx.Generic
}

// access fills in the shape of a load or store of operand o.
func (c *compiler) access(m *memOp, o ptx.Operand, dest bool) {
	t := c.cur.Types[0]
	m.space, m.size, m.signed = c.space(), t.Size(), t.Signed()
	m.volatile = c.has("volatile") || c.has("relaxed") || c.has("acquire") || c.has("release")
	elems := []ptx.Operand{o}
	if o.Kind == ptx.Vector {
		elems = o.Elems
	}
	m.elems = len(elems)
	m.data = make([]int32, m.elems)
	for i, e := range elems {
		wide := bankOf(t) == bank64 || e.Kind == ptx.Reg && c.bank[e.Reg] == bank64
		if i > 0 && wide != m.reg64 {
			c.refuse("a vector of registers of several widths")
		}
		m.reg64 = wide
	}
	rt := ptx.B32
	if m.reg64 {
		rt = ptx.B64
	}
	for i, e := range elems {
		if dest {
			c.def(&m.data[i], e, rt)
		} else {
			if e.Kind == ptx.FImm { // an immediate's bits depend on the real type
				c.useReg(&m.data[i], bankOf(rt), c.constant(e, t, bankOf(rt)))
				continue
			}
			c.use(&m.data[i], e, rt)
		}
	}
	c.grain(m.space, m.size)
}

func (c *compiler) load() {
	if c.space() == ptx.Param {
		c.loadParam()
		return
	}
	_, m := c.memStart(kLoad)
	c.access(m, c.cur.Args[0], true)
	c.address(&m.base, &m.offset, &m.wide, c.cur.Args[1])
}

func (c *compiler) store() {
	if c.space() == ptx.Param {
		c.refuse("calls of device functions are not supported: inline them")
	}
	_, m := c.memStart(kStore)
	c.access(m, c.cur.Args[1], false)
	c.address(&m.base, &m.offset, &m.wide, c.cur.Args[0])
}

// loadParam compiles ld.param to moves from constants that the launch fills in.
func (c *compiler) loadParam() {
	t, a := c.cur.Types[0], c.cur.Args[1]
	index := -1
	for i, p := range c.fn.Params {
		if p.Name == a.Sym {
			index = i
		}
	}
	if index < 0 || a.Reg >= 0 {
		c.refuse("this address is not a parameter of the kernel")
	}
	elems := []ptx.Operand{c.cur.Args[0]}
	if elems[0].Kind == ptx.Vector {
		elems = elems[0].Elems
	}
	for i, e := range elems {
		offset := int(a.Imm) + i*t.Size()
		if offset < 0 || offset+t.Size() > c.fn.Params[index].Size || offset+t.Size() > 8 {
			c.refuse("bytes %d to %d are not in an 8-byte parameter", offset, offset+t.Size())
		}
		if e.Kind == ptx.Sink {
			continue
		}
		bank := c.bank[e.Reg]
		k := constant{param: index, shift: uint(8 * offset), typ: t}
		if bank == bank64 {
			p := c.start(kUn64)
			p.alu = &alu{un64: unaryInt[uint64, uint64]("mov")}
			c.def(&p.d, e, ptx.B64)
			c.useReg(&p.a, bank64, c.fixed(k, bank64))
			continue
		}
		p := c.start(kUn32)
		p.alu = &alu{un32: unaryInt[uint32, uint32]("mov")}
		c.def(&p.d, e, ptx.B32)
		c.useReg(&p.a, bank32, c.fixed(k, bank32))
	}
}

// atomic compiles atom and red: data is {result or nothing, operand, cas's second operand}.
func (c *compiler) atomic() {
	in := c.cur
	t := in.Types[0]
	_, m := c.memStart(kAtom)
	m.space, m.size, m.reg64 = c.space(), t.Size(), t.Size() == 8
	m.signed, m.float, m.volatile = t.Signed(), t.Class() == ptx.Float, true
	var ok bool
	if m.name, ok = modifierFrom(in, set("add min max and or xor exch cas inc dec")); !ok {
		c.refuse("no operation")
	}
	if m.float && m.name != "add" && m.name != "exch" {
		c.refuse("this operation is not defined on floats")
	}
	m.data = []int32{-1, -1, -1}
	args := in.Args
	if in.Op == "atom" {
		c.def(&m.data[0], args[0], t)
		args = args[1:]
	}
	if want := 2 + b2i(m.name == "cas"); len(args) != want {
		c.refuse("%d operands after the destination, wants %d", len(args), want)
	}
	c.address(&m.base, &m.offset, &m.wide, args[0])
	for i, a := range args[1:] {
		c.use(&m.data[i+1], a, t)
	}
	c.grain(m.space, m.size)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// asyncCopy compiles the cp.async family.
func (c *compiler) asyncCopy() {
	in := c.cur
	if !c.has("async") {
		c.refuse("only cp.async is known")
	}
	switch {
	case c.has("commit_group"):
		c.start(kAsyncCommit)
		return
	case c.has("wait_all"):
		c.start(kAsyncWait).target = -1
		return
	case c.has("wait_group"):
		if len(in.Args) != 1 || in.Args[0].Kind != ptx.Imm || in.Args[0].Imm > 1<<16 {
			c.refuse("wants a small constant number of groups")
		}
		c.start(kAsyncWait).target = int32(in.Args[0].Imm)
		return
	}
	if len(in.Args) < 3 || in.Args[0].Kind != ptx.Addr || in.Args[1].Kind != ptx.Addr || in.Args[2].Kind != ptx.Imm {
		c.refuse("wants [shared], [global], size")
	}
	size := int(in.Args[2].Imm)
	if size != 4 && size != 8 && size != 16 || c.has("cg") && size != 16 {
		c.refuse("cannot copy %d bytes", size)
	}
	_, m := c.memStart(kAsyncCopy)
	m.size = size
	var wideSrc bool
	c.address(&m.base, &m.offset, &m.wide, in.Args[0])
	c.address(&m.src, &m.srcOff, &wideSrc, in.Args[1])
	if !wideSrc {
		c.refuse("the global address is not 64-bit")
	}
	if len(in.Args) > 3 {
		if a := in.Args[3]; a.Kind == ptx.Reg && c.bank[a.Reg] == bankPred {
			c.refuse("the ignore-src form is not implemented: use src-size")
		}
		c.use(&m.srcSize, in.Args[3], ptx.B32)
	}
	c.grain(ptx.Shared, 4)
}

func (c *compiler) ldmatrix() {
	in := c.cur
	_, m := c.memStart(kLdMatrix)
	n, ok := modifierFrom(in, map[string]int{"x1": 1, "x2": 2, "x4": 4})
	if !ok || !c.has("m8n8") || c.space() != ptx.Shared {
		c.refuse("only .m8n8 matrices in shared memory are known")
	}
	m.elems = map[string]int{"x1": 1, "x2": 2, "x4": 4}[n]
	m.space, m.size, m.trans = ptx.Shared, 16, c.has("trans")
	elems := []ptx.Operand{in.Args[0]}
	if elems[0].Kind == ptx.Vector {
		elems = elems[0].Elems
	}
	if len(elems) != m.elems {
		c.refuse("%d destinations for %d matrices", len(elems), m.elems)
	}
	m.data = make([]int32, m.elems)
	for i, e := range elems {
		c.def(&m.data[i], e, ptx.B32)
	}
	c.address(&m.base, &m.offset, &m.wide, in.Args[1])
	c.grain(ptx.Shared, 4)
}

// mma compiles the matrix products with float32 accumulation. data holds 4 of D, then A, B, C.
func (c *compiler) mma() {
	in := c.cur
	if len(in.Types) != 4 || in.Types[0] != ptx.F32 || in.Types[3] != ptx.F32 || in.Types[1] != in.Types[2] {
		c.refuse("only float32 accumulators and equal operand types are implemented")
	}
	shape, ok := modifierFrom(in, map[string]int{"m16n8k4": 4, "m16n8k8": 8, "m16n8k16": 16})
	k := map[string]int{"m16n8k4": 4, "m16n8k8": 8, "m16n8k16": 16}[shape]
	t := in.Types[1]
	perReg := 2
	if t == ptx.TF32 {
		perReg = 1
	}
	known := t == ptx.TF32 && (k == 4 || k == 8) || (t == ptx.BF16 || t == ptx.F16) && (k == 8 || k == 16)
	if !ok || !known || !c.has("row") || !c.has("col") {
		c.refuse("this shape is not implemented")
	}
	p := c.start(kMMA)
	p.mem = &memOp{name: t.String(), k: k}
	counts := [4]int{4, 16 * k / 32 / perReg, 8 * k / 32 / perReg, 4}
	total := counts[0] + counts[1] + counts[2] + counts[3]
	p.mem.data = make([]int32, total)
	at := 0
	for i, n := range counts {
		elems := []ptx.Operand{in.Args[i]}
		if elems[0].Kind == ptx.Vector {
			elems = elems[0].Elems
		}
		if len(elems) != n {
			c.refuse("operand %d has %d registers, wants %d", i+1, len(elems), n)
		}
		for _, e := range elems {
			if i == 0 {
				c.def(&p.mem.data[at], e, ptx.B32)
			} else {
				c.use(&p.mem.data[at], e, ptx.F32)
			}
			at++
		}
	}
}

func (c *compiler) shuffle() {
	in := c.cur
	p := c.start(kShfl)
	mode, ok := modifierFrom(in, set("up down bfly idx"))
	if !ok || !c.has("sync") || len(in.Args) != 5 {
		c.refuse("wants shfl.sync.{up,down,bfly,idx} with five operands")
	}
	p.mem = &memOp{name: mode, data: []int32{0}}
	d := in.Args[0]
	p.q = -1
	if d.Kind == ptx.Pair {
		p.q, _ = c.predicate(d.Elems[1])
		d = d.Elems[0]
	}
	c.def(&p.d, d, ptx.B32)
	c.use(&p.a, in.Args[1], ptx.F32)
	c.use(&p.b, in.Args[2], ptx.B32)
	c.use(&p.c, in.Args[3], ptx.B32)
	c.use(&p.mem.data[0], in.Args[4], ptx.B32)
}

func (c *compiler) vote() {
	in := c.cur
	mode, ok := modifierFrom(in, set("all any uni ballot"))
	if !ok || len(in.Args) != 3 {
		c.refuse("wants vote.sync.{all,any,uni,ballot} with three operands")
	}
	p := c.start(kVote)
	p.mem = &memOp{name: mode}
	var not bool
	p.a, not = c.predicate(in.Args[1])
	p.mem.trans = not
	c.use(&p.b, in.Args[2], ptx.B32)
	if mode == "ballot" {
		c.def(&p.d, in.Args[0], ptx.B32)
	} else {
		p.d, _ = c.predicate(in.Args[0])
	}
}

func (c *compiler) match() {
	in := c.cur
	mode, ok := modifierFrom(in, set("any all"))
	if !ok {
		c.refuse("wants .any or .all")
	}
	p := c.start(kMatch)
	p.mem = &memOp{name: mode, reg64: in.Types[0].Size() == 8}
	d := in.Args[0]
	p.q = -1
	if d.Kind == ptx.Pair {
		p.q, _ = c.predicate(d.Elems[1])
		d = d.Elems[0]
	}
	c.def(&p.d, d, ptx.B32)
	c.use(&p.a, in.Args[1], in.Types[0])
	c.use(&p.b, in.Args[2], ptx.B32)
}

func (c *compiler) barrier() {
	in := c.cur
	if in.Op == "bar" && c.has("warp") {
		p := c.start(kWarpBarrier)
		c.use(&p.a, in.Args[0], ptx.B32)
		return
	}
	if !c.has("sync") {
		c.refuse("only barriers that wait are implemented")
	}
	if len(in.Args) != 1 || in.Args[0].Kind != ptx.Imm || in.Args[0].Imm > 15 {
		c.refuse("only barriers of the whole block, numbered 0 to 15 by a constant, are implemented")
	}
	c.start(kBarrier).d = int32(in.Args[0].Imm)
}
