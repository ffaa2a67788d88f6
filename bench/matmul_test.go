package bench

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"emdiff/kernels"
	"emdiff/kernels/host"
	"emdiff/kernels/kerneltest"
)

func BenchmarkMatMul(b *testing.B) {
	shapes := []kernels.MatMul{
		{Batch: 1, M: 1024, N: 1024, K: 1024, Alpha: 1},
		{Batch: 1, M: 1024, N: 1024, K: 1024, Alpha: 1, TransA: true},
		{Batch: 64, M: 96, N: 32, K: 32, StrideA: 96 * 32, StrideC: 96 * 32, Alpha: 1}, // a blur in its singular basis
	}
	for _, p := range shapes {
		name := fmt.Sprintf("batch=%d/m=%d/n=%d/k=%d/ta=%v/tb=%v", p.Batch, p.M, p.N, p.K, p.TransA, p.TransB)
		check := p // the oracle's loop nest is cubic: a quarter of each side
		check.M, check.N, check.K = p.M/4, p.N/4, p.K/4
		check.StrideA, check.StrideC = check.M*check.K*min(1, p.StrideA), check.M*check.N*min(1, p.StrideC)
		eachHost(b, name, kerneltest.Case{Op: "MatMul", Params: check}, p.Cost().FLOPs, func(s kernels.Set, r *rand.Rand) func() {
			a, _ := upload(s, r, p.Batch*p.M*p.K)
			w, _ := upload(s, r, p.Batch*p.K*p.N)
			c, _ := upload(s, r, p.Batch*p.M*p.N)
			return func() { s.MatMul(c, a, w, p) }
		})
	}
}

func BenchmarkAttention(b *testing.B)     { benchmarkAttention(b, false) }
func BenchmarkAttentionGrad(b *testing.B) { benchmarkAttention(b, true) }

func benchmarkAttention(b *testing.B, gradient bool) {
	for _, p := range []kernels.Attention{
		{N: 16, T: 64, Heads: 4, HeadDim: 32, Scale: 0.18},
		{N: 16, T: 256, Heads: 1, HeadDim: 256, Scale: 0.0625},
		{N: 16, T: 256, Heads: 4, HeadDim: 64, Scale: 0.125},
		{N: 64, T: 64, Heads: 1, HeadDim: 128, Scale: 0.088}, // cifar10-denoise-small
		{N: 64, T: 49, Heads: 1, HeadDim: 64, Scale: 0.125},  // quick
	} {
		op, flops := "Attention", p.Cost().FLOPs
		if gradient {
			op, flops = "AttentionGrad", 2.5*flops
		}
		check := p
		check.N = 1
		name := fmt.Sprintf("n=%d/t=%d/heads=%d/dim=%d", p.N, p.T, p.Heads, p.HeadDim)
		eachHost(b, name, kerneltest.Case{Op: op, Params: check}, flops, func(s kernels.Set, r *rand.Rand) func() {
			tensors := make([]kernels.Buffer, 8)
			for i := range tensors {
				tensors[i], _ = upload(s, r, p.N*p.T*p.Channels())
			}
			q, k, v, o, do := tensors[0], tensors[1], tensors[2], tensors[3], tensors[4]
			lse := s.Alloc(kernels.F32, p.N*p.Heads*p.T)
			s.Attention(o, q, k, v, lse, p)
			if gradient {
				return func() { s.AttentionGrad(tensors[5], tensors[6], tensors[7], do, q, k, v, o, lse, p) }
			}
			return func() { s.Attention(o, q, k, v, lse, p) }
		})
	}
}

// eachHost times an op at every CPU level on all cores, after holding it to the budget of the given case.
func eachHost(b *testing.B, name string, check kerneltest.Case, flops float64, prepare func(s kernels.Set, r *rand.Rand) func()) {
	threads := runtime.GOMAXPROCS(0)
	for _, level := range hostLevels() {
		b.Run(fmt.Sprintf("impl=host/level=%s/threads=%d/%s", level, threads, name), func(b *testing.B) {
			s, err := host.New(level, kernels.Options{Threads: threads})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			if err := kerneltest.Check(s, check); err != nil {
				b.Fatal(err)
			}
			run := prepare(s, rand.New(rand.NewPCG(1, 2)))
			run()
			reportFLOPs(b, level, threads, flops, run)
		})
	}
}
