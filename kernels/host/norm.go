package host

import (
	"math"

	"emdiff/kernels"
)

// Group norm works on channels, not groups, so that a group of any width costs the same: sums over chunks of rows are kept
// per channel in float32 vectors, and a group joins its channels and chunks in float64. The parts of one image run in a
// row on one worker, while the image is in its cache, unless there are fewer images than workers; the arithmetic is the
// same either way.

// pivotRows is the number of rows whose mean is the pivot of an image.
const pivotRows = 16

// normRows is what the forward and the backward pass share.
type normRows struct {
	set              *Set
	p                kernels.GroupNorm
	xs, ys           int // strides
	chunks           int // of rows, per image
	gamma, beta, mod []float32
	mean, rstd       []float32
	pivots           []float32 // [N][C]
	sums             []float32 // [N][chunks][2C]
	coefficients     []float32 // [N][5C]: mean, a, b of z = (x-mean) a + b, and q, r of the gradient
	stage            normStage
}

// normStage says what a part does.
type normStage int

const (
	normImage normStage = iota // all of an image
	normSum                    // the sums of one chunk of rows
	normApply                  // the result of one chunk of rows
)

// newNormRows lays out the scratch memory.
func (s *Set) newNormRows(gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) normRows {
	chunks := (p.HW + rowChunk - 1) / rowChunk
	c := kernels.AlignUp(p.C)
	mem := s.shared.floats(p.N * (1 + 2*chunks + 5) * c)
	cutOff := func(n int) []float32 {
		part := mem[:n]
		mem = mem[n:]
		return part
	}
	return normRows{
		set: s, p: p, xs: stride(p.XStride, p.C), ys: stride(p.YStride, p.C), chunks: chunks,
		gamma: f32(gamma), beta: f32(beta), mod: f32(scaleShift), mean: f32(mean), rstd: f32(rstd),
		pivots: cutOff(p.N * c), sums: cutOff(p.N * chunks * 2 * c), coefficients: cutOff(p.N * 5 * c),
	}
}

// row returns row i of rows of C channels, each aligned.
func (j *normRows) row(x []float32, i int) []float32 {
	c := kernels.AlignUp(j.p.C)
	return x[i*c:][:j.p.C]
}

// sum returns the two sums per channel of a chunk.
func (j *normRows) sum(n, chunk int) (first, second []float32) {
	i := 2 * (n*j.chunks + chunk)
	return j.row(j.sums, i), j.row(j.sums, i+1)
}

// affine returns the per-channel mean, a and b of image n.
func (j *normRows) affine(n int) (mean, a, b []float32) {
	return j.row(j.coefficients, 5*n), j.row(j.coefficients, 5*n+1), j.row(j.coefficients, 5*n+2)
}

// rest returns the per-channel q and r of image n.
func (j *normRows) rest(n int) (q, r []float32) {
	return j.row(j.coefficients, 5*n+3), j.row(j.coefficients, 5*n+4)
}

// modulation returns 1 + scale and shift of image n, channel c.
func (j *normRows) modulation(n, c int) (scale, shift float64) {
	if j.mod == nil {
		return 1, 0
	}
	m := j.mod[n*2*j.p.C:]
	return 1 + float64(m[c]), float64(m[j.p.C+c])
}

// fold computes the affine map of group g of image n.
func (j *normRows) fold(n, g int, groupMean, groupRstd float64) {
	width := j.p.C / j.p.Groups
	mean, a, b := j.affine(n)
	for c := g * width; c < (g+1)*width; c++ {
		scale, shift := j.modulation(n, c)
		mean[c] = float32(groupMean)
		a[c] = float32(groupRstd * float64(j.gamma[c]) * scale)
		b[c] = float32(float64(j.beta[c])*scale + shift)
	}
}

// rows returns the first row of a chunk of image n and how many there are.
func (j *normRows) rows(n, chunk int) (first, count int) {
	return n*j.p.HW + chunk*rowChunk, min(rowChunk, j.p.HW-chunk*rowChunk)
}

// normSteps are the steps of one pass. sum and apply work on one chunk of rows of image n, finish on the sums of all.
type normSteps interface {
	job
	sum1(n, chunk int)
	finish(n int)
	apply(worker, n, chunk int)
}

// part runs a part of the current stage.
func (j *normRows) run(steps normSteps, worker, i int) {
	switch j.stage {
	case normImage:
		for chunk := range j.chunks {
			steps.sum1(i, chunk)
		}
		steps.finish(i)
		for chunk := range j.chunks {
			steps.apply(worker, i, chunk)
		}
	case normSum:
		steps.sum1(i/j.chunks, i%j.chunks)
	case normApply:
		steps.apply(worker, i/j.chunks, i%j.chunks)
	}
}

// runNorm runs the stages on all images.
func (s *Set) runNorm(j *normRows, steps normSteps) {
	if j.p.N >= len(s.private) || j.chunks == 1 {
		j.stage = normImage
		s.pool.run(j.p.N, steps)
		return
	}
	j.stage = normSum
	s.pool.run(j.p.N*j.chunks, steps)
	for n := range j.p.N {
		steps.finish(n)
	}
	j.stage = normApply
	s.pool.run(j.p.N*j.chunks, steps)
}

type normJob struct {
	normRows
	y, x []float32
}

func (j *normJob) part(worker, i int) { j.run(j, worker, i) }

// GroupNorm computes y and saves mean and rstd; scaleShift may be nil.
func (s *Set) GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	s.norm = normJob{s.newNormRows(gamma, beta, scaleShift, mean, rstd, p), f32(y), f32(x)}
	j := &s.norm
	for n := range p.N {
		rows := min(pivotRows, p.HW)
		pivot := j.row(j.pivots, n)
		s.level.vector.sumRows(pivot, j.x[n*p.HW*j.xs:], rows, j.xs)
		s.level.vector.scale(pivot, pivot, 1/float32(rows))
	}
	s.runNorm(&j.normRows, j)
}

// sum1 adds d and d^2 with d = x - pivot. The pivot, the mean of the first rows, is as far from the mean as the spread of
// the values, so that the variance loses nothing in the subtraction.
func (j *normJob) sum1(n, chunk int) {
	first, rows := j.rows(n, chunk)
	s1, s2 := j.sum(n, chunk)
	j.set.level.vector.moments(s1, s2, j.row(j.pivots, n), j.x[first*j.xs:], rows, j.xs)
}

// finish joins the channels of a group: its variance is that within the channels plus that of their means.
func (j *normJob) finish(n int) {
	p := &j.p
	width, hw := p.C/p.Groups, float64(p.HW)
	pivot := j.row(j.pivots, n)
	for g := range p.Groups {
		var within, mean, between float64 // Welford's update over the channels
		for k := range width {
			c := g*width + k
			var sum, squares float64
			for chunk := range j.chunks {
				s1, s2 := j.sum(n, chunk)
				sum += float64(s1[c])
				squares += float64(s2[c])
			}
			within += squares - sum*sum/hw
			channel := float64(pivot[c]) + sum/hw
			d := channel - mean
			mean += d / float64(k+1)
			between += d * (channel - mean)
		}
		variance := max(0, within/hw+between) / float64(width)
		rstd := 1 / math.Sqrt(variance+float64(p.Eps))
		j.mean[n*p.Groups+g], j.rstd[n*p.Groups+g] = float32(mean), float32(rstd)
		j.fold(n, g, mean, rstd)
	}
}

func (j *normJob) apply(_, n, chunk int) {
	first, rows := j.rows(n, chunk)
	mean, a, b := j.affine(n)
	kernel := j.set.level.vector.norm
	if j.p.SiLU {
		kernel = j.set.level.vector.normSiLU
	}
	kernel(j.y[first*j.ys:], j.x[first*j.xs:], rows, j.ys, j.xs, mean, a, b)
}

type normGradJob struct {
	normRows
	dx, dy, x   []float32
	dscaleShift []float32
	params      []float64 // [N][2C]: what each image adds to dgamma and dbeta
}

func (j *normGradJob) part(worker, i int) { j.run(j, worker, i) }

// GroupNormGrad computes dx, dgamma, dbeta and dscaleShift; a nil destination is skipped.
func (s *Set) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	s.normGrad = normGradJob{s.newNormRows(gamma, beta, scaleShift, mean, rstd, p), f32(dx), f32(dy), f32(x), f32(dscaleShift), s.partial(p.N * 2 * p.C)}
	j := &s.normGrad
	for n := range p.N {
		for g := range p.Groups {
			j.fold(n, g, float64(j.mean[n*p.Groups+g]), float64(j.rstd[n*p.Groups+g]))
		}
	}
	s.runNorm(&j.normRows, j)
	if dgamma == nil {
		return
	}
	dg, db := f32(dgamma), f32(dbeta)
	for c := range p.C {
		var sumGamma, sumBeta float64
		for n := range p.N {
			sumGamma += j.params[n*2*p.C+c]
			sumBeta += j.params[n*2*p.C+p.C+c]
		}
		put(&dg[c], sumGamma, p.AccumulateParams)
		put(&db[c], sumBeta, p.AccumulateParams)
	}
}

// sum1 adds du and du (x - mean), du the cotangent of z.
func (j *normGradJob) sum1(n, chunk int) {
	first, rows := j.rows(n, chunk)
	s1, s2 := j.sum(n, chunk)
	clear(s1)
	clear(s2)
	mean, a, b := j.affine(n)
	v, dy, x := &j.set.level.vector, j.dy[first*j.ys:], j.x[first*j.xs:]
	switch {
	case j.keeps():
		v.normKeepSiLU(s1, s2, j.dx[first*j.xs:], dy, x, rows, j.ys, j.xs, mean, a, b)
	case j.p.SiLU:
		v.normSumsSiLU(s1, s2, dy, x, rows, j.ys, j.xs, mean, a, b)
	default:
		v.normSums(s1, s2, dy, x, rows, j.ys, j.xs, mean, a, b)
	}
}

// keeps reports whether du waits in dx for the second pass, which saves its exponential. The bits are the same.
func (j *normGradJob) keeps() bool { return j.p.SiLU && j.dx != nil && !j.p.Accumulate }

// finish turns the sums S1 of du and S2 of du xhat into parameter gradients and the coefficients of
//
//	dx = a du + q (x - mean) + r,  q = -rstd^2 mean(dxhat xhat),  r = -rstd mean(dxhat),  dxhat = gamma (1+scale) du
func (j *normGradJob) finish(n int) {
	p := &j.p
	width := p.C / p.Groups
	q, r := j.rest(n)
	for g := range p.Groups {
		rstd := float64(j.rstd[n*p.Groups+g])
		var sum, projection float64
		for c := g * width; c < (g+1)*width; c++ {
			var s1, s2 float64
			for chunk := range j.chunks {
				first, second := j.sum(n, chunk)
				s1 += float64(first[c])
				s2 += float64(second[c])
			}
			s2 *= rstd
			scale, _ := j.modulation(n, c)
			gamma, beta := float64(j.gamma[c]), float64(j.beta[c])
			sum += gamma * scale * s1
			projection += gamma * scale * s2
			j.params[n*2*p.C+c], j.params[n*2*p.C+p.C+c] = scale*s2, scale*s1
			if j.dscaleShift != nil {
				d := j.dscaleShift[n*2*p.C:]
				put(&d[c], gamma*s2+beta*s1, p.AccumulateParams)
				put(&d[p.C+c], s1, p.AccumulateParams)
			}
		}
		count := float64(p.HW * width)
		for c := g * width; c < (g+1)*width; c++ {
			q[c], r[c] = float32(-rstd*rstd*projection/count), float32(-rstd*sum/count)
		}
	}
}

func (j *normGradJob) apply(worker, n, chunk int) {
	if j.dx == nil {
		return
	}
	v, p := &j.set.level.vector, &j.p
	first, rows := j.rows(n, chunk)
	mean, a, b := j.affine(n)
	q, r := j.rest(n)
	kernel := v.normDx
	if p.SiLU {
		kernel = v.normDxSiLU
	}
	if j.keeps() {
		dx := j.dx[first*j.xs:]
		v.normDx(dx, dx, j.x[first*j.xs:], rows, j.xs, j.xs, mean, a, b, q, r)
		return
	}
	if !p.Accumulate {
		kernel(j.dx[first*j.xs:], j.dy[first*j.ys:], j.x[first*j.xs:], rows, j.ys, j.xs, mean, a, b, q, r)
		return
	}
	// A few rows at a time, so that they are added while in cache.
	few := max(1, 4*strip/j.xs)
	sum := j.set.private[worker].floats(few * j.xs)
	for last := first + rows; first < last; first += few {
		count := min(few, last-first)
		kernel(sum, j.dy[first*j.ys:], j.x[first*j.xs:], count, j.ys, j.xs, mean, a, b, q, r)
		for i := range count {
			dst := j.dx[(first+i)*j.xs:][:p.C]
			v.add(dst, dst, sum[i*j.xs:])
		}
	}
}
