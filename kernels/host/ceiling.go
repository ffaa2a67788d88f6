package host

import (
	"time"

	"emdiff/kernels"
)

// PeakFMA measures the multiply-adds that the threads can do on registers alone at the named level, in GFLOP/s (a
// multiply-add is two): the ceiling of every matrix kernel. It takes about 20 ms. Clocks wander, so measure it in the
// same run as what is compared with it. A level that cannot be used here panics.
func PeakFMA(level string, threads int) float64 {
	l, err := findLevel(level)
	if err != nil {
		panic(err)
	}
	j := &peakJob{loop: l.matrix.peak, n: 1000}
	best := 0.0
	p := newPool(threads)
	defer p.close()
	for spent := time.Duration(0); spent < 20*time.Millisecond; {
		start := time.Now()
		p.run(threads, j)
		d := time.Since(start)
		spent += d
		best = max(best, float64(threads*j.n*l.matrix.peakFLOPs)/d.Seconds()/1e9)
		if d < 2*time.Millisecond {
			j.n *= 2
		}
	}
	return best
}

type peakJob struct {
	loop func(n int)
	n    int
}

func (j *peakJob) part(_, _ int) { j.loop(j.n) }

// CopyBandwidth measures copying an array of so many bytes to another, cut evenly over the threads, in GB/s: the best of
// copies through the caches and past them, by Go and by the highest level. Reading and writing both count, but not what the
// caches do besides: a copy through them reads what it overwrites as well. It is the ceiling of the elementwise ops at that size.
func CopyBandwidth(bytes, threads int) float64 {
	c := NewCopyProbe(bytes, threads)
	defer c.Close()
	best := 0.0
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; {
		best = max(best, c.Turn())
	}
	return best
}

// CopyProbe is CopyBandwidth in turns, to go between those of what is compared with it: bandwidth wanders with what else
// the machine does.
type CopyProbe struct {
	job  copyJob
	pool *pool
	ways []func(dst, src []float32)
}

// NewCopyProbe allocates and touches the arrays.
func NewCopyProbe(bytes, threads int) *CopyProbe {
	n := kernels.AlignUp(max(1, bytes/4/threads))
	array := func() []float32 { return f32(memory{}.Alloc(kernels.F32, n*threads)) }
	c := &CopyProbe{copyJob{n: n, times: 1, dst: array(), src: array()}, newPool(threads), copyKernels()}
	for i := range c.job.src { // untouched pages would all be one page of zeros
		c.job.src[i] = 1
	}
	c.Turn() // the first touch of dst is not copying
	for start := time.Now(); c.job.times < 1<<20; start = time.Now() {
		if c.Turn(); time.Since(start) > time.Duration(len(c.ways))*time.Millisecond {
			break
		}
		c.job.times *= 2 // else a thread that is slow to wake finds its part taken
	}
	return c
}

// Turn copies in every way for a millisecond or once, and returns the GB/s of the best.
func (c *CopyProbe) Turn() float64 {
	threads, best := len(c.job.src)/c.job.n, 0.0
	for _, way := range c.ways {
		c.job.copies = way
		start := time.Now()
		c.pool.run(threads, &c.job)
		best = max(best, float64(8*len(c.job.src)*c.job.times)/time.Since(start).Seconds()/1e9)
	}
	return best
}

// Close stops the threads.
func (c *CopyProbe) Close() { c.pool.close() }

// copyKernels are the ways to copy: Go's, and loops of the highest level through the caches and past them.
func copyKernels() []func(dst, src []float32) {
	ways := []func(dst, src []float32){copyRow}
	for _, l := range levels() {
		if l.usable() == nil && l.vector.past != nil {
			scale := l.vector.scale
			ways = []func(dst, src []float32){copyRow, func(dst, src []float32) { scale(dst, src, 1) }, l.vector.past.stream}
		}
	}
	return ways
}

type copyJob struct {
	n, times int
	dst, src []float32
	copies   func(dst, src []float32)
}

func (j *copyJob) part(_, i int) {
	for range j.times {
		j.copies(j.dst[i*j.n:][:j.n], j.src[i*j.n:][:j.n])
	}
}

// portablePeakFLOPs is the work of one turn of peakPortable.
const portablePeakFLOPs = 24

// peakResults keeps the compiler from leaving the loops out.
var peakResults [12]float32

// peakPortable multiplies and adds in twelve independent chains, which is what fits in 16 registers.
func peakPortable(n int) {
	r := peakResults
	a, b, c, d, e, f := r[0], r[1], r[2], r[3], r[4], r[5]
	g, h, i, j, k, l := r[6], r[7], r[8], r[9], r[10], r[11]
	const x, y = float32(0.5), float32(1)
	for range n {
		a = a*x + y
		b = b*x + y
		c = c*x + y
		d = d*x + y
		e = e*x + y
		f = f*x + y
		g = g*x + y
		h = h*x + y
		i = i*x + y
		j = j*x + y
		k = k*x + y
		l = l*x + y
	}
	if a+b+c+d+e+f+g+h+i+j+k+l < 0 { // never: the values tend to 2
		peakResults = [12]float32{a, b, c, d, e, f, g, h, i, j, k, l}
	}
}
