package learn

import (
	"context"
	"time"

	"emdiff/emdiff/metric"
	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// evaluate scores single posterior draws of the held-out images under the current prior and generates clean images.
func (em *EM) evaluate(ctx context.Context) error {
	s, start := &em.State, time.Now()
	em.Observer.Phase(s.Round, s.Phase, 0, em.images.Held.Len())
	draws, misfit, err := em.drawHeld(ctx, 0)
	if err != nil {
		return err
	}
	generated, err := em.generate()
	if err != nil {
		return err
	}
	held := em.images.Held
	plan := em.plan()
	r := RoundResult{Round: s.Round, Images: plan.Subset, Steps: plan.Steps, Reset: plan.Reset,
		PSNRMeasurements: metric.MeanPSNR(em.held.pixels(), held.Pixels, em.held.len),
		PSNRDraw:         metric.MeanPSNR(draws, held.Pixels, em.held.len),
		SSIMDraw:         meanSSIM(draws, held.Pixels, held.H, held.W, held.C),
		MisfitDraw:       misfit,
		Seconds:          s.Seconds,
	}
	if s.Round == 0 {
		r.Images, r.Steps, r.Reset = em.images.Clean.Len(), em.Config.Init.Steps, false
	} else if r.MisfitTrain, err = em.trainMisfit(); err != nil {
		return err
	}
	if r.Steps > 0 {
		r.Loss = s.LossSum / float64(r.Steps)
	}
	r.Seconds.Evaluate += time.Since(start).Seconds()
	s.Results = append(s.Results, r)
	return em.Observer.Round(r, draws[:em.shown()*em.held.len], generated)
}

// final compares the last prior with the first and averages draws.
func (em *EM) final(ctx context.Context) error {
	s, start := &em.State, time.Now()
	n := em.Config.Eval.Draws
	em.Observer.Phase(s.Round, s.Phase, 0, n*em.images.Held.Len())
	held := em.images.Held
	first, _, err := em.drawHeld(ctx, 0)
	if err != nil {
		return err
	}
	mean := make([]float32, len(first))
	copy(mean, first)
	for i := 1; i < n; i++ {
		draw, _, err := em.drawHeld(ctx, i)
		if err != nil {
			return err
		}
		for j, v := range draw {
			mean[j] += v
		}
	}
	for j := range mean {
		mean[j] /= float32(n)
	}
	r := FinalResult{
		PSNRMeasurements: s.Results[0].PSNRMeasurements,
		PSNRInitPrior:    s.Results[0].PSNRDraw,
		PSNRFinal:        metric.MeanPSNR(first, held.Pixels, em.held.len),
		PSNRFinalMean:    metric.MeanPSNR(mean, held.Pixels, em.held.len),
		SSIMFinal:        meanSSIM(first, held.Pixels, held.H, held.W, held.C),
		SSIMFinalMean:    meanSSIM(mean, held.Pixels, held.H, held.W, held.C),
		Draws:            n,
		Seconds:          s.TotalSeconds + time.Since(start).Seconds(),
	}
	return em.Observer.Final(r, mean[:em.shown()*em.held.len])
}

// drawHeld draws x ~ p(x | y) for all held-out images and returns them and their mean misfit. The same repeat uses the
// same random numbers after every round, so that rounds are compared on equal terms.
func (em *EM) drawHeld(ctx context.Context, repeat int) (draws []float32, misfit float64, err error) {
	count := em.images.Held.Len()
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
func (em *EM) shown() int { return min(em.Config.Eval.Shown, em.images.Held.Len()) }

// meanSSIM is the mean over images of the structural similarity.
func meanSSIM(x, ref []float32, h, w, c int) float64 {
	length := h * w * c
	sum := 0.0
	for i := 0; i < len(x); i += length {
		sum += metric.SSIM(x[i:i+length], ref[i:i+length], h, w, c)
	}
	return sum * float64(length) / float64(len(x))
}
