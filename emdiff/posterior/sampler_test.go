package posterior

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// short are quick settings of every sampler that works with op, by name.
func short(t *testing.T, set kernels.Set, op physics.Operator) map[string]Sampler {
	t.Helper()
	list := map[string]Sampler{}
	add := func(name string, s Sampler, err error) {
		require.NoError(t, err)
		t.Cleanup(s.Close)
		list[name] = s
	}
	for _, form := range []Form{PnP, RED} {
		settings := DefaultPMC()
		settings.Form, settings.Schedule = form, Annealed{SigmaMax: 1, SigmaMin: .1, Levels: 4, StepsPerLevel: 2, DataStep: .2, PriorStep: .2}
		pmc, err := NewPMC(set, op, settings)
		add("pmc "+string(form), pmc, err)
		settings.MeanLast, settings.FinalDenoise = 3, false
		pmc, err = NewPMC(set, op, settings)
		add("mean of pmc "+string(form), pmc, err)
	}
	settings := SplitGibbsSettings{Iterations: 4, RhoMax: 1, RhoMin: .2, Decay: .5, Steps: 3, SigmaMin: .05, DataFinish: true}
	gibbs, err := NewSplitGibbs(set, op, settings)
	add("split-gibbs", gibbs, err)
	settings.MeanLast = 2
	gibbs, err = NewSplitGibbs(set, op, settings)
	add("mean of split-gibbs", gibbs, err)
	for _, clamp := range []bool{false, true} {
		dps, err := NewDPS(set, op, DPSSettings{Steps: 6, SigmaMax: 4, SigmaMin: .05, Zeta: .2, Clamp: clamp})
		add(fmt.Sprint("dps clamp ", clamp), dps, err)
	}
	if op.Name() == "denoise" {
		sde, err := NewReverseSDE(set, op, ReverseSDESettings{Steps: 5, SigmaMin: .02})
		add("reverse-sde", sde, err)
		mmse, err := NewMMSE(set, op)
		add("mmse", mmse, err)
	}
	return list
}

// problem holds one measurement for each of n images, ids of an individual mask each.
func problem(t *testing.T, set kernels.Set, op physics.Operator, ids []int32) Problem {
	t.Helper()
	n := len(ids)
	b := batchOf(set, ids...)
	x, y := set.Alloc(kernels.F32, n*length), set.Alloc(kernels.F32, n*length)
	set.Uniform(x, b.IDs, kernels.Draw{N: n, Len: length, Random: kernels.Random{Seed: 1}})
	physics.Measure(set, op, b, y, x, sigmaY, 2)
	return Problem{Prior: newGaussian(set), Batch: b, Y: y, SigmaY: sigmaY, Seed: 4}
}

// eachSampler runs f for every sampler with every operator.
func eachSampler(t *testing.T, set kernels.Set, f func(t *testing.T, op physics.Operator, s Sampler)) {
	t.Helper()
	random, err := physics.NewRandomInpaint(set, height, width, channels, .5, 3, 64)
	require.NoError(t, err)
	ops := []physics.Operator{random}
	for _, cam := range cameras(t, set, newGaussian(set)) {
		ops = append(ops, cam.Operator)
	}
	for i, op := range ops {
		for name, s := range short(t, set, op) {
			t.Run(name+"/"+op.Name()+string(rune('0'+i)), func(t *testing.T) { f(t, op, s) })
		}
	}
}

func TestDrawsDoNotDependOnTheBatch(t *testing.T) {
	set := openSet(t)
	eachSampler(t, set, func(t *testing.T, op physics.Operator, s Sampler) {
		const n = 32
		ids, turned := firstIDs(n), make([]int32, n)
		for i := range turned {
			turned[i] = ids[(i*5+3)%n]
		}
		sample := func(ids []int32) []float32 {
			x := set.Alloc(kernels.F32, len(ids)*length)
			require.NoError(t, s.Sample(x, problem(t, set, op, ids)))
			return download(set, x, len(ids)*length)
		}
		together, mixed := sample(ids), sample(turned)
		for i, id := range turned {
			require.Equal(t, together[int(id)*length:int(id+1)*length], mixed[i*length:(i+1)*length], "image %d in another order", id)
		}
		for _, id := range []int32{0, 7, 31} {
			require.Equal(t, together[id*length:(id+1)*length], sample([]int32{id}), "image %d alone", id)
		}
	})
}

func TestSeedsGiveOtherDrawsAndTheSameSeedTheSame(t *testing.T) {
	set := openSet(t)
	eachSampler(t, set, func(t *testing.T, op physics.Operator, s Sampler) {
		p := problem(t, set, op, []int32{5})
		x := set.Alloc(kernels.F32, length)
		sample := func(seed uint64) []float32 {
			p.Seed = seed
			require.NoError(t, s.Sample(x, p))
			return download(set, x, length)
		}
		first := sample(1)
		if s.Name() != "mmse" {
			assert.NotEqual(t, first, sample(2))
		}
		assert.Equal(t, first, sample(1))
	})
}

func TestNFEIsTheNumberOfDenoiserCalls(t *testing.T) {
	set := openSet(t)
	eachSampler(t, set, func(t *testing.T, op physics.Operator, s Sampler) {
		p := problem(t, set, op, []int32{5, 6})
		var done, total []int
		p.Progress = func(d, n int) { done, total = append(done, d), append(total, n) }
		require.NoError(t, s.Sample(set.Alloc(kernels.F32, 2*length), p))
		assert.Equal(t, s.NFE(), p.Prior.(*gaussian).calls)
		require.Len(t, done, s.NFE())
		for i := range done {
			assert.Equal(t, []int{i + 1, s.NFE()}, []int{done[i], total[i]})
		}
	})
}

func TestMeanLastAveragesTheLastIterates(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[1]
	means := map[string]func(n, last int) (Sampler, error){
		"pmc": func(n, last int) (Sampler, error) {
			return NewPMC(set, cam.Operator, PMCSettings{Form: PnP, Schedule: constant(.3, .3, .3, n), MeanLast: last})
		},
		"split-gibbs": func(n, last int) (Sampler, error) {
			return NewSplitGibbs(set, cam.Operator, SplitGibbsSettings{Iterations: n, RhoMax: .5, RhoMin: .2, Decay: .8, Steps: 2, SigmaMin: .05, MeanLast: last})
		},
	}
	for name, open := range means {
		want := make([]float64, length)
		for n := 4; n <= 6; n++ {
			s, err := open(n, 0)
			require.NoError(t, err)
			for i, v := range draw(t, set, s, prior, cam, 1, 1) {
				want[i] += float64(v) / 3
			}
			s.Close()
		}
		s, err := open(6, 3)
		require.NoError(t, err)
		for i, v := range draw(t, set, s, prior, cam, 1, 1) {
			assert.InDelta(t, want[i], v, 1e-6, name)
		}
		s.Close()
	}
}

func TestSplitGibbsKeepsNoiselessPixels(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cam := cameras(t, set, prior)[1]
	s, err := NewSplitGibbs(set, cam.Operator, SplitGibbsSettings{Iterations: 8, RhoMax: 1, RhoMin: .1, Decay: .7, Steps: 4, SigmaMin: .02, DataFinish: true})
	require.NoError(t, err)
	defer s.Close()
	const n = 200
	b := batchOf(set, firstIDs(n)...)
	y, x, ax, misfit := upload(set, repeated(floats(cam.y), n)), set.Alloc(kernels.F32, n*length), set.Alloc(kernels.F32, n*length), set.Alloc(kernels.F32, n)
	require.NoError(t, s.Sample(x, Problem{Prior: prior, Batch: b, Y: y, Seed: 1}))
	physics.Misfit(set, cam.Operator, b, misfit, ax, x, y, 0)
	for _, m := range download(set, misfit, n) {
		// The mean of z stays within rho MinSigmaY^2/(rho^2 + MinSigmaY^2) times the distance of x from y.
		assert.Less(t, m, float32(1e-3))
	}
	spread := 0.0
	for k, v := range download(set, x, n*length) {
		spread += math.Pow(float64(v)-prior.mean.AtVec(k%length), 2) / (n * length)
	}
	assert.Greater(t, spread, .05, "hidden pixels keep the spread of the prior")
}

func TestImpossibleRequestsAreRefused(t *testing.T) {
	set := openSet(t)
	prior := newGaussian(set)
	cams := cameras(t, set, prior)
	denoise, blur := cams[0].Operator, cams[2].Operator
	made := func(_ any, err error) error { return err }
	gibbs := func(change func(*SplitGibbsSettings)) error {
		s := DefaultSplitGibbs()
		change(&s)
		return made(NewSplitGibbs(set, blur, s))
	}
	pmc := func(change func(*PMCSettings)) error {
		s := DefaultPMC()
		change(&s)
		return made(NewPMC(set, blur, s))
	}
	annealed := func(change func(*Annealed)) error {
		a := DefaultAnnealed()
		change(&a)
		return pmc(func(s *PMCSettings) { s.Schedule = a })
	}
	literal := func(change func(*Literal)) error {
		l := DefaultLiteral(.2)
		change(&l)
		return pmc(func(s *PMCSettings) { s.Schedule = l })
	}
	sample := func(s Sampler, err error, change func(*Problem)) error {
		require.NoError(t, err)
		p := problem(t, set, denoise, []int32{0})
		change(&p)
		return s.Sample(set.Alloc(kernels.F32, length), p)
	}
	other, err := physics.NewDenoise(set, 8, 8, 1)
	require.NoError(t, err)
	sde, sdeErr := NewReverseSDE(set, denoise, DefaultReverseSDE())
	chain, chainErr := NewPMC(set, denoise, DefaultPMC())
	steep, steepErr := NewPMC(set, denoise, PMCSettings{Form: RED, Schedule: constant(.3, 1.2, 1.2, 3)})
	split, splitErr := NewSplitGibbs(set, denoise, DefaultSplitGibbs())
	guided, guidedErr := NewDPS(set, denoise, DefaultDPS())
	dps := func(change func(*DPSSettings)) error {
		s := DefaultDPS()
		change(&s)
		return made(NewDPS(set, blur, s))
	}
	wrong, wrongErr := NewSplitGibbs(set, other, DefaultSplitGibbs())
	mmse, mmseErr := NewMMSE(set, denoise)
	for _, c := range []struct {
		err  error
		says string
	}{
		{made(NewReverseSDE(set, blur, DefaultReverseSDE())), "reverse-sde works for denoising only, not for blur"},
		{made(NewMMSE(set, blur)), "mmse works for denoising only, not for blur"},
		{made(NewReverseSDE(set, denoise, ReverseSDESettings{Steps: 0, SigmaMin: .1})), "both must be positive"},
		{gibbs(func(s *SplitGibbsSettings) { s.Iterations = 0 }), "must be positive"},
		{gibbs(func(s *SplitGibbsSettings) { s.Decay = 1.1 }), "decay"},
		{gibbs(func(s *SplitGibbsSettings) { s.RhoMax = .01 }), "rho"},
		{gibbs(func(s *SplitGibbsSettings) { s.SigmaMin = .1 }), "smaller last level"},
		{gibbs(func(s *SplitGibbsSettings) { s.Steps = 0 }), "both must be positive"},
		{gibbs(func(s *SplitGibbsSettings) { s.MeanLast = 11 }), "cannot average the last 11 of 10"},
		{pmc(func(s *PMCSettings) { s.Form = "x" }), "use pnp or red"},
		{pmc(func(s *PMCSettings) { s.Schedule = nil }), "needs a schedule"},
		{pmc(func(s *PMCSettings) { s.MeanLast = -1 }), "cannot average"},
		{annealed(func(a *Annealed) { a.Levels = 0 }), "must be positive"},
		{annealed(func(a *Annealed) { a.SigmaMin = 3 }), "sigma must fall"},
		{literal(func(l *Literal) { l.N = 0 }), "must be positive"},
		{literal(func(l *Literal) { l.Decay = 2 }), "decay"},
		{dps(func(s *DPSSettings) { s.Steps = 0 }), "must be positive"},
		{dps(func(s *DPSSettings) { s.SigmaMin = 100 }), "sigma fall"},
		{dps(func(s *DPSSettings) { s.Zeta = -1 }), "must not be negative"},
		{dps(func(s *DPSSettings) { s.Zeta = math.NaN() }), "must not be negative"},
		{sample(guided, guidedErr, func(p *Problem) { p.PriorWeight = -1 }), "must be positive"},
		{sample(sde, sdeErr, func(p *Problem) { p.PriorWeight = .5 }), "use weight 1, pmc or dps"},
		{sample(split, splitErr, func(p *Problem) { p.PriorWeight = .5 }), "use weight 1, pmc or dps"},
		{sample(sde, sdeErr, func(p *Problem) { p.SigmaY = .005 }), "smaller last level"},
		{sample(mmse, mmseErr, func(p *Problem) { p.SigmaY = 0 }), "nothing to remove"},
		{sample(split, splitErr, func(p *Problem) { p.SigmaY = math.NaN() }), "must not be negative"},
		{sample(chain, chainErr, func(p *Problem) { p.PriorWeight = -1 }), "must be positive"},
		{sample(steep, steepErr, func(*Problem) {}), "choose a smaller step"},
		{sample(wrong, wrongErr, func(*Problem) {}), "the prior is for images of 4x3x2, the measurements are of 8x8x1"},
	} {
		assert.ErrorContains(t, c.err, c.says)
	}
}
