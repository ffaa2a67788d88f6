//go:build cuda

package cudrv

import (
	"emdiff/gpu"

	"gorgonia.org/cu"
)

// stream is a CUDA stream that does not wait for the default stream.
type stream struct {
	d      *Driver
	s      cu.Stream
	closed bool
}

// NewStream returns a stream that nothing but events and Sync orders with others.
func (d *Driver) NewStream() (gpu.Stream, error) {
	s := &stream{d: d}
	err := d.do("new stream", func() (err error) {
		s.s, err = cu.MakeStream(cu.NonBlocking)
		return err
	})
	return s, err
}

// stream returns this driver's open stream behind the interface.
func (d *Driver) stream(op string, on gpu.Stream) (*stream, error) {
	s, ok := on.(*stream)
	switch {
	case !ok || s.d != d:
		return nil, &gpu.Error{Op: op, Detail: "the stream belongs to another driver"}
	case s.closed:
		return nil, &gpu.Error{Op: op, Detail: "stream", Err: gpu.ErrClosed}
	}
	return s, nil
}

// event returns this driver's open event behind the interface.
func (d *Driver) event(op string, e gpu.Event) (*event, error) {
	ev, ok := e.(*event)
	switch {
	case !ok || ev.d != d:
		return nil, &gpu.Error{Op: op, Detail: "the event belongs to another driver"}
	case ev.closed:
		return nil, &gpu.Error{Op: op, Detail: "event", Err: gpu.ErrClosed}
	}
	return ev, nil
}

// run makes a call that needs the stream open.
func (s *stream) run(op string, call func() error) error {
	return s.d.do(op, func() error {
		if _, err := s.d.stream(op, s); err != nil {
			return err
		}
		return call()
	})
}

func (s *stream) Sync() error { return s.run("stream sync", s.s.Synchronize) }

func (s *stream) Wait(e gpu.Event) error {
	return s.run("stream wait", func() error {
		ev, err := s.d.event("stream wait", e)
		if err != nil {
			return err
		}
		return s.s.Wait(ev.e, 0)
	})
}

func (s *stream) Close() error {
	return s.run("close stream", func() error {
		if err := s.s.Synchronize(); err != nil {
			return err
		}
		s.closed = true
		return s.s.Destroy()
	})
}

// event is a CUDA event that keeps time.
type event struct {
	d                *Driver
	e                cu.Event
	recorded, closed bool
}

// NewEvent returns an event that has recorded nothing.
func (d *Driver) NewEvent() (gpu.Event, error) {
	e := &event{d: d}
	err := d.do("new event", func() (err error) {
		e.e, err = cu.MakeEvent(cu.BlockingSyncEvent)
		return err
	})
	return e, err
}

// run makes a call that needs the event open.
func (e *event) run(op string, call func() error) error {
	return e.d.do(op, func() error {
		if _, err := e.d.event(op, e); err != nil {
			return err
		}
		return call()
	})
}

func (e *event) Record(on gpu.Stream) error {
	return e.run("event record", func() error {
		s, err := e.d.stream("event record", on)
		if err != nil {
			return err
		}
		e.recorded = true
		return e.e.Record(s.s)
	})
}

func (e *event) Sync() error { return e.run("event sync", e.e.Synchronize) }

func (e *event) Elapsed(start gpu.Event) (ms float64, err error) {
	err = e.run("event elapsed", func() error {
		s, err := e.d.event("event elapsed", start)
		if err != nil {
			return err
		}
		if !s.recorded || !e.recorded {
			return &gpu.Error{Op: "event elapsed", Detail: "an event was never recorded", Remedy: "record both events first"}
		}
		ms, err = s.e.Elapsed(e.e)
		return err
	})
	return ms, err
}

func (e *event) Close() error {
	return e.run("close event", func() error {
		e.closed = true
		return cu.DestroyEvent(&e.e)
	})
}
