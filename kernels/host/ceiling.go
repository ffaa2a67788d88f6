package host

import "time"

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

// CopyBandwidth measures copying an array of so many bytes to another, cut evenly over the threads, in GB/s; reading and
// writing both count. It is the ceiling of the elementwise ops at that size.
func CopyBandwidth(bytes, threads int) float64 {
	n := max(1, bytes/4/threads)
	j := &copyJob{n: n, times: 1, dst: make([]float32, n*threads), src: make([]float32, n*threads)}
	for i := range j.src { // untouched pages would all be one page of zeros
		j.src[i] = 1
	}
	p := newPool(threads)
	defer p.close()
	p.run(threads, j) // the first touch of dst is not copying
	best := 0.0
	for spent := time.Duration(0); spent < 50*time.Millisecond; {
		start := time.Now()
		p.run(threads, j)
		d := time.Since(start)
		spent += d
		best = max(best, float64(8*n*threads*j.times)/d.Seconds()/1e9)
		if d < 2*time.Millisecond { // else a thread that is slow to wake finds its part taken
			j.times *= 2
		}
	}
	return best
}

type copyJob struct {
	n, times int
	dst, src []float32
}

func (j *copyJob) part(_, i int) {
	for range j.times {
		copy(j.dst[i*j.n:][:j.n], j.src[i*j.n:][:j.n])
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
