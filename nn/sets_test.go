package nn

import (
	"os"
	"slices"
	"strings"
	"testing"

	"emdiff/kernels"
	_ "emdiff/kernels/host"
	"emdiff/kernels/ref"
)

// onSets runs a test on the oracle and on every implementation that works on this machine; one that EMDIFF_REQUIRE lists must.
func onSets(t *testing.T, test func(t *testing.T, set kernels.Set)) {
	run := func(name string, open func() (kernels.Set, error)) {
		t.Run(name, func(t *testing.T) {
			set, err := open()
			if err != nil {
				t.Fatal(err)
			}
			test(t, set)
			if err := set.Sync(); err != nil {
				t.Fatal(err)
			}
			if err := set.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	run("ref", func() (kernels.Set, error) { return ref.New(), nil })
	required := strings.Split(os.Getenv("EMDIFF_REQUIRE"), ",")
	for _, i := range kernels.Implementations() {
		level, host := strings.CutPrefix(i.Name, "host/")
		if err := i.Usable(); host && err == nil {
			run(i.Name, func() (kernels.Set, error) { return i.Open(kernels.Options{}) })
		} else if slices.Contains(required, level) {
			t.Errorf("%s is required and does not run here: %v", i.Name, err)
		}
	}
}

// upload makes a tensor on the tape from values.
func upload(t *Tape, values []float32, n, h, w, c int) *Tensor {
	x := t.NewTensor(n, h, w, c)
	t.Set().Upload(x.Buf, values)
	return x
}

// download returns the values of a contiguous tensor.
func download(set kernels.Set, x *Tensor) []float32 {
	v := make([]float32, x.Len())
	set.Download(v, x.Buf)
	return v
}

// normals returns n reproducible standard normals.
func normals(stream uint32, n int) []float32 {
	v := make([]float32, 0, n+3)
	for b := uint32(0); len(v) < n; b++ {
		q := kernels.NormalBlock(kernels.Random{Seed: 7, Stream: stream}, 0, b)
		v = append(v, q[:]...)
	}
	return v[:n]
}
