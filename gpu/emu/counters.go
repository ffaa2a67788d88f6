package emu

import (
	"math/bits"
	"slices"

	"emdiff/gpu/ptx"
)

// Class groups instructions for counting.
type Class uint8

// Classes of instructions.
const (
	ClassFloat32 Class = iota
	ClassFloat64
	ClassHalf // 16-bit float arithmetic
	ClassSpecial
	ClassInteger // with address arithmetic, logic, comparisons
	ClassConvert
	ClassMove // mov, selp, ld.param, cvta
	ClassTensor
	ClassGlobal // loads, stores, atomics
	ClassShared // loads, stores, ldmatrix
	ClassLocal
	ClassGeneric
	ClassAsyncCopy
	ClassWarp // shuffles, votes, matches
	ClassBarrier
	ClassBranch
	ClassOther
	classes
)

func (c Class) String() string {
	return [...]string{"float32", "float64", "half", "special", "integer", "convert", "move", "tensor", "global", "shared", "local",
		"generic", "async-copy", "warp", "barrier", "branch", "other"}[c]
}

// Traffic counts the requests to one kind of memory. A request is one instruction of one warp with at least one lane taking part.
type Traffic struct {
	Requests  int64
	Bytes     int64 // asked for by the lanes
	Sectors   int64 // global: distinct 32-byte sectors per request, summed
	Conflicts int64 // shared: passes beyond the least number, see countShared
}

// SectorsPerRequest returns the average, 0 without requests.
func (t Traffic) SectorsPerRequest() float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Sectors) / float64(t.Requests)
}

func (t *Traffic) add(o Traffic) {
	t.Requests += o.Requests
	t.Bytes += o.Bytes
	t.Sectors += o.Sectors
	t.Conflicts += o.Conflicts
}

// Counters are exact counts of what a launch did. They depend on the kernel and its arguments alone, never on the machine.
type Counters struct {
	Launches           int64
	Blocks             int64
	ThreadInstructions int64 // lanes that executed an instruction (guard true), summed
	WarpInstructions   int64 // instructions issued to a warp, guarded off or not
	ByClass            [classes]int64
	FLOPs              int64 // fma 2, mma 2*m*n*k, add, mul, div, sqrt, min, max and the .approx functions 1
	GlobalLoads        Traffic
	GlobalStores       Traffic // with atomics
	SharedLoads        Traffic
	SharedStores       Traffic // with atomics and the arrival of cp.async
	LocalLoads         Traffic
	LocalStores        Traffic
	Branches           int64 // executed by a warp
	DivergentBranches  int64 // that sent lanes both ways
	Barriers           int64 // bar.sync completed by a block
}

// Conflicts returns all shared-memory bank conflicts.
func (c *Counters) Conflicts() int64 { return c.SharedLoads.Conflicts + c.SharedStores.Conflicts }

// Add adds o to c.
func (c *Counters) Add(o Counters) {
	c.Launches += o.Launches
	c.Blocks += o.Blocks
	c.ThreadInstructions += o.ThreadInstructions
	c.WarpInstructions += o.WarpInstructions
	for i := range c.ByClass {
		c.ByClass[i] += o.ByClass[i]
	}
	c.FLOPs += o.FLOPs
	c.GlobalLoads.add(o.GlobalLoads)
	c.GlobalStores.add(o.GlobalStores)
	c.SharedLoads.add(o.SharedLoads)
	c.SharedStores.add(o.SharedStores)
	c.LocalLoads.add(o.LocalLoads)
	c.LocalStores.add(o.LocalStores)
	c.Branches += o.Branches
	c.DivergentBranches += o.DivergentBranches
	c.Barriers += o.Barriers
}

// LineCount is what one PTX instruction did in a launch.
type LineCount struct {
	Line               int
	Opcode             string
	ThreadInstructions int64
	WarpInstructions   int64
	Global, Shared     Traffic
}

// memStat is what one memory instruction did.
type memStat struct {
	global, shared, loc Traffic
}

func (s *memStat) local(r *request) {
	s.loc.Requests++
	s.loc.Bytes += int64(r.bytes) * int64(bits.OnesCount32(r.mask))
}

// countGlobal counts a request's bytes and sectors.
func (wk *worker) countGlobal(r *request) {
	t := &wk.stats[r.m.index].global
	t.Requests++
	t.Bytes += int64(r.bytes) * int64(bits.OnesCount32(r.mask))
	t.Sectors += sectors(&wk.addr)
}

// sectors returns the number of distinct 32-byte sectors of the lanes' addresses (idle lanes repeat an active one; an aligned access
// never straddles two).
func sectors(addr *lanes64) int64 {
	n, last := int64(1), addr[0]>>5
	for _, a := range addr[1:] {
		if s := a >> 5; s > last {
			n++
			last = s
		} else if s < last {
			return unsortedSectors(addr)
		}
	}
	return n
}

func unsortedSectors(addr *lanes64) int64 {
	sorted := *addr
	for i := range sorted {
		sorted[i] >>= 5
	}
	slices.Sort(sorted[:])
	n := int64(1)
	for i := 1; i < len(sorted); i++ {
		if sorted[i] != sorted[i-1] {
			n++
		}
	}
	return n
}

// countShared counts a request's bytes and bank conflicts. 32 banks of 4 bytes serve 128 bytes a pass: 4-byte accesses are served
// for the whole warp, 8-byte accesses by half warps, 16-byte accesses by quarter warps. Within such a phase lanes that want different
// words of one bank need a pass each; every pass beyond the first of a phase is a conflict.
func (wk *worker) countShared(r *request) {
	t := &wk.stats[r.m.index].shared
	t.Requests++
	t.Bytes += int64(r.bytes) * int64(bits.OnesCount32(r.mask))
	unitShift := uint(2) // aligned accesses of 8 and 16 bytes fall on groups of 2 and 4 banks
	lanes := warpSize
	switch {
	case r.bytes == 8:
		unitShift, lanes = 3, 16
	case r.bytes == 16:
		unitShift, lanes = 4, 8
	}
	banks := uint64(128 >> unitShift)
	for from := 0; from < warpSize; from += lanes {
		if phase := r.mask >> from & uint32(1<<lanes-1); phase != 0 {
			t.Conflicts += conflicts(wk.addr[from:from+lanes], phase, unitShift, banks)
		}
	}
}

// conflicts returns the passes beyond the first of one phase.
func conflicts(addr []uint64, mask uint32, unitShift uint, banks uint64) int64 {
	var seen uint32
	var unit [warpSize]uint64
	for i, a := range addr {
		if mask>>i&1 == 0 {
			continue
		}
		u := a >> unitShift
		b := u & (banks - 1)
		if seen>>b&1 == 0 {
			seen |= 1 << b
			unit[b] = u
		} else if unit[b] != u {
			return manyConflicts(addr, mask, unitShift, banks)
		}
	}
	return 0
}

func manyConflicts(addr []uint64, mask uint32, unitShift uint, banks uint64) int64 {
	var units [warpSize]uint64 // distinct ones so far
	var perBank [warpSize]int64
	n, worst := 0, int64(0)
	for i, a := range addr {
		u := a >> unitShift
		if mask>>i&1 == 0 || slices.Contains(units[:n], u) {
			continue
		}
		units[n] = u
		n++
		b := u & (banks - 1)
		perBank[b]++
		worst = max(worst, perBank[b])
	}
	return worst - 1
}

// classify returns an instruction's class and the floating-point operations of one thread.
func classify(in *ptx.Instruction) (Class, int) {
	t := ptx.NoType
	if len(in.Types) > 0 {
		t = in.Types[0]
	}
	switch in.Op {
	case "ld", "ldu", "st", "atom", "red", "ldmatrix":
		for _, m := range in.Mods {
			switch s, ok := ptx.SpaceOf(m); {
			case !ok:
			case s == ptx.Shared:
				return ClassShared, 0
			case s == ptx.Local:
				return ClassLocal, 0
			case s == ptx.Param:
				return ClassMove, 0
			default:
				return ClassGlobal, 0
			}
		}
		return ClassGeneric, 0
	case "cp":
		return ClassAsyncCopy, 0
	case "mma":
		k := 0
		for m, depth := range map[string]int{"m16n8k4": 4, "m16n8k8": 8, "m16n8k16": 16} {
			if in.Has(m) {
				k = depth
			}
		}
		return ClassTensor, 2 * 16 * 8 * k / warpSize
	case "bar", "barrier", "membar", "fence":
		return ClassBarrier, 0
	case "bra", "ret", "exit", "call":
		return ClassBranch, 0
	case "shfl", "vote", "match", "activemask":
		return ClassWarp, 0
	case "mov", "selp", "cvta":
		return ClassMove, 0
	case "cvt":
		return ClassConvert, 0
	case "setp", "set":
		return ClassInteger, 0
	case "ex2", "lg2", "sin", "cos", "tanh", "rsqrt":
		return ClassSpecial, 1
	case "rcp", "sqrt", "div":
		if t == ptx.F32 {
			return ClassSpecial, 1
		}
	}
	flops := 1
	switch in.Op {
	case "fma", "mad":
		flops = 2
	case "neg", "abs", "copysign", "testp":
		flops = 0
	}
	switch t {
	case ptx.F32:
		return ClassFloat32, flops
	case ptx.F64:
		return ClassFloat64, flops
	case ptx.F16, ptx.BF16:
		return ClassHalf, flops
	case ptx.F16x2, ptx.BF16x2:
		return ClassHalf, 2 * flops
	}
	if t == ptx.NoType {
		return ClassOther, 0
	}
	return ClassInteger, 0
}
