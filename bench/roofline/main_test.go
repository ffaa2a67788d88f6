package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/bench"
)

const output = `cpu: Some <CPU>
BenchmarkConv2D/impl=host/level=avx2/threads=2/net=a/n=1-2 	 10	 1000000 ns/op	 80.0 %ceiling	 100.0 FLOP/B	 0.8 GB/s	 80.0 GFLOP/s	 100.0 peak-GFLOP/s	 50.0 peak-GB/s
BenchmarkConv2D/impl=host/level=avx2/threads=2/net=a/n=2-2 	 10	 2000000 ns/op	 90.0 %ceiling	 100.0 FLOP/B	 0.9 GB/s	 90.0 GFLOP/s	 100.0 peak-GFLOP/s	 50.0 peak-GB/s
BenchmarkSiLU/impl=host/level=avx2/threads=2/size=memory-2 	 10	 30000000 ns/op	 20.0 %ceiling	 0.5 FLOP/B	 5.0 GB/s	 2.5 GFLOP/s	 100.0 peak-GFLOP/s	 25.0 peak-GB/s
BenchmarkCopyChannels/impl=host/level=avx2/threads=2/size=l2-2 	 10	 1000 ns/op	 50.0 %ceiling	 25.0 GB/s	 50.0 peak-GB/s
BenchmarkUNet/impl=host/level=avx2/threads=2/net=a-2 	 10	 1000000 ns/op	 70.0 %ceiling	 10.0 FLOP/B	 7 GB/s	 70.0 GFLOP/s	 100.0 peak-GFLOP/s	 50.0 peak-GB/s
BenchmarkConv2D/impl=host/level=portable/threads=2/net=a/n=1-2 	 10	 1000000 ns/op	 10.0 %ceiling	 100.0 FLOP/B	 0.1 GB/s	 1.0 GFLOP/s	 10.0 peak-GFLOP/s	 50.0 peak-GB/s
BenchmarkEMRound/impl=host/level=avx2-2 	 10	 1000000 ns/op
`

func readPoints(t *testing.T) []point {
	run, err := bench.Read(strings.NewReader(output))
	require.NoError(t, err)
	return pointsOf(run)
}

func TestPointsAreThoseOfTheFirstLevel(t *testing.T) {
	points := readPoints(t)
	require.Len(t, points, 5)
	assert.Equal(t, "net=a n=2", points[1].shape)
	assert.Equal(t, "multiply-adds", points[1].bound())
	assert.Equal(t, 100.0, points[1].attainable())
	assert.Equal(t, "copying over 128 MiB", points[2].bound())
	assert.Equal(t, 12.5, points[2].attainable())
	assert.Equal(t, "copying up to 2 MiB", points[3].bound())
	peak, copies := ceilings(points)
	assert.Equal(t, 100.0, peak)
	assert.Equal(t, 25.0, copies[2])
	for _, f := range families[:len(families)-1] {
		for _, op := range f.ops {
			assert.Equal(t, f.name, families[familyOf(op)].name)
		}
	}
}

func TestTheTableNamesTheLongestAndTheWorstCall(t *testing.T) {
	var out bytes.Buffer
	tabulate(&out, readPoints(t), "Some CPU", "make roofline")
	for _, want := range []string{
		"Some CPU. Made with\n\n    make roofline\n",
		"multiply-adds on registers 100 GFLOP/s; copying up to 2 MiB 50 GB/s;",
		"| Conv2D | net=a n=2 | 100 | 90 GFLOP/s | 100 GFLOP/s | 90 % | multiply-adds | 85 % (2) |\n|  | net=a n=1 | 100 | 80 GFLOP/s | 100 GFLOP/s | 80 % | multiply-adds |  |\n",
		"| SiLU | size=memory | 0.5 | 2.5 GFLOP/s | 12.5 GFLOP/s | 20 % | copying over 128 MiB | 20 % (1) |\n| CopyChannels",
		"| CopyChannels | size=l2 | 0 | 25 GB/s | 50 GB/s | 50 % | copying up to 2 MiB | 50 % (1) |\n",
	} {
		assert.Contains(t, out.String(), want)
	}
}

func TestThePictureIsXMLWithAPointPerCallThatComputes(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, draw(&out, readPoints(t), "Some <CPU>"))
	marks := 0
	for d := xml.NewDecoder(bytes.NewReader(out.Bytes())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "title" {
			marks++
		}
	}
	assert.Equal(t, 4+3, marks, "points, and the families in the legend")
	assert.Contains(t, out.String(), "copying over 128 MiB: 25 GB/s")
	assert.Contains(t, out.String(), "multiply-adds on registers: 100 GFLOP/s")
	assert.NotContains(t, out.String(), "NaN")
	assert.Error(t, draw(&out, nil, ""))
}

func TestAxesAreLogarithmicAndEndOnTicks(t *testing.T) {
	s := around(0.3, 45, 0, 100)
	assert.Equal(t, scale{0.2, 50, 0, 100}, s)
	assert.InDelta(t, 0, s.at(0.2), 1e-9)
	assert.InDelta(t, 100, s.at(50), 1e-9)
	assert.InDelta(t, 50, s.at(0.2*15.811388), 1e-5)
	assert.Equal(t, []float64{0.2, 0.5, 1, 2, 5, 10, 20, 50}, s.ticks())
	for _, v := range []float64{1, 2, 5, 10, 0.1} {
		assert.InEpsilon(t, v, around(v, v, 0, 1).lo, 1e-9)
		assert.InEpsilon(t, v, around(v, v, 0, 1).hi, 1e-9)
	}
}

func TestThePageKeepsWhatIsAroundTheTable(t *testing.T) {
	dir := t.TempDir()
	in, page, svg := filepath.Join(dir, "run.txt"), filepath.Join(dir, "page.md"), filepath.Join(dir, "roofline.svg")
	require.NoError(t, os.WriteFile(in, []byte(output), 0o666))
	f := &flags{In: in, SVG: svg, Page: page, Command: "make roofline"}
	require.NoError(t, os.WriteFile(page, []byte("above\n"), 0o666))
	assert.ErrorContains(t, f.Run(), "page.md lacks the lines between which the table goes")
	require.NoError(t, os.WriteFile(page, []byte("above\n"+opening+"old\n"+closing+"below\n"), 0o666))
	for range 2 {
		require.NoError(t, f.Run())
	}
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "above\n"+opening+"\nSome <CPU>, level avx2, 2 threads, 20"), string(text))
	assert.True(t, strings.HasSuffix(string(text), "|\n\n"+closing+"below\n"))
	assert.NotContains(t, string(text), "old")
	assert.FileExists(t, svg)
	f.In = page
	assert.ErrorContains(t, f.Run(), "no benchmark in it")
}
