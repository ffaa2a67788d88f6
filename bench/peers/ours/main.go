// Command ours is our half of the comparison with other frameworks (bench/peers/torch): it prepares one case, may write its
// weights, inputs and results for the others to compute the same, and then runs it as often as it is told.
//
//	ours -case KIND/NETWORK -level LEVEL [-threads N] [-export DIR]
//
// KIND is forward, train or estep, NETWORK quick, cifar10-denoise-small or ddpm-cifar10; or the case is gemm/SIZE, where the
// level may be gonum too. The first line written is {"ready": ...}. Every line read is the number of runs wanted, and is
// answered by {"ms": milliseconds of one, "mb": growth of the resident set so far}. The program ends with its input.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"emdiff/kernels"
	_ "emdiff/kernels/host"
)

// work is a prepared case.
type work struct {
	run    func() error
	export func(dir string) error // called once, before the first run; nil where nothing can be exported
}

func main() {
	name := flag.String("case", "", "KIND/NETWORK or gemm/SIZE")
	level := flag.String("level", "avx512", "portable, avx2, avx512; for gemm gonum too")
	threads := flag.Int("threads", 2, "worker threads")
	export := flag.String("export", "", "write weights, inputs and results into this folder")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)
	if err := serve(*name, *level, *threads, *export); err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func serve(name, level string, threads int, export string) error {
	before, _, err := residentMB()
	if err != nil {
		return err
	}
	w, err := prepare(name, level, threads)
	if err != nil {
		return err
	}
	if export != "" {
		if w.export == nil {
			return fmt.Errorf("-export %s: gonum's product is compared with ours where that is exported", export)
		}
		if err := w.export(export); err != nil {
			return err
		}
	}
	if err := w.run(); err != nil { // packs weights, sizes arenas
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"ready": runtime.Version()}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of runs", lines.Text())
		}
		start := time.Now()
		for range n {
			if err := w.run(); err != nil {
				return err
			}
		}
		ms := time.Since(start).Seconds() * 1e3 / float64(n)
		_, peak, err := residentMB()
		if err != nil {
			return err
		}
		if err := out.Encode(map[string]float64{"ms": ms, "mb": peak - before}); err != nil {
			return err
		}
	}
	return lines.Err()
}

func prepare(name, level string, threads int) (work, error) {
	kind, of, _ := strings.Cut(name, "/")
	if kind == "gemm" && level == "gonum" {
		return newGonum(of)
	}
	set, err := open(level, threads)
	if err != nil {
		return work{}, err
	}
	if kind == "gemm" {
		return newGEMM(set, of)
	}
	net, err := newNetwork(set, of)
	if err != nil {
		return work{}, err
	}
	switch kind {
	case "forward":
		return newForward(net), nil
	case "train":
		return newTraining(net), nil
	case "estep":
		return newEStep(net)
	}
	return work{}, fmt.Errorf("-case %s: want forward, train, estep or gemm before the slash", name)
}

func open(level string, threads int) (kernels.Set, error) {
	for _, i := range kernels.Implementations() {
		if i.Name == "host/"+level {
			if err := i.Usable(); err != nil {
				return nil, err
			}
			return i.Open(kernels.Options{Threads: threads})
		}
	}
	return nil, fmt.Errorf("-level %s: want portable, avx2 or avx512", level)
}
