//go:build cuda

package cudrv

// The driver interface over a gpu.Driver: what libcuda would do, done by an emulated device. Contexts belong to the thread that has
// created them, as CUDA's do, so a call from another thread fails here too.

// #include <cuda.h>
import "C"

import (
	"errors"
	"sync"
	"syscall"
	"unsafe"

	"emdiff/gpu"
)

// emulated is the state behind the callbacks, but for that of contexts.
var emulated = struct {
	sync.Mutex
	open     func() (gpu.Driver, error)
	props    *gpu.Properties        // of the device, once asked for
	contexts map[int]*context       // by thread
	texts    map[C.CUresult]*C.char // last error by result
}{
	open:     func() (gpu.Driver, error) { return gpu.Open("emu") },
	contexts: map[int]*context{}, texts: map[C.CUresult]*C.char{},
}

// context is an open device; only its thread uses it.
type context struct {
	gpu.Driver
	used    int64 // bytes of device memory
	sizes   map[C.CUdeviceptr]int64
	pinned  map[unsafe.Pointer][]byte // pinned host memory by address
	handles map[unsafe.Pointer]any    // what a module, function, stream or event handle stands for
}

// Emulate sends the driver's symbols to devices that open returns, as EMDIFF_LIBCUDA=emu does to the driver registered as "emu".
// Drivers opened before must be closed.
func Emulate(open func() (gpu.Driver, error)) {
	emulated.Lock()
	emulated.open, emulated.props = open, nil
	emulated.Unlock()
	bind("emu")
}

// current returns the context of this thread.
func current() *context {
	emulated.Lock()
	defer emulated.Unlock()
	return emulated.contexts[syscall.Gettid()]
}

// in runs a call in the context of this thread.
func in(call func(c *context) error) C.CUresult {
	c := current()
	if c == nil {
		return C.CUDA_ERROR_INVALID_CONTEXT
	}
	return code(c, call(c))
}

// on runs a call on what a handle stands for.
func on[T any](handle unsafe.Pointer, call func(c *context, v T) error) C.CUresult {
	return in(func(c *context) error {
		v, err := lookup[T](c, handle)
		if err != nil {
			return err
		}
		return call(c, v)
	})
}

var errHandle = errors.New("the handle stands for nothing of this kind in this context")

// lookup returns what a handle of the context stands for.
func lookup[T any](c *context, handle unsafe.Pointer) (T, error) {
	v, ok := c.handles[handle].(T)
	if !ok {
		return v, errHandle
	}
	return v, nil
}

// code returns the result for an error and keeps its text for cuGetErrorString.
func code(c *context, err error) C.CUresult {
	if err == nil {
		return C.CUDA_SUCCESS
	}
	r := C.CUresult(C.CUDA_ERROR_INVALID_VALUE)
	switch {
	case errors.Is(err, gpu.ErrOutOfMemory):
		r = C.CUDA_ERROR_OUT_OF_MEMORY
	case errors.Is(err, gpu.ErrPTXTooNew):
		r = C.CUDA_ERROR_NO_BINARY_FOR_GPU
	case errors.Is(err, errHandle):
		r = C.CUDA_ERROR_INVALID_HANDLE
	case errors.Is(err, gpu.ErrNotFound):
		r = C.CUDA_ERROR_NOT_FOUND
	case c != nil && errors.Is(c.Sync(), gpu.ErrContextDead):
		r = C.CUDA_ERROR_LAUNCH_FAILED
	}
	emulated.Lock()
	defer emulated.Unlock()
	C.free(unsafe.Pointer(emulated.texts[r]))
	emulated.texts[r] = C.CString(err.Error())
	return r
}

// handle returns a new handle for v, a byte of C memory: Go's pointers may not be kept in C, numbers not in Go's pointers.
func (c *context) handle(v any) unsafe.Pointer {
	p := C.malloc(1)
	c.handles[p] = v
	return p
}

func (c *context) release(p unsafe.Pointer) {
	delete(c.handles, p)
	C.free(p)
}

// emulatedProperties returns the device's, without a context.
func emulatedProperties() (gpu.Properties, C.CUresult) {
	emulated.Lock()
	props, open := emulated.props, emulated.open
	emulated.Unlock()
	if props != nil {
		return *props, C.CUDA_SUCCESS
	}
	d, err := open()
	if err != nil {
		code(nil, err)
		return gpu.Properties{}, C.CUDA_ERROR_NO_DEVICE
	}
	p := d.Properties()
	err = d.Close()
	emulated.Lock()
	emulated.props = &p
	emulated.Unlock()
	return p, code(nil, err)
}

func buffer(p C.CUdeviceptr, n C.size_t) gpu.Buffer {
	return gpu.Buffer{Ptr: gpu.DevicePtr(p), Size: int64(n)}
}

func hostBytes(p unsafe.Pointer, n C.size_t) []byte { return unsafe.Slice((*byte)(p), int(n)) }

//export emuInit
func emuInit(C.uint) C.CUresult { return C.CUDA_SUCCESS }

//export emuDriverGetVersion
func emuDriverGetVersion(v *C.int) C.CUresult {
	*v = oldestDriver
	return C.CUDA_SUCCESS
}

//export emuGetErrorString
func emuGetErrorString(r C.CUresult, s **C.char) C.CUresult {
	emulated.Lock()
	defer emulated.Unlock()
	*s = emulated.texts[r]
	return C.CUDA_SUCCESS
}

//export emuDeviceGetCount
func emuDeviceGetCount(n *C.int) C.CUresult {
	_, r := emulatedProperties()
	*n = 1
	return r
}

//export emuDeviceGet
func emuDeviceGet(d *C.CUdevice, ordinal C.int) C.CUresult {
	if ordinal != 0 {
		return C.CUDA_ERROR_INVALID_DEVICE
	}
	*d = 0
	return C.CUDA_SUCCESS
}

//export emuDeviceGetName
func emuDeviceGetName(name *C.char, n C.int, _ C.CUdevice) C.CUresult {
	p, r := emulatedProperties()
	to := hostBytes(unsafe.Pointer(name), C.size_t(n))
	to[copy(to[:n-1], p.Name)] = 0
	return r
}

//export emuDeviceTotalMem
func emuDeviceTotalMem(n *C.size_t, _ C.CUdevice) C.CUresult {
	p, r := emulatedProperties()
	*n = C.size_t(p.TotalMemory)
	return r
}

//export emuDeviceGetAttribute
func emuDeviceGetAttribute(v *C.int, a C.CUdevice_attribute, _ C.CUdevice) C.CUresult {
	p, r := emulatedProperties()
	values := map[C.CUdevice_attribute]int{
		C.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: p.Major, C.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: p.Minor,
		C.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: p.SMs, C.CU_DEVICE_ATTRIBUTE_WARP_SIZE: p.WarpSize,
		C.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:             p.MaxThreadsPerBlock,
		C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:       p.MaxSharedPerBlock,
		C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: p.MaxSharedOptIn,
		C.CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:                    p.MaxGridX, C.CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y: p.MaxGridYZ,
	}
	value, known := values[a]
	if !known {
		return C.CUDA_ERROR_INVALID_VALUE
	}
	*v = C.int(value)
	return r
}

//export emuCtxCreate
func emuCtxCreate(ctx *C.CUcontext, flags C.uint, device C.CUdevice) C.CUresult {
	emulated.Lock()
	open := emulated.open
	emulated.Unlock()
	d, err := open()
	if err != nil {
		return code(nil, err)
	}
	c := &context{Driver: d, sizes: map[C.CUdeviceptr]int64{}, pinned: map[unsafe.Pointer][]byte{}, handles: map[unsafe.Pointer]any{}}
	*ctx = C.CUcontext(c.handle(c))
	emulated.Lock()
	emulated.contexts[syscall.Gettid()] = c
	emulated.Unlock()
	return C.CUDA_SUCCESS
}

//export emuCtxDestroy
func emuCtxDestroy(ctx C.CUcontext) C.CUresult {
	return on(unsafe.Pointer(ctx), func(_ *context, c *context) error {
		emulated.Lock()
		delete(emulated.contexts, syscall.Gettid())
		emulated.Unlock()
		for p := range c.handles {
			c.release(p)
		}
		return c.Close()
	})
}

//export emuCtxSynchronize
func emuCtxSynchronize() C.CUresult { return in(func(c *context) error { return c.Sync() }) }

//export emuMemGetInfo
func emuMemGetInfo(free, total *C.size_t) C.CUresult {
	return in(func(c *context) error {
		*total = C.size_t(c.Properties().TotalMemory)
		*free = *total - C.size_t(c.used)
		return nil
	})
}

//export emuMemAlloc
func emuMemAlloc(p *C.CUdeviceptr, n C.size_t) C.CUresult {
	return in(func(c *context) error {
		b, err := c.Alloc(int64(n))
		if err == nil {
			*p = C.CUdeviceptr(b.Ptr)
			c.sizes[*p] = b.Size
			c.used += b.Size
		}
		return err
	})
}

//export emuMemFree
func emuMemFree(p C.CUdeviceptr) C.CUresult {
	return in(func(c *context) error {
		c.used -= c.sizes[p]
		delete(c.sizes, p)
		return c.Free(gpu.Buffer{Ptr: gpu.DevicePtr(p)})
	})
}

//export emuMemHostAlloc
func emuMemHostAlloc(p *unsafe.Pointer, n C.size_t, _ C.uint) C.CUresult {
	return in(func(c *context) error {
		b, err := c.AllocPinned(int(n))
		if err == nil {
			*p = unsafe.Pointer(&b[0])
			c.pinned[*p] = b
		}
		return err
	})
}

//export emuMemFreeHost
func emuMemFreeHost(p unsafe.Pointer) C.CUresult {
	return in(func(c *context) error {
		b := c.pinned[p]
		delete(c.pinned, p)
		return c.FreePinned(b)
	})
}

//export emuMemcpyHtoD
func emuMemcpyHtoD(dst C.CUdeviceptr, src unsafe.Pointer, n C.size_t) C.CUresult {
	return in(func(c *context) error { return c.CopyHtoD(buffer(dst, n), hostBytes(src, n)) })
}

//export emuMemcpyDtoH
func emuMemcpyDtoH(dst unsafe.Pointer, src C.CUdeviceptr, n C.size_t) C.CUresult {
	return in(func(c *context) error { return c.CopyDtoH(hostBytes(dst, n), buffer(src, n)) })
}

//export emuMemcpyDtoD
func emuMemcpyDtoD(dst, src C.CUdeviceptr, n C.size_t) C.CUresult {
	return in(func(c *context) error { return c.CopyDtoD(buffer(dst, n), buffer(src, n)) })
}

//export emuMemcpyHtoDAsync
func emuMemcpyHtoDAsync(dst C.CUdeviceptr, src unsafe.Pointer, n C.size_t, s C.CUstream) C.CUresult {
	return on(unsafe.Pointer(s), func(c *context, s gpu.Stream) error { return c.CopyHtoDAsync(buffer(dst, n), hostBytes(src, n), s) })
}

//export emuMemcpyDtoHAsync
func emuMemcpyDtoHAsync(dst unsafe.Pointer, src C.CUdeviceptr, n C.size_t, s C.CUstream) C.CUresult {
	return on(unsafe.Pointer(s), func(c *context, s gpu.Stream) error { return c.CopyDtoHAsync(hostBytes(dst, n), buffer(src, n), s) })
}

//export emuMemcpyDtoDAsync
func emuMemcpyDtoDAsync(dst, src C.CUdeviceptr, n C.size_t, s C.CUstream) C.CUresult {
	return on(unsafe.Pointer(s), func(c *context, s gpu.Stream) error { return c.CopyDtoDAsync(buffer(dst, n), buffer(src, n), s) })
}

//export emuMemsetD8Async
func emuMemsetD8Async(dst C.CUdeviceptr, value C.uchar, n C.size_t, s C.CUstream) C.CUresult {
	return on(unsafe.Pointer(s), func(c *context, s gpu.Stream) error { return c.FillAsync(buffer(dst, n), byte(value), s) })
}

//export emuModuleLoadDataEx
func emuModuleLoadDataEx(m *C.CUmodule, image unsafe.Pointer, n C.uint, options *C.CUjit_option, values *unsafe.Pointer) C.CUresult {
	var failed error
	r := in(func(c *context) error {
		mod, err := c.LoadModule("", []byte(C.GoString((*C.char)(image))))
		if failed = err; err == nil {
			*m = C.CUmodule(c.handle(mod))
		}
		return err
	})
	if failed == nil {
		return r
	}
	writeLog(failed.Error(), unsafe.Slice(options, int(n)), unsafe.Slice((*uintptr)(unsafe.Pointer(values)), int(n)))
	if r == C.CUDA_ERROR_INVALID_VALUE {
		return C.CUDA_ERROR_INVALID_PTX
	}
	return r
}

// writeLog copies the text into the caller's buffer for errors, if there is one.
func writeLog(text string, options []C.CUjit_option, values []uintptr) {
	var to unsafe.Pointer
	var size uintptr
	for i, o := range options {
		switch o {
		case C.CU_JIT_ERROR_LOG_BUFFER:
			to = *(*unsafe.Pointer)(unsafe.Pointer(&values[i]))
		case C.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			size = values[i]
		}
	}
	if to != nil && size > 0 {
		b := hostBytes(to, C.size_t(size))
		b[copy(b[:size-1], text)] = 0
	}
}

//export emuModuleUnload
func emuModuleUnload(m C.CUmodule) C.CUresult {
	return on(unsafe.Pointer(m), func(c *context, mod gpu.Module) error {
		c.release(unsafe.Pointer(m))
		return mod.Unload()
	})
}

//export emuModuleGetFunction
func emuModuleGetFunction(f *C.CUfunction, m C.CUmodule, name *C.char) C.CUresult {
	return on(unsafe.Pointer(m), func(c *context, mod gpu.Module) error {
		fn, err := mod.Function(C.GoString(name))
		if err == nil {
			*f = C.CUfunction(c.handle(fn))
		}
		return err
	})
}

//export emuFuncGetAttribute
func emuFuncGetAttribute(v *C.int, a C.CUfunction_attribute, f C.CUfunction) C.CUresult {
	return on(unsafe.Pointer(f), func(_ *context, fn gpu.Function) error {
		attributes := fn.Attributes()
		switch a {
		case C.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
			*v = C.int(attributes.MaxThreads)
		case C.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
			*v = C.int(attributes.StaticShared)
		case C.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
			*v = C.int(attributes.Local)
		default:
			return errors.New("attribute not emulated")
		}
		return nil
	})
}

//export emuFuncSetAttribute
func emuFuncSetAttribute(f C.CUfunction, a C.CUfunction_attribute, v C.int) C.CUresult {
	return on(unsafe.Pointer(f), func(_ *context, fn gpu.Function) error {
		if a != C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES {
			return errors.New("attribute not emulated")
		}
		return fn.SetMaxDynamicShared(int(v))
	})
}

//export emuLaunchKernel
func emuLaunchKernel(f C.CUfunction, gx, gy, gz, bx, by, bz, shared C.uint, s C.CUstream, params, _ *unsafe.Pointer) C.CUresult {
	return on(unsafe.Pointer(s), func(c *context, s gpu.Stream) error {
		fn, err := lookup[gpu.Function](c, unsafe.Pointer(f))
		if err != nil {
			return err
		}
		sizes := fn.Attributes().ParamBytes
		args := make([]gpu.Arg, len(sizes))
		for i, p := range unsafe.Slice(params, len(sizes)) {
			// Like the driver: as many bytes as the parameter has, from wherever the pointer says.
			var slot [8]byte
			copy(slot[:], hostBytes(p, C.size_t(sizes[i])))
			args[i] = gpu.Bits(*(*uint64)(unsafe.Pointer(&slot)), max(sizes[i], 4))
		}
		return fn.Launch(gpu.LaunchConfig{Grid: [3]int{int(gx), int(gy), int(gz)}, Block: [3]int{int(bx), int(by), int(bz)},
			SharedBytes: int(shared), Stream: s, Args: args})
	})
}

//export emuStreamCreate
func emuStreamCreate(s *C.CUstream, _ C.uint) C.CUresult {
	return in(func(c *context) error {
		st, err := c.NewStream()
		if err == nil {
			*s = C.CUstream(c.handle(st))
		}
		return err
	})
}

//export emuStreamDestroy
func emuStreamDestroy(s C.CUstream) C.CUresult {
	return on(unsafe.Pointer(s), func(c *context, st gpu.Stream) error {
		c.release(unsafe.Pointer(s))
		return st.Close()
	})
}

//export emuStreamSynchronize
func emuStreamSynchronize(s C.CUstream) C.CUresult {
	return on(unsafe.Pointer(s), func(_ *context, s gpu.Stream) error { return s.Sync() })
}

//export emuStreamWaitEvent
func emuStreamWaitEvent(s C.CUstream, e C.CUevent, _ C.uint) C.CUresult {
	return on(unsafe.Pointer(s), func(c *context, s gpu.Stream) error {
		ev, err := lookup[gpu.Event](c, unsafe.Pointer(e))
		if err != nil {
			return err
		}
		return s.Wait(ev)
	})
}

//export emuEventCreate
func emuEventCreate(e *C.CUevent, _ C.uint) C.CUresult {
	return in(func(c *context) error {
		ev, err := c.NewEvent()
		if err == nil {
			*e = C.CUevent(c.handle(ev))
		}
		return err
	})
}

//export emuEventDestroy
func emuEventDestroy(e C.CUevent) C.CUresult {
	return on(unsafe.Pointer(e), func(c *context, ev gpu.Event) error {
		c.release(unsafe.Pointer(e))
		return ev.Close()
	})
}

//export emuEventRecord
func emuEventRecord(e C.CUevent, s C.CUstream) C.CUresult {
	return on(unsafe.Pointer(e), func(c *context, ev gpu.Event) error {
		st, err := lookup[gpu.Stream](c, unsafe.Pointer(s))
		if err != nil {
			return err
		}
		return ev.Record(st)
	})
}

//export emuEventSynchronize
func emuEventSynchronize(e C.CUevent) C.CUresult {
	return on(unsafe.Pointer(e), func(_ *context, ev gpu.Event) error { return ev.Sync() })
}

//export emuEventElapsedTime
func emuEventElapsedTime(ms *C.float, start, end C.CUevent) C.CUresult {
	return on(unsafe.Pointer(end), func(c *context, ev gpu.Event) error {
		from, err := lookup[gpu.Event](c, unsafe.Pointer(start))
		if err != nil {
			return err
		}
		v, err := ev.Elapsed(from)
		*ms = C.float(v)
		return err
	})
}
