//go:build cuda

package cudrv

import (
	"regexp"
	"strconv"
)

// The driver does not tell how many parameters a kernel has (before CUDA 12.4), and reads past the arguments if there are too few:
// the sizes are read from the PTX.

var (
	entryPattern  = regexp.MustCompile(`\.entry\s+([\w$]+)\s*\(([^)]*)\)`)
	paramPattern  = regexp.MustCompile(`\.param\s+(?:\.align\s+\d+\s+)?\.[a-z]+(\d+)[^,\[]*(?:\[(\d+)\])?`)
	targetPattern = regexp.MustCompile(`(?m)^\s*\.target\s+sm_(\d+)`)
)

// entryParams returns the bytes of each parameter of every entry.
func entryParams(ptx []byte) map[string][]int {
	out := map[string][]int{}
	for _, entry := range entryPattern.FindAllStringSubmatch(string(ptx), -1) {
		sizes := []int{}
		for _, p := range paramPattern.FindAllStringSubmatch(entry[2], -1) {
			bits, _ := strconv.Atoi(p[1])
			count := 1
			if p[2] != "" {
				count, _ = strconv.Atoi(p[2])
			}
			sizes = append(sizes, bits/8*count)
		}
		out[entry[1]] = sizes
	}
	return out
}

// target returns the compute capability the PTX was compiled for, 80 for sm_80; 0 if it does not say.
func target(ptx []byte) int {
	m := targetPattern.FindSubmatch(ptx)
	if m == nil {
		return 0
	}
	sm, _ := strconv.Atoi(string(m[1]))
	return sm
}
