package learn

import (
	"context"
	"math"
	"time"

	"emdiff/emdiff/metric"
	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// evaluate scores single posterior draws of the held-out images under the current prior and generates clean images.
func (em *EM) evaluate(ctx context.Context) error {
	s, start := &em.State, time.Now()
	passes := 1
	if em.images.Measured {
		passes = 2
	}
	em.Observer.Phase(s.Round, s.Phase, 0, passes*em.held.count)
	draws, misfit, err := em.drawHeld(ctx, 0)
	if err != nil {
		return err
	}
	plan := em.plan()
	r := RoundResult{Round: s.Round, Images: plan.Subset, Steps: plan.Steps, Reset: plan.Reset, MisfitDraw: misfit}
	if em.images.Measured {
		again, _, err := em.drawHeld(ctx, 1)
		if err != nil {
			return err
		}
		sum := newDrawSum(draws)
		sum.add(again)
		r.SpreadDraw = sum.spread()
	} else {
		held := em.images.Held
		r.PSNRMeasurements = metric.MeanPSNR(em.held.pixels(), held.Pixels, em.held.len)
		r.PSNRDraw = metric.MeanPSNR(draws, held.Pixels, em.held.len)
		r.SSIMDraw = meanSSIM(draws, held.Pixels, held.H, held.W, held.C)
	}
	if s.Round == 0 && !em.Config.Init.gaussian() {
		r.Images, r.Reset = em.images.Clean.Len(), false
	} else {
		if r.MisfitTrain, err = em.trainMisfit(); err != nil {
			return err
		}
		r.LogLikelihood = em.logLikelihood(em.draws, plan.Subset)
	}
	if r.Steps > 0 {
		r.Loss = s.LossSum / float64(r.Steps)
	}
	generated, err := em.generate()
	if err != nil {
		return err
	}
	r.Seconds = s.Seconds
	r.Seconds.Evaluate += time.Since(start).Seconds()
	s.Results = append(s.Results, r)
	return em.Observer.Round(r, draws[:em.shown()*em.held.len], generated)
}

// final compares the last prior with the first and averages draws.
func (em *EM) final(ctx context.Context) error {
	s, start := &em.State, time.Now()
	n := em.Config.Eval.Draws
	em.Observer.Phase(s.Round, s.Phase, 0, n*em.held.count)
	first, misfit, err := em.drawHeld(ctx, 0)
	if err != nil {
		return err
	}
	sum := newDrawSum(first)
	for i := 1; i < n; i++ {
		draw, _, err := em.drawHeld(ctx, i)
		if err != nil {
			return err
		}
		sum.add(draw)
	}
	mean := sum.mean()
	r := FinalResult{MisfitFinal: misfit, SpreadFinal: sum.spread(), Draws: n}
	if held := em.images.Held; !em.images.Measured {
		r.PSNRMeasurements = s.Results[0].PSNRMeasurements
		r.PSNRTikhonov = em.tikhonov()
		r.PSNRInitPrior = s.Results[0].PSNRDraw
		r.PSNRFinal = metric.MeanPSNR(first, held.Pixels, em.held.len)
		r.PSNRFinalMean = metric.MeanPSNR(mean, held.Pixels, em.held.len)
		r.SSIMFinal = meanSSIM(first, held.Pixels, held.H, held.W, held.C)
		r.SSIMFinalMean = meanSSIM(mean, held.Pixels, held.H, held.W, held.C)
	}
	r.Seconds = s.TotalSeconds + time.Since(start).Seconds()
	return em.Observer.Final(r, mean[:em.shown()*em.held.len])
}

// drawSum adds up draws of the same images.
type drawSum struct {
	n            int
	sum, squares []float64
}

func newDrawSum(draws []float32) *drawSum {
	s := &drawSum{sum: make([]float64, len(draws)), squares: make([]float64, len(draws))}
	s.add(draws)
	return s
}

func (s *drawSum) add(draws []float32) {
	s.n++
	for i, v := range draws {
		s.sum[i] += float64(v)
		s.squares[i] += float64(v) * float64(v)
	}
}

// mean of the draws.
func (s *drawSum) mean() []float32 {
	mean := make([]float32, len(s.sum))
	for i, v := range s.sum {
		mean[i] = float32(v / float64(s.n))
	}
	return mean
}

// spread is the root of the mean variance of a value over the draws; 0 for one draw.
func (s *drawSum) spread() float64 {
	if s.n < 2 {
		return 0
	}
	total := 0.0
	for i, v := range s.sum {
		total += s.squares[i] - v*v/float64(s.n)
	}
	return math.Sqrt(math.Max(0, total/float64((s.n-1)*len(s.sum))))
}

// tikhonovR are the strengths of regularisation that the linear baseline chooses from, as standard deviations of an image.
var tikhonovR = []float64{0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 2}

// tikhonov is the PSNR of the linear reconstruction without any prior knowledge, argmin |A x - y|^2/sigma^2 + |x|^2/R^2, at
// the R that is best for these very images: a baseline that knows the truth.
func (em *EM) tikhonov() float64 {
	best := math.Inf(-1)
	x := make([]float32, em.held.count*em.held.len)
	size := min(em.Config.EStep.Batch, em.held.count)
	out := em.set.Alloc(kernels.F32, size*em.held.len)
	defer em.set.Free(out)
	for _, r := range tikhonovR {
		for start := 0; start < em.held.count; start += size {
			batch, y := em.held.take(sequence(start, min(size, em.held.count-start)))
			em.set.Fill(out, 0, kernels.Elementwise{Len: batch.N * em.held.len})
			em.held.op.PosteriorGaussian(out, out, y, physics.GaussianDraw{SigmaY: em.held.sigma, R: r})
			em.set.Download(x[start*em.held.len:(start+batch.N)*em.held.len], out)
		}
		best = math.Max(best, metric.MeanPSNR(x, em.images.Held.Pixels, em.held.len))
	}
	return best
}

// drawHeld draws x ~ p(x | y) for all held-out images and returns them and their mean misfit. The same repeat uses the
// same random numbers after every round, so that rounds are compared on equal terms.
func (em *EM) drawHeld(ctx context.Context, repeat int) (draws []float32, misfit float64, err error) {
	count := em.held.count
	draws = make([]float32, count*em.held.len)
	size := em.Config.EStep.Batch
	x := em.set.Alloc(kernels.F32, min(size, count)*em.held.len)
	defer em.set.Free(x)
	meter := em.newMeter(em.held, min(size, count))
	defer meter.close()
	for start := 0; start < count; start += size {
		if ctx.Err() != nil {
			return nil, 0, ErrInterrupted
		}
		n := min(size, count-start)
		batch, y := em.held.take(sequence(start, n))
		if err := em.draw(x, y, batch, 1, em.seed(forEvaluation, repeat)); err != nil {
			return nil, 0, err
		}
		em.set.Download(draws[start*em.held.len:(start+n)*em.held.len], x)
		misfit += meter.sum(batch, x, y)
		em.Observer.Advance(n)
	}
	return draws, misfit / float64(count), em.set.Sync()
}

// trainMisfit is the mean misfit of the E-step's draws.
func (em *EM) trainMisfit() (float64, error) {
	subset := em.subset()
	size := kernels.AlignUp(em.Config.EStep.Batch)
	meter := em.newMeter(em.train, min(size, len(subset)))
	defer meter.close()
	total := 0.0
	for start := 0; start < len(subset); start += size {
		n := min(size, len(subset)-start)
		batch, y := em.train.take(subset[start : start+n])
		total += meter.sum(batch, em.draws.Slice(start*em.train.len, n*em.train.len), y)
	}
	return total / float64(len(subset)), em.set.Sync()
}

// meter measures data misfits batch by batch.
type meter struct {
	m       *measurements
	ax, out kernels.Buffer
}

func (em *EM) newMeter(m *measurements, n int) meter {
	return meter{m, em.set.Alloc(kernels.F32, n*m.len), em.set.Alloc(kernels.F32, n)}
}

// sum returns the sum of the misfits of a batch.
func (t meter) sum(b physics.Batch, x, y kernels.Buffer) float64 {
	physics.Misfit(t.m.set, t.m.op, b, t.out, t.ax, x, y, t.m.sigma)
	values := make([]float32, b.N)
	t.m.set.Download(values, t.out)
	total := 0.0
	for _, v := range values {
		total += float64(v)
	}
	return total
}

func (t meter) close() {
	t.m.set.Free(t.ax)
	t.m.set.Free(t.out)
}

// generate draws clean images from the prior.
func (em *EM) generate() ([]float32, error) {
	n := em.Config.Eval.Generated
	if n == 0 {
		return nil, nil
	}
	gen, err := em.Config.Prior.Generator(em.set, em.prior)
	if err != nil {
		return nil, err
	}
	defer gen.Close()
	x := em.set.Alloc(kernels.F32, n*em.held.len)
	defer em.set.Free(x)
	gen.Sample(x, n, kernels.Random{Seed: em.seed(forGeneration, 0), Stream: streamGenerate})
	out := make([]float32, n*em.held.len)
	em.set.Download(out, x)
	return out, em.set.Sync()
}

// shown is the number of held-out images in pictures.
func (em *EM) shown() int { return min(em.Config.Eval.Shown, em.held.count) }

// meanSSIM is the mean over images of the structural similarity.
func meanSSIM(x, ref []float32, h, w, c int) float64 {
	length := h * w * c
	sum := 0.0
	for i := 0; i < len(x); i += length {
		sum += metric.SSIM(x[i:i+length], ref[i:i+length], h, w, c)
	}
	return sum * float64(length) / float64(len(x))
}
