package emu

import (
	"fmt"
	"sync"
	"unsafe"

	"emdiff/gpu"
)

func init() {
	gpu.Register("emu", func() (gpu.Driver, error) { return New(Options{Checks: AllChecks()}), nil })
}

// Driver is the emulated device.
type Driver struct {
	opts  Options
	props gpu.Properties

	mu       sync.Mutex
	mem      *memory
	pinned   map[*byte]int
	streams  []*stream
	host     clock // what the host has waited for
	fault    *Fault
	closed   bool
	launches uint64
	totals   Counters
}

var (
	_ gpu.Driver  = (*Driver)(nil)
	_ gpu.Tracker = (*Driver)(nil)
)

// New returns a device of its own.
func New(o Options) *Driver {
	o = o.withDefaults()
	return &Driver{opts: o, props: o.properties(), mem: newMemory(o.Memory), pinned: map[*byte]int{}}
}

// Properties describes the emulated device.
func (d *Driver) Properties() gpu.Properties { return d.props }

// Totals returns the counts of all launches since the last ResetTotals.
func (d *Driver) Totals() Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.totals
}

// ResetTotals starts the totals at zero.
func (d *Driver) ResetTotals() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.totals = Counters{}
}

// begin locks the driver for an operation, unless it is closed or dead.
func (d *Driver) begin(op string) error {
	d.mu.Lock()
	if err := d.dead(op); err != nil {
		d.mu.Unlock()
		return err
	}
	return nil
}

func (d *Driver) end() { d.mu.Unlock() }

// dead returns the error of operations on a closed driver or after a fault.
func (d *Driver) dead(op string) error {
	switch {
	case d.closed:
		return &gpu.Error{Op: op, Err: gpu.ErrClosed}
	case d.fault != nil:
		return &gpu.Error{Op: op, Err: fmt.Errorf("%w: %w", gpu.ErrContextDead, d.fault), Remedy: "open the driver anew"}
	}
	return nil
}

// stream returns the emulator's stream behind the interface.
func (d *Driver) stream(s gpu.Stream) (*stream, error) {
	st, ok := s.(*stream)
	switch {
	case !ok || st.d != d:
		return nil, &gpu.Error{Op: "queue", Detail: "the stream belongs to another driver"}
	case st.closed:
		return nil, &gpu.Error{Op: "queue", Err: gpu.ErrClosed, Detail: "stream"}
	}
	return st, nil
}

func (a *allocation) buffer() gpu.Buffer {
	return gpu.Buffer{Ptr: gpu.DevicePtr(a.base), Size: int64(len(a.data)), ID: a.id}
}

// Alloc reserves device memory. Its addresses are never used again.
func (d *Driver) Alloc(size int64) (gpu.Buffer, error) {
	if size <= 0 {
		return gpu.Buffer{}, &gpu.Error{Op: "alloc", Detail: fmt.Sprintf("%d bytes asked for", size)}
	}
	if err := d.begin("alloc"); err != nil {
		return gpu.Buffer{}, err
	}
	defer d.end()
	a, err := d.mem.alloc(size, "")
	if err != nil {
		return gpu.Buffer{}, &gpu.Error{Op: "alloc", Err: err}
	}
	return a.buffer(), nil
}

// Free gives an allocation back.
func (d *Driver) Free(b gpu.Buffer) error {
	if err := d.begin("free"); err != nil {
		return err
	}
	defer d.end()
	return d.mem.free(uint64(b.Ptr))
}

// Retire implements gpu.Tracker.
func (d *Driver) Retire(b gpu.Buffer) { d.track(b, true) }

// Reissue implements gpu.Tracker.
func (d *Driver) Reissue(b gpu.Buffer) { d.track(b, false) }

func (d *Driver) track(b gpu.Buffer, retired bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := search(d.mem.live, uint64(b.Ptr)); a != nil && a.base == uint64(b.Ptr) {
		a.retired = retired
		a.size = uint64(b.Size)
		a.clearInit()
	}
}

// AllocPinned returns host memory for async copies.
func (d *Driver) AllocPinned(size int) ([]byte, error) {
	if size <= 0 {
		return nil, &gpu.Error{Op: "alloc pinned", Detail: fmt.Sprintf("%d bytes asked for", size)}
	}
	if err := d.begin("alloc pinned"); err != nil {
		return nil, err
	}
	defer d.end()
	b := make([]byte, size)
	d.pinned[&b[0]] = size
	return b, nil
}

// FreePinned gives memory of AllocPinned back.
func (d *Driver) FreePinned(b []byte) error {
	if err := d.begin("free pinned"); err != nil {
		return err
	}
	defer d.end()
	if len(b) == 0 || d.pinned[&b[0]] != len(b) {
		return &gpu.Error{Op: "free pinned", Detail: "not the whole of a pinned allocation", Err: gpu.ErrNotPinned}
	}
	delete(d.pinned, &b[0])
	return nil
}

// isPinned reports whether all of b lies in one pinned allocation.
func (d *Driver) isPinned(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	at := uintptr(unsafe.Pointer(&b[0]))
	for p, n := range d.pinned {
		if lo := uintptr(unsafe.Pointer(p)); at >= lo && at+uintptr(len(b)) <= lo+uintptr(n) {
			return true
		}
	}
	return false
}

// NewStream returns a stream that nothing but events and Sync orders with others.
func (d *Driver) NewStream() (gpu.Stream, error) {
	if err := d.begin("new stream"); err != nil {
		return nil, err
	}
	defer d.end()
	s := &stream{d: d, number: len(d.streams) + 1}
	d.streams = append(d.streams, s)
	return s, nil
}

// NewEvent returns an event that has recorded nothing.
func (d *Driver) NewEvent() (gpu.Event, error) {
	if err := d.begin("new event"); err != nil {
		return nil, err
	}
	defer d.end()
	return &event{d: d}, nil
}

// Sync waits for all streams.
func (d *Driver) Sync() error {
	if err := d.begin("sync"); err != nil {
		return err
	}
	defer d.end()
	return d.syncAll()
}

func (d *Driver) syncAll() error {
	var all clock
	for _, s := range d.streams {
		all.join(s.clock)
	}
	return d.hostWaits(all)
}

// Close gives everything back.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return &gpu.Error{Op: "close", Err: gpu.ErrClosed}
	}
	d.closed = true
	d.mem, d.pinned, d.streams = newMemory(0), nil, nil
	return nil
}
