package bench

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const output = `goos: linux
cpu: Some CPU
BenchmarkAdd/impl=host/level=avx2/n=-1-2 	     100	      2000 ns/op	        30.0 %ceiling	  1.5 GB/s
BenchmarkAdd/impl=host/level=avx2/n=-1-2 	     100	      4000 ns/op	        50.0 %ceiling	  1.5 GB/s
BenchmarkCopy/impl=host/k=3 	     100	      7 ns/op
BenchmarkLog text that is no result
PASS
`

func TestResultsAreMediansByName(t *testing.T) {
	run, err := Read(strings.NewReader(output))
	require.NoError(t, err)
	assert.Equal(t, Run{"Some CPU", []Result{
		{"BenchmarkAdd/impl=host/level=avx2/n=-1", map[string]float64{"ns/op": 3000, "%ceiling": 40, "GB/s": 1.5},
			map[string][]float64{"ns/op": {2000, 4000}, "%ceiling": {30, 50}, "GB/s": {1.5, 1.5}}},
		{"BenchmarkCopy/impl=host/k=3", map[string]float64{"ns/op": 7}, map[string][]float64{"ns/op": {7}}},
	}}, run)
	assert.Equal(t, "Add", run.Results[0].Op())
	assert.Equal(t, "avx2", run.Results[0].Value("level"))
	assert.Empty(t, run.Results[0].Value("host"))
	assert.Equal(t, 2.0, Median([]float64{9, 1, 2}))
	assert.True(t, math.IsNaN(Median(nil)))
}

func TestAFailedRunIsNoResult(t *testing.T) {
	for _, line := range []string{"--- FAIL: BenchmarkAdd", "FAIL", "panic: no", "BenchmarkAdd 100 x ns/op"} {
		_, err := Read(strings.NewReader(output + line + "\n"))
		assert.Error(t, err, line)
	}
	_, err := ReadFile("missing.txt")
	assert.ErrorContains(t, err, "missing.txt: no such file or directory: make it with go test -bench")
}
