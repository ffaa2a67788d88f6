package inspect

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"emdiff/gpu"
	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

// sweep is a pass over the conformance cases with one rung of the ladders.
type sweep struct {
	rung  string
	ops   []string // nil: all
	limit float64  // FLOPs of a case; 0: no limit
}

var products = []string{"Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad", "Linear", "LinearInputGrad", "LinearWeightGrad"}

var withAttention = append([]string{"Attention", "AttentionGrad"}, products...)

var sweeps = []sweep{
	{},
	{rung: "naive", limit: 4e6},
	{rung: "any64", ops: withAttention, limit: 2e6},
	{rung: "tile128", ops: products, limit: 2e6},
	{rung: "tile32", ops: products, limit: 2e6},
	{rung: "tensorfew", ops: products, limit: 2e6},
	{rung: "anytensor", ops: withAttention, limit: 2e6},
	{rung: "tensor3", ops: withAttention, limit: 2e6},
}

// verdict is what is known of a kernel.
type verdict struct {
	launches int
	worst    float64 // largest share of its budget that an error used
	failed   error   // the first failure
}

// checker runs cases on a device and remembers which kernels took part.
type checker struct {
	device   func() (gpu.Driver, error)
	batches  bool    // check also that images do not depend on their batch
	limit    float64 // FLOPs of a case at most; 0: those of the sweep
	every    int     // only the first of every so many cases of an op; 0: all
	verdicts map[string]*verdict
	set      kernels.Set
	launched []string // in the current case
	stray    error    // first failure that is no kernel's
}

// Check runs the conformance cases of the ops, all without any, under all checks of the emulator and on every rung, and prints a line
// per kernel: ok, FAIL with the first failure, or that no case reached it. The error says how many failed; with all ops, a kernel
// that no case reached is a failure, too.
func Check(out io.Writer, ops []string) error {
	for _, op := range ops {
		if !slices.Contains(kerneltest.Ops(), op) {
			return unknownOp(op)
		}
	}
	all, err := embedded()
	if err != nil {
		return err
	}
	c := newChecker(all, allChecks)
	if err := c.sweepAll(ops); err != nil {
		return err
	}
	return c.report(out, all, len(ops) == 0)
}

// allChecks opens the emulator with all checks on.
func allChecks() (gpu.Driver, error) { return emu.New(emu.Options{Checks: emu.AllChecks()}), nil }

func newChecker(all []kernel, device func() (gpu.Driver, error)) *checker {
	c := &checker{device: device, verdicts: map[string]*verdict{}}
	for _, k := range all {
		c.verdicts[k.name] = &verdict{}
	}
	return c
}

// sweepAll runs the cases of the ops, all without any, on every rung.
func (c *checker) sweepAll(ops []string) error {
	for _, s := range sweeps {
		if c.limit > 0 && (s.limit == 0 || c.limit < s.limit) {
			s.limit = c.limit
		}
		if err := c.sweep(s, ops); err != nil {
			return errors.Join(c.stray, err)
		}
	}
	return c.stray
}

func unknownOp(op string) error {
	return fmt.Errorf("there is no op %q: choose from %s", op, strings.Join(kerneltest.Ops(), ", "))
}

func (c *checker) open(rung string) (err error) {
	d, err := c.device()
	if err != nil {
		return err
	}
	c.set, err = cuda.New(d, cuda.Options{Rung: rung, OnLaunch: func(kernel string) { c.launched = append(c.launched, kernel) }})
	return err
}

func (c *checker) sweep(s sweep, ops []string) error {
	if err := c.open(s.rung); err != nil {
		return err
	}
	for _, op := range kerneltest.Ops() {
		if len(ops) > 0 && !slices.Contains(ops, op) || s.ops != nil && !slices.Contains(s.ops, op) {
			continue
		}
		for i, k := range cases(op) {
			if c.every > 0 && i%c.every != 0 {
				continue
			}
			if s.limit > 0 && k.Cost().FLOPs > s.limit || !c.supports(k) {
				continue
			}
			if err := c.run(k, s.rung); err != nil {
				return err
			}
		}
	}
	return c.set.Close()
}

// supports reports whether the device has the precision of a case.
func (c *checker) supports(k kerneltest.Case) bool {
	p := reflect.ValueOf(k.Params).FieldByName("Precision")
	return !p.IsValid() || c.set.Supports(kernels.Precision(p.Uint()))
}

// cases are those of the suite, and shapes that need kernels the suite's do not.
func cases(op string) []kerneltest.Case {
	list := kerneltest.Cases(op)
	also := func(params any) { list = append(list, kerneltest.Case{Op: op, Params: params}) }
	switch op {
	case "Conv2DWeightGrad": // a sum in several parts
		also(kernels.Conv{N: 3, H: 25, W: 24, Cin: 4, Cout: 8, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1})
	case "GroupNorm", "GroupNormGrad": // groups too large for shared memory
		also(kernels.GroupNorm{N: 1, HW: 1024, C: 64, Groups: 2, Eps: 1e-5, SiLU: true})
		also(kernels.GroupNorm{N: 1, HW: 3400, C: 8, Groups: 2, Eps: 1e-5})
		also(kernels.GroupNorm{N: 2, HW: 50, C: 48, Groups: 4, Eps: 1e-5, SiLU: true}) // three columns of four channels
		also(kernels.GroupNorm{N: 1, HW: 1100, C: 24, Groups: 2, Eps: 1e-5})
	case "MatMul": // every way of transposing
		for _, precision := range []kernels.Precision{kernels.PrecisionTF32, kernels.PrecisionBF16} {
			for transposed := range 4 {
				also(kernels.MatMul{Batch: 2, M: 20, N: 135, K: 37, TransA: transposed&1 != 0, TransB: transposed&2 != 0,
					StrideA: 740, StrideB: 4995, StrideC: 2700, Alpha: 0.5, Precision: precision})
			}
		}
	}
	return list
}

// run judges one case. A device fault is that of the last launch; a wrong result may be the fault of every kernel of the case.
func (c *checker) run(k kerneltest.Case, rung string) error {
	c.launched = c.launched[:0]
	worst, failure := kerneltest.Worst(c.set, k)
	if failure == nil && c.batches {
		failure = kerneltest.CheckBatch(c.set, k)
	}
	blamed := c.launched
	dead := c.set.Sync() != nil
	if dead && len(blamed) > 0 {
		blamed = blamed[len(blamed)-1:]
	}
	for _, name := range c.launched {
		c.verdicts[name].launches++
		c.verdicts[name].worst = max(c.verdicts[name].worst, worst)
	}
	if failure == nil {
		return nil
	}
	if len(blamed) == 0 && c.stray == nil { // it did not come to a launch
		c.stray = failure
	}
	for _, name := range blamed {
		if v := c.verdicts[name]; v.failed == nil {
			v.failed = failure
		}
	}
	if !dead {
		return nil
	}
	if err := c.set.Close(); err != nil {
		return err
	}
	return c.open(rung)
}

func (c *checker) report(out io.Writer, all []kernel, everything bool) error {
	failed, missed := 0, 0
	t := table(out)
	for _, k := range all {
		switch v := c.verdicts[k.name]; {
		case v.failed != nil:
			failed++
			first, _, _ := strings.Cut(v.failed.Error(), "\n")
			fmt.Fprintf(t, "FAIL\t%s\t%s\n", k.name, first)
		case v.launches > 0:
			fmt.Fprintf(t, "ok\t%s\t%d launches\n", k.name, v.launches)
		case everything:
			missed++
			fmt.Fprintf(t, "MISSED\t%s\tno case launches it\n", k.name)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if failed+missed > 0 {
		return fmt.Errorf("of %d kernels %d failed and %d were not launched", len(all), failed, missed)
	}
	return nil
}
