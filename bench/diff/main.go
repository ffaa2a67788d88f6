// Command diff holds a run of the benchmarks to a baseline of shares of ceilings, which mean the same on every machine.
package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"

	"github.com/alecthomas/kong"

	"emdiff/bench"
	"emdiff/emdiff/run"
)

type flags struct {
	Shares sharesCommand `cmd:"" help:"Write the shares of ceilings of a run, in the format of go test -bench: a baseline, or what benchstat compares with one."`
	Gate   gateCommand   `cmd:"" help:"Compare two files of shares by op, and fail where they fell."`
}

type sharesCommand struct {
	In  string `arg:"" help:"Output of go test -bench."`
	Out string `arg:"" help:"The file of shares."`
}

// unit is the only metric of a baseline.
const unit = "%ceiling"

// threads is left out of names: the number of cores differs from machine to machine.
var threads = regexp.MustCompile(`/threads=\d+`)

func (c sharesCommand) Run() error {
	// Every sample counts for benchstat: not the medians.
	text, err := os.ReadFile(c.In)
	if err != nil {
		return fmt.Errorf("%w: make it with go test -bench", err)
	}
	read, err := bench.ReadFile(c.In)
	if err != nil {
		return err
	}
	lines := line.FindAllSubmatch(text, -1)
	if len(lines) == 0 {
		return fmt.Errorf("%s has no metric %s: make it with go test -bench . ./bench", c.In, unit)
	}
	return run.WriteFile(c.Out, func(w io.Writer) error {
		// A sentence that benchstat skips: settings such as cpu: would keep it from comparing machines.
		fmt.Fprintf(w, "Measured on %s.\nUnit %s better=higher\n", read.CPU, unit)
		for _, l := range lines {
			fmt.Fprintf(w, "%s 1 %s %s\n", threads.ReplaceAll(l[1], nil), l[2], unit)
		}
		return nil
	})
}

// line finds the name, without the number of processors, and the share of a benchmark.
var line = regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s+\d+\s.*?\s([\d.e+-]+) ` + unit)

type gateCommand struct {
	Fall     float64 `default:"15" help:"Percent by which the geometric mean of an op, or of everything, may fall."`
	Baseline string  `arg:"" help:"Shares before."`
	New      string  `arg:"" help:"Shares now."`
}

func (c gateCommand) Run() error {
	before, err := bench.ReadFile(c.Baseline)
	if err != nil {
		return err
	}
	now, err := bench.ReadFile(c.New)
	if err != nil {
		return err
	}
	fell, err := gate(os.Stdout, before, now, c.Fall)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", c.Baseline, c.New, err)
	}
	if len(fell) > 0 {
		return fmt.Errorf("the shares of ceilings fell by more than %g %%: %v", c.Fall, fell)
	}
	return nil
}

// everything is the line of all ops together.
const everything = "all"

// gate prints the geometric means of the ratios now/before by op and returns the ops whose mean fell by more than so many percent.
func gate(out io.Writer, before, now bench.Run, fall float64) (fell []string, err error) {
	was := map[string]float64{}
	for _, r := range before.Results {
		was[r.Name] = r.Metrics[unit]
	}
	logs := map[string][]float64{}
	for _, r := range now.Results {
		if then, is := was[r.Name], r.Metrics[unit]; then > 0 && is > 0 {
			l := math.Log(is / then)
			logs[r.Op()], logs[everything] = append(logs[r.Op()], l), append(logs[everything], l)
		}
	}
	if len(logs) == 0 {
		return nil, errors.New("they have no benchmark in common: make bench-baseline measures a new baseline on this kind of machine")
	}
	fmt.Fprintf(out, "%-20s %6s %8s\n", "op", "shapes", "change")
	ops := slices.Sorted(maps.Keys(logs))
	ops = append(slices.DeleteFunc(ops, func(op string) bool { return op == everything }), everything)
	for _, op := range ops {
		sum := 0.0
		for _, l := range logs[op] {
			sum += l
		}
		change := 100 * (math.Exp(sum/float64(len(logs[op]))) - 1)
		mark := ""
		if change < -fall {
			fell, mark = append(fell, op), "  fell"
		}
		fmt.Fprintf(out, "%-20s %6d %+7.1f%%%s\n", op, len(logs[op]), change, mark)
	}
	return fell, nil
}

func main() {
	command := kong.Parse(&flags{}, kong.Name("diff"), kong.Description("Compare shares of ceilings with a baseline."))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "diff:", err)
		os.Exit(1)
	}
}
