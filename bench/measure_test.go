package bench

import (
	"flag"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"emdiff/kernels"
	"emdiff/kernels/host"
)

var levelsFlag = flag.String("levels", "all", "levels of the CPU to run: all, or best, the fastest that works here")

// hostLevels lists the levels of the CPU that can be used here and are asked for, best first.
func hostLevels() (levels []string) {
	for _, i := range kernels.Implementations() {
		if level, ok := strings.CutPrefix(i.Name, "host/"); ok && i.Usable() == nil {
			levels = append(levels, level)
		}
	}
	switch *levelsFlag {
	case "all":
		return levels
	case "best":
		return levels[:1]
	}
	panic(fmt.Sprintf("-levels %s: want all or best", *levelsFlag))
}

// onLevels runs a benchmark on a Set of every level, on all cores. slow leaves out the portable level.
func onLevels(b *testing.B, slow bool, name string, f func(b *testing.B, level string, s kernels.Set)) {
	threads := runtime.GOMAXPROCS(0)
	for _, level := range hostLevels() {
		if slow && level == "portable" {
			continue
		}
		b.Run(fmt.Sprintf("impl=host/level=%s/threads=%d/%s", level, threads, name), func(b *testing.B) {
			s, err := host.New(level, kernels.Options{Threads: threads})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			f(b, level, s)
		})
	}
}

// measure times run, which has run once before, and reports it beside the ceilings measured just before and just after.
func measure(b *testing.B, level string, work kernels.Cost, run func()) {
	threads := runtime.GOMAXPROCS(0)
	ceilings := func() (gflops, gbs float64) {
		peaks.measure(peakKey{level, threads}, 0, func() float64 { return host.PeakFMA(level, threads) })
		size := nearby(work.Bytes)
		copies.measure(copyKey{size, threads}, time.Second, func() float64 { return host.CopyBandwidth(size/2, threads) })
		return peaks.best(peakKey{level, threads}), copies.best(copyKey{size, threads})
	}
	ceilings()
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	peak, bandwidth := ceilings()
	gflops, gbs := work.FLOPs/seconds/1e9, work.Bytes/seconds/1e9
	share := gbs / bandwidth // what only moves has no other ceiling
	if work.FLOPs > 0 {
		share = gflops / min(peak, work.Intensity()*bandwidth)
		b.ReportMetric(gflops, "GFLOP/s")
		b.ReportMetric(work.Intensity(), "FLOP/B")
		b.ReportMetric(peak, "peak-GFLOP/s")
	}
	b.ReportMetric(gbs, "GB/s")
	b.ReportMetric(bandwidth, "peak-GB/s")
	b.ReportMetric(100*share, "%ceiling")
}

// nearby is the size at which bandwidth is measured for an op that moves so many bytes: reads and writes together, one of two in
// every octave, from half a level 1 cache to what no cache holds.
func nearby(bytes float64) int {
	const smallest, biggest = 1 << 14, 1 << 28
	octave := math.Log2(max(smallest, min(biggest, bytes)))
	return int(math.Exp2(math.Round(2*octave) / 2))
}

// lately is how long a measured ceiling stands: clocks wander, but many a measurement is disturbed where others use the machine.
const lately = 30 * time.Second

type peakKey struct {
	level   string
	threads int
}

type copyKey struct{ size, threads int }

var (
	peaks  = history[peakKey]{}
	copies = history[copyKey]{}
)

// history holds the recent measurements of ceilings.
type history[K comparable] map[K][]ceiling

type ceiling struct {
	value float64
	at    time.Time
}

// measure adds a measurement unless the last is younger than a time.
func (h history[K]) measure(k K, young time.Duration, f func() float64) {
	if n := len(h[k]); n == 0 || time.Since(h[k][n-1].at) >= young {
		h[k] = append(h[k], ceiling{f(), time.Now()})
	}
	h[k] = slices.DeleteFunc(h[k], func(c ceiling) bool { return time.Since(c.at) > lately })
}

// best is the highest of lately.
func (h history[K]) best(k K) (best float64) {
	for _, c := range h[k] {
		best = max(best, c.value)
	}
	return best
}
