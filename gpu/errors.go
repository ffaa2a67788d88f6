package gpu

import (
	"errors"
	"fmt"
	"strings"
)

// Causes a caller can ask for with errors.Is.
var (
	// ErrOutOfMemory: the device has no room; the error is an *OutOfMemoryError.
	ErrOutOfMemory = errors.New("out of device memory")
	// ErrPTXTooNew: the PTX was compiled for a newer device or a newer PTX version than this driver has.
	ErrPTXTooNew = errors.New("PTX is newer than the device")
	// ErrContextDead: an earlier fault killed the context; the error wraps that fault.
	ErrContextDead = errors.New("the device context is dead after a fault")
	// ErrNotPinned: an async copy was given ordinary host memory.
	ErrNotPinned = errors.New("host memory is not pinned")
	// ErrNotFound: the module has no such function.
	ErrNotFound = errors.New("not found")
	// ErrClosed: the driver, stream, event or module was closed.
	ErrClosed = errors.New("already closed")
)

// Error is a failed driver operation.
type Error struct {
	Op     string // what was asked for: "launch", "load", "copy", "alloc", "free", ...
	Kernel string // kernel or module concerned, if any
	Detail string // what is wrong
	Remedy string // what to do about it, if known
	Err    error  // cause, if any
}

// Error returns one sentence: operation, kernel, detail, cause, remedy.
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString("gpu " + e.Op)
	if e.Kernel != "" {
		s.WriteString(" " + e.Kernel)
	}
	for _, part := range []string{e.Detail, errText(e.Err)} {
		if part != "" {
			s.WriteString(": " + part)
		}
	}
	if e.Remedy != "" {
		s.WriteString(" (" + e.Remedy + ")")
	}
	return s.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// LiveBuffer is an allocation that was alive when memory ran out.
type LiveBuffer struct {
	ID    uint64
	Size  int64
	Label string
}

// OutOfMemoryError says how much was wanted and what holds the memory. It is an ErrOutOfMemory.
type OutOfMemoryError struct {
	Want, Used, Total int64
	Live              []LiveBuffer // largest first
}

// Error lists the largest live buffers.
func (e *OutOfMemoryError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%v: %s wanted, %s of %s in use", ErrOutOfMemory, Bytes(e.Want), Bytes(e.Used), Bytes(e.Total))
	const shown = 8
	for i, b := range e.Live {
		if i == shown {
			fmt.Fprintf(&s, ", and %d more", len(e.Live)-shown)
			break
		}
		sep := ", "
		if i == 0 {
			sep = "; live: "
		}
		fmt.Fprintf(&s, "%s#%d %s %s", sep, b.ID, b.Label, Bytes(b.Size))
	}
	s.WriteString(" (use a smaller batch or a smaller model)")
	return s.String()
}

// Is makes errors.Is(err, ErrOutOfMemory) true.
func (e *OutOfMemoryError) Is(target error) bool { return target == ErrOutOfMemory }

// Bytes formats a size with a binary unit.
func Bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.2f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
