package main

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"emdiff/bench"
)

// point is a benchmark on the roofline.
type point struct {
	op, shape, level, threads string
	family                    int
	intensity                 float64 // FLOP per byte; 0 for what only moves bytes
	gflops, gbs               float64 // achieved
	peak, copy                float64 // ceilings: GFLOP/s and GB/s
	bytes                     float64 // least, of a call
	share                     float64 // of what is attainable
	work                      float64 // seconds of a call
}

// attainable is what the ceilings allow, in GFLOP/s.
func (p point) attainable() float64 { return min(p.peak, p.intensity*p.copy) }

// bound names the ceiling that binds.
func (p point) bound() string {
	if p.intensity == 0 || p.intensity*p.copy < p.peak {
		return "copying " + sizes[p.size()].name
	}
	return "multiply-adds"
}

// size is the index in sizes of what the call moves.
func (p point) size() int {
	return slices.IndexFunc(sizes, func(s size) bool { return p.bytes <= s.most })
}

// size is a range of working sets that share a bandwidth.
type size struct {
	name string
	most float64 // bytes
}

// sizes are those of the level 2 caches of two cores, of a level 3 cache, and what no cache holds, roughly: they only name
// the bandwidths that were measured there.
var sizes = []size{{"up to 2 MiB", 2 << 20}, {"2 to 128 MiB", 128 << 20}, {"over 128 MiB", math.MaxFloat64}}

// families are the ops that look alike in the picture.
var families = []struct {
	name, colour string
	ops          []string
}{
	{"convolution, forward", "#0072b2", []string{"Conv2D"}},
	{"convolution, input gradient", "#56b4e9", []string{"Conv2DInputGrad"}},
	{"convolution, weight gradient", "#d55e00", []string{"Conv2DWeightGrad"}},
	{"linear layers, matrix products", "#009e73", []string{"Linear", "LinearInputGrad", "LinearWeightGrad", "MatMul"}},
	{"attention", "#cc79a7", []string{"Attention", "AttentionGrad"}},
	{"group norm", "#e69f00", []string{"GroupNorm", "GroupNormGrad"}},
	{"whole networks, sampler steps", "#1a1a1a", []string{"UNet", "Sampler"}},
	{"elementwise, sums, random, physics", "#8c8c8c", nil}, // all others
}

const networks = 6 // the index of whole networks

func familyOf(op string) int {
	for i, f := range families {
		if slices.Contains(f.ops, op) {
			return i
		}
	}
	return len(families) - 1
}

// machine is the part of a name that every benchmark of a run has.
var machine = regexp.MustCompile(`^Benchmark[^/]+/impl=[^/]+/level=[^/]+/threads=[^/]+/`)

// pointsOf are the benchmarks of the level that comes first.
func pointsOf(r bench.Run) (points []point) {
	for _, b := range r.Results {
		share, ok := b.Metrics["%ceiling"]
		if !ok || len(points) > 0 && b.Value("level") != points[0].level {
			continue
		}
		seconds := b.Metrics["ns/op"] * 1e-9
		p := point{op: b.Op(), shape: strings.ReplaceAll(machine.ReplaceAllString(b.Name, ""), "/", " "), level: b.Value("level"), threads: b.Value("threads"),
			intensity: b.Metrics["FLOP/B"], gflops: b.Metrics["GFLOP/s"], gbs: b.Metrics["GB/s"], peak: b.Metrics["peak-GFLOP/s"], copy: b.Metrics["peak-GB/s"],
			share: share / 100, work: seconds, bytes: b.Metrics["GB/s"] * 1e9 * seconds}
		p.family = familyOf(p.op)
		points = append(points, p)
	}
	return points
}

// ceilings are the medians over the run: multiply-adds, and copying by size, NaN where nothing of the size ran.
func ceilings(points []point) (peak float64, copies []float64) {
	var peaks []float64
	bySize := make([][]float64, len(sizes))
	for _, p := range points {
		if p.peak > 0 {
			peaks = append(peaks, p.peak)
		}
		bySize[p.size()] = append(bySize[p.size()], p.copy)
	}
	for _, c := range bySize {
		copies = append(copies, bench.Median(c))
	}
	return bench.Median(peaks), copies
}
