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

// sweep is the number of values that a pass over columns takes at a time: those of the rows that it has not come to stay in
// the level 1 cache, and memory is read in order.
const sweep = 2048

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

// fold computes the affine map of group g of image n.
func (j *normRows) fold(n, g int, groupMean, groupRstd float64) {
	width := j.p.C / j.p.Groups
	first := g * width
	means, as, bs := j.affine(n)
	means, as, bs = means[first:first+width], as[first:first+width], bs[first:first+width]
	gamma, beta := j.gamma[first:first+width], j.beta[first:first+width]
	mean := float32(groupMean)
	if j.mod == nil {
		for c := range means {
			means[c], as[c], bs[c] = mean, float32(groupRstd*float64(gamma[c])), beta[c]
		}
		return
	}
	scale, shift := j.modulation(n, first, width)
	for c := range means {
		factor := 1 + float64(scale[c])
		means[c] = mean
		as[c] = float32(groupRstd * float64(gamma[c]) * factor)
		bs[c] = float32(float64(beta[c])*factor + float64(shift[c]))
	}
}

// modulation returns the scales, less one, and the shifts of some channels of image n.
func (j *normRows) modulation(n, first, width int) (scale, shift []float32) {
	m := j.mod[n*2*j.p.C:]
	return m[first : first+width], m[j.p.C+first:][:width]
}

// totals adds the chunks of the two sums of channel c of image n.
func (j *normRows) totals(n, c int) (first, second float64) {
	row := kernels.AlignUp(j.p.C)
	for i := 2*n*j.chunks*row + c; i < 2*(n+1)*j.chunks*row; i += 2 * row {
		first += float64(j.sums[i])
		second += float64(j.sums[i+row])
	}
	return first, second
}

// rows returns the first row of a chunk of image n and how many there are.
func (j *normRows) rows(n, chunk int) (first, count int) {
	return n*j.p.HW + chunk*rowChunk, min(rowChunk, j.p.HW-chunk*rowChunk)
}

// normSteps are the steps of one pass. sum1 and apply work on one chunk of rows of image n, start and finish on what all
// need before and after the sums.
type normSteps interface {
	job
	start(n int)
	sum1(n, chunk int)
	finish(n int)
	apply(worker, n, chunk int)
}

// part runs a part of the current stage.
func (j *normRows) run(steps normSteps, worker, i int) {
	switch j.stage {
	case normImage:
		steps.start(i)
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
	for n := range j.p.N {
		steps.start(n)
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
	out  *vectorKernels // of what is stored
}

func (j *normJob) part(worker, i int) { j.run(j, worker, i) }

// GroupNorm computes y and saves mean and rstd; scaleShift may be nil.
func (s *Set) GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	s.norm = normJob{s.newNormRows(gamma, beta, scaleShift, mean, rstd, p), f32(y), f32(x), nil}
	j := &s.norm
	j.out = s.storing(j.y, false, p.C|j.ys, 2*p.N*p.HW*p.C, j.x)
	s.runNorm(&j.normRows, j)
}

// start computes the pivot, the mean of the first rows: it is as far from the mean as the spread of the values, so that
// the variance loses nothing in the subtraction.
func (j *normJob) start(n int) {
	rows := min(pivotRows, j.p.HW)
	pivot, v := j.row(j.pivots, n), &j.set.level.vector
	v.sumRows(pivot, j.x[n*j.p.HW*j.xs:], rows, j.xs)
	v.scale(pivot, pivot, 1/float32(rows))
}

// sum1 adds d and d^2 with d = x - pivot.
func (j *normJob) sum1(n, chunk int) {
	first, rows := j.rows(n, chunk)
	s1, s2 := j.sum(n, chunk)
	clear(s1)
	clear(s2)
	few := max(1, sweep/j.xs)
	for last := first + rows; first < last; first += few {
		j.set.level.vector.moments(s1, s2, j.row(j.pivots, n), j.x[first*j.xs:], min(few, last-first), j.xs)
	}
}

// finish joins the channels of a group: its variance is that within the channels plus that of their means, which are
// counted from the pivot of the first channel.
func (j *normJob) finish(n int) {
	p := &j.p
	width := p.C / p.Groups
	perRow, perChannel := 1/float64(p.HW), 1/float64(width)
	for g := range p.Groups {
		pivot := j.row(j.pivots, n)[g*width:][:width]
		origin := float64(pivot[0])
		var within, means, squaredMeans float64
		for c, v := range pivot {
			sum, squares := j.totals(n, g*width+c)
			mean := sum * perRow
			within += squares - sum*mean
			mean += float64(v) - origin
			means += mean
			squaredMeans += mean * mean
		}
		between := squaredMeans - means*means*perChannel
		variance := max(0, within*perRow+between) * perChannel
		mean, rstd := origin+means*perChannel, 1/math.Sqrt(variance+float64(p.Eps))
		j.mean[n*p.Groups+g], j.rstd[n*p.Groups+g] = float32(mean), float32(rstd)
		j.fold(n, g, mean, rstd)
	}
}

func (j *normJob) apply(_, n, chunk int) {
	first, rows := j.rows(n, chunk)
	mean, a, b := j.affine(n)
	kernel := j.out.norm
	if j.p.SiLU {
		kernel = j.out.normSiLU
	}
	kernel(j.y[first*j.ys:], j.x[first*j.xs:], rows, j.ys, j.xs, mean, a, b, j.p.HW*j.xs)
}

type normGradJob struct {
	normRows
	dx, dy, x   []float32
	dscaleShift []float32
	out         *vectorKernels // of what is stored
	params      []float64      // [N][2C]: what each image adds to dgamma and dbeta
}

func (j *normGradJob) part(worker, i int) { j.run(j, worker, i) }

// GroupNormGrad computes dx, dgamma, dbeta and dscaleShift; a nil destination is skipped.
func (s *Set) GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	s.normGrad = normGradJob{s.newNormRows(gamma, beta, scaleShift, mean, rstd, p), f32(dx), f32(dy), f32(x), f32(dscaleShift), &s.level.vector, s.partial(p.N * 2 * p.C)}
	j := &s.normGrad
	if j.dx != nil && !j.keeps() {
		j.out = s.storing(j.dx, p.Accumulate, p.C|j.xs, 3*p.N*p.HW*p.C, j.dy, j.x)
	}
	s.runNorm(&j.normRows, j)
	if dgamma == nil {
		return
	}
	sums := j.params[:2*p.C]
	for n := 1; n < p.N; n++ {
		for i, v := range j.params[n*2*p.C:][:2*p.C] {
			sums[i] += v
		}
	}
	dg, db := f32(dgamma), f32(dbeta)
	for c := range p.C {
		put(&dg[c], sums[c], p.AccumulateParams)
		put(&db[c], sums[p.C+c], p.AccumulateParams)
	}
}

// start folds what the forward pass saved.
func (j *normGradJob) start(n int) {
	for i := n * j.p.Groups; i < (n+1)*j.p.Groups; i++ {
		j.fold(n, i-n*j.p.Groups, float64(j.mean[i]), float64(j.rstd[i]))
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

// keeps reports whether du waits in dx for the second pass, which saves its exponential. The bits are the same. It is then
// not written past the caches, from where it would have to come back.
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
			s1, s2 := j.totals(n, c)
			s2 *= rstd
			scale := 1.0
			if j.mod != nil {
				scale += float64(j.mod[n*2*p.C+c])
			}
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
	kernel := j.out.normDx
	if p.SiLU {
		kernel = v.normDxSiLU
	}
	if j.keeps() {
		dx := j.dx[first*j.xs:]
		v.normDx(dx, dx, j.x[first*j.xs:], rows, j.xs, j.xs, mean, a, b, q, r, 0, 0)
		return
	}
	if !p.Accumulate {
		kernel(j.dx[first*j.xs:], j.dy[first*j.ys:], j.x[first*j.xs:], rows, j.ys, j.xs, mean, a, b, q, r, p.HW*j.ys, p.HW*j.xs)
		return
	}
	// A few rows at a time, so that they are added while in cache.
	few := max(1, 4*strip/j.xs)
	sum := j.set.private[worker].floats(few * j.xs)
	for last := first + rows; first < last; first += few {
		count := min(few, last-first)
		kernel(sum, j.dy[first*j.ys:], j.x[first*j.xs:], count, j.ys, j.xs, mean, a, b, q, r, 0, 0)
		for i := range count {
			dst := j.dx[(first+i)*j.xs:][:p.C]
			v.add(dst, dst, sum[i*j.xs:])
		}
	}
}
