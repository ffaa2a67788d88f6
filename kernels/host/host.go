package host

import (
	"context"
	"runtime"

	"emdiff/kernels"
)

func init() {
	for _, l := range levels() {
		kernels.Register(kernels.Implementation{
			Name:     "host/" + l.name,
			Priority: l.priority,
			Usable:   l.usable,
			Open:     func(o kernels.Options) (kernels.Set, error) { return New(l.name, o) },
		})
	}
}

// Set implements kernels.Set on the CPU. Every op is done when its method returns.
type Set struct {
	memory
	level   level
	pool    *pool
	shared  arena   // scratch of the op that runs, seen by all workers
	private []arena // scratch of each worker
	matrixJobs
	vectorJobs
}

// New opens a Set at the named level ("portable"; on amd64 "avx2" or "avx512", on arm64 "neon"), wrapped in kernels.Checked. It
// fails, saying why, when the processor or EMDIFF_CPU does not allow the level.
func New(name string, opts kernels.Options) (kernels.Set, error) {
	l, err := findLevel(name)
	if err != nil {
		return nil, err
	}
	threads := opts.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	s := &Set{level: l, pool: newPool(threads), private: make([]arena, threads)}
	s.startMatrix(threads)
	s.lastLevel = lastLevel
	return kernels.Checked(s), nil
}

// Name returns "host/" and the level.
func (s *Set) Name() string { return "host/" + s.level.name }

// Supports reports true for float32 only.
func (s *Set) Supports(p kernels.Precision) bool { return p == kernels.PrecisionF32 }

// Free empties the buffer and forgets what was packed from it.
func (s *Set) Free(b kernels.Buffer) {
	h := b.(*buffer)
	s.packs.forget(h.data, h.n*h.dtype.Size())
	s.memory.Free(b)
}

// SetLabels gives the workers labels for profilers (see kernels.Labelled).
func (s *Set) SetLabels(labels context.Context) { s.pool.labels = labels }

// Sync returns nil: every op has finished, and none can fail.
func (s *Set) Sync() error { return nil }

// Close stops the workers and drops the scratch memory.
func (s *Set) Close() error {
	s.pool.close()
	s.shared, s.private, s.workers, s.packs = arena{}, nil, nil, nil
	return nil
}
