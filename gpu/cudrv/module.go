//go:build cuda

package cudrv

import (
	"fmt"
	"unsafe"

	"emdiff/gpu"

	"gorgonia.org/cu"
)

// module is PTX that the driver has compiled for the card.
type module struct {
	d        *Driver
	name     string
	m        cu.Module
	params   map[string][]int
	unloaded bool
}

// LoadModule lets the driver compile PTX; the error carries the compiler's messages.
func (d *Driver) LoadModule(name string, ptx []byte) (gpu.Module, error) {
	if sm := target(ptx); sm > d.props.SM() {
		return nil, &gpu.Error{Op: "load", Kernel: name, Err: gpu.ErrPTXTooNew, Remedy: remedies[noBinaryForGPU],
			Detail: fmt.Sprintf("compiled for sm_%d, the device is sm_%d", sm, d.props.SM())}
	}
	m := &module{d: d, name: name, params: entryParams(ptx)}
	err := d.doFor("load", name, func() error {
		log, err := withLog(func(b *cu.JITErrorLogBuffer) (err error) {
			m.m, err = cu.LoadDataEx(string(ptx), b)
			return err
		})
		if err == nil {
			return nil
		}
		err = explain("load", name, err)
		if e, ok := err.(*gpu.Error); ok {
			e.Detail = log
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Function looks an entry up.
func (m *module) Function(name string) (gpu.Function, error) {
	f := &function{d: m.d, name: name}
	err := m.d.doFor("find function", name, func() (err error) {
		if m.unloaded {
			return &gpu.Error{Op: "find function", Kernel: name, Detail: "module " + m.name, Err: gpu.ErrClosed}
		}
		if f.fn, err = m.m.Function(name); err != nil {
			return err
		}
		f.attributes.ParamBytes = m.params[name]
		for _, a := range []struct {
			to        *int
			attribute cu.FunctionAttribute
		}{{&f.attributes.StaticShared, cu.SharedSizeBytes}, {&f.attributes.MaxThreads, cu.FnMaxThreadsPerBlock}, {&f.attributes.Local, cu.LocalSizeBytes}} {
			if *a.to, err = f.fn.Attribute(a.attribute); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m *module) Unload() error {
	return m.d.doFor("unload", m.name, func() error {
		if m.unloaded {
			return &gpu.Error{Op: "unload", Kernel: m.name, Err: gpu.ErrClosed}
		}
		m.unloaded = true
		return m.m.Unload()
	})
}

// function is a kernel of a module.
type function struct {
	d          *Driver
	name       string
	fn         cu.Function
	attributes gpu.FunctionAttributes
	dynamic    int // opted-in dynamic shared memory
}

func (f *function) Name() string                       { return f.name }
func (f *function) Attributes() gpu.FunctionAttributes { return f.attributes }

func (f *function) SetMaxDynamicShared(size int) error {
	return f.d.doFor("set dynamic shared memory", f.name, func() error {
		if limit := f.d.props.MaxSharedOptIn - f.attributes.StaticShared; size < 0 || size > limit {
			return &gpu.Error{Op: "set dynamic shared memory", Kernel: f.name, Remedy: "use a smaller tile",
				Detail: fmt.Sprintf("%d bytes, the device has %d", size, limit)}
		}
		f.dynamic = size
		return setMaxDynamicShared(f.fn, size)
	})
}

// Launch queues the kernel. Arguments are 8-byte slots, of which the driver reads as many bytes as the parameter has.
func (f *function) Launch(cfg gpu.LaunchConfig) error {
	var on cu.Stream
	check := func() error {
		limit := max(f.dynamic, f.d.props.MaxSharedPerBlock-f.attributes.StaticShared)
		if err := cfg.Validate(f.name, f.d.props, f.attributes, limit); err != nil {
			return err
		}
		if err := f.checkArgs(cfg.Args); err != nil {
			return err
		}
		s, err := f.d.stream("launch", cfg.Stream)
		if err == nil {
			on = s.s
		}
		return err
	}
	slots := make([]uint64, len(cfg.Args))
	pointers := make([]unsafe.Pointer, len(cfg.Args))
	for i, a := range cfg.Args {
		slots[i] = a.Slot()
		pointers[i] = unsafe.Pointer(&slots[i])
	}
	return f.d.queueFor("launch", f.name, check, func() error {
		return f.fn.Launch(cfg.Grid[0], cfg.Grid[1], cfg.Grid[2], cfg.Block[0], cfg.Block[1], cfg.Block[2], cfg.SharedBytes, on, pointers)
	})
}

// checkArgs compares number and sizes of arguments with the kernel's parameters.
func (f *function) checkArgs(args []gpu.Arg) error {
	fail := func(format string, v ...any) error {
		return &gpu.Error{Op: "launch", Kernel: f.name, Detail: fmt.Sprintf(format, v...), Remedy: "pass the arguments in the kernel's order and types"}
	}
	sizes := f.attributes.ParamBytes
	if len(args) != len(sizes) {
		return fail("%d arguments, the kernel has %d parameters", len(args), len(sizes))
	}
	for i, a := range args {
		if a.Size() != max(sizes[i], 4) {
			return fail("argument %d has %d bytes, the parameter has %d", i, a.Size(), sizes[i])
		}
	}
	return nil
}
