package nn

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

func TestPiecesThatMeetNeverShareMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var tr trace
		var live []int
		for range 400 {
			if len(live) > 0 && rng.IntN(2) == 0 {
				i := rng.IntN(len(live))
				tr.give(live[i])
				live = append(live[:i], live[i+1:]...)
			} else {
				live = append(live, tr.take(1+rng.IntN(5000)))
			}
		}
		p := tr.place(0)
		for i, a := range p.pieces {
			assert.Zero(t, a.off%(kernels.SliceAlign/4))
			assert.LessOrEqual(t, a.off+a.n, p.size)
			for _, b := range p.pieces[:i] {
				if a.start < b.end && b.start < a.end && a.off < b.off+b.n && b.off < a.off+a.n {
					t.Fatalf("%+v overlaps %+v", a, b)
				}
			}
		}
		assert.GreaterOrEqual(t, p.size, p.least)
		assert.Less(t, float64(p.size), 1.15*float64(p.least), "little is lost between pieces")
	}
}

func TestOnlyAPartThatLeavesWhatItFoundIsRepeated(t *testing.T) {
	for name, c := range map[string]struct {
		part func(tr *trace, before int)
		loop int
	}{
		"balanced":             {func(tr *trace, _ int) { tr.give(tr.take(5)) }, 1},
		"keeps something":      {func(tr *trace, _ int) { tr.take(5) }, 0},
		"gives back what was":  {func(tr *trace, before int) { tr.give(before) }, 0},
		"exchanges one by one": {func(tr *trace, before int) { tr.take(5); tr.give(before) }, 0},
	} {
		var tr trace
		before := tr.take(5)
		c.part(&tr, before)
		assert.Equal(t, c.loop, tr.place(1).loop, name)
	}
}

// onHost runs a test at every level of this processor, with one thread, as testing.AllocsPerRun leaves no more.
func onHost(t *testing.T, test func(t *testing.T, set kernels.Set)) {
	for _, i := range kernels.Implementations() {
		if !strings.HasPrefix(i.Name, "host/") || i.Usable() != nil {
			continue
		}
		t.Run(i.Name, func(t *testing.T) {
			set, err := i.Open(kernels.Options{Threads: 1})
			require.NoError(t, err)
			defer set.Close()
			test(t, set)
		})
	}
}

// step is what a plan is for: inputs that are not the tape's, and one pass of the tape's mode.
func step(tape *Tape, u *UNet, x, time, dy *Tensor) (y, dx *Tensor) {
	tape.Reset()
	y = u.Forward(tape, x, time)
	switch tape.Mode() {
	case Training:
		tape.Backward(y, dy)
	case Differentiate:
		dx = tape.VJP(y, dy, x)
	}
	return y, dx
}

// outside are inputs in memory of the caller's.
func outside(set kernels.Set, cfg UNetConfig, n int) (x, time, dy *Tensor) {
	s := cfg.ImageSize
	image := func(c int) *Tensor { return Wrap(set.Alloc(kernels.F32, n*s*s*c), n, s, s, c) }
	x, time, dy = image(cfg.InChannels), WrapVector(set.Alloc(kernels.F32, n), n), image(cfg.OutChannels)
	set.Upload(x.Buf, normals(1, x.Len()))
	set.Upload(time.Buf, normals(3, n))
	set.Upload(dy.Buf, normals(2, dy.Len()))
	return x, time, dy
}

// choices calls f with every way of recording.
func choices(f func(name string, mode Mode, c Checkpoint, frozen bool)) {
	f("inference", Inference, CheckpointNone, false)
	for c := CheckpointNone; c <= CheckpointBlocks; c++ {
		f("training "+c.String(), Training, c, false)
		f("differentiate "+c.String(), Differentiate, c, false)
		f("differentiate frozen "+c.String(), Differentiate, c, true)
	}
}

// balance counts the bytes that a Set has handed out.
type balance struct {
	kernels.Set
	live, peak int64
}

func (s *balance) Alloc(d kernels.DType, n int) kernels.Buffer {
	s.live += int64(d.Size() * n)
	s.peak = max(s.peak, s.live)
	return s.Set.Alloc(d, n)
}

func (s *balance) Free(b kernels.Buffer) {
	s.live -= int64(b.DType().Size() * b.Len())
	s.Set.Free(b)
}

// quick is of the size that an experiment of minutes trains: a fashion image of 28x28 under an unshuffle stem.
func quick() UNetConfig {
	return UNetConfig{ImageSize: 28, InChannels: 1, OutChannels: 1, Channels: []int{32, 64}, LayersPerBlock: 1, Attention: []bool{false, true},
		MidAttention: true, NormGroups: 8, NormEps: 1e-5, FreqShift: 1, Unshuffle: 2}
}

func TestATapeTakesTheMemoryThatWasPlanned(t *testing.T) {
	nets := variants()
	nets["quick"], nets["cifar10"] = quick(), DDPMCIFAR10()
	for name, cfg := range nets {
		dry := &drySet{} // memory is the same on every Set
		set := &balance{Set: kernels.Checked(dry)}
		u, err := NewUNet(set, cfg)
		require.NoError(t, err)
		choices(func(choice string, mode Mode, c Checkpoint, frozen bool) {
			tape := NewTape(set, mode)
			tape.Checkpoint, tape.Frozen = c, frozen
			for _, n := range []int{3, 16, 5, 16} {
				s := cfg.ImageSize
				x, dy := Wrap(dryBuffer(n*s*s*cfg.InChannels), n, s, s, cfg.InChannels), Wrap(dryBuffer(n*s*s*cfg.OutChannels), n, s, s, cfg.OutChannels)
				before, held := set.live, tape.MemoryBytes()
				set.peak = before
				m, err := cfg.Memory(n, s, s, MemoryOptions{mode, c, frozen})
				require.NoError(t, err)
				y, dx := step(tape, u, x, WrapVector(dryBuffer(n), n), dy)
				for range 3 { // more VJPs through the same pass
					if dx != nil {
						tape.Release(dx)
						dx = tape.VJP(y, dy, x)
					}
				}
				assert.Equal(t, m.Live, tape.PeakBytes(), "%s %s: most in use", name, choice)
				assert.Equal(t, max(held, m.Bytes), tape.MemoryBytes(), "%s %s: held", name, choice)
				assert.Equal(t, before-held+tape.MemoryBytes(), set.peak, "%s %s: nothing else on the way", name, choice)
			}
			tape.Close()
		})
		u.Close()
		assert.Zero(t, set.live, name)
	}
}

func TestRecomputingAndPlanningChangeNoBit(t *testing.T) {
	onHost(t, func(t *testing.T, set kernels.Set) {
		for name, cfg := range variants() {
			u := newNetwork(t, set, cfg)
			x, time, dy := outside(set, cfg, 3)
			// results of a tape: output, VJPs, and the gradients of Backward in the end
			results := func(tape *Tape) (values [][]float32) {
				defer tape.Close()
				for range 2 { // the second time with memory that is not new
					tape.Seed, tape.Step = 11, 5
					tape.Reset()
					y := u.Forward(tape, x, time)
					tape.Seed, tape.Step = 12, 6 // the reverse pass is of the forward pass that was
					if tape.Mode() == Differentiate {
						for range 3 {
							dx := tape.VJP(y, dy, x)
							values = append(values, download(set, dx))
							tape.Release(dx)
						}
					}
					if !tape.Frozen {
						u.Params.Zero(Grads)
						tape.Backward(y, dy)
						grads := make([]float32, u.Params.Len())
						set.Download(grads, u.Params.Buffer(Grads))
						values = append(values, grads)
					}
					values = append(values, download(set, y))
				}
				return values
			}
			for _, mode := range []Mode{Differentiate, Training} {
				unplanned := newDryTape(set, mode)
				want := results(unplanned)
				for c := CheckpointNone; c <= CheckpointBlocks; c++ {
					tape := NewTape(set, mode)
					tape.Checkpoint = c
					assert.Equal(t, want, results(tape), "%s %s %s", name, mode, c)
				}
			}
			for c := CheckpointNone; c <= CheckpointBlocks; c++ {
				free, frozen := NewTape(set, Differentiate), NewTape(set, Differentiate)
				frozen.Frozen, frozen.Checkpoint = true, c
				got := results(frozen)
				want := results(free)
				assert.Equal(t, want[:3], got[:3], "%s frozen %s", name, c)
				assert.Equal(t, want[4], got[3], "%s frozen %s", name, c)
			}
		}
	})
}

func TestCheckpointsTakeLessMemory(t *testing.T) {
	cfg := DDPMCIFAR10()
	bytes := func(mode Mode, c Checkpoint, frozen bool) float64 {
		m, err := cfg.Memory(16, 32, 32, MemoryOptions{mode, c, frozen})
		require.NoError(t, err)
		assert.LessOrEqual(t, m.Live, m.Bytes)
		assert.Less(t, float64(m.Bytes), 1.02*float64(m.Live), "%s %s: little is lost between tensors", mode, c)
		return float64(m.Bytes)
	}
	none, norms, blocks := bytes(Training, CheckpointNone, false), bytes(Training, CheckpointNorms, false), bytes(Training, CheckpointBlocks, false)
	assert.Less(t, norms, 0.75*none)
	assert.Less(t, blocks, 0.45*none)
	assert.Less(t, bytes(Inference, CheckpointNone, false), 0.2*none)
	assert.Less(t, bytes(Differentiate, CheckpointNone, true), 0.65*bytes(Differentiate, CheckpointNone, false), "inputs of convolutions are not kept")
}

func TestAStepMayLeaveItsPlan(t *testing.T) {
	set := ref.New()
	cfg := small()
	cfg.Dropout = 0
	u := newNetwork(t, set, cfg)
	x, time, dy := outside(set, cfg, 2)
	want := func(tape *Tape) [2][]float32 {
		defer tape.Close()
		y, dx := step(tape, u, x, time, dy)
		return [2][]float32{download(set, y), download(set, dx)}
	}(newDryTape(set, Differentiate))
	check := func(name string, y, dx *Tensor) {
		assert.Equal(t, want, [2][]float32{download(set, y), download(set, dx)}, name)
	}
	tape := NewTape(set, Differentiate)
	defer tape.Close()
	for range 3 { // each leaves memory of another kind to the next
		y, dx := step(tape, u, x, time, dy)
		check("as planned", y, dx)
		second := tape.VJP(y, dy, x)
		check("two results at a time", y, dx)
		check("two results at a time", y, second)

		tape.Reset()
		early := upload(tape, normals(9, 500), 1, 1, 1, 500)
		y = u.Forward(tape, x, time)
		late := upload(tape, normals(9, 500), 1, 1, 1, 500)
		check("memory in between", y, tape.VJP(y, dy, x))
		assert.Equal(t, normals(9, 500), download(set, early))
		assert.Equal(t, normals(9, 500), download(set, late))

		tape.Reset()
		y = u.Forward(tape, x, time)
		again := u.Forward(tape, x, time)
		check("two passes", y, tape.VJP(y, dy, x))
		check("two passes", again, tape.VJP(again, dy, x))

		for n := range 2 {
			tape.Reset()
			one := Wrap(x.Buf, 1, cfg.ImageSize, cfg.ImageSize, 1)
			y = u.Forward(tape, one, WrapVector(time.Buf, 1))
			assert.Equal(t, want[0][:y.Len()], download(set, y), "a batch of another size, time %d", n)
		}
		tape.Reset()
		y = u.Forward(tape, x, time)
		tape.Release(y)
		other := tape.NewTensor(2, 8, 8, 1)
		dx = tape.VJP(other, dy, x)
		assert.Equal(t, make([]float32, dx.Len()), download(set, dx), "another graph")
	}
	bytes := tape.MemoryBytes()
	step(tape, u, x, time, dy)
	assert.Equal(t, bytes, tape.MemoryBytes())
}

func TestATrainingTapeIsUsedUpByBackward(t *testing.T) {
	set := ref.New()
	u := newNetwork(t, set, small())
	x, time, dy := outside(set, small(), 2)
	tape := NewTape(set, Training)
	y, _ := step(tape, u, x, time, dy)
	output := tape.arena.live
	assert.Equal(t, kernels.AlignUp(y.Len()), output, "all is free again but the output")
	for _, again := range []func(){func() { tape.Backward(y, dy) }, func() { tape.VJP(y, dy, x) }} {
		assert.PanicsWithValue(t, "nn: Backward has used up the forward pass of this tape: run it again, or record it in mode differentiate", again)
	}
	y = u.Forward(tape, x, time)
	tape.Backward(y, dy)
	assert.Equal(t, 2*output, tape.arena.live)

	frozen := NewTape(set, Differentiate)
	frozen.Frozen = true
	y = u.Forward(frozen, x, time)
	assert.PanicsWithValue(t, "nn: a frozen tape has not kept what the gradients of parameters need", func() { frozen.Backward(y, dy) })
}

func TestStepsMakeNoGarbage(t *testing.T) {
	once := false
	onHost(t, func(t *testing.T, set kernels.Set) {
		measure := func(net string, cfg UNetConfig, choice string, mode Mode, c Checkpoint, frozen bool) {
			u := newNetwork(t, set, cfg)
			x, time, dy := outside(set, cfg, 1)
			tape := NewTape(set, mode)
			tape.Checkpoint, tape.Frozen = c, frozen
			defer tape.Close()
			steps := 0
			run := func() {
				steps++
				_, dx := step(tape, u, x, time, dy)
				if dx != nil {
					tape.Release(dx)
				}
				if mode == Training {
					DefaultAdamW().Step(u.Params, steps, 0.99)
				}
			}
			run()
			assert.Zero(t, testing.AllocsPerRun(3, run), "%s %s: objects that the garbage collector will see", net, choice)
		}
		for net, cfg := range variants() {
			choices(func(choice string, mode Mode, c Checkpoint, frozen bool) { measure(net, cfg, choice, mode, c, frozen) })
		}
		if !once { // it is large
			once = true
			measure("quick", quick(), "inference", Inference, CheckpointNone, false)
			measure("quick", quick(), "training", Training, CheckpointNone, false)
		}
	})
}

func TestCheckpointsHaveNames(t *testing.T) {
	for c := CheckpointNone; c <= CheckpointBlocks; c++ {
		got, ok := ParseCheckpoint(c.String())
		assert.True(t, ok)
		assert.Equal(t, c, got)
	}
	_, ok := ParseCheckpoint("all")
	assert.False(t, ok)
}
