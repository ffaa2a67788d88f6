package bench

import (
	"context"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"emdiff/emdiff/data"
	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/learn"
	"emdiff/emdiff/physics"
	"emdiff/emdiff/posterior"
	"emdiff/emdiff/run"
	"emdiff/kernels"
	"emdiff/kernels/ref"
	"emdiff/nn"
)

// model is a network with weights, and images to give it.
type model struct {
	network
	set  kernels.Set
	unet *nn.UNet
}

func newModel(b *testing.B, s kernels.Set, n network) *model {
	u, err := nn.NewUNet(s, n.config)
	require.NoError(b, err)
	u.Init(3)
	return &model{n, s, u}
}

// normals are standard normals, the same on every Set.
func (m *model) normals(dst kernels.Buffer, n int, stream uint32) {
	m.set.Normal(dst, nil, kernels.Draw{N: n, Len: m.imageLen(), Random: kernels.Random{Seed: 7, Stream: stream}})
}

func (n network) imageLen() int { return n.config.ImageSize * n.config.ImageSize * n.config.InChannels }

// forward runs n images through the network on a tape, and returns a cotangent with the input and the output.
func (m *model) forward(t *nn.Tape, n int) (x, y, dy *nn.Tensor) {
	c := m.config
	t.Reset()
	x, dy = t.NewTensor(n, c.ImageSize, c.ImageSize, c.InChannels), t.NewTensor(n, c.ImageSize, c.ImageSize, c.OutChannels)
	m.normals(x.Buf, n, 1)
	m.normals(dy.Buf, n, 2)
	time := t.NewTensor(n, 1, 1, 1)
	m.set.Fill(time.Buf, 3.25, kernels.Elementwise{Len: n})
	return x, m.unet.Forward(t, x, time), dy
}

// output is what the network makes of the first image.
func (m *model) output() []float32 {
	t := nn.NewTape(m.set, nn.Inference)
	defer t.Close()
	_, y, _ := m.forward(t, 1)
	return download(m.set, y.Buf)
}

func download(s kernels.Set, b kernels.Buffer) []float32 {
	v := make([]float32, b.Len())
	s.Download(v, b)
	return v
}

// requireClose holds values to expected ones, within a share of the largest.
func requireClose(b *testing.B, want, got []float32, share float64) {
	b.Helper()
	require.Len(b, got, len(want))
	var scale, worst float64
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		if d := math.Abs(float64(got[i] - w)); !(d <= worst) {
			worst = d
		}
	}
	if !(worst <= share*scale) {
		b.Fatalf("the result is wrong by %.2g of its largest value", worst/scale)
	}
}

// oracles are the outputs of the networks for one image in float32 on kernels/ref (DDPM's takes 20 s), made when needed.
var oracles = map[string][]float32{}

// BenchmarkUNet measures whole passes: forward, with the vector-Jacobian product, and a training step with AdamW.
func BenchmarkUNet(b *testing.B) {
	for _, n := range networks() {
		cost, err := n.config.Cost(n.n)
		require.NoError(b, err)
		for _, pass := range []struct {
			name string
			mode nn.Mode
			work kernels.Cost
		}{
			{"forward", nn.Inference, cost.Forward},
			{"vjp", nn.Differentiate, cost.Forward.Add(cost.VJP)},
			{"train", nn.Training, cost.Forward.Add(cost.Backward)},
		} {
			onLevels(b, n.name == "ddpm", n.describe()+"/pass="+pass.name, func(b *testing.B, level string, s kernels.Set) {
				m := newModel(b, s, n)
				if oracles[n.name] == nil {
					oracles[n.name] = newModel(b, ref.New(), n).output()
				}
				requireClose(b, oracles[n.name], m.output(), 1e-4)
				t, step := nn.NewTape(s, pass.mode), 0
				once := func() {
					x, y, dy := m.forward(t, n.n)
					switch pass.mode {
					case nn.Differentiate:
						t.VJP(y, dy, x)
					case nn.Training:
						step++
						t.Backward(y, dy)
						nn.DefaultAdamW().Step(m.unet.Params, step, 0.99)
					}
					if err := s.Sync(); err != nil {
						b.Fatal(err)
					}
				}
				once()
				once() // the second plans the memory
				measure(b, level, pass.work, once)
				b.ReportMetric(1e3*b.Elapsed().Seconds()/float64(b.N*n.n), "ms/image")
			})
		}
	}
}

// BenchmarkSampler measures one step of every sampler of p(x | y), or one iteration of split Gibbs: a draw of one step. The
// draw of one image is held to that of kernels/ref first.
func BenchmarkSampler(b *testing.B) {
	const sigma = 0.2
	schedule := posterior.Annealed{SigmaMax: 1, SigmaMin: 0.1, Levels: 1, StepsPerLevel: 1, DataStep: 0.2, PriorStep: 0.2}
	pmc := func(form posterior.Form) func(kernels.Set, physics.Operator) (posterior.Sampler, error) {
		return func(s kernels.Set, op physics.Operator) (posterior.Sampler, error) {
			return posterior.NewPMC(s, op, posterior.PMCSettings{Form: form, Schedule: schedule, MinSigmaY: 0.02})
		}
	}
	for _, sampler := range []struct {
		name string
		make func(kernels.Set, physics.Operator) (posterior.Sampler, error)
	}{
		{"pmc-pnp", pmc(posterior.PnP)},
		{"pmc-red", pmc(posterior.RED)},
		{"dps", func(s kernels.Set, op physics.Operator) (posterior.Sampler, error) {
			return posterior.NewDPS(s, op, posterior.DPSSettings{Steps: 1, SigmaMax: 1, SigmaMin: 0.1, Zeta: 1, Clamp: true})
		}},
		{"split-gibbs", func(s kernels.Set, op physics.Operator) (posterior.Sampler, error) {
			return posterior.NewSplitGibbs(s, op, posterior.SplitGibbsSettings{Iterations: 1, RhoMax: 1, RhoMin: 0.1, Decay: 0.7, Steps: 4, SigmaMin: 0.02})
		}},
		{"reverse-sde", func(s kernels.Set, op physics.Operator) (posterior.Sampler, error) {
			return posterior.NewReverseSDE(s, op, posterior.ReverseSDESettings{Steps: 1, SigmaMin: 0.02})
		}},
	} {
		var oracle []float32
		for _, n := range networks()[:2] {
			oracle = nil
			cost, err := n.config.Cost(n.n)
			require.NoError(b, err)
			onLevels(b, false, "net="+n.name+"/n=16/sampler="+sampler.name, func(b *testing.B, level string, s kernels.Set) {
				// draw prepares a draw for so many images.
				draw := func(s kernels.Set, images int) (x kernels.Buffer, once func(), calls int) {
					m, size := newModel(b, s, n), n.config.ImageSize
					prior := diffusion.NewNetwork(s, m.unet, learn.PriorConfig{Kind: "edm", SigmaData: 0.5, SigmaMin: 0.005, SigmaMax: 40}.Precond(), size, size, n.config.InChannels)
					op, err := physics.NewDenoise(s, size, size, n.config.InChannels)
					require.NoError(b, err)
					sampler, err := sampler.make(s, op)
					require.NoError(b, err)
					x, y, ids := s.Alloc(kernels.F32, images*n.imageLen()), s.Alloc(kernels.F32, images*n.imageLen()), s.Alloc(kernels.I32, images)
					m.normals(y, images, 1)
					names := make([]int32, images)
					for i := range names {
						names[i] = int32(i)
					}
					s.UploadInts(ids, names)
					return x, func() {
						err := sampler.Sample(x, posterior.Problem{Prior: prior, Batch: physics.Batch{N: images, IDs: ids}, Y: y, SigmaY: sigma, Seed: 1})
						if err == nil {
							err = s.Sync()
						}
						if err != nil {
							b.Fatal(err)
						}
					}, sampler.NFE()
				}
				if oracle == nil {
					exact := ref.New()
					x, once, _ := draw(exact, 1)
					once()
					oracle = download(exact, x)
				}
				x, once, _ := draw(s, 1)
				once()
				requireClose(b, oracle, download(s, x), 1e-3)

				_, once, calls := draw(s, n.n)
				once()
				once()
				work := cost.Forward
				if sampler.name == "dps" {
					work = work.Add(cost.VJP)
				}
				measure(b, level, work.Scale(float64(calls)), once)
				b.ReportMetric(1e3*b.Elapsed().Seconds()/float64(b.N*n.n), "ms/image")
			})
		}
	}
}

// BenchmarkEMRound measures the preset emu-tiny: an initialisation of five steps, a round of EM and the evaluations, of which
// the E-step and the M-step are reported apart. What it learned must be finite.
func BenchmarkEMRound(b *testing.B) {
	settings, err := run.Preset("emu-tiny")
	require.NoError(b, err)
	c := settings.Config
	c.Network.ImageSize, c.Network.InChannels, c.Network.OutChannels = 8, 1, 1
	images := func(n int) *data.Set {
		s := &data.Set{Name: "gradients", H: 8, W: 8, C: 1, Pixels: make([]float32, n*64)}
		for i := range s.Pixels {
			s.Pixels[i] = float32((i*(1+i/64))%64)/32 - 1
		}
		return s
	}
	set := learn.Images{Clean: images(4), Train: images(8), Held: images(4)}
	onLevels(b, false, "preset=emu-tiny", func(b *testing.B, _ string, s kernels.Set) {
		var e, m float64
		b.ReportAllocs()
		for b.Loop() {
			em, err := learn.NewEM(s, c, set, discard{}, discard{})
			require.NoError(b, err)
			require.NoError(b, em.Run(context.Background()))
			seconds := em.State.Results[1].Seconds
			e, m = e+seconds.EStep, m+seconds.MStep
			weights := download(s, em.Network().Params.Buffer(nn.EMA))
			require.False(b, slices.ContainsFunc(weights, func(w float32) bool { return math.IsNaN(float64(w)) || math.IsInf(float64(w), 0) }))
			em.Close()
		}
		b.ReportMetric(1e3*e/float64(b.N), "ms/e-step")
		b.ReportMetric(1e3*m/float64(b.N), "ms/m-step")
	})
}

// discard is a Store and an Observer that keep nothing.
type discard struct{}

func (discard) Save(learn.State, []learn.File) error                { return nil }
func (discard) Load() (learn.State, bool, error)                    { return learn.State{}, false, nil }
func (discard) Open(string) (io.ReaderAt, int64, io.Closer, error)  { return nil, 0, nil, io.EOF }
func (discard) Phase(int, learn.Phase, int, int)                    {}
func (discard) Advance(int)                                         {}
func (discard) Loss(int, learn.Phase, int, float64) error           { return nil }
func (discard) Round(learn.RoundResult, []float32, []float32) error { return nil }
func (discard) Final(learn.FinalResult, []float32) error            { return nil }
