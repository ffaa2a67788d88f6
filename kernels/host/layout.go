package host

import (
	"math"

	"emdiff/kernels"
)

// store copies src to dst, or adds it.
func (v *vectorKernels) store(dst, src []float32, accumulate bool) {
	switch {
	case accumulate:
		v.add(dst, dst, src)
	case v.stream != nil:
		v.stream(dst, src)
	default:
		copy(dst, src)
	}
}

// upsampleJob handles one row of the small image per part.
type upsampleJob struct {
	set          *Set
	vector       *vectorKernels // of what is stored
	small, large []float32
	p            kernels.Resize
	xs, ys       int
	adjoint      bool
}

func (j *upsampleJob) part(worker, row int) {
	add, p := j.set.level.vector.add, &j.p
	pixels := 2 * p.W * j.ys
	var sum []float32
	if j.adjoint {
		sum = j.set.private[worker].floats(p.C)
	}
	for column := range p.W {
		small := j.small[(row*p.W+column)*j.xs:][:p.C]
		top := j.large[2*row*pixels+2*column*j.ys:]
		bottom := top[pixels:]
		if !j.adjoint {
			j.vector.store(top[:p.C], small, p.Accumulate)
			j.vector.store(top[j.ys:][:p.C], small, p.Accumulate)
			j.vector.store(bottom[:p.C], small, p.Accumulate)
			j.vector.store(bottom[j.ys:][:p.C], small, p.Accumulate)
			continue
		}
		add(sum, top[:p.C], top[j.ys:])
		add(sum, sum, bottom)
		add(sum, sum, bottom[j.ys:])
		j.vector.store(small, sum, p.Accumulate)
	}
}

func (s *Set) resize(small, large kernels.Buffer, p kernels.Resize, adjoint bool) {
	xs, ys := stride(p.XStride, p.C), stride(p.YStride, p.C)
	dst, step := f32(large), ys
	if adjoint {
		dst, step = f32(small), xs
	}
	v := s.storing(dst, p.Accumulate, p.C|step, 5*p.N*p.H*p.W*p.C)
	s.upsample = upsampleJob{s, v, f32(small), f32(large), p, xs, ys, adjoint}
	s.pool.run(p.N*p.H, &s.upsample)
}

// Upsample2x repeats every pixel of x in a 2x2 block of y.
func (s *Set) Upsample2x(y, x kernels.Buffer, p kernels.Resize) { s.resize(x, y, p, false) }

// Upsample2xGrad sums the 2x2 blocks of dy.
func (s *Set) Upsample2xGrad(dx, dy kernels.Buffer, p kernels.Resize) { s.resize(dx, dy, p, true) }

// shuffleJob handles one row of the small image per part.
type shuffleJob struct {
	small, large []float32
	p            kernels.Shuffle
	toSmall      bool
	places       []int // in a small pixel, of the R*C values of a large row that belong to it
}

func (j *shuffleJob) part(_, row int) {
	p := &j.p
	run, size := p.R*p.C, p.R*p.R*p.C
	for a := range p.R {
		line := j.large[(row*p.R+a)*p.W*p.C:][:p.W*p.C]
		small := j.small[row*p.W/p.R*size+a*p.R:]
		for ; len(line) > 0; line = line[run:] {
			large := line[:len(j.places)]
			if j.toSmall {
				for k, to := range j.places {
					small[to] = large[k]
				}
			} else {
				for k, from := range j.places {
					large[k] = small[from]
				}
			}
			small = small[min(size, len(small)):]
		}
	}
}

func (s *Set) runShuffle(small, large kernels.Buffer, p kernels.Shuffle, toSmall bool) {
	places := s.shuffle.places[:0]
	for k := range p.R * p.C {
		places = append(places, k%p.C*p.R*p.R+k/p.C)
	}
	s.shuffle = shuffleJob{f32(small), f32(large), p, toSmall, places}
	s.pool.run(p.N*p.H/p.R, &s.shuffle)
}

// PixelUnshuffle moves blocks of the large image x into the channels of y.
func (s *Set) PixelUnshuffle(y, x kernels.Buffer, p kernels.Shuffle) { s.runShuffle(y, x, p, true) }

// PixelShuffle is the inverse and adjoint of PixelUnshuffle.
func (s *Set) PixelShuffle(y, x kernels.Buffer, p kernels.Shuffle) { s.runShuffle(x, y, p, false) }

// channelsJob copies the channels of some rows per part.
type channelsJob struct {
	vector  *vectorKernels
	y, x    []float32
	p       kernels.Channels
	perPart int
}

func (j *channelsJob) part(_, i int) {
	p := &j.p
	xs, ys := stride(p.XStride, p.C), stride(p.YStride, p.C)
	for r := i * j.perPart; r < min((i+1)*j.perPart, p.Rows); r++ {
		j.vector.store(j.y[r*ys+p.YOffset:][:p.C], j.x[r*xs+p.XOffset:], p.Accumulate)
	}
}

// CopyChannels copies a range of channels.
func (s *Set) CopyChannels(y, x kernels.Buffer, p kernels.Channels) {
	perPart := max(1, grain/p.C)
	v := s.storing(f32(y)[p.YOffset:], p.Accumulate, p.C|p.YStride, 2*p.Rows*p.C)
	s.channels = channelsJob{v, f32(y), f32(x), p, perPart}
	s.pool.run((p.Rows+perPart-1)/perPart, &s.channels)
}

// TimeEmbedding computes y [N][Dim] from t [N], in float64.
func (s *Set) TimeEmbedding(y, t kernels.Buffer, p kernels.TimeEmbedding) {
	out, half := f32(y), p.Dim/2
	rate := -math.Log(float64(p.MaxPeriod)) / (float64(half) - float64(p.FreqShift))
	for i := range half {
		frequency := math.Exp(rate * float64(i))
		for n, step := range f32(t)[:p.N] {
			first, second := math.Sincos(float64(step) * frequency)
			if p.CosFirst {
				first, second = second, first
			}
			out[n*p.Dim+i], out[n*p.Dim+half+i] = float32(first), float32(second)
		}
	}
}
