package inspect

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

// TuneOptions say what Tune tries.
type TuneOptions struct {
	// Tensor3 also tries float32 products on the tensor cores, whose results are within the budget of float32 and have other bits.
	Tensor3 bool
	Images  int // of the cases, for the table
	Samples int // per rung; the median counts
}

// A rung must be this much faster than the default to be taken instead.
const worthwhile = 0.99

// Tune measures every rung that fits each of the convolutions and linear layers and returns the table of the fastest. Every rung must first give
// the bits of the default, or pass the conformance check if it adds in another order. What fails is left out of the table, and the
// error says what it was. Precisions that the card lacks are left out, which is printed.
func Tune(out io.Writer, d Device, cases []kerneltest.Case, o TuneOptions) (*cuda.Table, error) {
	b, err := d.bench(cuda.Options{})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "measured in %s on %s\n", d.Unit(), b.properties.Name)
	t := &cuda.Table{Format: cuda.TableFormat, Card: b.properties.Name, Driver: b.properties.Driver, PTX: cuda.PTXHash(), Unit: d.Unit(), Images: o.Images}
	var failures []error
	lacking := map[kernels.Precision]bool{}
	for _, p := range tunable(cases) {
		if precision := p.conv.Precision; !b.set.Supports(precision) {
			if !lacking[precision] {
				fmt.Fprintf(out, "left out: %s has no kernels for %s\n", b.properties.Name, precision)
			}
			lacking[precision] = true
			continue
		}
		row, err := b.tune(p, o)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", p.shape, err))
			fmt.Fprintf(out, "FAIL  %s: %v\n", p.shape, err)
		}
		if row.Rung != "" {
			t.Rungs = append(t.Rungs, row)
			fmt.Fprintf(out, "%s  %s\n", row.Shape, describe(row))
		}
		if b.set.Sync() != nil { // a fault: the device is lost
			if err := b.close(); err != nil {
				failures = append(failures, err)
			}
			if b, err = d.bench(cuda.Options{}); err != nil {
				return t, errors.Join(append(failures, err)...)
			}
		}
	}
	return t, errors.Join(append(failures, b.close())...)
}

// describe is "tile64 0.12, tile128 0.09 -> tile128": the default first.
func describe(row cuda.Tuned) string {
	parts := []string{fmt.Sprintf("%s %.4g", row.Default, row.Measured[row.Default])}
	for _, rung := range cuda.AllRungs() {
		if value, ok := row.Measured[rung]; ok && rung != row.Default {
			parts = append(parts, fmt.Sprintf("%s %.4g", rung, value))
		}
	}
	return strings.Join(parts, ", ") + " -> " + row.Rung
}

// productCase is a convolution in one direction.
type productCase struct {
	shape cuda.Shape
	conv  kernels.Conv
}

func (p productCase) kernelCase() kerneltest.Case {
	if p.shape.Op == "Conv2D" {
		return kerneltest.Case{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: p.conv}, Without: []string{"ImageBias", "Residual"}}
	}
	return kerneltest.Case{Op: p.shape.Op, Params: p.conv}
}

// tunable are the shapes of the cases that a table knows: each once, with the most pixels that it comes with.
func tunable(cases []kerneltest.Case) []productCase {
	var list []productCase
	for _, c := range cases {
		p := productCase{}
		op := c.Op
		switch params := c.Params.(type) {
		case kernels.Conv:
			p.conv = params
		case kerneltest.Conv2D:
			p.conv = params.Conv
		case kernels.Linear:
			p.conv, op = params.Conv(), strings.Replace(op, "Linear", "Conv2D", 1)
		case kerneltest.Linear:
			p.conv, op = params.Linear.Conv(), "Conv2D"
		default:
			continue
		}
		p.conv.Accumulate, p.conv.WeightVersion = false, 0
		p.shape = cuda.ShapeOf(op, p.conv)
		switch i := slices.IndexFunc(list, func(q productCase) bool { return q.shape == p.shape }); {
		case i < 0:
			list = append(list, p)
		case p.conv.N > list[i].conv.N:
			list[i] = p
		}
	}
	return list
}

// tune returns the row of a shape; its Rung is "" if nothing could be measured.
func (b *bench) tune(p productCase, o TuneOptions) (row cuda.Tuned, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panics: %v", r)
		}
	}()
	rungs, taken := cuda.Rungs(b.set, p.shape.Op, p.conv)
	if !o.Tensor3 {
		rungs = slices.DeleteFunc(rungs, func(rung string) bool { return !cuda.SameBits(rung) })
	}
	call, err := kerneltest.NewCall(b.set, p.kernelCase())
	if err != nil {
		return row, err
	}
	defer call.Free()
	good, err := b.verify(p, call, rungs, taken)
	if len(good) == 0 {
		return row, err
	}
	measured, measureErr := b.measure(call, good, o.Samples)
	if measureErr != nil {
		return row, errors.Join(err, measureErr)
	}
	return cuda.Tuned{Shape: p.shape, Rung: fastest(measured, taken), Default: taken, Measured: measured}, err
}

// fastest is the rung to take.
func fastest(measured map[string]float64, taken string) string {
	best, least := taken, measured[taken]*worthwhile
	for _, rung := range cuda.AllRungs() { // in a fixed order
		if value, ok := measured[rung]; ok && value < least {
			best, least = rung, value
		}
	}
	return best
}

// verify returns the rungs whose results are right; the error names the others. If the default faults nothing is right.
func (b *bench) verify(p productCase, call *kerneltest.Call, rungs []string, taken string) (good []string, err error) {
	defer cuda.SetRung(b.set, "")
	results := func(rung string) ([]float32, error) {
		cuda.SetRung(b.set, rung)
		call.Reset()
		call.Queue()
		return call.Values()
	}
	want, err := results(taken)
	if err != nil {
		return nil, err
	}
	good = []string{taken}
	var failures []error
	for _, rung := range rungs {
		if rung == taken {
			continue
		}
		got, err := results(rung)
		switch {
		case err != nil:
			return nil, fmt.Errorf("rung %s: %w", rung, err) // the device is lost
		case cuda.SameBits(rung):
			err = sameBits(got, want)
		default:
			one := p
			one.conv.N = 1
			err = kerneltest.Check(b.set, one.kernelCase())
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("rung %s: %w", rung, err))
			continue
		}
		good = append(good, rung)
	}
	return good, errors.Join(failures...)
}

// sameBits compares results with those of the default.
func sameBits(got, want []float32) error {
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			return fmt.Errorf("value %d of its results is %v, the default's is %v", i, got[i], want[i])
		}
	}
	return nil
}
