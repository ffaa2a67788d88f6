// Package bench holds the benchmarks: every op, level, direction and network shape against ceilings measured in the same
// run. A benchmark first checks the very shape that it times. Names are key=value, so that benchstat can pivot:
//
//	go test -run '^$' -bench 'Conv2D/impl=host/level=avx512' ./bench
//
// Metrics are GFLOP/s or GB/s, and %roof, the share of the ceiling. Tests here may import anything; nothing imports bench.
package bench
