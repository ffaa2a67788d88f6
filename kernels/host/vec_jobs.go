package host

import (
	"unsafe"

	"emdiff/kernels"
)

// vectorJobs holds one reusable job per op, so that ops allocate nothing after the first call.
type vectorJobs struct {
	lastLevel int // see storing
	spaces    []workspace
	partials  []float64

	images    imageMap
	unary     unary
	binary    binary
	linear    linear
	fill      fill
	clamp     clamp
	clampGrad clampGrad
	cast      castJob
	scaled    scaleImages
	gather    gather
	sum       sumJob
	distance  distanceJob
	sumRows   sumRowsJob
	dropout   dropout
	draw      drawOp
	update    update
	squares   squaresJob
	adam      adamJob
	gain      gain
	posterior posterior
	blur      blurJob
	upsample  upsampleJob
	shuffle   shuffleJob
	channels  channelsJob
	norm      normJob
	normGrad  normGradJob
}

// grain is the most values in one part of an elementwise op: enough to hide the hand-over to a worker.
const grain = 1 << 14

// strip is the number of values kernels with temporaries work on at a time: a few strips fit the level 1 cache. It is a
// multiple of philoxRun.
const strip = 1024

// workspace is the scratch memory of one worker.
type workspace struct {
	sum, noise, gain [strip]float32
	run              [philoxRun]float32
	philox           philoxState
	update           updateCoefficients
}

// workspaces returns the scratch of all workers.
func (s *Set) workspaces() []workspace {
	if s.spaces == nil {
		s.spaces = make([]workspace, len(s.private))
	}
	return s.spaces
}

// cut splits images of length values into parts that each lie within one image, by shape alone.
type cut struct{ images, length, perImage int }

func newCut(images, length int) cut { return cut{images, length, (length + grain - 1) / grain} }

func (c cut) parts() int { return c.images * c.perImage }

// at returns the image of a part, and its range in the flat array of all images.
func (c cut) at(part int) (image, lo, hi int) {
	image = part / c.perImage
	first := part % c.perImage * grain
	return image, image*c.length + first, image*c.length + min(first+grain, c.length)
}

// mapper computes a strip of an elementwise op: the values [lo, hi) of the flat array, all in one image.
type mapper interface {
	strip(w *workspace, dst []float32, image, lo, hi int)
}

// imageMap runs a mapper over all images.
type imageMap struct {
	set        *Set
	cut        cut
	y          []float32
	accumulate bool
	mapper     mapper
}

// mapImages runs m on n images of length values.
func (s *Set) mapImages(y []float32, n, length int, accumulate bool, m mapper) {
	s.workspaces()
	s.images = imageMap{s, newCut(n, length), y, accumulate, m}
	s.pool.run(s.images.cut.parts(), &s.images)
	s.images.mapper = nil
}

func (j *imageMap) part(worker, i int) {
	w := &j.set.spaces[worker]
	image, first, last := j.cut.at(i)
	for lo := first; lo < last; lo += strip {
		hi := min(lo+strip, last)
		dst := j.y[lo:hi]
		if !j.accumulate {
			j.mapper.strip(w, dst, image, lo, hi)
			continue
		}
		sum := w.sum[:len(dst)]
		j.mapper.strip(w, sum, image, lo, hi)
		j.set.level.vector.add(dst, dst, sum)
	}
}

// lastLevel is the size of the last cache, in bytes, that an op must exceed to write past it.
const lastLevel = 32 << 20

// storing returns the kernels for an op that moves so many floats in all and writes rows of the given length to dst: those
// that write past the caches where nothing of dst would be left in them for its reader. That saves reading dst before it is
// overwritten, a third of a copy's traffic. A destination that is also a source has been read anyway.
func (s *Set) storing(dst []float32, accumulate bool, row, floats int, sources ...[]float32) *vectorKernels {
	v := &s.level.vector
	if v.past == nil || accumulate || 4*floats <= s.lastLevel || row%(kernels.SliceAlign/4) != 0 || uintptr(at(dst, 0))%kernels.SliceAlign != 0 {
		return v
	}
	for _, x := range sources {
		if unsafe.SliceData(x) == unsafe.SliceData(dst) {
			return v
		}
	}
	return v.past
}

// copies returns the kernel that copies.
func (v *vectorKernels) copies() func(dst, src []float32) {
	if v.stream != nil {
		return v.stream
	}
	return copyRow
}

// partial returns n cleared sums, one per part of a reduction.
func (s *Set) partial(n int) []float64 {
	if n > len(s.partials) {
		s.partials = make([]float64, n)
	}
	clear(s.partials[:n])
	return s.partials[:n]
}

// put stores v, or adds it.
func put(dst *float32, v float64, accumulate bool) {
	if accumulate {
		v += float64(*dst)
	}
	*dst = float32(v)
}

// stride resolves "0 means contiguous".
func stride(s, c int) int {
	if s == 0 {
		return c
	}
	return s
}
