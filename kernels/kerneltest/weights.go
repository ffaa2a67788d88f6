package kerneltest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"emdiff/kernels"
)

// product is an op that may keep a packed copy of its weights. All of them read the same weights here, each in its own
// layout.
type product struct {
	name string
	call func(s kernels.Set, y, x, w kernels.Buffer, version uint64)
}

const weightLen, activationLen = 9 * 8 * 32, 2 * 16 * 72 // enough for every product

var products = []product{
	{"Conv2D", func(s kernels.Set, y, x, w kernels.Buffer, version uint64) {
		p := padded(2, 4, 4, 8, 32)
		p.WeightVersion = version
		s.Conv2D(y, x, w, kernels.Epilogue{}, p)
	}},
	{"Conv2DInputGrad", func(s kernels.Set, y, x, w kernels.Buffer, version uint64) {
		p := padded(2, 4, 4, 8, 32)
		p.WeightVersion = version
		s.Conv2DInputGrad(y, x, w, p)
	}},
	{"Conv2D with another split into channels", func(s kernels.Set, y, x, w kernels.Buffer, version uint64) {
		p := padded(2, 4, 4, 32, 8)
		p.WeightVersion = version
		s.Conv2D(y, x, w, kernels.Epilogue{}, p)
	}},
	{"Linear", func(s kernels.Set, y, x, w kernels.Buffer, version uint64) {
		s.Linear(y, x, w, kernels.Epilogue{}, kernels.Linear{Rows: 5, K: 72, M: 32, WeightVersion: version})
	}},
	{"LinearInputGrad", func(s kernels.Set, y, x, w kernels.Buffer, version uint64) {
		s.LinearInputGrad(y, x, w, kernels.Linear{Rows: 5, K: 72, M: 32, WeightVersion: version})
	}},
}

// checkWeightVersions tries to catch a Set with a packed copy of weights that are no longer there.
func checkWeightVersions(s kernels.Set) (failures []error) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	x := s.Alloc(kernels.F32, activationLen)
	defer s.Free(x)
	s.Upload(x, draw(activationLen))
	run := func(p product, w kernels.Buffer, version uint64) []float32 {
		y := s.Alloc(kernels.F32, activationLen)
		defer s.Free(y)
		p.call(s, y, x, w, version)
		return read(s, y)
	}
	// verify compares the products of a view that holds the values, under a version, with those of an uncached copy.
	verify := func(situation string, w kernels.Buffer, version uint64, values []float32) {
		plain := s.Alloc(kernels.F32, weightLen)
		defer s.Free(plain)
		s.Upload(plain, values)
		for _, p := range products {
			if !slices.Equal(run(p, w, version), run(p, plain, 0)) {
				failures = append(failures, fmt.Errorf("%s: %s: %s, WeightVersion = %d gives another result than unknown weights", s.Name(), p.name, situation, version))
			}
		}
	}

	first, second, third := draw(weightLen), draw(weightLen), draw(weightLen)
	arena := s.Alloc(kernels.F32, 2*weightLen)
	s.Upload(arena, append(slices.Clone(first), second...))
	verify("on first sight", arena.Slice(0, weightLen), 1, first)
	verify("on second sight", arena.Slice(0, weightLen), 1, first)
	verify("on third sight", arena.Slice(0, weightLen), 1, first)
	verify("another view of the arena, same version", arena.Slice(weightLen, weightLen), 1, second)
	s.Upload(arena, third)
	verify("new values under a new version", arena.Slice(0, weightLen), 2, third)
	s.Upload(arena, first)
	verify("newer values right after", arena.Slice(0, weightLen), 3, first)
	verify("the same once more", arena.Slice(0, weightLen), 3, first)
	s.Upload(arena, second)
	verify("new values under version 0", arena.Slice(0, weightLen), 0, second)
	s.Free(arena)
	arena = s.Alloc(kernels.F32, 2*weightLen)
	defer s.Free(arena)
	s.Upload(arena, third)
	verify("a new buffer after a Free, same version", arena.Slice(0, weightLen), 3, third)
	return failures
}
