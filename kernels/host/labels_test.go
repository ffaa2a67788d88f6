package host

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

// meeting is a job of as many parts as there are workers, all inside at once when one of them looks.
type meeting struct {
	everyone sync.WaitGroup
	looked   atomic.Bool
	done     chan struct{}
	seen     string // the goroutines with their labels
}

func (m *meeting) part(_, _ int) {
	m.everyone.Done()
	m.everyone.Wait()
	if m.looked.CompareAndSwap(false, true) {
		m.seen = goroutines()
		close(m.done)
	}
	<-m.done
}

func goroutines() string {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		panic(err)
	}
	return b.String()
}

func TestLabelsReachEveryWorkerAndLeaveItWithTheJob(t *testing.T) {
	const threads = 3
	checked, err := New("portable", kernels.Options{Threads: threads})
	require.NoError(t, err)
	defer checked.Close()
	s := kernels.Unwrap(checked).(*Set)
	look := func(ctx context.Context) string {
		pprof.SetGoroutineLabels(ctx) // the caller's own are the business of kernels.Labelled
		s.SetLabels(ctx)
		m := &meeting{done: make(chan struct{})}
		m.everyone.Add(threads)
		s.pool.run(threads, m)
		return m.seen
	}
	defer pprof.SetGoroutineLabels(context.Background())
	// count sums the goroutines of the profile's groups that carry a label.
	count := func(profile, label string) (n int) {
		_, profile, _ = strings.Cut(profile, "\n") // the headline
		for group := range strings.SplitSeq(profile, "\n\n") {
			if strings.Contains(group, label) && strings.Contains(group, "meeting") {
				n += int(group[0] - '0')
			}
		}
		return n
	}
	const here = `# labels: {"op":"here"}`
	for range 50 {
		seen := look(pprof.WithLabels(context.Background(), pprof.Labels("op", "here")))
		require.Equal(t, threads, count(seen, here), seen)
	}
	seen := look(pprof.WithLabels(context.Background(), pprof.Labels("op", "there")))
	assert.Zero(t, count(seen, here), seen)
	assert.Equal(t, threads, count(seen, `# labels: {"op":"there"}`), seen)
	pprof.SetGoroutineLabels(context.Background())
	s.SetLabels(context.Background())
	for range 100 { // a worker that has left waits without labels
		if seen = goroutines(); !strings.Contains(seen, "there") {
			break
		}
	}
	assert.NotContains(t, seen, "there")
}

func TestLabelsCostNoAllocation(t *testing.T) {
	p := newPool(2)
	defer p.close()
	j := &countJob{runs: make([]atomic.Int32, 10)}
	p.labels = pprof.WithLabels(context.Background(), pprof.Labels("op", "here"))
	assert.Zero(t, testing.AllocsPerRun(100, func() { p.run(10, j) }))
}
