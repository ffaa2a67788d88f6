package emu

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"emdiff/gpu"
	"emdiff/gpu/ptx"
)

// launch is one kernel execution, shared by its workers.
type launch struct {
	prog    *program
	cfg     gpu.LaunchConfig
	mem     *memory
	checks  Checks
	blocks  int
	epoch   uint64 // of the global race check
	args    []uint64
	atomics sync.Mutex

	next   atomic.Int64 // block to run
	failed atomic.Int64 // lowest block that failed
	mu     sync.Mutex
	fault  *Fault // of that block
}

// run executes all blocks on the workers and returns the fault of the lowest failing block.
func (l *launch) run(workers []*worker) *Fault {
	l.failed.Store(math.MaxInt64)
	if len(workers) == 1 {
		workers[0].runBlocks(l)
		return l.fault
	}
	var wg sync.WaitGroup
	for _, wk := range workers {
		wg.Go(func() { wk.runBlocks(l) })
	}
	wg.Wait()
	return l.fault
}

func (l *launch) blockAt(n int) [3]int {
	g := l.cfg.Grid
	return [3]int{n % g[0], n / g[0] % g[1], n / g[0] / g[1]}
}

func (l *launch) blockName(n int) string { return fmt.Sprintf("block %v", l.blockAt(n)) }

// worker executes blocks, one after the other, on one goroutine. It is kept and used again by later launches of its function.
type worker struct {
	prog *program
	l    *launch

	blockIndex int
	block      [3]int
	warps      []*warp

	shared      []byte
	sharedInit  []byte
	shadow      []uint64
	epoch       uint64 // barrier interval, of the shared race check
	grainShift  uint
	globalShift uint
	suspected   *Fault // an uninitialised shared read of this interval

	// Of the memory request being executed.
	addr      lanes64
	mem       []byte
	memBase   uint64
	lastAlloc *allocation
	tmp32     lanes32
	tmp64     lanes64
	mmaA      [16][16]float64 // operands of an mma: row, k
	mmaB      [8][16]float64  // column, k

	// Counters of the launch.
	execs, issues       []int64 // by compiled instruction
	stats               []memStat
	branches, divergent int64
	barriers            int64
	touched             []touched
}

// touched is what a worker's blocks did to an allocation: byte ranges read and written.
type touched struct {
	a           *allocation
	read, write span
}

// span is a range of bytes [lo, hi); empty if hi is 0.
type span struct{ lo, hi uint64 }

func (s *span) extend(lo, hi uint64) {
	if s.hi == 0 {
		*s = span{lo, hi}
		return
	}
	s.lo, s.hi = min(s.lo, lo), max(s.hi, hi)
}

func (s span) overlaps(t span) bool { return s.lo < t.hi && t.lo < s.hi }

// touch records a request on an allocation, for the order of streams.
func (wk *worker) touch(a *allocation, r *request) {
	t := (*touched)(nil)
	for i := range wk.touched {
		if wk.touched[i].a == a {
			t = &wk.touched[i]
			break
		}
	}
	if t == nil {
		wk.touched = append(wk.touched, touched{a: a})
		t = &wk.touched[len(wk.touched)-1]
	}
	s := &t.read
	if r.write {
		s = &t.write
	}
	s.extend(r.lo-a.base, r.hi-a.base+r.bytes)
}

func newWorker(p *program) *worker {
	return &worker{prog: p, execs: make([]int64, len(p.code)), issues: make([]int64, len(p.code)), stats: make([]memStat, p.memOps),
		grainShift: uint(bits.TrailingZeros(uint(p.sharedGrain))), globalShift: uint(bits.TrailingZeros(uint(p.globalGrain)))}
}

// prepare sets the worker up for a launch.
func (wk *worker) prepare(l *launch) {
	wk.l = l
	wk.lastAlloc = nil
	clear(wk.execs)
	clear(wk.issues)
	clear(wk.stats)
	wk.branches, wk.divergent, wk.barriers = 0, 0, 0
	wk.touched = wk.touched[:0]

	size := wk.prog.static + l.cfg.SharedBytes
	if cap(wk.shared) < size {
		wk.shared = make([]byte, size)
		wk.sharedInit = make([]byte, size)
	}
	wk.shared, wk.sharedInit = wk.shared[:size], wk.sharedInit[:size]
	if grains := (size + wk.prog.sharedGrain - 1) >> wk.grainShift; l.checks.Race && len(wk.shadow) < grains {
		wk.shadow = make([]uint64, grains)
		wk.epoch = 0
	}
	threads := l.cfg.Threads()
	warps := (threads + warpSize - 1) / warpSize
	for len(wk.warps) < warps {
		wk.warps = append(wk.warps, &warp{r32: make([]uint32, wk.prog.slots32*warpSize), r64: make([]uint64, wk.prog.slots64*warpSize),
			p: make([]uint32, wk.prog.preds), local: make([]byte, wk.prog.local*warpSize)})
	}
	wk.warps = wk.warps[:warps]
	for i, w := range wk.warps {
		w.wk, w.id = wk, i
		w.existing = ^uint32(0)
		if n := threads - i*warpSize; n < warpSize {
			w.existing = 1<<n - 1
		}
		w.fillConstants()
	}
}

// fillConstants writes the registers that hold immediates, parameters and the special registers that blocks share.
func (w *warp) fillConstants() {
	for _, k := range w.wk.prog.consts32 {
		d := (*lanes32)(w.r32[k.slot:])
		for i := range d {
			d[i] = uint32(w.constantValue(k, i))
		}
	}
	for _, k := range w.wk.prog.consts64 {
		d := (*lanes64)(w.r64[k.slot:])
		for i := range d {
			d[i] = w.constantValue(k, i)
		}
	}
}

func (w *warp) constantValue(k constant, lane int) uint64 {
	switch {
	case k.name != "":
		return uint64(specials[k.name](w, lane))
	case k.param >= 0:
		return extender(k.typ)(w.wk.l.args[k.param] >> k.shift)
	}
	return k.value
}

// fillBlock writes the special registers that change with the block.
func (w *warp) fillBlock() {
	for _, k := range w.wk.prog.consts32 {
		if len(k.name) > 6 && k.name[:6] == "%ctaid" {
			fillWord((*lanes32)(w.r32[k.slot:]), specials[k.name](w, 0))
		}
	}
}

func fillWord(d *lanes32, v uint32) {
	for i := range d {
		d[i] = v
	}
}

// runBlocks takes blocks until none is left or a lower one has failed.
func (wk *worker) runBlocks(l *launch) {
	wk.prepare(l)
	for {
		n := l.next.Add(1) - 1
		if n >= int64(l.blocks) || n > l.failed.Load() {
			return
		}
		if f := wk.runBlock(int(n)); f != nil {
			l.mu.Lock()
			if n < l.failed.Load() {
				l.failed.Store(n)
				l.fault = f
			}
			l.mu.Unlock()
			return
		}
	}
}

// runBlock executes one block; a fault inside comes back as a value.
func (wk *worker) runBlock(n int) (fault *Fault) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*Fault)
			if !ok {
				panic(r)
			}
			fault = f
		}
		// What happens after an uninitialised read may be its consequence, but for a race on the very bytes.
		if s := wk.suspected; s != nil && (fault == nil || fault.Kind != SharedRace && fault.Kind != AsyncCopy) {
			fault = s
		}
	}()
	wk.suspected = nil
	wk.startBlock(n)
	turns, passed := 0, 0
	nextTurn := func() {
		if turns++; wk.l.checks.MaxTurns > 0 && turns > wk.l.checks.MaxTurns {
			wk.timeout()
		}
	}
	for {
		running := false
		for _, w := range wk.warps {
			if w.state == statusTurn {
				w.state = w.run()
				running = running || w.state == statusTurn
			}
		}
		if running {
			nextTurn()
			continue
		}
		if wk.suspected != nil || !wk.passBarrier() {
			return nil // the deferred function returns the suspect
		}
		if passed++; passed%turn == 0 { // a loop around a barrier may be endless too
			nextTurn()
		}
	}
}

func (wk *worker) startBlock(n int) {
	wk.blockIndex, wk.block = n, wk.l.blockAt(n)
	if wk.l.checks.Init {
		clear(wk.sharedInit)
	}
	for _, w := range wk.warps {
		clear(w.r32[wk.prog.fixed32*warpSize:])
		clear(w.r64[wk.prog.fixed64*warpSize:])
		clear(w.p)
		w.p[predTrue] = ^uint32(0)
		w.fillBlock()
		w.alive, w.mask, w.pc, w.state = w.existing, w.existing, 0, statusTurn
		w.waiting, w.parked, w.copies, w.forced = w.waiting[:0], w.parked[:0], w.copies[:0], 0
		w.openGroup = [warpSize]uint32{}
	}
	if wk.l.checks.Race {
		for g, e := range wk.shadow { // copies the last block did not wait for
			if e&inFlight != 0 {
				wk.shadow[g] = 0
			}
		}
	}
	wk.nextInterval()
}

func (wk *worker) timeout() {
	for _, w := range wk.warps {
		if w.state == statusTurn {
			w.fail(&wk.prog.code[w.pc], first(w.mask), Timeout, ptx.Generic, 0, "more than %d turns of %d loop iterations or barriers each", wk.l.checks.MaxTurns, turn)
		}
	}
}

// passBarrier lets the warps that wait at a barrier go on, and reports whether there were any.
func (wk *worker) passBarrier() bool {
	var at *warp
	for _, w := range wk.warps {
		if w.state == statusBarrier {
			at = w
			break
		}
	}
	if at == nil {
		return false
	}
	for _, w := range wk.warps {
		if wk.l.checks.Barrier {
			switch {
			case w.state == statusDone:
				at.fail(at.barrier, first(at.alive), BarrierDivergence, ptx.Generic, 0, "warp %d has ended without reaching the barrier", w.id)
			case w.alive != w.existing:
				w.fail(w.barrier, first(w.existing&^w.alive), BarrierDivergence, ptx.Generic, 0, "lanes %#x have ended without reaching the barrier", w.existing&^w.alive)
			case w.barrier != at.barrier:
				w.fail(w.barrier, first(w.mask), BarrierDivergence, ptx.Generic, 0, "warp %d waits at the barrier of PTX line %d",
					at.id, wk.prog.sources[at.barrier.src].line)
			}
		}
		if w.state == statusBarrier {
			w.state = statusTurn
		}
	}
	wk.barriers++
	if wk.l.checks.Race {
		wk.nextInterval()
	}
	return true
}

// counted reports whether pc is the compiled instruction that stands for its PTX instruction: the first of those made from it.
func (p *program) counted(pc int) bool {
	return (pc == 0 || p.code[pc-1].src != p.code[pc].src) && int(p.code[pc].src) < len(p.sources)-1
}

// collect adds the worker's counts to the launch's.
func (wk *worker) collect(c *Counters) {
	p := wk.prog
	for pc := range p.code {
		if !p.counted(pc) {
			continue
		}
		in := &p.code[pc]
		src, n := p.sources[in.src], wk.execs[pc]
		c.ThreadInstructions += n
		c.WarpInstructions += wk.issues[pc]
		c.ByClass[src.class] += n
		c.FLOPs += n * int64(src.flops)
		if !in.kind.hasTraffic() {
			continue
		}
		s := wk.stats[in.mem.index]
		switch in.kind {
		case kLoad, kLdMatrix:
			c.GlobalLoads.add(s.global)
			c.SharedLoads.add(s.shared)
			c.LocalLoads.add(s.loc)
		case kAsyncCopy:
			c.GlobalLoads.add(s.global)
			c.SharedStores.add(s.shared)
		default:
			c.GlobalStores.add(s.global)
			c.SharedStores.add(s.shared)
			c.LocalStores.add(s.loc)
		}
	}
	c.Branches += wk.branches
	c.DivergentBranches += wk.divergent
	c.Barriers += wk.barriers
}

// lines returns what each PTX instruction did on all workers.
func (p *program) lines(workers []*worker) []LineCount {
	out := make([]LineCount, len(p.sources)-1)
	for i := range out {
		out[i].Line, out[i].Opcode = p.sources[i].line, p.sources[i].opcode
	}
	for pc := range p.code {
		if !p.counted(pc) {
			continue
		}
		in := &p.code[pc]
		line := &out[in.src]
		for _, wk := range workers {
			line.ThreadInstructions += wk.execs[pc]
			line.WarpInstructions += wk.issues[pc]
			if in.kind.hasTraffic() {
				line.Global.add(wk.stats[in.mem.index].global)
				line.Shared.add(wk.stats[in.mem.index].shared)
			}
		}
	}
	return out
}

// hasTraffic reports whether an instruction keeps memory statistics.
func (k kind) hasTraffic() bool {
	return k >= kLoad && k <= kLdMatrix && k != kAsyncCommit && k != kAsyncWait
}
