package emu

import "emdiff/gpu/ptx"

// kind is how an instruction is executed; the interpreter switches on it once per warp.
type kind uint8

const (
	kNop kind = iota
	// Arithmetic, lane by lane; the name tells the banks of the operands.
	// 32-bit destinations.
	kUn32
	kBin32
	kTern32
	kQuad32
	kNarrow // 32 <- 64
	kSet32  // 32 <- comparison of 32
	kSet64  // 32 <- comparison of 64
	kSel32
	// 64-bit destinations.
	kUn64
	kBin64
	kTern64
	kWiden1  // 64 <- 32
	kWiden2  // 64 <- 32 32
	kWiden3  // 64 <- 32 32 64
	kShift64 // 64 <- 64 32
	kField64 // 64 <- 64 64 32 32
	kSel64
	// Predicate destinations.
	kCmp32
	kCmp64
	kPred
	// Everything that is not lane by lane.
	kLoad
	kStore
	kAtom
	kAsyncCopy
	kAsyncCommit
	kAsyncWait
	// From here to kBarrier lanes meet: see meets.
	kLdMatrix
	kMMA
	kShfl
	kVote
	kMatch
	kWarpBarrier
	kBarrier
	kActive
	kBranch
	kExit
	kTrap
)

// meets reports whether lanes that reach the instruction wait for others.
func (k kind) meets() bool { return k >= kLdMatrix && k <= kBarrier }

// alu holds the function of an arithmetic instruction; kind says which field.
type alu struct {
	un32    func(d, a *lanes32)
	bin32   func(d, a, b *lanes32)
	tern32  func(d, a, b, c *lanes32)
	quad32  func(d, a, b, c, e *lanes32)
	un64    func(d, a *lanes64)
	bin64   func(d, a, b *lanes64)
	tern64  func(d, a, b, c *lanes64)
	widen1  func(d *lanes64, a *lanes32)
	widen2  func(d *lanes64, a, b *lanes32)
	widen3  func(d *lanes64, a, b *lanes32, c *lanes64)
	narrow  func(d *lanes32, a *lanes64)
	shift64 func(d, a *lanes64, b *lanes32)
	field64 func(d, a, b *lanes64, pos, n *lanes32)
	cmp32   func(a, b *lanes32) uint32
	cmp64   func(a, b *lanes64) uint32
	combine func(cmp, p uint32) uint32
	pred    func(a, b uint32) uint32
}

// inst is one compiled instruction. Register operands are offsets into the warp's 32- or 64-bit file (slot * 32), predicates
// indices of its predicate file.
type inst struct {
	kind    kind
	guard   int32 // predicate, -1 for none
	not     bool
	d, q    int32 // destination, second (predicate) destination
	a, b, c int32
	e       int32
	target  int32 // branch
	src     int32 // index of the PTX instruction it belongs to
	alu     *alu
	mem     *memOp
}

// memOp describes a memory or cross-lane instruction further.
type memOp struct {
	index    int // of the function's memory statistics
	space    ptx.Space
	size     int // bytes per element: 1, 2, 4, 8
	elems    int
	signed   bool
	volatile bool
	wide     bool // address register is 64-bit
	base     int32
	offset   uint64
	reg64    bool    // data registers are 64-bit
	data     []int32 // data registers, -1 for a sink or unused; sources of mma follow its destinations
	name     string  // atomic operation, shuffle mode, vote mode, mma element type
	float    bool    // atomic on floats
	src      int32   // cp.async: source address register
	srcOff   uint64
	srcSize  int32 // cp.async: register with the bytes to read, -1 for all
	trans    bool
	k        int // mma: depth
}

// bytes returns what one lane moves.
func (m *memOp) bytes() int { return m.size * m.elems }

// source is what the compiler keeps of a PTX instruction for messages and counters.
type source struct {
	line   int
	opcode string
	class  Class
	flops  int // per thread
}

// constant is a register filled before the kernel starts.
type constant struct {
	slot  int32
	value uint64
	name  string // special register; empty: value
	param int    // index of the parameter, or -1
	shift uint   // right shift of the parameter's bits
	typ   ptx.Type
}

// program is a compiled kernel.
type program struct {
	name        string
	code        []inst
	sources     []source
	consts32    []constant
	consts64    []constant
	fixed32     int // slots of constants, before all others
	fixed64     int
	slots32     int // slots in all
	slots64     int
	preds       int
	memOps      int
	local       int // bytes per thread
	static      int // bytes of static shared memory
	maxThreads  int
	params      []ptx.Variable
	liveRegs    int // most 32-bit registers live at once, 64-bit ones counted twice
	sharedGrain int // smallest shared access, the race check's resolution
	globalGrain int
}

// Predicates 0 and 1 are constants.
const (
	predFalse = 0
	predTrue  = 1
)
