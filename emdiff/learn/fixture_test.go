package learn

import (
	"bytes"
	"context"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"emdiff/emdiff/data"
	"emdiff/kernels"
	_ "emdiff/kernels/host"
	"emdiff/nn"
)

// tiny is a run of seconds: 8x8 images, a network of a few thousand parameters.
func tiny() Config {
	return Config{
		Seed: 5,
		Task: TaskConfig{Name: "denoise", Sigma: 0.4, Masked: 0.5, BlurSize: 3, BlurStd: 1},
		Network: nn.UNetConfig{ImageSize: 8, InChannels: 1, OutChannels: 1, Channels: []int{8, 16}, LayersPerBlock: 1,
			Attention: []bool{false, false}, MidAttention: true, NormGroups: 4, NormEps: 1e-6, FreqShift: 1, Dropout: 0.1},
		Prior: PriorConfig{Kind: "edm", SigmaData: 0.5, NoiseMean: -1.2, NoiseStd: 1.2, SigmaMin: 0.01, SigmaMax: 20,
			Sampler: "heun", SampleSteps: 4, ScheduleSteps: 100},
		Train: TrainConfig{Batch: 8, LR: 2e-3, Warmup: 2, ClipNorm: 1, EMA: 0.9, Ambient: true},
		Init:  InitConfig{Clean: 6, Steps: 30},
		EM:    EMConfig{Rounds: 2, ResetRounds: 1, Subset: 20, FinalSubset: 0, Steps: 30, FinalSteps: 30, AlphaFirst: 1, AlphaLast: 1},
		EStep: SamplerConfig{Sampler: "reverse-sde", Batch: 2, Steps: 4, SigmaMin: 0.05, SigmaMax: 2, StepSize: 0.2, Zeta: 0.5, Clamp: true, RhoMax: 1, RhoMin: 0.2, RhoDecay: 0.8, Inner: 2},
		Eval:  EvalConfig{HeldOut: 5, Draws: 2, Generated: 3, Shown: 2},
	}
}

// tinyFromGaussian is tiny without clean images.
func tinyFromGaussian() Config {
	c := tiny()
	c.Init = InitConfig{Steps: 30, Rank: 6, Iterations: 3}
	return c
}

// blobs are images of one bright rectangle each.
func blobs(name string, n, h, w int, seed uint64) *data.Set {
	s := &data.Set{Name: name, H: h, W: w, C: 1, Pixels: make([]float32, n*h*w)}
	for i := range n {
		u := kernels.UniformBlock(kernels.Random{Seed: seed}, uint32(i), 0)
		top, left := int(u[0]*float32(h/2)), int(u[1]*float32(w/2))
		img := s.Image(i)
		for j := range img {
			y, x := j/w, j%w
			img[j] = -0.8
			if y >= top && y < top+h/2 && x >= left && x < left+w/2 {
				img[j] = 0.8
			}
		}
	}
	return s
}

func tinyImages() Images {
	return Images{Clean: blobs("clean", 6, 8, 8, 1), Train: blobs("train", 36, 8, 8, 2), Held: blobs("held", 5, 8, 8, 3)}
}

// memoryStore is a Store in memory that counts its checkpoints.
type memoryStore struct {
	state State
	files map[string][]byte
	saves int
}

func (m *memoryStore) Save(state State, files []File) error {
	kept := map[string][]byte{}
	for _, f := range files {
		var b bytes.Buffer
		if err := f.Write(&b); err != nil {
			return err
		}
		kept[f.Name] = b.Bytes()
	}
	state.Results = append([]RoundResult(nil), state.Results...)
	m.state, m.files = state, kept
	m.saves++
	return nil
}

func (m *memoryStore) Load() (State, bool, error) { return m.state, m.saves > 0, nil }

func (m *memoryStore) Open(name string) (io.ReaderAt, int64, io.Closer, error) {
	b := m.files[name]
	return bytes.NewReader(b), int64(len(b)), io.NopCloser(nil), nil
}

// recorder is an Observer that keeps what it is told and can stop the run.
type recorder struct {
	shown, generated [][]float32
	results          []RoundResult
	final            FinalResult
	mean             []float32
	onPhase          func(round int, phase Phase)
	onAdvance        func()
}

func (r *recorder) Phase(round int, phase Phase, done, total int) {
	if r.onPhase != nil {
		r.onPhase(round, phase)
	}
}

func (r *recorder) Advance(int) {
	if r.onAdvance != nil {
		r.onAdvance()
	}
}

func (r *recorder) Loss(int, Phase, int, float64) error { return nil }

func (r *recorder) Round(result RoundResult, shown, generated []float32) error {
	result.Seconds = PhaseSeconds{}
	r.results = append(r.results, result)
	r.shown, r.generated = append(r.shown, shown), append(r.generated, generated)
	return nil
}

func (r *recorder) Final(result FinalResult, mean []float32) error {
	result.Seconds = 0
	r.final, r.mean = result, mean
	return nil
}

// openHost opens the best host level.
func openHost(t *testing.T, threads int) kernels.Set {
	t.Helper()
	for _, i := range kernels.Implementations() {
		if i.Usable() == nil {
			set, err := i.Open(kernels.Options{Threads: threads})
			require.NoError(t, err)
			t.Cleanup(func() { set.Close() })
			return set
		}
	}
	t.Fatal("no implementation of the kernels works here")
	return nil
}

// outcome is everything that a run leaves behind.
type outcome struct {
	results   []RoundResult
	final     FinalResult
	mean      []float32
	generated []float32
	weights   []float32
}

// complete runs to the end and returns the outcome.
func complete(t *testing.T, set kernels.Set, c Config) outcome {
	t.Helper()
	store, seen := &memoryStore{}, &recorder{}
	em, err := NewEM(set, c, tinyImages(), store, seen)
	require.NoError(t, err)
	defer em.Close()
	require.NoError(t, em.Run(context.Background()))
	return em.outcome(seen)
}

func (em *EM) outcome(seen *recorder) outcome {
	weights := make([]float32, em.net.Params.Len())
	em.set.Download(weights, em.net.Params.Buffer(nn.EMA))
	results := append([]RoundResult(nil), em.State.Results...)
	for i := range results {
		results[i].Seconds = PhaseSeconds{}
	}
	return outcome{results, seen.final, seen.mean, seen.generated[len(seen.generated)-1], weights}
}

// requireSame compares outcomes bit for bit.
func requireSame(t *testing.T, want, got outcome) {
	t.Helper()
	requireBits(t, "weights", want.weights, got.weights)
	requireBits(t, "mean of draws", want.mean, got.mean)
	requireBits(t, "generated images", want.generated, got.generated)
	require.Equal(t, want.results, got.results)
	require.Equal(t, want.final, got.final)
}

func requireBits(t *testing.T, what string, want, got []float32) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			t.Fatalf("%s differ at %d: %g and %g", what, i, want[i], got[i])
		}
	}
}
