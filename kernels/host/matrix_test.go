package host

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

// blocked are convolutions that are cut into several blocks: strips of an image, groups of images, classes of pixels.
// The conformance suite keeps to smaller ones.
var blocked = []kernels.Conv{
	{N: 2, H: 37, W: 21, Cin: 5, Cout: 37, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1},
	{N: 2, H: 40, W: 33, Cin: 4, Cout: 6, KH: 3, KW: 3, Stride: 2, PadBottom: 1, PadRight: 1, XStride: 7, YStride: 9},
	{N: 1, H: 24, W: 30, Cin: 3, Cout: 33, KH: 3, KW: 2, Stride: 1, XStride: 4},
	{N: 23, H: 7, W: 7, Cin: 9, Cout: 34, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1},
	{N: 5, H: 13, W: 11, Cin: 17, Cout: 3, KH: 1, KW: 1, Stride: 1, XStride: 40},
	{N: 2, H: 31, W: 22, Cin: 32, Cout: 48, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1},
	{N: 9, H: 7, W: 7, Cin: 48, Cout: 32, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1, XStride: 50, YStride: 37},
	{N: 2, H: 13, W: 16, Cin: 160, Cout: 80, KH: 3, KW: 3, Stride: 1, PadTop: 2, PadLeft: 1},
	{N: 5, H: 4, W: 5, Cin: 208, Cout: 176, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1},
	{N: 2, H: 9, W: 8, Cin: 64, Cout: 32, KH: 3, KW: 3, Stride: 1},
	{N: 1, H: 5, W: 400, Cin: 2, Cout: 5, KH: 3, KW: 5, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 2, PadRight: 2},
}

// blockedCases are the blocked convolutions in every direction, and the other ops of the matrix core beyond one block.
func blockedCases() []kerneltest.Case {
	cases := []kerneltest.Case{
		{Op: "MatMul", Params: kernels.MatMul{Batch: 2, M: 230, N: 37, K: 19, StrideA: 230 * 19, StrideC: 230 * 37, Alpha: 0.5}},
		{Op: "MatMul", Params: kernels.MatMul{Batch: 1, M: 201, N: 70, K: 333, TransA: true, TransB: true, Alpha: 1, Accumulate: true}},
		{Op: "Attention", Params: kernels.Attention{N: 2, T: 300, Heads: 2, HeadDim: 12, Scale: 0.3}},
		{Op: "AttentionGrad", Params: kernels.Attention{N: 1, T: 290, Heads: 2, HeadDim: 10, Scale: 0.3, QKVStride: 64}},
		{Op: "Linear", Params: kerneltest.Linear{Linear: kernels.Linear{Rows: 600, K: 20, M: 45}, Act: kernels.ActSiLU}},
	}
	for i, p := range blocked {
		cases = append(cases, kerneltest.Case{Op: "Conv2D", Params: kerneltest.Conv2D{Conv: p, Act: kernels.Act(i % 2)}})
		p.Accumulate = i%2 == 0
		cases = append(cases, kerneltest.Case{Op: "Conv2DInputGrad", Params: p}, kerneltest.Case{Op: "Conv2DWeightGrad", Params: p})
	}
	return cases
}

func TestBlocksMeetTheirBudgetAndLeaveImagesAlone(t *testing.T) {
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) {
		one, two := open(1), open(2)
		defer one.Close()
		defer two.Close()
		for _, c := range blockedCases() {
			assert.NoError(t, kerneltest.Check(two, c))
			assert.NoError(t, kerneltest.CheckBatch(two, c))
			assert.NoError(t, kerneltest.CheckSame(one, two, c))
		}
	})
}

func TestMatrixOpsAllocateNothingAfterTheFirstCalls(t *testing.T) {
	eachLevel(t, func(t *testing.T, open func(threads int) kernels.Set) {
		checked := open(2)
		defer checked.Close()
		s := kernels.Unwrap(checked)
		p := kernels.Conv{N: 2, H: 9, W: 9, Cin: 8, Cout: 8, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}
		cached := p
		cached.WeightVersion = 1
		attention := kernels.Attention{N: 1, T: 60, Heads: 2, HeadDim: 8, Scale: 1}
		product := kernels.MatMul{Batch: 2, M: 9, N: 9, K: 9, StrideA: 81, StrideB: 81, StrideC: 81, Alpha: 1}
		buffers := make([]kernels.Buffer, 9)
		for i := range buffers {
			buffers[i] = s.Alloc(kernels.F32, 2000)
		}
		x, w, y, lse := buffers[0], buffers[1], buffers[2], buffers[3]
		for name, run := range map[string]func(){
			"Conv2D":           func() { s.Conv2D(y, x, w, kernels.Epilogue{Bias: buffers[3], Residual: buffers[4]}, p) },
			"Conv2D, cached":   func() { s.Conv2D(y, x, w, kernels.Epilogue{}, cached) },
			"Conv2DInputGrad":  func() { s.Conv2DInputGrad(x, y, w, p) },
			"Conv2DWeightGrad": func() { s.Conv2DWeightGrad(w, x, y, p) },
			"MatMul":           func() { s.MatMul(y, x, w, product) },
			"Attention":        func() { s.Attention(y, x, w, buffers[4], lse, attention) },
			"AttentionGrad": func() {
				s.AttentionGrad(buffers[6], buffers[7], buffers[8], buffers[5], x, w, buffers[4], y, lse, attention)
			},
		} {
			run() // memory for what is used again comes with the second call
			assert.Zero(t, testing.AllocsPerRun(20, run), name)
		}
	})
}

func TestFreeForgetsPackedWeights(t *testing.T) {
	checked, err := New("portable", kernels.Options{Threads: 1})
	assert.NoError(t, err)
	s := kernels.Unwrap(checked).(*Set)
	arena := s.Alloc(kernels.F32, 64)
	w, x, y := arena.Slice(16, 16), s.Alloc(kernels.F32, 16), s.Alloc(kernels.F32, 16)
	s.Linear(y, x, w, kernels.Epilogue{}, kernels.Linear{Rows: 4, K: 4, M: 4, WeightVersion: 3})
	assert.Len(t, s.packs, 1)
	s.Free(y)
	assert.Len(t, s.packs, 1)
	s.Free(arena)
	assert.Empty(t, s.packs)
}

func TestWeightsThatChangeAfterEveryUseAreNotKept(t *testing.T) {
	checked, err := New("portable", kernels.Options{Threads: 1})
	assert.NoError(t, err)
	s := kernels.Unwrap(checked).(*Set)
	w, x, y := s.Alloc(kernels.F32, 16), s.Alloc(kernels.F32, 16), s.Alloc(kernels.F32, 16)
	kept := func(version uint64) bool {
		s.Linear(y, x, w, kernels.Epilogue{}, kernels.Linear{Rows: 4, K: 4, M: 4, WeightVersion: version})
		for _, p := range s.packs {
			if len(p.values.mem) > 0 {
				return true
			}
		}
		return false
	}
	assert.False(t, kept(1))
	assert.False(t, kept(2))
	assert.True(t, kept(2), "used again")
	assert.True(t, kept(3), "memory of weights that are used again serves the next version")
	assert.True(t, kept(3))
	assert.True(t, kept(4))
	assert.False(t, kept(5), "version 4 was used once")
}
