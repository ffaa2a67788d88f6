package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/bench"
)

const output = `goos: linux
cpu: Some CPU
BenchmarkAdd/impl=host/level=avx2/threads=2/n=1-2 	     100	      2000 ns/op	        40.00 %ceiling	  1.5 GB/s
BenchmarkAdd/impl=host/level=avx2/threads=2/n=1-2 	     100	      2000 ns/op	        60.00 %ceiling	  1.5 GB/s
BenchmarkCopy/impl=host/level=avx2/threads=2/n=1-2 	     100	  2000 ns/op	 1.5 GB/s	 8e+01 %ceiling	     0 B/op
BenchmarkEMRound/impl=host-2 	     100	      2000 ns/op
PASS
`

func write(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "run.txt")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	return path
}

func TestABaselineHoldsRatiosAlone(t *testing.T) {
	out := filepath.Join(t.TempDir(), "shares.txt")
	require.NoError(t, sharesCommand{write(t, output), out}.Run())
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Equal(t, `Measured on Some CPU.
Unit %ceiling better=higher
BenchmarkAdd/impl=host/level=avx2/n=1 1 40.00 %ceiling
BenchmarkAdd/impl=host/level=avx2/n=1 1 60.00 %ceiling
BenchmarkCopy/impl=host/level=avx2/n=1 1 8e+01 %ceiling
`, string(text))
	assert.ErrorContains(t, sharesCommand{write(t, "BenchmarkA 1 2 ns/op\n"), out}.Run(), "has no metric %ceiling")
	assert.ErrorContains(t, sharesCommand{write(t, output+"FAIL\n"), out}.Run(), "a benchmark failed")
	assert.ErrorContains(t, sharesCommand{"missing.txt", out}.Run(), "make it with go test -bench")
}

func TestAFallOfAnOpFails(t *testing.T) {
	read := func(text string) bench.Run {
		run, err := bench.Read(strings.NewReader(text))
		require.NoError(t, err)
		return run
	}
	before := read("BenchmarkAdd/n=1 1 50 %ceiling\nBenchmarkAdd/n=2 1 40 %ceiling\nBenchmarkCopy/n=1 1 90 %ceiling\n")
	now := read("BenchmarkAdd/n=1 1 50 %ceiling\nBenchmarkAdd/n=2 1 25.6 %ceiling\nBenchmarkCopy/n=1 1 90 %ceiling\nBenchmarkNew/n=1 1 10 %ceiling\n")
	var out bytes.Buffer
	fell, err := gate(&out, before, now, 15)
	require.NoError(t, err)
	assert.Equal(t, []string{"Add"}, fell)
	assert.Equal(t, `op                   shapes changed     mean
Add                       2       1   -20.0%  fell
Copy                      1       0    +0.0%
all                       3       1   -13.8%
`, out.String())
	fell, err = gate(&out, before, now, 21)
	require.NoError(t, err)
	assert.Empty(t, fell)
	_, err = gate(&out, before, read("BenchmarkNew/n=1 1 10 %ceiling\n"), 21)
	assert.ErrorContains(t, err, "make bench-baseline")

	before = read("BenchmarkAdd/n=1 1 50 %ceiling\nBenchmarkAdd/n=1 1 40 %ceiling\n")
	for now, fails := range map[string]bool{"39": true, "40": false} {
		fell, err = gate(&out, before, read("BenchmarkAdd/n=1 1 30 %ceiling\nBenchmarkAdd/n=1 1 "+now+" %ceiling\n"), 15)
		require.NoError(t, err)
		assert.Equal(t, fails, len(fell) > 0, "samples 30 and %s after 40 and 50", now)
	}

	a, b := write(t, "BenchmarkAdd/n=1 1 50 %ceiling\n"), write(t, "BenchmarkAdd/n=1 1 40 %ceiling\n")
	assert.EqualError(t, gateCommand{15, a, b}.Run(), "the shares of ceilings fell by more than 15 %: [Add all]")
	assert.NoError(t, gateCommand{25, a, b}.Run())
	assert.ErrorContains(t, gateCommand{15, "missing.txt", b}.Run(), "missing.txt")
}
