package inspect

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"emdiff/gpu"
	"emdiff/gpu/gputest"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

// ReportFormat is the version of the file of a Report.
const ReportFormat = 1

// Report is what GPUCheck finds on a card: the file that its owner can send.
type Report struct {
	Format  int               `json:"format"`
	Started time.Time         `json:"started"` // UTC
	Seconds float64           `json:"seconds"` // in all
	Program string            `json:"program"` // version
	PTX     string            `json:"ptx"`     // cuda.PTXHash
	Quick   bool              `json:"quick"`   // small cases only
	Card    gpu.Properties    `json:"card"`
	Parts   []Part            `json:"parts"`
	Driver  []gputest.Verdict `json:"driver"`  // conformance of the driver
	Kernels []KernelVerdict   `json:"kernels"` // conformance of the kernels
	Timings []Result          `json:"timings"`
	Table   *cuda.Table       `json:"table,omitempty"` // the tuning table
}

// Part is one part of the check: a part that fails leaves the others to run.
type Part struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// KernelVerdict is what the conformance cases found about a kernel.
type KernelVerdict struct {
	Kernel   string  `json:"kernel"`
	OK       bool    `json:"ok"`
	Launches int     `json:"launches"`
	Budget   float64 `json:"budget_share"` // that the worst error of the cases it took part in uses; at most 1
	Error    string  `json:"error,omitempty"`
}

// GPUCheckOptions configure GPUCheck.
type GPUCheckOptions struct {
	Program string            // version, for the report
	Cases   []kerneltest.Case // whose shapes are tuned
	Images  int               // of the cases, and of the shapes that are timed
	Quick   bool              // small cases only: to try the check itself
}

// A quick check takes the first of every few conformance cases of an op, none with more FLOPs than this.
const quickEvery, quickLimit = 6, 1e5

// GPUCheck runs the conformance of driver and kernels, timings and tuning on a card, printing what it finds. The error means that the
// card cannot be opened; what fails later is in the report.
func GPUCheck(out io.Writer, open func() (gpu.Driver, error), o GPUCheckOptions) (Report, error) {
	r := Report{Format: ReportFormat, Started: time.Now().UTC().Truncate(time.Second), Program: o.Program, PTX: cuda.PTXHash(), Quick: o.Quick}
	d, err := open()
	if err != nil {
		return r, err
	}
	r.Card = d.Properties()
	if err := d.Close(); err != nil {
		return r, err
	}
	fmt.Fprintf(out, "%s, compute capability %d.%d, %d SMs, %s, driver %s\n", r.Card.Name, r.Card.Major, r.Card.Minor, r.Card.SMs, gpu.Bytes(r.Card.TotalMemory), r.Card.Driver)
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"driver", func() error { return r.checkDriver(out, open) }},
		{"kernels", func() error { return r.checkKernels(out, open, o) }},
		{"timings", func() error { return r.timeShapes(out, open, o) }},
		{"tune", func() (err error) {
			r.Table, err = Tune(out, Device{open}, o.Cases, TuneOptions{Images: o.Images, Samples: o.samples(), Tensor3: true})
			return err
		}},
	} {
		fmt.Fprintf(out, "\n%s\n", part.name)
		r.run(out, part.name, part.run)
	}
	r.Seconds = time.Since(r.Started).Seconds()
	return r, nil
}

// Err is nil if all parts went well.
func (r Report) Err() error {
	var failed []string
	for _, p := range r.Parts {
		if !p.OK {
			failed = append(failed, p.Name)
		}
	}
	if failed == nil {
		return nil
	}
	return fmt.Errorf("failed on %s: %s", r.Card.Name, strings.Join(failed, ", "))
}

func (o GPUCheckOptions) samples() int {
	if o.Quick {
		return 1
	}
	return defaultSamples
}

// run records a part; a panic is a failure.
func (r *Report) run(out io.Writer, name string, f func() error) {
	start := time.Now()
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panics: %v", p)
			}
		}()
		return f()
	}()
	p := Part{Name: name, OK: err == nil, Seconds: time.Since(start).Seconds()}
	verdict := "ok"
	if err != nil {
		p.Error = err.Error()
		verdict = "FAIL: " + p.Error
	}
	fmt.Fprintf(out, "%s (%.0f s)\n", verdict, p.Seconds)
	r.Parts = append(r.Parts, p)
}

func (r *Report) checkDriver(out io.Writer, open func() (gpu.Driver, error)) error {
	r.Driver = gputest.Verdicts(open)
	failed := 0
	for _, v := range r.Driver {
		if !v.OK {
			failed++
			fmt.Fprintf(out, "FAIL  %s: %s\n", v.Name, v.Error)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d tests of the driver failed", failed, len(r.Driver))
	}
	fmt.Fprintf(out, "%d tests\n", len(r.Driver))
	return nil
}

func (r *Report) checkKernels(out io.Writer, open func() (gpu.Driver, error), o GPUCheckOptions) error {
	all, err := embedded()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(k kernel) bool { return k.sm > r.Card.SM() })
	c := newChecker(all, open)
	c.batches = true
	if o.Quick {
		c.limit, c.every = quickLimit, quickEvery
	}
	err = c.sweepAll(nil)
	worst := ""
	for _, k := range all {
		v := c.verdicts[k.name]
		verdict := KernelVerdict{Kernel: k.name, OK: v.failed == nil && v.launches > 0, Launches: v.launches, Budget: v.worst}
		if v.failed != nil {
			verdict.Error = v.failed.Error()
		}
		if v.worst > c.verdicts[worst].share() {
			worst = k.name
		}
		r.Kernels = append(r.Kernels, verdict)
	}
	if failed := c.report(io.Discard, all, !o.Quick); failed != nil {
		c.report(out, all, !o.Quick)
		err = errors.Join(err, failed)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d kernels; the worst error is %.2f of its budget (%s)\n", len(all), c.verdicts[worst].share(), worst)
	return nil
}

// share is v.worst, 0 without a verdict.
func (v *verdict) share() float64 {
	if v == nil {
		return 0
	}
	return v.worst
}

func (r *Report) timeShapes(out io.Writer, open func() (gpu.Driver, error), o GPUCheckOptions) error {
	precisions := []string{"f32"}
	if r.Card.SM() >= 80 {
		precisions = append(precisions, "tf32", "bf16")
	}
	shapes, checked := timedShapes(o.Images, precisions), timedShapes(1, precisions)
	if o.Quick {
		shapes = kerneltest.Ops() // their first, tiny cases
		checked = shapes
	}
	var failures []error
	for i, shape := range shapes {
		result, err := runShape(Device{open}, checked[i], shape, "", o.samples())
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", shape, err))
			fmt.Fprintf(out, "FAIL  %s: %v\n", shape, err)
			continue
		}
		r.Timings = append(r.Timings, result)
		fmt.Fprintf(out, "%s  %.4f ms, %.1f GFLOP/s, %.1f GB/s\n", shape, result.Took, result.GFLOPs, result.GBs)
	}
	return errors.Join(failures...)
}
