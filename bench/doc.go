// Package bench holds the benchmarks: every op of kernels.Set at the shapes of the U-Nets of the presets, those U-Nets, the
// steps of the samplers and a round of EM, at every level of the CPU, against ceilings measured in the same run. A
// benchmark first checks the very shape that it times. A benchmark has the name of its op, and parameters are key=value,
// so that benchstat can pivot:
//
//	go test -run '^$' -bench 'Conv2D/impl=host/level=avx512' ./bench
//
// Metrics are GFLOP/s, GB/s of the least bytes, their ratio FLOP/B, and %ceiling: the share of what a roofline allows,
// min(peak-GFLOP/s, FLOP/B x peak-GB/s), where the peaks are those of multiply-adds on registers and of copying as many
// bytes as the op moves. Flags: -levels best leaves out the slower levels. Tests here may import anything; nothing imports
// bench. roofline draws and tabulates a run, diff holds one to a baseline.
package bench
