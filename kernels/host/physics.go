package host

import (
	"math"
	"slices"

	"emdiff/kernels"
)

// gains expands the gains of a strip to one per value.
type gains struct {
	values []float32
	p      kernels.Gain
	triple func(dst, src []float32)
}

// expand returns the gains of the values [lo, hi) of image n, in w when they are not stored that way.
func (g *gains) expand(w *workspace, n, lo, hi int) []float32 {
	p := &g.p
	image := g.values[n%p.GainN*p.HW*p.GainC:]
	first := lo - n*p.HW*p.C
	if p.GainC == p.C {
		return image[first : first+hi-lo]
	}
	dst := w.gain[:hi-lo]
	pixel, channel := first/p.C, first%p.C
	for rest := dst; len(rest) > 0; pixel, channel = pixel+1, 0 {
		if whole := len(rest) / (3 * tripleRun) * tripleRun; p.C == 3 && channel == 0 && whole > 0 {
			g.triple(rest[:3*whole], image[pixel:])
			rest, pixel = rest[3*whole:], pixel+whole-1
			continue
		}
		count := min(p.C-channel, len(rest))
		for i := range rest[:count] {
			rest[i] = image[pixel]
		}
		rest = rest[count:]
	}
	return dst
}

type gain struct {
	gains
	vector *vectorKernels
	x      []float32
}

func (o *gain) strip(w *workspace, dst []float32, n, lo, hi int) {
	o.vector.mul(dst, o.x[lo:hi], o.expand(w, n, lo, hi))
}

// Gain computes y = gain x.
func (s *Set) Gain(y, x, gainBuffer kernels.Buffer, p kernels.Gain) {
	v := s.storing(f32(y), p.Accumulate, p.HW*p.C, 2*p.N*p.HW*p.C, f32(x), f32(gainBuffer))
	s.gain = gain{gains{f32(gainBuffer), p, s.level.vector.triple}, v, f32(x)}
	s.mapImages(f32(y), p.N, p.HW*p.C, p.Accumulate, &s.gain)
}

// posterior is the draw of kernels.GaussianPosterior with k = (R/SigmaY)^2: x = (gain k y + z) q + Temperature R sqrt(q) w,
// q = 1/(1 + k gain^2).
type posterior struct {
	gains
	generator
	vector   *vectorKernels
	out      *vectorKernels // of what is stored
	z, y     []float32
	k, noise float64
}

func (o *posterior) strip(w *workspace, dst []float32, n, lo, hi int) {
	noise := w.noise[:hi-lo]
	if o.noise > 0 {
		o.draw(w, noise, n, lo)
	} else {
		clear(noise)
	}
	z, y := o.z[lo:hi], o.y[lo:hi]
	if o.values == nil {
		q := 1 / (1 + o.k)
		v := w.gain[:hi-lo]
		o.vector.combine(v, y, z, float32(o.k*q), float32(q))
		o.out.addScaled(dst, v, noise, float32(o.noise*math.Sqrt(q)))
		return
	}
	o.out.posterior(dst, z, y, o.expand(w, n, lo, hi), noise, float32(o.k), float32(o.noise))
}

// GaussianPosterior draws x given z and y; gain and ids may be nil.
func (s *Set) GaussianPosterior(x, z, y, gain, ids kernels.Buffer, p kernels.GaussianPosterior) {
	v, ratio := &s.level.vector, float64(p.R)/float64(p.SigmaY)
	out := s.storing(f32(x), false, p.HW*p.C, 3*p.N*p.HW*p.C, f32(z), f32(y), f32(gain))
	s.posterior = posterior{gains{f32(gain), p.Gain, v.triple}, newGenerator(v.normals, p.Random, ids, p.HW*p.C), v, out,
		f32(z), f32(y), ratio * ratio, float64(p.Temperature) * float64(p.R)}
	s.mapImages(f32(x), p.N, p.HW*p.C, false, &s.posterior)
}

// blurJob blurs one image per part. Rows and columns are both one call of the fir kernel, whose step is a pixel or a row;
// the adjoint runs it over zero-extended data with the taps reversed and folds the border back.
type blurJob struct {
	set        *Set
	y, x, taps []float32
	p          kernels.Blur
	adjoint    bool
}

func (j *blurJob) part(worker, n int) {
	size := j.p.H * j.p.W * j.p.C
	y, x := j.y[n*size:(n+1)*size], j.x[n*size:(n+1)*size]
	if j.adjoint {
		j.transpose(&j.set.private[worker], y, x)
	} else {
		j.forward(&j.set.private[worker], y, x)
	}
}

func (j *blurJob) forward(scratch *arena, y, x []float32) {
	p, half, width := &j.p, j.p.K/2, j.p.W*j.p.C
	mem := scratch.floats((p.H+2*half)*width + (p.W+2*half)*p.C)
	tall, row := mem[:(p.H+2*half)*width], mem[(p.H+2*half)*width:]
	for i := range p.H {
		copy(row[half*p.C:], x[i*width:(i+1)*width])
		mirror(row, half, p.W, p.C)
		j.set.level.vector.fir(tall[(half+i)*width:(half+i+1)*width], row, j.taps, p.C)
	}
	mirror(tall, half, p.H, width)
	j.set.level.vector.fir(y, tall, j.taps, width)
}

func (j *blurJob) transpose(scratch *arena, y, x []float32) {
	p, half, width := &j.p, j.p.K/2, j.p.W*j.p.C
	tallest, tall := (p.H+4*half)*width, (p.H+2*half)*width
	widest, wide := (p.W+4*half)*p.C, (p.W+2*half)*p.C
	mem := scratch.floats(tallest + tall + widest + wide)
	clear(mem)
	column, columns := mem[:tallest], mem[tallest:tallest+tall]
	row, rows := mem[tallest+tall:tallest+tall+widest], mem[tallest+tall+widest:]
	fir := j.set.level.vector.fir
	copy(column[2*half*width:], x)
	fir(columns, column, j.taps, width)
	fold(columns, half, p.H, width)
	for i := range p.H {
		copy(row[2*half*p.C:], columns[(half+i)*width:(half+i+1)*width])
		fir(rows, row, j.taps, p.C)
		fold(rows, half, p.W, p.C)
		copy(y[i*width:(i+1)*width], rows[half*p.C:])
	}
}

// mirror fills half lines of size values on each side of n lines by reflection at the edge lines.
func mirror(x []float32, half, n, size int) {
	line := func(i int) []float32 { return x[(half+i)*size : (half+i+1)*size] }
	for k := 1; k <= half; k++ {
		copy(line(-k), line(k))
		copy(line(n-1+k), line(n-1-k))
	}
}

// fold is the adjoint of mirror: it adds the border lines to the lines they mirror.
func fold(x []float32, half, n, size int) {
	line := func(i int) []float32 { return x[(half+i)*size : (half+i+1)*size] }
	for k := 1; k <= half; k++ {
		addTo(line(k), line(-k))
		addTo(line(n-1-k), line(n-1+k))
	}
}

func addTo(dst, src []float32) {
	for i, v := range src {
		dst[i] += v
	}
}

// Blur computes y from x with taps.
func (s *Set) Blur(y, x, taps kernels.Buffer, p kernels.Blur) {
	s.runBlur(y, x, taps, p, false)
}

// BlurAdjoint computes the transpose of Blur.
func (s *Set) BlurAdjoint(y, x, taps kernels.Buffer, p kernels.Blur) {
	s.runBlur(y, x, taps, p, true)
}

func (s *Set) runBlur(y, x, taps kernels.Buffer, p kernels.Blur, adjoint bool) {
	s.blur.taps = append(s.blur.taps[:0], f32(taps)[:p.K]...)
	if adjoint {
		slices.Reverse(s.blur.taps)
	}
	s.blur = blurJob{s, f32(y), f32(x), s.blur.taps, p, adjoint}
	s.pool.run(p.N, &s.blur)
}
