package nn

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

// small is a network that uses every option at once: unshuffle stem, attention whose channels need gaps, dropout.
func small() UNetConfig {
	return UNetConfig{ImageSize: 8, InChannels: 1, OutChannels: 1, Channels: []int{8, 16}, LayersPerBlock: 1, Attention: []bool{true, false},
		MidAttention: true, HeadDim: 4, NormGroups: 4, NormEps: 1e-5, FreqShift: 1, Dropout: 0.2, Unshuffle: 2}
}

// variants are networks whose passes take different ways through the code.
func variants() map[string]UNetConfig {
	conditioned, plain, aligned := small(), small(), small()
	conditioned.ScaleShift, conditioned.Dropout = true, 0
	plain.Attention, plain.MidAttention, plain.Unshuffle, plain.DownsamplePadding = []bool{false, false}, false, 0, 1
	aligned.Channels, aligned.HeadDim = []int{16, 16}, 0
	return map[string]UNetConfig{"small": small(), "conditioned": conditioned, "plain": plain, "aligned": aligned}
}

func newNetwork(t testing.TB, set kernels.Set, cfg UNetConfig) *UNet {
	u, err := NewUNet(set, cfg)
	require.NoError(t, err)
	t.Cleanup(u.Close)
	u.Init(3)
	return u
}

// inputs are images, times and a cotangent for n images.
func inputs(tape *Tape, cfg UNetConfig, n int) (x, time, dy *Tensor) {
	s := cfg.ImageSize
	x = upload(tape, normals(1, n*s*s*cfg.InChannels), n, s, s, cfg.InChannels)
	times := make([]float32, n)
	for i := range times {
		times[i] = 0.75 + 2.5*float32(i)
	}
	time = upload(tape, times, n, 1, 1, 1)
	dy = upload(tape, normals(2, n*s*s*cfg.OutChannels), n, s, s, cfg.OutChannels)
	return x, time, dy
}

// preconditioned is the network in the setting of a denoiser: clamp(a x + b F(a x) + x).
func preconditioned(u *UNet, tape *Tape, x, time *Tensor) *Tensor {
	a, b := tape.NewTensor(x.N, 1, 1, 1), tape.NewTensor(x.N, 1, 1, 1)
	tape.Set().Fill(a.Buf, 0.75, kernels.Elementwise{Len: x.N})
	tape.Set().Fill(b.Buf, 1.5, kernels.Elementwise{Len: x.N})
	scaled := tape.ScaleImages(a.Buf, x, nil, nil)
	d := tape.ScaleImages(a.Buf, scaled, b.Buf, u.Forward(tape, scaled, time))
	return tape.Clamp(tape.Add(d, x), -2, 2)
}

// The check runs in float64 along directions of length 1, where a central difference with step h is wrong by O(h^2) and by
// 1e-16/h relative to the values: 1e-6 is far above that and far below any mistake.
func TestGradientsAreTheDerivative(t *testing.T) {
	const h, n = 1e-5, 2
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			set := ref.Float64()
			u := newNetwork(t, set, cfg)
			tape := NewTape(set, Training)
			tape.Seed, tape.Step = 11, 5
			var x, y, dy *Tensor
			forward := func(displace []float64, by float64) float64 {
				tape.Reset()
				var time *Tensor
				x, time, dy = inputs(tape, cfg, n)
				for i, d := range displace {
					ref.Values(x.Buf)[i] += by * d
				}
				y = preconditioned(u, tape, x, time)
				return dot(ref.Values(y.Buf), ref.Values(dy.Buf))
			}
			agree := func(name string, gradient, direction []float64, value func(by float64) float64) {
				analytic, numeric := dot(gradient, direction), (value(h)-value(-h))/(2*h)
				assert.InDelta(t, numeric, analytic, 1e-6*(1+math.Abs(numeric)), name)
			}

			forward(nil, 0)
			dx := append([]float64{}, ref.Values(tape.Backward(y, dy, x)[0].Buf)...)
			grads := append([]float64{}, ref.Values(u.Params.Buffer(Grads))...)
			along := unit(100, len(dx))
			agree("x", dx, along, func(by float64) float64 { return forward(along, by) })

			for i, w := range u.Params.list {
				from, to := w.offset, w.offset+w.Rows*w.Cols
				weights := ref.Values(u.Params.Buffer(Weights))[from:to]
				start := append([]float64{}, weights...)
				direction := unit(uint32(101+i), len(weights))
				if len(w.Entries) > 1 { // the gaps between its entries are zero and no parameters
					for j, v := range start {
						if v == 0 {
							direction[j] = 0
						}
					}
				}
				agree(w.Entries[0].Name, grads[from:to], direction, func(by float64) float64 {
					for j := range weights {
						weights[j] = start[j] + by*direction[j]
					}
					defer copy(weights, start)
					return forward(nil, 0)
				})
			}
		})
	}
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// unit returns a random direction of length 1.
func unit(stream uint32, n int) []float64 {
	v := make([]float64, n)
	for i, x := range normals(stream, n) {
		v[i] = float64(x)
	}
	length := math.Sqrt(dot(v, v))
	for i := range v {
		v[i] /= length
	}
	return v
}

func TestVJPRepeatsAndAgreesWithBackward(t *testing.T) {
	onSets(t, func(t *testing.T, set kernels.Set) {
		for name, cfg := range variants() {
			u := newNetwork(t, set, cfg)
			tape := NewTape(set, Differentiate)
			defer tape.Close()
			x, time, dy := inputs(tape, cfg, 3)
			y := preconditioned(u, tape, x, time)
			u.Params.Zero(Grads)
			first := download(set, tape.VJP(y, dy, x))
			live := tape.arena.live
			for range 3 {
				again := tape.VJP(y, dy, x)
				assert.Equal(t, first, download(set, again), name)
				tape.Release(again)
			}
			assert.Equal(t, live, tape.arena.live, "%s: released VJPs leave no memory behind", name)
			untouched := make([]float32, u.Params.Len())
			set.Download(untouched, u.Params.Buffer(Grads))
			assert.Equal(t, make([]float32, u.Params.Len()), untouched, "%s: a VJP writes no parameter gradient", name)

			both := tape.Backward(y, dy, x, x)
			assert.Equal(t, first, download(set, both[0]), name)
			assert.Equal(t, first, download(set, both[1]), name)
		}
	})
}

func TestVJPIsLinearInTheCotangent(t *testing.T) {
	set := ref.Float64()
	cfg := small()
	u := newNetwork(t, set, cfg)
	tape := NewTape(set, Differentiate)
	x, time, dy := inputs(tape, cfg, 2)
	y := u.Forward(tape, x, time)
	one := tape.VJP(y, dy, x)
	set.Axpy(dy.Buf, dy.Buf, 2, kernels.Elementwise{Len: dy.Len()})
	three := tape.VJP(y, dy, x)
	for i, v := range ref.Values(one.Buf) {
		assert.InDelta(t, 3*v, ref.Values(three.Buf)[i], 1e-12*(1+math.Abs(v)))
	}
}

func TestInferenceAndRecordingGiveTheSameBits(t *testing.T) {
	onSets(t, func(t *testing.T, set kernels.Set) {
		for name, cfg := range variants() {
			u := newNetwork(t, set, cfg)
			var outputs [2][]float32
			var bytes [2]int64
			for i, mode := range []Mode{Inference, Differentiate} {
				tape := NewTape(set, mode)
				for range 2 { // the second time with the memory that the first left
					tape.Reset()
					x, time, _ := inputs(tape, cfg, 3)
					outputs[i] = download(set, u.Forward(tape, x, time))
				}
				bytes[i] = tape.PeakBytes()
				tape.Close()
				assert.Zero(t, tape.MemoryBytes())
			}
			assert.Equal(t, outputs[0], outputs[1], name)
			assert.Less(t, bytes[0], bytes[1]/2, "%s: inference reuses memory", name)
		}
	})
}

func TestAnImageDoesNotDependOnItsBatch(t *testing.T) {
	onSets(t, func(t *testing.T, set kernels.Set) {
		for name, cfg := range variants() {
			u := newNetwork(t, set, cfg)
			const n = 32
			size := cfg.ImageSize * cfg.ImageSize
			run := func(x, time, dy *Tensor, tape *Tape) (y, dx []float32) {
				out := u.Forward(tape, x, time)
				return download(set, out), download(set, tape.VJP(out, dy, x))
			}
			tape := NewTape(set, Differentiate)
			x, time, dy := inputs(tape, cfg, n)
			all := [3][]float32{download(set, x), download(set, time), download(set, dy)}
			y, dx := run(x, time, dy, tape)
			for _, i := range []int{0, 13, n - 1} {
				tape.Reset()
				one := func(v []float32) *Tensor {
					return upload(tape, v[i*size:(i+1)*size], 1, cfg.ImageSize, cfg.ImageSize, 1)
				}
				y1, dx1 := run(one(all[0]), upload(tape, all[1][i:i+1], 1, 1, 1, 1), one(all[2]), tape)
				assert.Equal(t, y[i*size:(i+1)*size], y1, "%s: output of image %d", name, i)
				assert.Equal(t, dx[i*size:(i+1)*size], dx1, "%s: gradient of image %d", name, i)
			}
			tape.Close()
		}
	})
}

// allocations counts what a Set is asked for.
type allocations struct {
	kernels.Set
	count int
}

func (s *allocations) Alloc(d kernels.DType, n int) kernels.Buffer {
	s.count++
	return s.Set.Alloc(d, n)
}

func TestStepsAllocateNothingAfterWarmUp(t *testing.T) {
	for name, cfg := range variants() {
		dry, _ := newDrySet() // memory is the same on every Set
		set := &allocations{Set: dry}
		u, err := NewUNet(set, cfg)
		require.NoError(t, err)
		for _, mode := range []Mode{Inference, Training} {
			tape := NewTape(set, mode)
			step := func(n int) {
				tape.Reset()
				x, dy := tape.NewTensor(n, 8, 8, 1), tape.NewTensor(n, 8, 8, 1)
				y := u.Forward(tape, x, tape.NewTensor(n, 1, 1, 1))
				if mode == Training {
					tape.VJP(y, dy, x)
					tape.Backward(y, dy, x)
				}
			}
			for range 4 {
				step(2)
				step(64)
			}
			count, bytes := set.count, tape.MemoryBytes()
			for range 5 {
				step(64)
				step(1)
				step(2)
			}
			assert.Equal(t, count, set.count, "%s %s", name, mode)
			assert.Equal(t, bytes, tape.MemoryBytes(), "%s %s", name, mode)
			step(64)
			assert.Less(t, float64(bytes), 1.15*float64(tape.PeakBytes()), "%s %s: little is lost between tensors", name, mode)
			tape.Close()
		}
	}
}

// poisoned fills new memory with NaN.
type poisoned struct{ kernels.Set }

func (s poisoned) Alloc(d kernels.DType, n int) kernels.Buffer {
	b := s.Set.Alloc(d, n)
	s.Set.Fill(b, float32(math.NaN()), kernels.Elementwise{Len: n})
	return b
}

func TestNoOpReadsUnwrittenMemory(t *testing.T) {
	for name, cfg := range variants() {
		set := ref.New()
		u := newNetwork(t, set, cfg)
		results := func(set kernels.Set) (values [3][]float32) {
			tape := NewTape(set, Training)
			x, time, dy := inputs(tape, cfg, 2)
			y := preconditioned(u, tape, x, time)
			values[0], values[1] = download(set, y), download(set, tape.Backward(y, dy, x)[0])
			values[2] = make([]float32, u.Params.Len())
			set.Download(values[2], u.Params.Buffer(Grads))
			return values
		}
		assert.Equal(t, results(set), results(poisoned{set}), name) // NaN would spread
	}
}

func TestGradientsAccumulate(t *testing.T) {
	set := ref.Float64()
	cfg := small()
	cfg.ScaleShift = true
	u := newNetwork(t, set, cfg)
	grads := func() []float64 { return append([]float64{}, ref.Values(u.Params.Buffer(Grads))...) }
	tape := NewTape(set, Differentiate)
	x, time, dy := inputs(tape, cfg, 2)
	y := u.Forward(tape, x, time)
	tape.Backward(y, dy)
	once := grads()
	tape.Backward(y, dy)
	assert.Equal(t, once, grads(), "Backward overwrites")
	tape.AccumulateGrads = true
	tape.Backward(y, dy)
	twice := grads()
	tape.AccumulateGrads = false
	tape.Backward(tape.Add(y, u.Forward(tape, x, time)), dy, x) // two uses of every parameter in one pass
	for i, g := range grads() {
		assert.InDelta(t, 2*once[i], twice[i], 1e-12*(1+math.Abs(g)))
		assert.InDelta(t, 2*once[i], g, 1e-12*(1+math.Abs(g)))
	}
}

func TestReplayHandlesUnusualGraphs(t *testing.T) {
	set := poisoned{ref.New()}
	tape := NewTape(set, Differentiate)
	x := upload(tape, normals(1, 2*4*4*32), 2, 4, 4, 32)
	dy := upload(tape, normals(2, 2*4*4*32), 2, 4, 4, 32)
	cot := download(set, dy)
	scaled := func(by float32) []float32 {
		v := append([]float32{}, cot...)
		for i := range v {
			v[i] *= by
		}
		return v
	}

	t.Run("a tensor that y does not depend on has gradient zero", func(t *testing.T) {
		other := tape.SiLU(x)
		y := tape.Add(x, x)
		assert.Equal(t, make([]float32, x.Len()), download(set, tape.VJP(y, dy, other)))
		assert.Equal(t, scaled(2), download(set, tape.VJP(y, dy, x)))
	})
	t.Run("y may be the input itself", func(t *testing.T) {
		assert.Equal(t, cot, download(set, tape.VJP(x, dy, x)))
		assert.Equal(t, cot, download(set, dy), "the cotangent is not written")
	})
	t.Run("the gradient of an intermediate tensor", func(t *testing.T) {
		h := tape.SiLU(x)
		y := tape.Add(h, tape.Add(h, h))
		assert.Equal(t, scaled(3), download(set, tape.VJP(y, dy, h)))
		assert.Equal(t, cot, download(set, dy), "the cotangent is not written")
	})
	t.Run("the gradients of a tensor and of what it was made from", func(t *testing.T) {
		h := tape.Add(tape.SiLU(x), x)
		both := tape.Backward(tape.Add(h, h), dy, h, x)
		assert.Equal(t, scaled(2), download(set, both[0]))
		assert.Equal(t, download(set, tape.VJP(tape.Add(h, h), dy, x)), download(set, both[1]))
	})
	t.Run("a gradient handed on and added to", func(t *testing.T) {
		s := tape.SiLU(x)
		sum := download(set, tape.VJP(tape.Add(s, x), dy, x))
		for i, g := range download(set, tape.VJP(s, dy, x)) {
			assert.InDelta(t, g+cot[i], sum[i], 1e-6)
		}
		assert.Equal(t, cot, download(set, dy), "the cotangent is not written")
	})
	t.Run("channel ranges", func(t *testing.T) {
		part := x.Channels(16, 16)
		l := (&Builder{}).GroupNorm("n", 16, 4, 1e-5, false)
		b := &Builder{list: []*Param{l.Gamma, l.Beta}}
		params := b.Params(set)
		defer params.Close()
		params.Init(1)
		y := tape.GroupNorm(part, l, nil)
		half := upload(tape, normals(3, y.Len()), 2, 4, 4, 16)
		whole, view := download(set, tape.VJP(y, half, x)), download(set, tape.VJP(y, half, part))
		for i, g := range whole {
			if i%32 < 16 {
				assert.Zero(t, g)
			} else {
				assert.Equal(t, view[i/32*16+i%32-16], g)
			}
		}
		j := tape.NewJoin(2, 4, 4, 16, 16)
		assert.Equal(t, 32, j.Left.Channels(0, 16).Stride, "a range of a range")
		direct := download(set, tape.VJP(j.Right, half, tape.Concat(j)))
		assert.Equal(t, download(set, half)[0], direct[16], "a channel range as y")
		assert.Zero(t, direct[0])
	})
}

// convolution is a single 3x3 layer from 16 to 16 channels.
func convolution(set kernels.Set) (*Conv2D, *Params) {
	b := &Builder{}
	l := b.Conv2D("c", 16, 16, 3)
	p := b.Params(set)
	p.Init(1)
	return l, p
}

func TestMemoryOfTheCallersMayBeADestinationAgainAndAgain(t *testing.T) {
	set := ref.New()
	l, params := convolution(set)
	defer params.Close()
	into := Wrap(set.Alloc(kernels.F32, 4*4*16), 1, 4, 4, 16)
	tape := NewTape(set, Differentiate)
	var first []float32
	for range 3 {
		tape.Reset()
		x := upload(tape, normals(1, 4*4*16), 1, 4, 4, 16)
		y := tape.SiLU(tape.Conv(x, l, Epilogue{Into: into}))
		dy := upload(tape, normals(2, y.Len()), 1, 4, 4, 16)
		for range 2 {
			dx := download(set, tape.VJP(y, dy, x))
			if first == nil {
				first = dx
			}
			assert.Equal(t, first, dx)
		}
	}
}

func TestAnImageBiasMayServeSeveralConvolutions(t *testing.T) {
	set := ref.Float64()
	l, params := convolution(set)
	defer params.Close()
	tape := NewTape(set, Differentiate)
	x, bias := upload(tape, normals(1, 2*4*4*16), 2, 4, 4, 16), upload(tape, normals(2, 2*16), 2, 1, 1, 16)
	y := tape.Add(tape.Conv(x, l, Epilogue{ImageBias: bias}), tape.Conv(tape.SiLU(x), l, Epilogue{ImageBias: bias}))
	dy := upload(tape, normals(3, y.Len()), 2, 4, 4, 16)
	dbias := ref.Values(tape.Backward(y, dy, bias)[0].Buf)
	grad, err := params.Download(Grads, "c.bias")
	require.NoError(t, err)
	for c := range 16 {
		var sums [2]float64 // twice the sum over the pixels of an image, once per convolution
		for i, v := range ref.Values(dy.Buf) {
			if i%16 == c {
				sums[i/(16*16)] += 2 * v
			}
		}
		assert.InDelta(t, sums[0], dbias[c], 1e-12)
		assert.InDelta(t, sums[1], dbias[16+c], 1e-12)
		assert.InDelta(t, sums[0]+sums[1], grad[c], 1e-5)
	}
}

func TestMistakesPanicWithAShapeError(t *testing.T) {
	set := ref.New()
	u := newNetwork(t, set, small())
	tape := NewTape(set, Differentiate)
	x, time, dy := inputs(tape, small(), 2)
	wide := tape.NewTensor(2, 8, 8, 32)
	view := wide.Channels(16, 16)
	for name, mistake := range map[string]func(){
		"size":            func() { u.Forward(tape, tape.NewTensor(2, 6, 6, 1), time) },
		"channels":        func() { u.Forward(tape, wide, time) },
		"times":           func() { u.Forward(tape, x, x) },
		"cotangent":       func() { tape.VJP(x, wide, x) },
		"nil":             func() { tape.VJP(x, nil, x) },
		"range":           func() { wide.Channels(16, 32) },
		"unaligned range": func() { wide.Channels(8, 8) },
		"strided":         func() { tape.SiLU(view) },
		"add":             func() { tape.Add(x, wide) },
		"shuffle":         func() { tape.PixelShuffle(x, 2) },
		"unshuffle":       func() { tape.PixelUnshuffle(x, 3) },
		"heads":           func() { tape.Attention(tape.NewTensor(2, 4, 4, 48), 16, 3) },
		"qkv":             func() { tape.Attention(wide, 16, 1) },
		"wrap":            func() { Wrap(x.Buf, 3, 8, 8, 1) },
		"wrap nil":        func() { Wrap(nil, 1, 1, 1, 1) },
		"wrap int":        func() { WrapVector(set.Alloc(kernels.I32, 4), 4) },
		"residual":        func() { tape.Conv(upload(tape, normals(1, 2*4*4*4), 2, 4, 4, 4), u.convIn, Epilogue{Residual: dy}) },
		"conv":            func() { tape.Conv(x, u.convIn, Epilogue{}) },
	} {
		assert.Panics(t, func() {
			defer func() {
				e := recover()
				assert.IsType(t, &kernels.ShapeError{}, e, name)
				panic(e)
			}()
			mistake()
		}, name)
	}
	assert.Panics(t, func() { NewTape(set, Inference).VJP(x, x, x) })
	assert.Equal(t, "training", Training.String())
	assert.Same(t, set, tape.Set())
	assert.Equal(t, Differentiate, tape.Mode())
}

func TestDropoutDependsOnSeedStepAndImageOnly(t *testing.T) {
	set := ref.New()
	cfg := small()
	u := newNetwork(t, set, cfg)
	ids := set.Alloc(kernels.I32, 2)
	set.UploadInts(ids, []int32{1, 0})
	run := func(mode Mode, seed uint64, step uint32, swap bool) []float32 {
		tape := NewTape(set, mode)
		tape.Seed, tape.Step = seed, step
		x := upload(tape, append(normals(1, 64), normals(1, 64)...), 2, 8, 8, 1)
		if swap {
			tape.ImageIDs = ids
		}
		return download(set, u.Forward(tape, x, upload(tape, []float32{1, 1}, 2, 1, 1, 1)))
	}
	base := run(Training, 1, 1, false)
	assert.Equal(t, base, run(Training, 1, 1, false))
	assert.NotEqual(t, base[:64], base[64:], "images have their own masks")
	assert.NotEqual(t, base, run(Training, 2, 1, false))
	assert.NotEqual(t, base, run(Training, 1, 2, false))
	swapped := run(Training, 1, 1, true)
	assert.Equal(t, base[:64], swapped[64:], "a mask belongs to the image's id")
	tape := NewTape(set, Training)
	ones := func() *Tensor {
		return upload(tape, []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 1, 1, 1, 16)
	}
	assert.NotEqual(t, download(set, tape.Dropout(ones(), 0.5, 0)), download(set, tape.Dropout(ones(), 0.5, 1)), "layers have their own masks")
	numbers := map[int]bool{}
	blocks := u.mid[:]
	for _, l := range append(append([]level{}, u.down...), u.up...) {
		for _, s := range l.stages {
			blocks = append(blocks, s.res)
		}
	}
	for _, b := range blocks {
		numbers[b.second.layer] = true
	}
	assert.Len(t, numbers, 2+2+4, "each block is a layer of its own")
	off := run(Differentiate, 1, 1, false)
	assert.Equal(t, off[:64], off[64:], "no dropout outside training")
}
