package nn

import (
	"fmt"
	"testing"

	"emdiff/kernels"
)

// quick is of the size that an experiment of minutes trains: a fashion image of 28x28 under an unshuffle stem.
func quick() UNetConfig {
	return UNetConfig{ImageSize: 28, InChannels: 1, OutChannels: 1, Channels: []int{32, 64}, LayersPerBlock: 1, Attention: []bool{false, true},
		MidAttention: true, NormGroups: 8, NormEps: 1e-5, FreqShift: 1, Unshuffle: 2}
}

func BenchmarkUNet(b *testing.B) {
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
			for _, pass := range []string{"forward", "vjp", "train"} {
				b.Run(fmt.Sprintf("impl=%s/net=%s/pass=%s/n=%d", i.Name, name, pass, n), func(b *testing.B) {
					benchmarkUNet(b, i, cfg, n, pass, cost)
				})
			}
		}
	}
}

func benchmarkUNet(b *testing.B, i kernels.Implementation, cfg UNetConfig, n int, pass string, cost UNetCost) {
	set, err := i.Open(kernels.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer set.Close()
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
