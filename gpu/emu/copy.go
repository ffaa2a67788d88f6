package emu

import (
	"fmt"
	"hash/maphash"

	"emdiff/gpu"
	"emdiff/gpu/ptx"
)

// resolve returns the allocation a copy's buffer lies in, and the offset there.
func (d *Driver) resolve(op string, b gpu.Buffer, n int) (*allocation, uint64, error) {
	if int64(n) != b.Size {
		return nil, 0, &gpu.Error{Op: op, Detail: fmt.Sprintf("%d bytes of host memory for a buffer of %d", n, b.Size), Remedy: "slice the buffer"}
	}
	a := d.mem.find(uint64(b.Ptr), uint64(b.Size))
	if a == nil {
		kind := OutOfBounds
		if d.mem.isFreed(uint64(b.Ptr)) {
			kind = UseAfterFree
		}
		return nil, 0, &gpu.Error{Op: op, Err: &Fault{Kind: kind, Space: ptx.Global, Address: uint64(b.Ptr), Buffer: d.mem.describe(uint64(b.Ptr)),
			Detail: fmt.Sprintf("%d bytes at %#x", b.Size, uint64(b.Ptr))}}
	}
	return a, uint64(b.Ptr) - a.base, nil
}

// requireWritten fails if a copy reads bytes that were never written.
func (d *Driver) requireWritten(op string, a *allocation, at, n uint64) error {
	if !d.opts.Checks.Init {
		return nil
	}
	if k := a.firstUninit(at, n); k >= 0 {
		return &gpu.Error{Op: op, Err: &Fault{Kind: Uninitialised, Space: ptx.Global, Address: a.base + at + uint64(k), Buffer: a.String(),
			Detail: fmt.Sprintf("byte %d was never written", at+uint64(k))}}
	}
	return nil
}

// copying is a copy operation between begin and end.
func (d *Driver) copying(op string, run func() error) error {
	if err := d.begin(op); err != nil {
		return err
	}
	defer d.end()
	return run()
}

// synchronously runs a copy after all work of the device.
func (d *Driver) synchronously(op string, run func() error) error {
	return d.copying(op, func() error {
		if err := d.syncAll(); err != nil {
			return err
		}
		return run()
	})
}

// CopyHtoD copies from the host.
func (d *Driver) CopyHtoD(dst gpu.Buffer, src []byte) error {
	return d.synchronously("copy to device", func() error {
		a, at, err := d.resolve("copy to device", dst, len(src))
		if err != nil {
			return err
		}
		a.write(at, src)
		a.history = nil
		return nil
	})
}

// CopyDtoH copies to the host. Reading bytes that were never written is an error.
func (d *Driver) CopyDtoH(dst []byte, src gpu.Buffer) error {
	return d.synchronously("copy to host", func() error {
		a, at, err := d.resolve("copy to host", src, len(dst))
		if err == nil {
			err = d.requireWritten("copy to host", a, at, uint64(len(dst)))
		}
		if err == nil {
			copy(dst, a.data[at:])
		}
		return err
	})
}

// CopyDtoD copies inside the device, with what is known about written bytes.
func (d *Driver) CopyDtoD(dst, src gpu.Buffer) error {
	return d.synchronously("copy on device", func() error {
		_, _, err := d.move(dst, src)
		return err
	})
}

func (a *allocation) write(at uint64, src []byte) {
	copy(a.data[at:], src)
	a.markInit(at, uint64(len(src)))
}

// touching is one side of a device copy.
type touching struct {
	a    *allocation
	span span
}

func (d *Driver) move(dst, src gpu.Buffer) (to, from touching, err error) {
	b, at, err := d.resolve("copy on device", src, int(dst.Size))
	if err != nil {
		return to, from, err
	}
	a, to0, err := d.resolve("copy on device", dst, int(src.Size))
	if err != nil {
		return to, from, err
	}
	n := uint64(src.Size)
	copy(a.data[to0:to0+n], b.data[at:at+n])
	if b.allInit.Load() {
		a.markInit(to0, n)
	} else {
		if a.allInit.Swap(false) {
			fill(a.init, 1)
		}
		copy(a.init[to0:to0+n], b.init[at:at+n])
	}
	return touching{a, span{to0, to0 + n}}, touching{b, span{at, at + n}}, nil
}

// queue runs an async operation on a stream: run does it and says what it touched.
func (d *Driver) queue(op string, on gpu.Stream, host []byte, run func(s *stream) (to, from touching, err error)) error {
	return d.copying(op, func() error {
		s, err := d.stream(on)
		if err != nil {
			return err
		}
		if !d.isPinned(host) {
			return &gpu.Error{Op: op, Err: gpu.ErrNotPinned, Remedy: "use memory of AllocPinned, or the synchronous copy"}
		}
		s.advance()
		to, from, err := run(s)
		if err != nil {
			return err
		}
		var fault *Fault
		if from.a != nil {
			fault = s.access(op, from.a, from.span, span{})
		}
		if to.a != nil && fault == nil {
			fault = s.access(op, to.a, span{}, to.span)
		}
		if fault != nil {
			d.fault = fault
			return &gpu.Error{Op: op, Err: fault}
		}
		return nil
	})
}

// CopyHtoDAsync queues a copy from pinned host memory, which must stay unchanged until the stream is synchronised.
func (d *Driver) CopyHtoDAsync(dst gpu.Buffer, src []byte, on gpu.Stream) error {
	return d.queue("async copy to device", on, src, func(s *stream) (to, from touching, err error) {
		a, at, err := d.resolve("async copy to device", dst, len(src))
		if err != nil {
			return to, from, err
		}
		a.write(at, src)
		s.arrivals = append(s.arrivals, arrival{time: s.clock[s.number], host: src, hash: maphash.Bytes(hashSeed, src)})
		return touching{a, span{at, at + uint64(len(src))}}, from, nil
	})
}

// CopyDtoHAsync queues a copy to pinned host memory; the bytes arrive when the host synchronises with the stream, not before.
func (d *Driver) CopyDtoHAsync(dst []byte, src gpu.Buffer, on gpu.Stream) error {
	return d.queue("async copy to host", on, dst, func(s *stream) (to, from touching, err error) {
		a, at, err := d.resolve("async copy to host", src, len(dst))
		if err == nil {
			err = d.requireWritten("async copy to host", a, at, uint64(len(dst)))
		}
		if err != nil {
			return to, from, err
		}
		n := uint64(len(dst))
		s.arrivals = append(s.arrivals, arrival{time: s.clock[s.number], host: dst, data: append([]byte(nil), a.data[at:at+n]...)})
		return to, touching{a, span{at, at + n}}, nil
	})
}

// CopyDtoDAsync queues a copy inside the device.
func (d *Driver) CopyDtoDAsync(dst, src gpu.Buffer, on gpu.Stream) error {
	return d.queue("async copy on device", on, nil, func(*stream) (to, from touching, err error) { return d.move(dst, src) })
}

// FillAsync queues setting every byte.
func (d *Driver) FillAsync(dst gpu.Buffer, value byte, on gpu.Stream) error {
	return d.queue("fill", on, nil, func(*stream) (to, from touching, err error) {
		a, at, err := d.resolve("fill", dst, int(dst.Size))
		if err != nil {
			return to, from, err
		}
		n := uint64(dst.Size)
		fill(a.data[at:at+n], value)
		a.markInit(at, n)
		return touching{a, span{at, at + n}}, from, nil
	})
}
