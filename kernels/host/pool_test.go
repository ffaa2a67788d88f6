package host

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// countJob counts how often each part runs, and the workers that were inside at once with the same number.
type countJob struct {
	runs   []atomic.Int32
	inside [8]atomic.Int32
	shared atomic.Bool
}

func (j *countJob) part(worker, i int) {
	if j.inside[worker].Add(1) > 1 {
		j.shared.Store(true)
	}
	j.runs[i].Add(1)
	j.inside[worker].Add(-1)
}

func TestEveryPartRunsOnceAndScratchIsPrivate(t *testing.T) {
	for threads := 1; threads <= 5; threads++ {
		p := newPool(threads)
		j := &countJob{runs: make([]atomic.Int32, 40)}
		const rounds = 2000
		for round := range rounds {
			p.run(len(j.runs), j)
			if round%500 == 0 {
				time.Sleep(time.Millisecond) // long enough for the workers to park
			}
		}
		for i := range j.runs {
			require.EqualValues(t, rounds, j.runs[i].Load(), "threads %d, part %d", threads, i)
		}
		assert.False(t, j.shared.Load(), "two parts ran at once on one worker")
		p.close()
		p.run(3, j) // on the caller
		assert.EqualValues(t, rounds+1, j.runs[0].Load())
	}
}

func TestRunningAJobAllocatesNothing(t *testing.T) {
	p := newPool(2)
	defer p.close()
	j := &countJob{runs: make([]atomic.Int32, 10)}
	assert.Zero(t, testing.AllocsPerRun(100, func() { p.run(10, j) }))
}
