package gpu

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// budget is a driver that hands out addresses until its memory is used up. Everything else is missing: a Pool needs no more.
type budget struct {
	Driver
	left, next int64
	sizes      map[DevicePtr]int64
	retired    []Buffer
	reissued   []Buffer
}

func newBudget(n int64) *budget { return &budget{left: n, next: 4096, sizes: map[DevicePtr]int64{}} }

func (d *budget) Alloc(n int64) (Buffer, error) {
	if n > d.left {
		return Buffer{}, &Error{Op: "alloc", Err: &OutOfMemoryError{Want: n, Used: 0, Total: d.left}}
	}
	d.left -= n
	b := Buffer{Ptr: DevicePtr(d.next), Size: n, ID: uint64(len(d.sizes) + 1)}
	d.next += n
	d.sizes[b.Ptr] = n
	return b, nil
}

func (d *budget) Free(b Buffer) error {
	d.left += d.sizes[b.Ptr]
	return nil
}

func (d *budget) Retire(b Buffer)  { d.retired = append(d.retired, b) }
func (d *budget) Reissue(b Buffer) { d.reissued = append(d.reissued, b) }

func TestPoolKeepsBooks(t *testing.T) {
	d := newBudget(1 << 20)
	p := NewPool(d)
	a, err := p.Alloc(1000, "a")
	require.NoError(t, err)
	b, err := p.Alloc(600, "b")
	require.NoError(t, err)
	require.Equal(t, PoolStats{Live: 2, LiveBytes: 1600, PeakBytes: 1600, Misses: 2}, p.Stats())
	require.NoError(t, p.Free(a))
	require.Equal(t, PoolStats{Live: 1, LiveBytes: 600, Cached: 1, CachedBytes: 1024, PeakBytes: 1600, Misses: 2}, p.Stats())
	c, err := p.Alloc(1024, "c")
	require.NoError(t, err)
	require.Equal(t, a.Ptr, c.Ptr)
	require.Equal(t, []LiveBuffer{{1, 1024, "c"}, {2, 600, "b"}}, p.Live())
	require.NoError(t, p.Free(b))
	require.Error(t, p.Free(b), "twice")
	require.NoError(t, p.Trim())
	require.Equal(t, PoolStats{Live: 1, LiveBytes: 1024, PeakBytes: 1624, Hits: 1, Misses: 2}, p.Stats())
	_, err = p.Alloc(0, "nothing")
	require.Error(t, err)
}

func TestPoolTellsTheTrackerWhatIsInUse(t *testing.T) {
	d := newBudget(1 << 20)
	p := NewPool(d)
	a, err := p.Alloc(1000, "a")
	require.NoError(t, err)
	require.NoError(t, p.Free(a))
	require.Equal(t, []Buffer{a}, d.reissued)
	require.Equal(t, int64(1024), d.retired[0].Size, "the whole block is retired")
}

func TestPoolGivesItsCacheBackBeforeItFails(t *testing.T) {
	d := newBudget(4096)
	p := NewPool(d)
	a, err := p.Alloc(2048, "a")
	require.NoError(t, err)
	keep, err := p.Alloc(1024, "weights")
	require.NoError(t, err)
	require.NoError(t, p.Free(a))
	_, err = p.Alloc(3000, "b")
	require.NoError(t, err, "2048 cached bytes and 1024 free ones make room")
	_, err = p.Alloc(512, "c")
	require.ErrorIs(t, err, ErrOutOfMemory)
	require.ErrorContains(t, err, "#2 weights 1.00 KiB")
	require.ErrorContains(t, err, "512 B wanted")
	require.NoError(t, p.Free(keep))
}

func TestBlockSizesWasteLittle(t *testing.T) {
	for n := int64(1); n < 1<<34; n = n*9/8 + 1 {
		b := blockSize(n)
		require.GreaterOrEqual(t, b, n)
		require.LessOrEqual(t, b-n, max(511, n/8))
		require.Equal(t, b, blockSize(b), "a block's size is its own class")
	}
}

func TestErrorsReadAsOneSentence(t *testing.T) {
	e := &Error{Op: "launch", Kernel: "conv", Detail: "block too large", Err: errors.New("cause"), Remedy: "use smaller blocks"}
	require.Equal(t, "gpu launch conv: block too large: cause (use smaller blocks)", e.Error())
	require.Equal(t, "gpu sync", (&Error{Op: "sync"}).Error())
	many := &OutOfMemoryError{Want: 3 << 30, Used: 1 << 20, Total: 2 << 30}
	for i := range 10 {
		many.Live = append(many.Live, LiveBuffer{ID: uint64(i), Size: 100, Label: "x"})
	}
	require.Contains(t, many.Error(), "3.00 GiB wanted, 1.00 MiB of 2.00 GiB in use; live: #0 x 100 B, ")
	require.Contains(t, many.Error(), ", and 2 more (use a smaller batch")
}

func TestArgumentsAreBoxed(t *testing.T) {
	for _, c := range []struct {
		a    Arg
		slot uint64
		size int
	}{
		{Ptr(Buffer{Ptr: 77}), 77, 8}, {I32(-1), 0xFFFFFFFF, 4}, {U32(5), 5, 4}, {I64(-1), math.MaxUint64, 8}, {U64(9), 9, 8},
		{Bits(6, 4), 6, 4}, {F32(1), 0x3F800000, 4}, {F64(1), 0x3FF0000000000000, 8},
	} {
		require.Equal(t, c.slot, c.a.Slot())
		require.Equal(t, c.size, c.a.Size())
	}
}

func TestProbeSaysWhyNot(t *testing.T) {
	Register("test-broken", func() (Driver, error) { return nil, errors.New("no device") })
	found := false
	for _, c := range Probe() {
		if c.Name == "test-broken" {
			found = true
			require.False(t, c.Usable())
			require.Equal(t, "test-broken: not usable: no device", c.String())
		}
	}
	require.True(t, found)
	_, err := Open("nothing")
	require.ErrorContains(t, err, "no such driver")
	require.ErrorContains(t, err, "test-broken")
	require.Panics(t, func() { Register("test-broken", nil) })
}

type recorder struct{ log []string }

func (r *recorder) Push(name string) { r.log = append(r.log, name) }
func (r *recorder) Pop()             { r.log = append(r.log, "pop") }

func TestRangesReachTheTracer(t *testing.T) {
	Push("unheard")
	Pop()
	r := &recorder{}
	SetTracer(r)
	Push("step")
	Pop()
	SetTracer(nil)
	Push("unheard")
	require.Equal(t, []string{"step", "pop"}, r.log)
}
