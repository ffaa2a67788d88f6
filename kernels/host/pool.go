package host

import (
	"context"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
)

// job is an op cut into parts. Parts are keyed on shapes, never on the number of threads, and may run in any order, at
// the same time, on any worker; worker (0 is the caller) selects private scratch.
type job interface {
	part(worker, i int)
}

// pool runs jobs on persistent workers. The caller is worker 0 and works too. An idle worker spins for longer than
// the gap between two ops of a network, then parks.
type pool struct {
	workers []*worker // all but the caller
	stopped atomic.Bool

	// The job in flight. gate is closed (-1) or the number of workers inside: a worker may touch the fields only
	// between enter and leave, and run rewrites them only while the gate is closed, so a late worker does no harm.
	epoch atomic.Uint32
	gate  atomic.Int32
	spans []span // of the caller and of each worker
	job   job

	// Labels of the job for profilers, which a worker wears while it is inside; nil until some are set.
	labels context.Context
}

// span is a range of consecutive parts. Every worker starts on its own and then helps with the others': what lies side by
// side in memory, and what the op before left in a cache, stays with one processor.
type span struct {
	next atomic.Int64
	end  int64
	_    [48]byte // keep two spans on separate lines
}

type worker struct {
	id     int
	parked atomic.Bool
	wake   chan struct{}
	_      [64]byte // keep the flags of two workers on separate lines
}

// Spins before parking (about 100 microseconds: waking costs as much) and before the caller yields while it waits.
const (
	idleSpins = 100000
	waitSpins = 2000
)

func newPool(threads int) *pool {
	p := &pool{spans: make([]span, threads)}
	p.gate.Store(-1)
	for id := 1; id < threads; id++ {
		w := &worker{id: id, wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		go p.serve(w)
	}
	return p
}

// run executes all parts of j and returns when they are done.
func (p *pool) run(parts int, j job) {
	if len(p.workers) == 0 || parts <= 1 {
		for i := range parts {
			j.part(0, i)
		}
		return
	}
	p.job = j
	for w := range p.spans {
		p.spans[w].next.Store(int64(parts * w / len(p.spans)))
		p.spans[w].end = int64(parts * (w + 1) / len(p.spans))
	}
	p.gate.Store(0)
	p.announce(parts - 1)
	p.work(0)
	for spin := 0; !p.gate.CompareAndSwap(0, -1); spin++ {
		if spin > waitSpins {
			runtime.Gosched()
		}
	}
	p.job = nil
}

// announce starts a new epoch and wakes as many parked workers as there are parts for.
func (p *pool) announce(wanted int) {
	p.epoch.Add(1)
	for _, w := range p.workers[:min(wanted, len(p.workers))] {
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// work takes parts until none is left.
func (p *pool) work(worker int) {
	for k := range p.spans {
		s := &p.spans[(worker+k)%len(p.spans)]
		for i := s.next.Add(1) - 1; i < s.end; i = s.next.Add(1) - 1 {
			p.job.part(worker, int(i))
		}
	}
}

// enter reports whether the gate was open; then leave must follow.
func (p *pool) enter() bool {
	for {
		inside := p.gate.Load()
		if inside < 0 {
			return false
		}
		if p.gate.CompareAndSwap(inside, inside+1) {
			return true
		}
	}
}

func (p *pool) leave() { p.gate.Add(-1) }

func (p *pool) serve(w *worker) {
	seen := uint32(0)
	for {
		seen = p.await(w, seen)
		if p.stopped.Load() {
			return
		}
		if p.enter() {
			labels := p.labels
			if labels != nil {
				pprof.SetGoroutineLabels(labels)
			}
			p.work(w.id)
			if labels != nil { // waiting is no work of this job
				pprof.SetGoroutineLabels(context.Background())
			}
			p.leave()
		}
	}
}

// await returns the current epoch as soon as it differs from seen.
func (p *pool) await(w *worker, seen uint32) uint32 {
	for {
		for range idleSpins {
			if e := p.epoch.Load(); e != seen {
				return e
			}
		}
		w.parked.Store(true)
		// An epoch announced just before the flag was raised woke nobody: look again.
		if p.epoch.Load() != seen && w.parked.CompareAndSwap(true, false) {
			continue
		}
		<-w.wake
	}
}

// close stops the workers; the pool then runs everything on the caller.
func (p *pool) close() {
	p.stopped.Store(true)
	p.announce(len(p.workers))
	p.workers = nil
}
