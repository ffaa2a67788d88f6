package nn

import (
	"fmt"
	"strings"
	"testing"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

// quick is of the size that an experiment of minutes trains: a fashion image of 28x28 under an unshuffle stem.
func quick() UNetConfig {
	return UNetConfig{ImageSize: 28, InChannels: 1, OutChannels: 1, Channels: []int{32, 64}, LayersPerBlock: 1, Attention: []bool{false, true},
		MidAttention: true, NormGroups: 8, NormEps: 1e-5, FreqShift: 1, Unshuffle: 2}
}

// BenchmarkUNet measures a whole pass, AdamW included for train, after checking the network's output for one image against
// ref (which takes 20 s for cifar10, once).
func BenchmarkUNet(b *testing.B) {
	expected := map[string][]float32{}
	for _, i := range kernels.Implementations() {
		if i.Usable() != nil || i.Name == "ref" {
			continue
		}
		for name, cfg := range map[string]UNetConfig{"quick": quick(), "cifar10": DDPMCIFAR10()} {
			n := map[string]int{"quick": 64, "cifar10": 4}[name]
			cost, err := cfg.Cost(n)
			if err != nil {
				b.Fatal(err)
			}
			if expected[name] == nil {
				expected[name] = oneImage(b, ref.New(), cfg)
			}
			for _, pass := range []string{"forward", "vjp", "train"} {
				b.Run(fmt.Sprintf("impl=%s/net=%s/pass=%s/n=%d", strings.Replace(i.Name, "/", "/level=", 1), name, pass, n), func(b *testing.B) {
					benchmarkUNet(b, i, cfg, n, pass, cost, expected[name])
				})
			}
		}
	}
}

// oneImage is the network's output for the first image.
func oneImage(b *testing.B, set kernels.Set, cfg UNetConfig) []float32 {
	u := newNetwork(b, set, cfg)
	tape := NewTape(set, Inference)
	x, time, _ := inputs(tape, cfg, 1)
	return download(set, u.Forward(tape, x, time))
}

func benchmarkUNet(b *testing.B, i kernels.Implementation, cfg UNetConfig, n int, pass string, cost UNetCost, expected []float32) {
	set, err := i.Open(kernels.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer set.Close()
	errors := results{"y": expected}.errors(b, results{"y": oneImage(b, set, cfg)})
	if errors["y"] > 1e-4 {
		b.Fatalf("the output is wrong by %.2g of its largest value", errors["y"])
	}
	u := newNetwork(b, set, cfg)
	mode, flops := map[string]Mode{"forward": Inference, "vjp": Differentiate, "train": Training}[pass], cost.Forward.FLOPs
	tape := NewTape(set, mode)
	step := 0
	run := func() {
		step++
		tape.Reset()
		x, time, dy := inputs(tape, cfg, n)
		y := u.Forward(tape, x, time)
		switch pass {
		case "vjp":
			tape.VJP(y, dy, x)
		case "train":
			tape.Backward(y, dy)
			DefaultAdamW().Step(u.Params, step, 0.99)
		}
		if err := set.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	switch pass {
	case "vjp":
		flops += cost.VJP.FLOPs
	case "train":
		flops += cost.Backward.FLOPs
	}
	run()
	run()
	for b.Loop() {
		run()
	}
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N*n)*1e3, "ms/image")
}
