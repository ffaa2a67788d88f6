package gpu

import "sync/atomic"

// Tracer receives nested ranges, for a profiler's time line.
type Tracer interface {
	Push(name string)
	Pop()
}

var tracer atomic.Pointer[Tracer]

// SetTracer sends ranges to t from now on; nil stops that.
func SetTracer(t Tracer) {
	if t == nil {
		tracer.Store(nil)
		return
	}
	tracer.Store(&t)
}

// Push opens a range. Without a tracer it costs one atomic load.
func Push(name string) {
	if t := tracer.Load(); t != nil {
		(*t).Push(name)
	}
}

// Pop closes the innermost range.
func Pop() {
	if t := tracer.Load(); t != nil {
		(*t).Pop()
	}
}
