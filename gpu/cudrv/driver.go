//go:build cuda

package cudrv

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"emdiff/gpu"

	"gorgonia.org/cu"
)

func init() { gpu.Register("cuda", Open) }

// oldestDriver is CUDA 11.0, the first that knows PTX 7.0.
const oldestDriver = 11000

// queueLength is how many launches may wait for the thread of the context.
const queueLength = 256

// Driver is the first card that CUDA_VISIBLE_DEVICES leaves visible. A context belongs to an OS thread, so one goroutine locked to
// its thread makes all calls, in the order in which mu admits them. The caller waits for each but launches: to wake a locked thread
// and be woken costs more than a launch.
type Driver struct {
	props gpu.Properties
	calls chan func()
	late  atomic.Pointer[error] // of the first launch that failed after it was queued

	mu      sync.Mutex
	ctx     cu.CUContext
	closed  bool
	fault   error // that has killed the context
	lastID  uint64
	buffers map[gpu.DevicePtr]int64 // bytes of each allocation
	pinned  map[unsafe.Pointer]int  // bytes of each pinned allocation
}

var _ gpu.Driver = (*Driver)(nil)

// Open opens the card. Without one, or with too old a driver, the error says what is missing and what to do.
func Open() (gpu.Driver, error) {
	refuse := func(err error, remedy, format string, args ...any) (gpu.Driver, error) {
		return nil, &gpu.Error{Op: "open", Kernel: "cuda", Detail: fmt.Sprintf(format, args...), Err: err, Remedy: remedy}
	}
	name, why := library()
	if why != "" {
		return refuse(nil, "install the NVIDIA driver, or use the host", "no NVIDIA driver: %s", why)
	}
	if r := initialise(); r != 0 {
		return refuse(r, remedies[r], "%s does not start", name)
	}
	if v := cu.Version(); v < oldestDriver {
		return refuse(nil, "update the NVIDIA driver", "the driver is made for CUDA %s, %s is needed", version(v), version(oldestDriver))
	}
	n, err := cu.NumDevices()
	if err == nil && n == 0 {
		err = cu.NoDevice
	}
	if err != nil {
		return nil, explain("open", "cuda", err)
	}
	d := &Driver{calls: make(chan func(), queueLength), buffers: map[gpu.DevicePtr]int64{}, pinned: map[unsafe.Pointer]int{}}
	go d.own()
	err = d.do("open", func() error {
		dev, err := cu.GetDevice(0)
		if err == nil {
			d.props, err = properties(dev)
		}
		if err == nil {
			d.ctx, err = dev.MakeContext(cu.SchedBlockingSync)
		}
		return err
	})
	if err != nil {
		close(d.calls)
		return nil, err
	}
	return d, nil
}

func version(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

func properties(dev cu.Device) (p gpu.Properties, err error) {
	const maxSharedPerBlockOptin = cu.DeviceAttribute(97) // cu has no name for it
	p.Driver = "cuda " + version(cu.Version())
	if p.Name, err = dev.Name(); err != nil {
		return p, err
	}
	if p.TotalMemory, err = dev.TotalMem(); err != nil {
		return p, err
	}
	for _, a := range []struct {
		to        *int
		attribute cu.DeviceAttribute
	}{
		{&p.Major, cu.ComputeCapabilityMajor}, {&p.Minor, cu.ComputeCapabilityMinor}, {&p.SMs, cu.MultiprocessorCount},
		{&p.WarpSize, cu.WarpSize}, {&p.MaxThreadsPerBlock, cu.MaxThreadsPerBlock}, {&p.MaxSharedPerBlock, cu.MaxSharedMemoryPerBlock},
		{&p.MaxSharedOptIn, maxSharedPerBlockOptin}, {&p.MaxGridX, cu.MaxGridDimX}, {&p.MaxGridYZ, cu.MaxGridDimY},
	} {
		if *a.to, err = dev.Attribute(a.attribute); err != nil {
			return p, err
		}
	}
	return p, nil
}

// own makes the calls until the channel is closed. The thread ends with it.
func (d *Driver) own() {
	runtime.LockOSThread()
	for call := range d.calls {
		call()
	}
}

// do makes a call on the thread of the context, unless the driver is closed or dead, and remembers a fault that kills the context.
func (d *Driver) do(op string, call func() error) error { return d.doFor(op, "", call) }

func (d *Driver) doFor(op, kernel string, call func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(op, kernel); err != nil {
		return err
	}
	err := d.onThread(call)
	if d.late.Load() != nil {
		return d.usable(op, kernel)
	}
	if err == nil {
		return nil
	}
	err = explain(op, kernel, err)
	if r, ok := resultOf(unwrap(err)); ok && r.sticky() {
		d.fault = err
		return d.usable(op, kernel)
	}
	return err
}

// queueFor checks a launch at once and queues it. Its failure is a fault that later calls return.
func (d *Driver) queueFor(op, kernel string, check func() error, call func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(op, kernel); err != nil {
		return err
	}
	if err := check(); err != nil {
		return err
	}
	d.calls <- func() {
		if err := call(); err != nil {
			err = explain(op, kernel, err)
			d.late.CompareAndSwap(nil, &err)
		}
	}
	return nil
}

// usable returns the error of calls on a closed driver or after a fault.
func (d *Driver) usable(op, kernel string) error {
	if late := d.late.Load(); late != nil && d.fault == nil {
		d.fault = *late
	}
	switch {
	case d.closed:
		return &gpu.Error{Op: op, Kernel: kernel, Err: gpu.ErrClosed}
	case d.fault != nil:
		return &gpu.Error{Op: op, Kernel: kernel, Err: fmt.Errorf("%w: %w", gpu.ErrContextDead, d.fault), Remedy: "open the driver anew"}
	}
	return nil
}

func unwrap(err error) error {
	if e, ok := err.(*gpu.Error); ok {
		return e.Err
	}
	return err
}

func (d *Driver) onThread(call func() error) error {
	done := make(chan error)
	d.calls <- func() { done <- call() }
	return <-done
}

// Properties describes the card.
func (d *Driver) Properties() gpu.Properties { return d.props }

// Alloc reserves device memory.
func (d *Driver) Alloc(size int64) (b gpu.Buffer, err error) {
	if size <= 0 {
		return b, &gpu.Error{Op: "alloc", Detail: fmt.Sprintf("%d bytes asked for", size)}
	}
	err = d.do("alloc", func() error {
		p, err := cu.MemAlloc(size)
		if r, _ := resultOf(err); r == outOfMemory {
			free, total, err := cu.MemInfo()
			if err != nil {
				return err
			}
			return &gpu.Error{Op: "alloc", Err: &gpu.OutOfMemoryError{Want: size, Used: total - free, Total: total}}
		}
		if err != nil {
			return err
		}
		d.lastID++
		b = gpu.Buffer{Ptr: gpu.DevicePtr(p), Size: size, ID: d.lastID}
		d.buffers[b.Ptr] = size
		return nil
	})
	return b, err
}

// Free gives an allocation back.
func (d *Driver) Free(b gpu.Buffer) error {
	return d.do("free", func() error {
		if _, live := d.buffers[b.Ptr]; !live {
			return &gpu.Error{Op: "free", Detail: fmt.Sprintf("no allocation starts at %#x", uint64(b.Ptr)), Remedy: "free each allocation once, whole"}
		}
		delete(d.buffers, b.Ptr)
		return cu.MemFree(cu.DevicePtr(b.Ptr))
	})
}

// AllocPinned returns page-locked host memory. It is outside Go's heap: it lives until FreePinned or Close.
func (d *Driver) AllocPinned(size int) (b []byte, err error) {
	if size <= 0 {
		return nil, &gpu.Error{Op: "alloc pinned", Detail: fmt.Sprintf("%d bytes asked for", size)}
	}
	err = d.do("alloc pinned", func() error {
		p, err := allocPinned(size)
		if err != nil {
			return err
		}
		d.pinned[p] = size
		b = unsafe.Slice((*byte)(p), size)
		return nil
	})
	return b, err
}

// FreePinned gives memory of AllocPinned back.
func (d *Driver) FreePinned(b []byte) error {
	return d.do("free pinned", func() error {
		p := unsafe.Pointer(unsafe.SliceData(b))
		if d.pinned[p] != len(b) || len(b) == 0 {
			return &gpu.Error{Op: "free pinned", Detail: "not the whole of a pinned allocation", Err: gpu.ErrNotPinned}
		}
		delete(d.pinned, p)
		return cu.MemFreeHost(p)
	})
}

// isPinned reports whether all of b lies in one pinned allocation.
func (d *Driver) isPinned(b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for p, n := range d.pinned {
		if lo := uintptr(p); at >= lo && at+uintptr(len(b)) <= lo+uintptr(n) {
			return true
		}
	}
	return len(b) == 0
}

// Sync waits for all streams.
func (d *Driver) Sync() error { return d.do("sync", cu.Synchronize) }

// Close gives everything back: the context owns it all.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return &gpu.Error{Op: "close", Err: gpu.ErrClosed}
	}
	err := d.onThread(d.ctx.Destroy)
	d.closed = true
	close(d.calls)
	if err != nil && d.fault == nil && d.late.Load() == nil { // a dead context may say so again
		return explain("close", "", err)
	}
	return nil
}
