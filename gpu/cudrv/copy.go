//go:build cuda

package cudrv

import (
	"fmt"
	"unsafe"

	"emdiff/gpu"

	"gorgonia.org/cu"
)

// copying runs a copy of src bytes into a place of dst bytes.
func (d *Driver) copying(op string, dst, src int64, run func() error) error {
	return d.do(op, func() error {
		if dst != src {
			return &gpu.Error{Op: op, Detail: fmt.Sprintf("%d bytes into a place of %d", src, dst), Remedy: "slice the longer one"}
		}
		if src == 0 {
			return nil
		}
		return run()
	})
}

// synchronously runs a copy after all work of the device and waits for it: streams that do not block know nothing of such copies.
func (d *Driver) synchronously(op string, dst, src int64, run func() error) error {
	return d.copying(op, dst, src, func() error {
		if err := cu.Synchronize(); err != nil {
			return err
		}
		if err := run(); err != nil {
			return err
		}
		return cu.Synchronize()
	})
}

// queue runs an async copy; host is its host memory, if it has any.
func (d *Driver) queue(op string, dst, src int64, host []byte, on gpu.Stream, run func(cu.Stream) error) error {
	return d.copying(op, dst, src, func() error {
		s, err := d.stream(op, on)
		if err != nil {
			return err
		}
		if !d.isPinned(host) {
			return &gpu.Error{Op: op, Err: gpu.ErrNotPinned, Remedy: "use memory of AllocPinned, or the synchronous copy"}
		}
		return run(s.s)
	})
}

func host(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// CopyHtoD copies from the host.
func (d *Driver) CopyHtoD(dst gpu.Buffer, src []byte) error {
	n := int64(len(src))
	return d.synchronously("copy to device", dst.Size, n, func() error { return cu.MemcpyHtoD(cu.DevicePtr(dst.Ptr), host(src), n) })
}

// CopyDtoH copies to the host.
func (d *Driver) CopyDtoH(dst []byte, src gpu.Buffer) error {
	n := int64(len(dst))
	return d.synchronously("copy to host", n, src.Size, func() error { return cu.MemcpyDtoH(host(dst), cu.DevicePtr(src.Ptr), n) })
}

// CopyDtoD copies inside the device.
func (d *Driver) CopyDtoD(dst, src gpu.Buffer) error {
	return d.synchronously("copy on device", dst.Size, src.Size, func() error {
		return cu.MemcpyDtoD(cu.DevicePtr(dst.Ptr), cu.DevicePtr(src.Ptr), src.Size)
	})
}

// CopyHtoDAsync queues a copy from pinned host memory.
func (d *Driver) CopyHtoDAsync(dst gpu.Buffer, src []byte, on gpu.Stream) error {
	n := int64(len(src))
	return d.queue("async copy to device", dst.Size, n, src, on, func(s cu.Stream) error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(dst.Ptr), host(src), n, s)
	})
}

// CopyDtoHAsync queues a copy to pinned host memory.
func (d *Driver) CopyDtoHAsync(dst []byte, src gpu.Buffer, on gpu.Stream) error {
	n := int64(len(dst))
	return d.queue("async copy to host", n, src.Size, dst, on, func(s cu.Stream) error {
		return cu.MemcpyDtoHAsync(host(dst), cu.DevicePtr(src.Ptr), n, s)
	})
}

// CopyDtoDAsync queues a copy inside the device.
func (d *Driver) CopyDtoDAsync(dst, src gpu.Buffer, on gpu.Stream) error {
	return d.queue("async copy on device", dst.Size, src.Size, nil, on, func(s cu.Stream) error {
		return cu.MemcpyDtoDAsync(cu.DevicePtr(dst.Ptr), cu.DevicePtr(src.Ptr), src.Size, s)
	})
}

// FillAsync queues setting every byte.
func (d *Driver) FillAsync(dst gpu.Buffer, value byte, on gpu.Stream) error {
	return d.queue("fill", dst.Size, dst.Size, nil, on, func(s cu.Stream) error {
		return cu.MemsetD8Async(cu.DevicePtr(dst.Ptr), value, dst.Size, s)
	})
}
