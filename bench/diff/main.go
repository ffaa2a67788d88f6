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

// change is the logarithm of now/before of the best shares, for what else runs on a machine only takes away; 0 where the samples
// overlap and nothing is known to have changed.
func change(before, now []float64) float64 {
	if slices.Max(now) >= slices.Min(before) && slices.Max(before) >= slices.Min(now) {
		return 0
	}
	return math.Log(slices.Max(now) / slices.Max(before))
}

// gate prints the geometric means of the changes by op and returns the ops whose mean fell by more than so many percent.
func gate(out io.Writer, before, now bench.Run, fall float64) (fell []string, err error) {
	was := map[string][]float64{}
	for _, r := range before.Results {
		was[r.Name] = r.Samples[unit]
	}
	logs := map[string][]float64{}
	for _, r := range now.Results {
		if then, is := was[r.Name], r.Samples[unit]; len(then) > 0 && len(is) > 0 {
			c := change(then, is)
			logs[r.Op()], logs[everything] = append(logs[r.Op()], c), append(logs[everything], c)
		}
	}
	if len(logs) == 0 {
		return nil, errors.New("they have no benchmark in common: make bench-baseline measures a new baseline on this kind of machine")
	}
	fmt.Fprintf(out, "%-20s %6s %7s %8s\n", "op", "shapes", "changed", "mean")
	ops := slices.Sorted(maps.Keys(logs))
	ops = append(slices.DeleteFunc(ops, func(op string) bool { return op == everything }), everything)
	for _, op := range ops {
		sum, changed := 0.0, 0
		for _, c := range logs[op] {
			sum += c
			if c != 0 {
				changed++
			}
		}
		mean := 100 * (math.Exp(sum/float64(len(logs[op]))) - 1)
		mark := ""
		if mean < -fall {
			fell, mark = append(fell, op), "  fell"
		}
		fmt.Fprintf(out, "%-20s %6d %7d %+7.1f%%%s\n", op, len(logs[op]), changed, mean, mark)
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
