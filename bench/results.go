package bench

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Result is what one benchmark measured, in one run or several.
type Result struct {
	Name    string             // BenchmarkConv2D/impl=host/level=avx512/..., without the number of processors at the end
	Metrics map[string]float64 // medians
	Samples map[string][]float64
}

// Op is the name of the benchmark's function, without Benchmark.
func (r Result) Op() string {
	op, _, _ := strings.Cut(strings.TrimPrefix(r.Name, "Benchmark"), "/")
	return op
}

// Value is that of a key in the name, "" without it.
func (r Result) Value(key string) string {
	for part := range strings.SplitSeq(r.Name, "/") {
		if k, v, ok := strings.Cut(part, "="); ok && k == key {
			return v
		}
	}
	return ""
}

// Run is the output of go test -bench.
type Run struct {
	CPU     string
	Results []Result // in order
}

// processors is what go test appends to the name of a benchmark.
var processors = regexp.MustCompile(`-\d+$`)

// ReadFile reads the output of go test -bench from a file.
func ReadFile(path string) (Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return Run{}, fmt.Errorf("%w: make it with go test -bench", err)
	}
	defer f.Close()
	r, err := Read(f)
	if err == nil && len(r.Results) == 0 {
		err = fmt.Errorf("no benchmark in it: make it with go test -bench")
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Read reads the output of go test -bench. A failure in it is an error.
func Read(in io.Reader) (run Run, err error) {
	samples, order := map[string]map[string][]float64{}, []string{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if cpu, ok := strings.CutPrefix(line, "cpu: "); ok {
			run.CPU = cpu
		}
		if strings.HasPrefix(line, "--- FAIL") || line == "FAIL" || strings.HasPrefix(line, "panic: ") {
			return run, fmt.Errorf("a benchmark failed: %s", line)
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		if _, err := strconv.Atoi(fields[1]); err != nil {
			continue
		}
		name := processors.ReplaceAllString(fields[0], "")
		if samples[name] == nil {
			samples[name] = map[string][]float64{}
			order = append(order, name)
		}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return run, fmt.Errorf("%q is no number in: %s", fields[i], line)
			}
			samples[name][fields[i+1]] = append(samples[name][fields[i+1]], v)
		}
	}
	for _, name := range order {
		r := Result{name, map[string]float64{}, samples[name]}
		for unit, values := range samples[name] {
			r.Metrics[unit] = Median(values)
		}
		run.Results = append(run.Results, r)
	}
	return run, lines.Err()
}

// Median is that of values, NaN without any.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
