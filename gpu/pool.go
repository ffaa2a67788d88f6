package gpu

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Tracker is implemented by drivers that check memory accesses. A Pool tells them which part of a cached block is in use, so that
// rounding and reuse hide neither an overrun nor a use after free.
type Tracker interface {
	// Retire says that the allocation is in nobody's hands: any access is an error.
	Retire(Buffer)
	// Reissue says that the allocation is in use again, for the bytes of the buffer only, and holds nothing yet.
	Reissue(Buffer)
}

// PoolStats are the books of a Pool, in bytes and counts.
type PoolStats struct {
	Live, LiveBytes     int64 // handed out
	Cached, CachedBytes int64 // kept for reuse
	PeakBytes           int64 // highest LiveBytes
	Hits, Misses        int64 // requests served from the cache, from the driver
}

// Pool is a caching allocator over a Driver: freed blocks are kept by size and handed out again. Reuse is not ordered between
// streams: a pool belongs to one stream, or its users synchronise before they free. Its methods may be called from any goroutine.
type Pool struct {
	driver  Driver
	tracker Tracker // nil if the driver does not check accesses

	mu    sync.Mutex
	free  map[int64][]Buffer // by block size
	live  map[DevicePtr]poolBlock
	stats PoolStats
}

type poolBlock struct {
	block Buffer // whole driver allocation
	size  int64  // bytes asked for
	label string
}

// NewPool returns an empty pool.
func NewPool(d Driver) *Pool {
	t, _ := d.(Tracker)
	return &Pool{driver: d, tracker: t, free: map[int64][]Buffer{}, live: map[DevicePtr]poolBlock{}}
}

// blockSize rounds a request up so that nearby sizes share blocks: to 512 bytes below 1 MiB, to an eighth of the next lower power
// of two above, which wastes at most 12.5 %.
func blockSize(n int64) int64 {
	step := int64(512)
	if n > 1<<20 {
		for step*16 <= n {
			step *= 2
		}
	}
	return (n + step - 1) / step * step
}

// Alloc returns size bytes (> 0), contents undefined. The label names the buffer in out-of-memory errors. When the driver has no
// room the cache is given back and the request tried once more.
func (p *Pool) Alloc(size int64, label string) (Buffer, error) {
	if size <= 0 {
		return Buffer{}, &Error{Op: "alloc", Kernel: label, Detail: fmt.Sprintf("%d bytes asked for", size)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	block, err := p.take(blockSize(size))
	if err != nil {
		var oom *OutOfMemoryError
		if errors.As(err, &oom) {
			oom.Want, oom.Live = size, p.liveBuffers()
		}
		return Buffer{}, err
	}
	b := block
	b.Size = size
	if p.tracker != nil {
		p.tracker.Reissue(b)
	}
	p.live[b.Ptr] = poolBlock{block, size, label}
	p.stats.Live++
	p.stats.LiveBytes += size
	p.stats.PeakBytes = max(p.stats.PeakBytes, p.stats.LiveBytes)
	return b, nil
}

// take finds a cached block or asks the driver.
func (p *Pool) take(size int64) (Buffer, error) {
	if list := p.free[size]; len(list) > 0 {
		b := list[len(list)-1]
		p.free[size] = list[:len(list)-1]
		p.stats.Hits++
		p.stats.Cached--
		p.stats.CachedBytes -= size
		return b, nil
	}
	p.stats.Misses++
	b, err := p.driver.Alloc(size)
	if errors.Is(err, ErrOutOfMemory) && p.stats.Cached > 0 {
		if err := p.trim(); err != nil {
			return Buffer{}, err
		}
		b, err = p.driver.Alloc(size)
	}
	return b, err
}

// Free puts a buffer back into the cache. It must be one that Alloc returned, whole.
func (p *Pool) Free(b Buffer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.live[b.Ptr]
	if !ok {
		return &Error{Op: "free", Detail: fmt.Sprintf("buffer #%d at %#x is not a live buffer of this pool", b.ID, b.Ptr), Remedy: "free each buffer once"}
	}
	delete(p.live, b.Ptr)
	if p.tracker != nil {
		p.tracker.Retire(e.block)
	}
	p.free[e.block.Size] = append(p.free[e.block.Size], e.block)
	p.stats.Live--
	p.stats.LiveBytes -= e.size
	p.stats.Cached++
	p.stats.CachedBytes += e.block.Size
	return nil
}

// Trim gives all cached blocks back to the driver.
func (p *Pool) Trim() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trim()
}

func (p *Pool) trim() error {
	var errs []error
	for _, list := range p.free {
		for _, b := range list {
			errs = append(errs, p.driver.Free(b))
		}
	}
	clear(p.free)
	p.stats.Cached, p.stats.CachedBytes = 0, 0
	return errors.Join(errs...)
}

// Stats returns the current books.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Live lists the buffers handed out, largest first.
func (p *Pool) Live() []LiveBuffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.liveBuffers()
}

func (p *Pool) liveBuffers() []LiveBuffer {
	var out []LiveBuffer
	for _, e := range p.live {
		out = append(out, LiveBuffer{ID: e.block.ID, Size: e.size, Label: e.label})
	}
	SortLive(out)
	return out
}

// SortLive orders buffers for an out-of-memory error: largest first, then by ID.
func SortLive(list []LiveBuffer) {
	slices.SortFunc(list, func(a, b LiveBuffer) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.ID, b.ID))
	})
}
