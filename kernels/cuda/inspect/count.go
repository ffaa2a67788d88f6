package inspect

import (
	"encoding/json"
	"fmt"
	"io"

	"emdiff/gpu/emu"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

// CaseCount is what one op did on one shape.
type CaseCount struct {
	Shape     string        `json:"shape"`
	CostFLOPs float64       `json:"cost_flops"` // that the op takes at the least
	CostBytes float64       `json:"cost_bytes"`
	Launches  []LaunchCount `json:"launches"`
}

// LaunchCount is what one launch did, exactly.
type LaunchCount struct {
	Kernel                 string           `json:"kernel"`
	Grid                   [3]int           `json:"grid"`
	Block                  [3]int           `json:"block"`
	Registers              int              `json:"registers"`    // live at once: a hint
	Shared                 int              `json:"shared_bytes"` // per block
	ThreadInstructions     int64            `json:"thread_instructions"`
	WarpInstructions       int64            `json:"warp_instructions"`
	FLOPs                  int64            `json:"flops"`
	Sectors                int64            `json:"sectors"` // of 32 bytes, loaded and stored in global memory
	LoadSectorsPerRequest  float64          `json:"load_sectors_per_request"`
	LoadRequests           int64            `json:"load_requests"` // instructions of a warp that read global memory
	StoreRequests          int64            `json:"store_requests"`
	StoreSectorsPerRequest float64          `json:"store_sectors_per_request"`
	BankConflicts          int64            `json:"bank_conflicts"`
	DivergentBranches      int64            `json:"divergent_branches"`
	Barriers               int64            `json:"barriers"`
	ByClass                map[string]int64 `json:"thread_instructions_by_class"`
}

// Count runs the shapes, some layers of a U-Net without any, on the emulator and prints what every launch did, as a table or as JSON.
func Count(out io.Writer, shapes []string, asJSON bool) error {
	if len(shapes) == 0 {
		shapes = defaultShapes
	}
	cases := make([]kerneltest.Case, len(shapes))
	for i, s := range shapes {
		var err error
		if cases[i], err = parseShape(s); err != nil {
			return err
		}
	}
	var counts []CaseCount
	for i, c := range cases {
		launches, err := countCase(c)
		if err != nil {
			return fmt.Errorf("%s: %w", shapes[i], err)
		}
		cost := c.Cost()
		counts = append(counts, CaseCount{shapes[i], cost.FLOPs, cost.Bytes, launches})
	}
	if asJSON {
		return WriteJSON(out, counts)
	}
	return printCounts(out, counts)
}

// countCase runs a case without checks and returns its launches.
func countCase(c kerneltest.Case) (launches []LaunchCount, err error) {
	set, err := cuda.New(emu.New(emu.Options{OnLaunch: func(r emu.Report) { launches = append(launches, launchCount(r)) }}), cuda.Options{})
	if err != nil {
		return nil, err
	}
	defer set.Close()
	return launches, kerneltest.Run(set, c)
}

func launchCount(r emu.Report) LaunchCount {
	c := r.Counters
	l := LaunchCount{Kernel: r.Kernel, Grid: r.Grid, Block: r.Block, Registers: r.Registers, Shared: r.Shared,
		ThreadInstructions: c.ThreadInstructions, WarpInstructions: c.WarpInstructions, FLOPs: c.FLOPs,
		Sectors: c.GlobalLoads.Sectors + c.GlobalStores.Sectors, LoadSectorsPerRequest: c.GlobalLoads.SectorsPerRequest(),
		LoadRequests: c.GlobalLoads.Requests, StoreRequests: c.GlobalStores.Requests, StoreSectorsPerRequest: c.GlobalStores.SectorsPerRequest(),
		BankConflicts: c.Conflicts(), DivergentBranches: c.DivergentBranches, Barriers: c.Barriers, ByClass: map[string]int64{}}
	for class, n := range c.ByClass {
		if n > 0 {
			l.ByClass[emu.Class(class).String()] = n
		}
	}
	return l
}

// printCounts prints a table per shape. The bytes are those of the sectors.
func printCounts(out io.Writer, counts []CaseCount) error {
	const million = 1e6
	for _, c := range counts {
		fmt.Fprintf(out, "%s  (at least %.2f MFLOP, %.2f MB)\n", c.Shape, c.CostFLOPs/million, c.CostBytes/million)
		t := table(out)
		fmt.Fprintln(t, "  kernel\tgrid\tM instr\tMFLOP\tMB\tsectors/load\tconflicts\tdivergent\tregisters\tshared")
		for _, l := range c.Launches {
			fmt.Fprintf(t, "  %s\t%dx%dx%d\t%.3f\t%.3f\t%.3f\t%.2f\t%d\t%d\t%d\t%d\n", l.Kernel, l.Grid[0], l.Grid[1], l.Grid[2], float64(l.ThreadInstructions)/million,
				float64(l.FLOPs)/million, 32*float64(l.Sectors)/million, l.LoadSectorsPerRequest, l.BankConflicts, l.DivergentBranches, l.Registers, l.Shared)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes what the functions of this package find, for programs to read.
func WriteJSON(out io.Writer, found any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(found)
}
