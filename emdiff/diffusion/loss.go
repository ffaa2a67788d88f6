package diffusion

import (
	"math"

	"emdiff/kernels"
	"emdiff/nn"
)

// Loss is denoising score matching on mini-batches. A clean image x at noise level sigma gives x_sigma = x + sigma e and
// the loss
//
//	Weight |F - (x - Skip x_sigma)/Out|^2
//
// on the network's output F, which is EDM's weighted |D - x|^2, or DDPM's |F - e|^2.
//
// When SigmaY > 0, measurements y = x + SigmaY n can stand in for clean images at sigma > SigmaY (ambient-Tweedie, Daras
// et al. 2024): from x_sigma = y + sqrt(sigma^2 - SigmaY^2) e and r = (SigmaY/sigma)^2,
//
//	E[y | x_sigma] = r x_sigma + (1-r) E[x | x_sigma]
//
// so that (y - r x_sigma)/(1-r) is an unbiased target for D. Its variance is SigmaY^2/(1-r), so the loss is weighted by
// 1-r, which gives every noise level about the same noise in its gradient.
type Loss struct {
	UNet    *nn.UNet
	Precond Precond
	SigmaY  float64 // 0: never use measurements
	// Above trains on measurements alone: noise levels s below SigmaY are replaced by SigmaY^2/s. Nothing is learned
	// there, and what is learned just above SigmaY is not mixed with anything else.
	Above bool
	// Checkpoint trades time for memory without changing a bit.
	Checkpoint nn.Checkpoint

	set     kernels.Set
	tape    *nn.Tape
	h, w, c int

	n                                int // images per batch that the buffers hold
	base, noise, noisy, target, grad kernels.Buffer
	coef                             kernels.Buffer
	host                             []float32
	loss, total                      kernels.Buffer
	steps                            int // in total
}

// NewLoss prepares the loss for images of h x w x c values.
func NewLoss(set kernels.Set, u *nn.UNet, p Precond, sigmaY float64, h, w, c int) *Loss {
	l := &Loss{UNet: u, Precond: p, SigmaY: sigmaY, set: set, tape: nn.NewTape(set, nn.Training), h: h, w: w, c: c}
	l.total = set.Alloc(kernels.F32, 1)
	return l
}

// The per-image coefficients of a batch, one row each in Loss.coef.
const (
	cleanPart = iota // base = cleanPart x + measuredPart y
	measuredPart
	one
	noiseStd   // noisy = base + noiseStd e
	netIn      // network input = netIn noisy
	netNoise   // noise conditioning
	targetBase // target = targetBase base + targetNoisy noisy
	targetNoisy
	lossWeight
	coefRows
)

// Gradients runs one batch: forward, loss, and the gradients of all parameters. clean and measured hold n images;
// measured is nil when measurements are not used. r names the draws of this step (noise levels, noise, dropout).
func (l *Loss) Gradients(clean, measured kernels.Buffer, n int, r kernels.Random) {
	length := l.h * l.w * l.c
	l.reserve(n)
	l.drawCoefficients(n, measured != nil, r)
	s, row := l.set, func(i int) kernels.Buffer { return l.coef.Slice(i*kernels.AlignUp(l.n), n) }
	images := kernels.PerImage{N: n, Len: length}

	base := clean
	if measured != nil {
		base = l.base
		s.ScaleImages(base, row(cleanPart), clean, row(measuredPart), measured, images)
	}
	s.Normal(l.noise, nil, kernels.Draw{N: n, Len: length, Random: r})
	s.ScaleImages(l.noisy, row(one), base, row(noiseStd), l.noise, images)
	s.ScaleImages(l.target, row(targetBase), base, row(targetNoisy), l.noisy, images)
	s.ScaleImages(l.noisy, row(netIn), l.noisy, nil, nil, images)

	l.tape.Reset()
	l.tape.Seed, l.tape.Step, l.tape.Checkpoint = r.Seed, r.Step, l.Checkpoint
	f := l.UNet.Forward(l.tape, nn.Wrap(l.noisy, n, l.h, l.w, l.c), nn.WrapVector(row(netNoise), n))
	s.SquaredError(l.loss, l.grad, f.Buf, l.target, row(lossWeight), images)
	s.Sum(l.total, l.loss, kernels.PerImage{N: 1, Len: n, Accumulate: true})
	l.steps++
	l.tape.Backward(f, nn.Wrap(l.grad, n, l.h, l.w, l.c))
}

// drawCoefficients draws the noise levels on the host and uploads what depends on them.
func (l *Loss) drawCoefficients(n int, measured bool, r kernels.Random) {
	stride := kernels.AlignUp(l.n)
	length := float64(l.h * l.w * l.c)
	levels := r
	levels.Stream++ // the noise itself uses r.Stream
	for i := range n {
		u := kernels.UniformBlock(levels, uint32(i), 0)
		sigma := l.Precond.SampleSigma(float64(u[0]))
		if l.Above && sigma < l.SigmaY {
			sigma = l.SigmaY * l.SigmaY / sigma
		}
		c := l.Precond.At(sigma)
		set := func(row int, v float64) { l.host[row*stride+i] = float32(v) }
		clean, std, r := 1.0, sigma, 0.0
		if measured && sigma > l.SigmaY {
			clean, std, r = 0, math.Sqrt(sigma*sigma-l.SigmaY*l.SigmaY), l.SigmaY*l.SigmaY/(sigma*sigma)
		}
		set(cleanPart, clean)
		set(measuredPart, 1-clean)
		set(one, 1)
		set(noiseStd, std)
		set(netIn, c.In)
		set(netNoise, c.Noise)
		set(targetBase, 1/((1-r)*c.Out))
		set(targetNoisy, (-r/(1-r)-c.Skip)/c.Out)
		set(lossWeight, c.Weight*(1-r)/(length*float64(n)))
	}
	l.set.Upload(l.coef, l.host)
}

// TakeMean returns the mean loss per value since the last call and starts anew. It waits for the device.
func (l *Loss) TakeMean() float64 {
	if l.steps == 0 {
		return 0
	}
	var sum [1]float32
	l.set.Download(sum[:], l.total)
	mean := float64(sum[0]) / float64(l.steps)
	l.set.Fill(l.total, 0, kernels.Elementwise{Len: 1})
	l.steps = 0
	return mean
}

func (l *Loss) reserve(n int) {
	if n == l.n {
		return
	}
	l.free()
	l.n = n
	size := n * l.h * l.w * l.c
	for _, b := range l.images() {
		*b = l.set.Alloc(kernels.F32, size)
	}
	l.loss = l.set.Alloc(kernels.F32, n)
	l.host = make([]float32, coefRows*kernels.AlignUp(n))
	l.coef = l.set.Alloc(kernels.F32, len(l.host))
}

func (l *Loss) images() []*kernels.Buffer {
	return []*kernels.Buffer{&l.base, &l.noise, &l.noisy, &l.target, &l.grad}
}

func (l *Loss) free() {
	if l.n == 0 {
		return
	}
	for _, b := range l.images() {
		l.set.Free(*b)
	}
	l.set.Free(l.loss)
	l.set.Free(l.coef)
	l.n = 0
}

// LossMemory is what a Loss takes for batches of n images of h x w x c values: the tape, and the batches around it.
func LossMemory(net nn.UNetConfig, checkpoint nn.Checkpoint, n, h, w, c int) (tape nn.Memory, batch int64, err error) {
	tape, err = net.Memory(n, h, w, nn.MemoryOptions{Mode: nn.Training, Checkpoint: checkpoint})
	images := len((&Loss{}).images()) * n * h * w * c
	return tape, 4 * int64(images+n+coefRows*kernels.AlignUp(n)+1), err
}

// Close frees the workspace; the U-Net stays.
func (l *Loss) Close() {
	l.free()
	l.set.Free(l.total)
	l.tape.Close()
}
