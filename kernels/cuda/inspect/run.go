package inspect

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

// Result is what Run finds: one op on one shape.
type Result struct {
	Shape   string   `json:"shape"`
	Device  string   `json:"device"`
	Rung    string   `json:"rung,omitempty"`        // that was asked for
	Kernels []string `json:"kernels"`               // launched, in order
	Budget  float64  `json:"budget_share"`          // that the worst error against the float64 oracle uses; at most 1
	Unit    string   `json:"unit"`                  // of Took
	Took    float64  `json:"took"`                  // one call, the median
	GFLOPs  float64  `json:"gflop_per_s,omitempty"` // of the least work, on a card
	GBs     float64  `json:"gb_per_s,omitempty"`
	// Launches are the exact counts of the emulator.
	Launches []LaunchCount `json:"launches,omitempty"`
}

// Run checks one op on one shape against the oracle and measures it. What is an op, or a kernel: then the op and the rung that launch
// it. The shape is "Field=value,..." as Count takes it, rung an Options.Rung.
func Run(out io.Writer, d Device, what, shape, rung string, asJSON bool) error {
	if rung != "" && !slices.Contains(cuda.AllRungs(), rung) {
		return fmt.Errorf("there is no rung %q: choose from %s", rung, strings.Join(cuda.AllRungs(), ", "))
	}
	r, err := find(d, what, shape, rung)
	if err != nil {
		return err
	}
	if asJSON {
		return WriteJSON(out, r)
	}
	r.print(out)
	if r.Launches == nil {
		return nil
	}
	c, err := parseShape(r.Shape)
	if err != nil {
		return err
	}
	return printCounts(out, []CaseCount{{r.Shape, c.Cost().FLOPs, c.Cost().Bytes, r.Launches}})
}

func (r Result) print(out io.Writer) {
	fmt.Fprintf(out, "%s on %s: correct, the worst error is %.2f of its budget\n", r.Shape, r.Device, r.Budget)
	if r.Unit == milliseconds {
		fmt.Fprintf(out, "%s: %.4f ms, %.1f GFLOP/s, %.1f GB/s\n", strings.Join(r.Kernels, ", "), r.Took, r.GFLOPs, r.GBs)
		return
	}
	fmt.Fprintf(out, "%s: %.0f thread instructions; an emulator has no time to measure\n", strings.Join(r.Kernels, ", "), r.Took)
}

// find runs an op, or the first op that launches a kernel.
func find(d Device, what, shape, rung string) (Result, error) {
	if slices.Contains(kerneltest.Ops(), what) {
		return runOne(d, what+":"+shape, rung)
	}
	if !slices.Contains(cuda.Kernels(), what) {
		return Result{}, fmt.Errorf("%s is neither an op (%s) nor a kernel that emdiff-ptx list shows", what, strings.Join(kerneltest.Ops(), ", "))
	}
	if rung != "" {
		return Result{}, fmt.Errorf("kernel %s is a rung already: leave --rung out, or name an op", what)
	}
	name := strings.Split(what, "_") // op, direction, type, rung
	rung = name[3]
	if strings.HasPrefix(name[0], "matmul") && rung != "naive" {
		rung = "" // its rungs say how the matrices lie
	}
	if i := slices.Index(cuda.AllRungs(), rung); i < 0 {
		rung = ""
	}
	if name[2] != "f32" {
		shape = strings.Trim("Precision="+name[2]+","+shape, ",")
	}
	var tried []string
	for _, op := range candidates(name[0], name[1]) {
		r, err := runOne(d, op+":"+shape, rung)
		if err != nil {
			return r, err
		}
		if slices.Contains(r.Kernels, what) {
			return r, nil
		}
		tried = append(tried, fmt.Sprintf("%s launches %s", r.Shape, strings.Join(r.Kernels, ", ")))
	}
	return Result{}, fmt.Errorf("no such shape launches %s: %s", what, strings.Join(tried, "; "))
}

// candidates are the ops whose kernels may be called op_direction: the likeliest first.
func candidates(op, direction string) (list []string) {
	for _, start := range []string{op + direction, op} {
		for _, name := range kerneltest.Ops() {
			if lower := strings.ToLower(name); strings.HasPrefix(lower, start) && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

func runOne(d Device, shape, rung string) (Result, error) {
	shape = strings.TrimSuffix(shape, ":")
	return runShape(d, shape, shape, rung, defaultSamples)
}

// runShape checks the shape of few images against the oracle, which takes its time, and measures that of many.
func runShape(d Device, few, many, rung string, samples int) (r Result, err error) {
	check, err := parseShape(few)
	if err != nil {
		return r, err
	}
	c, err := parseShape(many)
	if err != nil {
		return r, err
	}
	b, err := d.bench(cuda.Options{Rung: rung})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	r = Result{Shape: many, Device: b.properties.Name, Rung: rung, Unit: d.Unit()}
	if r.Budget, err = kerneltest.Worst(b.set, check); err != nil {
		return r, err
	}
	err = b.time(&r, c, samples)
	return r, err
}

// Samples of a measurement on a card.
const defaultSamples = 9

// time measures a case that is known to be right.
func (b *bench) time(r *Result, c kerneltest.Case, samples int) error {
	call, err := kerneltest.NewCall(b.set, c)
	if err != nil {
		return err
	}
	defer call.Free()
	b.forget()
	call.Queue()
	r.Kernels = slices.Clone(b.launched)
	if err := b.set.Sync(); err != nil {
		return err
	}
	took, err := b.measure(call, []string{r.Rung}, samples)
	if err != nil {
		return err
	}
	r.Took = took[r.Rung]
	if r.Unit == milliseconds {
		cost := c.Cost()
		r.GFLOPs, r.GBs = cost.FLOPs/r.Took/1e6, cost.Bytes/r.Took/1e6
	}
	for _, report := range b.reports {
		r.Launches = append(r.Launches, launchCount(report))
	}
	return nil
}
