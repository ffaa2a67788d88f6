package host

import "emdiff/kernels"

// scaleImages is a[n] x + b[n] z, b and z optional.
type scaleImages struct {
	vector     *vectorKernels
	a, x, b, z []float32
}

func (o *scaleImages) strip(_ *workspace, dst []float32, n, lo, hi int) {
	if o.b == nil {
		o.vector.scale(dst, o.x[lo:hi], o.a[n])
		return
	}
	o.vector.combine(dst, o.x[lo:hi], o.z[lo:hi], o.a[n], o.b[n])
}

// ScaleImages computes y[n] = a[n] x[n] + b[n] z[n]; b and z may both be nil.
func (s *Set) ScaleImages(y, a, x, b, z kernels.Buffer, p kernels.PerImage) {
	v := s.storing(f32(y), p.Accumulate, p.Len, 2*p.N*p.Len, f32(x), f32(z))
	s.scaled = scaleImages{v, f32(a), f32(x), f32(b), f32(z)}
	s.mapImages(f32(y), p.N, p.Len, p.Accumulate, &s.scaled)
}

// gather copies row ids[n].
type gather struct {
	x      []float32
	ids    []int32
	length int
	copies func(dst, src []float32)
}

func (o *gather) strip(_ *workspace, dst []float32, n, lo, hi int) {
	o.copies(dst, o.x[int(o.ids[n])*o.length+lo-n*o.length:])
}

// Gather copies row ids[n] of x to row n of y.
func (s *Set) Gather(y, x, ids kernels.Buffer, _ int, p kernels.PerImage) {
	s.gather = gather{f32(x), i32(ids), p.Len, s.storing(f32(y), p.Accumulate, p.Len, 2*p.N*p.Len).copies()}
	s.mapImages(f32(y), p.N, p.Len, p.Accumulate, &s.gather)
}

// chunk is the number of values a reduction adds in float32; sums of chunks are float64.
const chunk = 4096

// sumJob adds a kernel's sums of one or two arrays; b is nil for one.
type sumJob struct {
	vector *vectorKernels
	cut    cut
	a, b   []float32
	sums   []float64
}

func (j *sumJob) part(_, i int) {
	_, first, last := j.cut.at(i)
	for lo := first; lo < last; lo += chunk {
		hi := min(lo+chunk, last)
		if j.b == nil {
			j.sums[i] += float64(j.vector.sum(j.a[lo:hi]))
		} else {
			j.sums[i] += float64(j.vector.dot(j.a[lo:hi], j.b[lo:hi]))
		}
	}
}

func (s *Set) sumImages(out, a, b []float32, p kernels.PerImage) {
	c := newCut(p.N, p.Len)
	s.sum = sumJob{&s.level.vector, c, a, b, s.partial(c.parts())}
	s.pool.run(c.parts(), &s.sum)
	for n := range p.N {
		put(&out[n], total(s.sum.sums[n*c.perImage:(n+1)*c.perImage]), p.Accumulate)
	}
}

func total(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum
}

// Dot computes out[n] = sum of a[n] b[n].
func (s *Set) Dot(out, a, b kernels.Buffer, p kernels.PerImage) {
	s.sumImages(f32(out), f32(a), f32(b), p)
}

// Sum computes out[n] = sum of x[n].
func (s *Set) Sum(out, x kernels.Buffer, p kernels.PerImage) {
	s.sumImages(f32(out), f32(x), nil, p)
}

// distanceJob adds squared differences and stores their gradient while they are in cache.
type distanceJob struct {
	set                *Set
	vector             *vectorKernels // of the difference
	cut                cut
	dx, x, ref, weight []float32
	sums               []float64
	accumulate         bool
}

func (j *distanceJob) part(worker, i int) {
	v, w := &j.set.level.vector, &j.set.spaces[worker]
	n, first, last := j.cut.at(i)
	for lo := first; lo < last; lo += strip {
		hi := min(lo+strip, last)
		x, ref := j.x[lo:hi], j.ref[lo:hi]
		j.sums[i] += float64(v.distance(x, ref))
		switch {
		case j.dx == nil:
		case j.accumulate:
			v.difference(w.sum[:hi-lo], x, ref, 2*j.weight[n])
			v.add(j.dx[lo:hi], j.dx[lo:hi], w.sum[:hi-lo])
		default:
			j.vector.difference(j.dx[lo:hi], x, ref, 2*j.weight[n])
		}
	}
}

// SquaredError computes loss[n] = weight[n] |x[n]-ref[n]|^2 and dx = 2 weight[n] (x-ref); dx may be nil.
func (s *Set) SquaredError(loss, dx, x, ref, weight kernels.Buffer, p kernels.PerImage) {
	c := newCut(p.N, p.Len)
	s.workspaces()
	v := &s.level.vector
	if dx != nil {
		v = s.storing(f32(dx), p.Accumulate, p.Len, 3*p.N*p.Len, f32(x), f32(ref))
	}
	s.distance = distanceJob{s, v, c, f32(dx), f32(x), f32(ref), f32(weight), s.partial(c.parts()), p.Accumulate}
	s.pool.run(c.parts(), &s.distance)
	out, weights := f32(loss), f32(weight)
	for n := range p.N {
		sum := total(s.distance.sums[n*c.perImage : (n+1)*c.perImage])
		put(&out[n], float64(weights[n])*sum, p.Accumulate)
	}
}

// rowChunk is the number of rows that are added in float32 before float64 takes over.
const rowChunk = 256

// sumRowsJob adds chunks of rows, each to its own partial row.
type sumRowsJob struct {
	vector   *vectorKernels
	x, sums  []float32
	p        kernels.SumRows
	stride   int
	perGroup int
}

func (j *sumRowsJob) part(_, i int) {
	first := i % j.perGroup * rowChunk
	rows := min(rowChunk, j.p.Rows-first)
	j.vector.sumRows(j.sums[i*j.p.C:(i+1)*j.p.C], j.x[(i/j.perGroup*j.p.Rows+first)*j.stride:], rows, j.stride)
}

// SumRows adds rows.
func (s *Set) SumRows(y, x kernels.Buffer, p kernels.SumRows) {
	perGroup := (p.Rows + rowChunk - 1) / rowChunk
	sums := s.shared.floats(p.Groups * perGroup * p.C)
	s.sumRows = sumRowsJob{vector: &s.level.vector, x: f32(x), sums: sums, p: p, stride: stride(p.XStride, p.C), perGroup: perGroup}
	s.pool.run(p.Groups*perGroup, &s.sumRows)
	out := f32(y)
	column := s.partial(p.C)
	for g := range p.Groups {
		clear(column)
		for i := g * perGroup; i < (g+1)*perGroup; i++ {
			for c, v := range sums[i*p.C : (i+1)*p.C] {
				column[c] += float64(v)
			}
		}
		for c, v := range column {
			put(&out[g*p.C+c], v, p.Accumulate)
		}
	}
}
