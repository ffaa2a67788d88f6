package bench

import (
	"flag"
	"fmt"
	"math/bits"
	"runtime"
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
	before := host.PeakFMA(level, threads)
	bytes := copyRate(work.Bytes, threads)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	peak := (before + host.PeakFMA(level, threads)) / 2
	bytes = max(bytes, copyRate(work.Bytes, threads))
	gflops, gbs := work.FLOPs/seconds/1e9, work.Bytes/seconds/1e9
	share := gbs / bytes // what only moves has no other ceiling
	if work.FLOPs > 0 {
		share = gflops / min(peak, work.Intensity()*bytes)
		b.ReportMetric(gflops, "GFLOP/s")
		b.ReportMetric(work.Intensity(), "FLOP/B")
		b.ReportMetric(peak, "peak-GFLOP/s")
	}
	b.ReportMetric(gbs, "GB/s")
	b.ReportMetric(bytes, "peak-GB/s")
	b.ReportMetric(100*share, "%ceiling")
}

// rates are the copy bandwidths measured lately, by size and threads.
var rates = map[[2]int]struct {
	gbs float64
	at  time.Time
}{}

// Bandwidth is measured at powers of two from half a level 1 cache to what no cache holds, and again after a while.
const (
	smallest, biggest = 1 << 14, 1 << 27
	stale             = 5 * time.Second
)

// copyRate is the bandwidth of copying whose reads and writes together are about as many bytes.
func copyRate(total float64, threads int) float64 {
	size := 1 << (bits.Len(uint(max(smallest, min(biggest, total)))) - 1)
	key := [2]int{size, threads}
	if r, ok := rates[key]; ok && time.Since(r.at) < stale {
		return r.gbs
	}
	r := rates[key]
	r.gbs, r.at = host.CopyBandwidth(size/2, threads), time.Now()
	rates[key] = r
	return r.gbs
}
