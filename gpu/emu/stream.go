package emu

import (
	"fmt"
	"hash/maphash"
	"time"

	"emdiff/gpu"
)

// Work runs when it is queued; what streams may and may not rely on is tracked with vector clocks. A stream's clock says which
// operations of every stream come before its next one: its own, those before an event it waited for, and those the host had
// synchronised with when the operation was queued.

// clock holds, by stream number, how many of its operations are known to come before. Index 0 is unused.
type clock []uint64

func (c *clock) join(o clock) {
	for len(*c) < len(o) {
		*c = append(*c, 0)
	}
	for i, v := range o {
		(*c)[i] = max((*c)[i], v)
	}
}

func (c clock) at(i int) uint64 {
	if i < len(c) {
		return c[i]
	}
	return 0
}

// streamTouch is an access of a byte range of a buffer by an operation of a stream.
type streamTouch struct {
	stream int
	time   uint64
	span   span
	write  bool
	what   string
}

// stream is a queue whose work is done when it is queued, but for copies to the host: those arrive when the host synchronises.
type stream struct {
	d        *Driver
	number   int
	clock    clock
	arrivals []arrival
	closed   bool
}

// arrival is an async copy the host has not waited for.
type arrival struct {
	time uint64
	host []byte
	data []byte // to be delivered; nil: host is a source
	hash uint64 // of a source, which must not change
}

var hashSeed = maphash.MakeSeed()

// advance starts the stream's next operation: after all the host has waited for.
func (s *stream) advance() {
	s.clock.join(s.d.host)
	s.clock.join(make(clock, s.number+1))
	s.clock[s.number]++
}

// access records that the stream's current operation touched ranges of a, and returns a fault if another stream's access is not
// ordered with it.
func (s *stream) access(what string, a *allocation, reads, writes span) *Fault {
	if !s.d.opts.Checks.Streams {
		return nil
	}
	kept := a.history[:0]
	var fault *Fault
	for _, t := range a.history {
		before := t.time <= s.clock.at(t.stream)
		conflict := t.span.overlaps(writes) || t.write && t.span.overlaps(reads)
		if conflict && !before && fault == nil {
			verb := map[bool]string{true: "written", false: "read"}
			fault = &Fault{Kind: StreamOrder, Kernel: what, Address: a.base + t.span.lo, Buffer: a.String(),
				Detail: fmt.Sprintf("stream %d touches bytes %s by %s on stream %d, and nothing orders the two; record an event there and wait for it here",
					s.number, verb[t.write], t.what, t.stream)}
		}
		// An older access that this one covers needs no memory: whoever conflicts with it conflicts with this one too.
		covered := before && (inside(t.span, writes) || !t.write && inside(t.span, reads))
		if !covered {
			kept = append(kept, t)
		}
	}
	a.history = kept
	for i, r := range [2]span{reads, writes} {
		if r.hi > 0 {
			a.history = append(a.history, streamTouch{s.number, s.clock[s.number], r, i == 1, what})
		}
	}
	return fault
}

func inside(a, b span) bool { return b.lo <= a.lo && a.hi <= b.hi }

// settle delivers the copies that come no later than the given time, and checks that their sources were left alone.
func (s *stream) settle(until uint64) *Fault {
	var fault *Fault
	kept := s.arrivals[:0]
	for _, a := range s.arrivals {
		switch {
		case a.time > until:
			kept = append(kept, a)
		case a.data != nil:
			copy(a.host, a.data)
		case maphash.Bytes(hashSeed, a.host) != a.hash && fault == nil:
			fault = &Fault{Kind: HostMemory, Detail: fmt.Sprintf("the %d bytes of a copy to the device changed before stream %d was synchronised", len(a.host), s.number)}
		}
	}
	s.arrivals = kept
	return fault
}

// hostWaits makes the host know all operations before c.
func (d *Driver) hostWaits(c clock) error {
	d.host.join(c)
	for _, s := range d.streams {
		if f := s.settle(c.at(s.number)); f != nil && d.fault == nil {
			d.fault = f
		}
	}
	return d.dead("sync")
}

func (s *stream) Sync() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.closed {
		return &gpu.Error{Op: "stream sync", Err: gpu.ErrClosed}
	}
	if err := s.d.dead("sync"); err != nil {
		return err
	}
	return s.d.hostWaits(s.clock)
}

func (s *stream) Wait(e gpu.Event) error {
	if err := s.d.begin("stream wait"); err != nil {
		return err
	}
	defer s.d.end()
	ev, ok := e.(*event)
	if !ok || ev.d != s.d {
		return &gpu.Error{Op: "stream wait", Detail: "the event belongs to another driver"}
	}
	if s.closed || ev.closed {
		return &gpu.Error{Op: "stream wait", Err: gpu.ErrClosed}
	}
	s.clock.join(ev.clock)
	return nil
}

func (s *stream) Close() error {
	err := s.Sync()
	s.closed = true
	return err
}

// event is a recorded point.
type event struct {
	d        *Driver
	clock    clock
	recorded bool
	at       time.Time
	closed   bool
}

func (e *event) Record(on gpu.Stream) error {
	if err := e.d.begin("event record"); err != nil {
		return err
	}
	defer e.d.end()
	s, err := e.d.stream(on)
	if err != nil {
		return err
	}
	if e.closed {
		return &gpu.Error{Op: "event record", Err: gpu.ErrClosed}
	}
	e.clock = append(clock(nil), s.clock...)
	e.clock.join(e.d.host)
	e.recorded, e.at = true, time.Now()
	return nil
}

func (e *event) Sync() error {
	if err := e.d.begin("event sync"); err != nil {
		return err
	}
	defer e.d.end()
	if e.closed {
		return &gpu.Error{Op: "event sync", Err: gpu.ErrClosed}
	}
	return e.d.hostWaits(e.clock)
}

func (e *event) Elapsed(start gpu.Event) (float64, error) {
	s, ok := start.(*event)
	if !ok || !s.recorded || !e.recorded {
		return 0, &gpu.Error{Op: "event elapsed", Detail: "an event was never recorded", Remedy: "record both events first"}
	}
	return float64(e.at.Sub(s.at)) / 1e6, nil
}

func (e *event) Close() error {
	e.closed = true
	return nil
}
