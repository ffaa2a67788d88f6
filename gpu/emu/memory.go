package emu

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"emdiff/gpu"
	"emdiff/gpu/ptx"
)

// Generic addresses: shared and local memory are seen through windows below all global allocations.
const (
	sharedWindow = 1 << 32
	localWindow  = 2 << 32
	globalStart  = 1 << 40
	allocAlign   = 256
	redZone      = 1 << 16 // least unused addresses after an allocation
)

var windowBases = map[string]uint64{"shared": sharedWindow, "local": localWindow, "global": 0, "const": 0}

// allocation is one piece of global memory. Its addresses are never used again after it is freed.
type allocation struct {
	id      uint64
	label   string
	base    uint64
	size    uint64 // bytes that may be accessed
	data    []byte
	init    []byte                   // 1 for every byte that has been written
	allInit atomic.Bool              // all of init is 1
	shadow  atomic.Pointer[[]uint64] // race check, see race_global.go; made when first needed
	retired bool                     // cached by a pool: nobody's
	history []streamTouch            // accesses by streams, see stream.go
}

func (a *allocation) String() string {
	if a.label != "" {
		return fmt.Sprintf("buffer #%d %s (%d bytes at %#x)", a.id, a.label, a.size, a.base)
	}
	return fmt.Sprintf("buffer #%d (%d bytes at %#x)", a.id, a.size, a.base)
}

// clearInit forgets what has been written.
func (a *allocation) clearInit() {
	clear(a.init)
	a.allInit.Store(false)
}

// markInit records a write of the whole range by the host.
func (a *allocation) markInit(lo, n uint64) {
	if lo == 0 && n >= a.size {
		a.allInit.Store(true)
		return
	}
	if !a.allInit.Load() {
		fill(a.init[lo:lo+n], 1)
	}
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// shadowOf returns the race check's shadow, at least grains long. A launch needs one length, so it grows between launches only.
func (m *memory) shadowOf(a *allocation, grains int) []uint64 {
	if s := a.shadow.Load(); s != nil && len(*s) >= grains {
		return *s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := a.shadow.Load(); s != nil && len(*s) >= grains { // another worker was faster
		return *s
	}
	s := make([]uint64, grains)
	a.shadow.Store(&s)
	return s
}

// firstUninit returns the first byte of the range that was never written, or -1.
func (a *allocation) firstUninit(lo, n uint64) int {
	if a.allInit.Load() {
		return -1
	}
	return slices.Index(a.init[lo:lo+n], 0)
}

// memory is the device's global memory.
type memory struct {
	mu    sync.Mutex
	live  []*allocation // by base
	freed []*allocation // by base
	next  uint64        // address
	ids   uint64
	used  int64
	total int64
}

func newMemory(total int64) *memory { return &memory{next: globalStart, total: total} }

func (m *memory) alloc(size int64, label string) (*allocation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if size > m.total-m.used {
		e := &gpu.OutOfMemoryError{Want: size, Used: m.used, Total: m.total}
		for _, a := range m.live {
			e.Live = append(e.Live, gpu.LiveBuffer{ID: a.id, Size: int64(a.size), Label: a.label})
		}
		gpu.SortLive(e.Live)
		return nil, e
	}
	m.ids++
	a := &allocation{id: m.ids, label: label, base: m.next, size: uint64(size), data: make([]byte, size), init: make([]byte, size)}
	m.next += (uint64(size)+allocAlign-1)&^(allocAlign-1) + max(redZone, (uint64(size)+allocAlign-1)&^(allocAlign-1))
	m.used += size
	m.live = append(m.live, a)
	return a, nil
}

// free takes an allocation out of use; its address range is remembered for messages.
func (m *memory) free(base uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, a := range m.live {
		if a.base == base {
			m.live = slices.Delete(m.live, i, i+1)
			m.used -= int64(len(a.data))
			m.freed = append(m.freed, &allocation{id: a.id, label: a.label, base: a.base, size: uint64(len(a.data))})
			slices.SortFunc(m.freed, func(x, y *allocation) int { return cmp.Compare(x.base, y.base) })
			return nil
		}
	}
	return &gpu.Error{Op: "free", Detail: "address is not that of a live allocation, " + m.describeLocked(base), Remedy: "free each allocation once"}
}

// search returns the last allocation of the list that starts at or below addr, or nil.
func search(list []*allocation, addr uint64) *allocation {
	i := sort.Search(len(list), func(i int) bool { return list[i].base > addr })
	if i == 0 {
		return nil
	}
	return list[i-1]
}

// find returns the live allocation that holds all of [addr, addr+n), or nil.
func (m *memory) find(addr, n uint64) *allocation {
	a := search(m.live, addr)
	if a == nil || a.retired || addr-a.base > a.size || n > a.size-(addr-a.base) {
		return nil
	}
	return a
}

// describe names what an address belongs to.
func (m *memory) describe(addr uint64) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.describeLocked(addr)
}

func (m *memory) describeLocked(addr uint64) string {
	live, freed := search(m.live, addr), search(m.freed, addr)
	if freed != nil && addr < freed.base+freed.size {
		return "in freed " + freed.String()
	}
	switch {
	case live == nil:
		return "near no buffer"
	case live.retired && addr < live.base+uint64(len(live.data)):
		return "in " + live.String() + ", which was given back to its pool"
	case addr < live.base+live.size:
		return fmt.Sprintf("%d bytes into %s", addr-live.base, live)
	}
	return fmt.Sprintf("%d bytes past the end of %s", addr-live.base-live.size, live)
}

// isFreed reports whether an address lies in memory that was given back.
func (m *memory) isFreed(addr uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := search(m.freed, addr); f != nil && addr < f.base+f.size {
		return true
	}
	a := search(m.live, addr)
	return a != nil && a.retired && addr < a.base+uint64(len(a.data))
}

// spaceOf tells which space a generic address is in, and the address there.
func spaceOf(addr uint64) (ptx.Space, uint64) {
	switch addr >> 32 {
	case sharedWindow >> 32:
		return ptx.Shared, addr - sharedWindow
	case localWindow >> 32:
		return ptx.Local, addr - localWindow
	}
	return ptx.Global, addr
}
