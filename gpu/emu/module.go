package emu

import (
	"fmt"
	"sync"

	"emdiff/gpu"
	"emdiff/gpu/ptx"
)

// module is loaded PTX: compiled kernels and the memory of its global and constant variables.
type module struct {
	d       *Driver
	name    string
	kernels map[string]*function
	globals []gpu.Buffer
}

// LoadModule parses, verifies and compiles PTX. It refuses PTX for a newer device, and any instruction the emulator does not know,
// naming opcode and line.
func (d *Driver) LoadModule(name string, text []byte) (gpu.Module, error) {
	fail := func(err error, detail, remedy string) (gpu.Module, error) {
		return nil, &gpu.Error{Op: "load", Kernel: name, Detail: detail, Err: err, Remedy: remedy}
	}
	if err := d.begin("load"); err != nil {
		return nil, err
	}
	defer d.end()
	m, err := ptx.Parse(text)
	if err != nil {
		return fail(err, "", "")
	}
	if m.SM > d.opts.SM {
		return fail(gpu.ErrPTXTooNew, fmt.Sprintf("compiled for %s, the device is sm_%d", m.Target, d.opts.SM), "load the file compiled for an older target")
	}
	if err := ptx.Verify(m); err != nil {
		return fail(err, "", "")
	}
	mod := &module{d: d, name: name, kernels: map[string]*function{}}
	symbols := map[string]symbol{}
	for _, v := range m.Vars {
		if v.Space == ptx.Shared || v.Size == 0 {
			continue
		}
		a, err := d.mem.alloc(int64(v.Size), v.Name)
		if err != nil {
			return fail(err, "variable "+v.Name, "")
		}
		copy(a.data, v.Init) // without an initialiser PTX variables start as zero
		a.allInit.Store(true)
		mod.globals = append(mod.globals, a.buffer())
		symbols[v.Name] = symbol{ptx.Global, a.base}
	}
	for _, fn := range m.Functions {
		if !fn.Entry {
			continue
		}
		p, err := compile(m, fn, symbols)
		if err != nil {
			return fail(err, "", "")
		}
		if p.static > d.props.MaxSharedPerBlock {
			return fail(nil, fmt.Sprintf("kernel %s declares %d bytes of shared memory, %d is the most", fn.Name, p.static, d.props.MaxSharedPerBlock),
				"use dynamic shared memory")
		}
		mod.kernels[fn.Name] = &function{d: d, prog: p}
	}
	return mod, nil
}

func (m *module) Function(name string) (gpu.Function, error) {
	f := m.kernels[name]
	if f == nil {
		return nil, &gpu.Error{Op: "find function", Kernel: name, Err: gpu.ErrNotFound, Detail: "module " + m.name, Remedy: "check the extern \"C\" name"}
	}
	return f, nil
}

func (m *module) Unload() error {
	if err := m.d.begin("unload"); err != nil {
		return err
	}
	defer m.d.end()
	for _, b := range m.globals {
		if err := m.d.mem.free(uint64(b.Ptr)); err != nil {
			return err
		}
	}
	m.globals, m.kernels = nil, nil
	return nil
}

// function is a compiled kernel with its idle workers.
type function struct {
	d    *Driver
	prog *program

	mu      sync.Mutex
	dynamic int // opted-in dynamic shared memory, 0: the device's default
	idle    []*worker
}

func (f *function) Name() string { return f.prog.name }

func (f *function) Attributes() gpu.FunctionAttributes {
	a := gpu.FunctionAttributes{StaticShared: f.prog.static, MaxThreads: f.prog.maxThreads, Local: f.prog.local, ParamBytes: []int{}}
	for _, p := range f.prog.params {
		a.ParamBytes = append(a.ParamBytes, p.Size)
	}
	return a
}

// Registers returns the most 32-bit registers of a thread that a kernel of this package has live at once, 64-bit ones counted twice:
// a hint, not ptxas's number.
func Registers(f gpu.Function) int { return f.(*function).prog.liveRegs }

func (f *function) SetMaxDynamicShared(size int) error {
	if limit := f.d.props.MaxSharedOptIn - f.prog.static; size < 0 || size > limit {
		return &gpu.Error{Op: "set dynamic shared memory", Kernel: f.prog.name, Detail: fmt.Sprintf("%d bytes, the device has %d", size, limit),
			Remedy: "use a smaller tile"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dynamic = size
	return nil
}

func (f *function) dynamicLimit() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.dynamic, f.d.props.MaxSharedPerBlock-f.prog.static)
}

// takeWorkers returns n workers, old ones first.
func (f *function) takeWorkers(n int) []*worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*worker
	for len(out) < n {
		if last := len(f.idle) - 1; last >= 0 {
			out, f.idle = append(out, f.idle[last]), f.idle[:last]
			continue
		}
		out = append(out, newWorker(f.prog))
	}
	return out
}

// giveBack keeps workers for the next launch.
func (f *function) giveBack(workers []*worker) {
	for _, wk := range workers {
		wk.l, wk.lastAlloc, wk.mem = nil, nil, nil
		clear(wk.touched)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = append(f.idle, workers...)
}

// Launch runs the kernel at once and returns its fault, if any.
func (f *function) Launch(cfg gpu.LaunchConfig) error {
	if err := cfg.Validate(f.prog.name, f.d.props, f.Attributes(), f.dynamicLimit()); err != nil {
		return err
	}
	args, err := f.pack(cfg.Args)
	if err != nil {
		return err
	}
	d := f.d
	if err := d.begin("launch"); err != nil {
		return err
	}
	defer d.end()
	s, err := d.stream(cfg.Stream)
	if err != nil {
		return err
	}
	d.launches++
	if d.launches > launchLimit { // shadow words hold 16 bits of it
		d.launches = 1
		for _, a := range d.mem.live {
			a.shadow.Store(nil)
		}
	}
	l := &launch{prog: f.prog, cfg: cfg, mem: d.mem, checks: d.opts.Checks, blocks: cfg.Blocks(), epoch: d.launches, args: args}
	workers := f.takeWorkers(min(d.opts.Workers, l.blocks))
	fault := l.run(workers)
	s.advance()
	counters := Counters{Launches: 1, Blocks: int64(l.blocks)}
	for _, wk := range workers {
		wk.collect(&counters)
		for _, t := range wk.touched {
			if fault == nil {
				fault = s.access(f.prog.name, t.a, t.read, t.write)
			}
		}
	}
	d.totals.Add(counters)
	if d.opts.OnLaunch != nil {
		d.opts.OnLaunch(Report{Kernel: f.prog.name, Grid: cfg.Grid, Block: cfg.Block, Counters: counters, Lines: f.prog.lines(workers),
			Registers: f.prog.liveRegs, Shared: f.prog.static + cfg.SharedBytes})
	}
	f.giveBack(workers)
	if fault != nil {
		d.fault = fault
		return &gpu.Error{Op: "launch", Kernel: f.prog.name, Err: fault}
	}
	return nil
}

// pack checks the arguments against the kernel's parameters.
func (f *function) pack(args []gpu.Arg) ([]uint64, error) {
	fail := func(format string, v ...any) error {
		return &gpu.Error{Op: "launch", Kernel: f.prog.name, Detail: fmt.Sprintf(format, v...), Remedy: "pass the arguments in the kernel's order and types"}
	}
	if len(args) != len(f.prog.params) {
		return nil, fail("%d arguments, the kernel has %d parameters", len(args), len(f.prog.params))
	}
	slots := make([]uint64, len(args))
	for i, a := range args {
		if p := f.prog.params[i]; p.Size > 8 || a.Size() != p.Size && !(p.Size < 4 && a.Size() == 4) {
			return nil, fail("argument %d has %d bytes, the parameter has %d", i, a.Size(), p.Size)
		}
		slots[i] = a.Slot()
	}
	return slots, nil
}
