package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"

	"emdiff/bench"
)

// tabulate writes for every op its longest call and the one that is furthest from its ceiling.
func tabulate(w io.Writer, points []point, caption, command string) {
	fmt.Fprintf(w, "\n%s. Made with\n\n    %s\n\n", caption, command)
	peak, copies := ceilings(points)
	fmt.Fprintf(w, "Ceilings, medians over the run: multiply-adds on registers %.0f GFLOP/s", peak)
	for i, c := range copies {
		if !math.IsNaN(c) {
			fmt.Fprintf(w, "; copying %s %.0f GB/s", sizes[i].name, c)
		}
	}
	fmt.Fprint(w, ". Each call is held to those measured just before and after it,\nattainable = min(multiply-adds, FLOP/B x copying). ")
	fmt.Fprint(w, "Of every op the table has the call that takes longest, and the one with the least share\nif that is another; the last column is the median share over all its shapes.\n\n")
	fmt.Fprint(w, "| op | shape | FLOP/B | achieved | attainable | share | bound by | median (shapes) |\n|---|---|---|---|---|---|---|---|\n")
	var ops []string
	byOp := map[string][]point{}
	for _, p := range points {
		if byOp[p.op] == nil {
			ops = append(ops, p.op)
		}
		byOp[p.op] = append(byOp[p.op], p)
	}
	for _, op := range ops {
		list := byOp[op]
		longest := slices.MaxFunc(list, func(a, b point) int { return cmp.Compare(a.work, b.work) })
		least := slices.MinFunc(list, func(a, b point) int { return cmp.Compare(a.share, b.share) })
		var shares []float64
		for _, p := range list {
			shares = append(shares, p.share)
		}
		row(w, op, longest, fmt.Sprintf("%.0f %% (%d)", 100*bench.Median(shares), len(list)))
		if least.shape != longest.shape {
			row(w, "", least, "")
		}
	}
	fmt.Fprintln(w)
}

func row(w io.Writer, op string, p point, median string) {
	intensity, achieved, attainable := "0", fmt.Sprintf("%.3g GB/s", p.gbs), fmt.Sprintf("%.3g GB/s", p.copy)
	if p.intensity > 0 {
		intensity, achieved, attainable = fmt.Sprintf("%.3g", p.intensity), fmt.Sprintf("%.3g GFLOP/s", p.gflops), fmt.Sprintf("%.3g GFLOP/s", p.attainable())
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %.0f %% | %s | %s |\n", op, p.shape, intensity, achieved, attainable, 100*p.share, p.bound(), median)
}
