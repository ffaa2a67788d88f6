package run

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clock is a time that only a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) after(d time.Duration) { c.at = c.at.Add(d) }

func TestLinesComeEveryTenSecondsAtMostAndAtTheEnd(t *testing.T) {
	var out bytes.Buffer
	c := &clock{at: time.Unix(0, 0)}
	task := (&lines{out: &out, now: c.now}).Start("E-step", 100)
	for range 50 { // 25 s
		c.after(500 * time.Millisecond)
		task.Add(1)
	}
	task.Note("loss 0.031")
	c.after(10 * time.Second)
	task.Add(50)
	task.Done()
	assert.Equal(t, strings.Join([]string{
		"E-step: 20/100 (20%), 40s left",
		"E-step: 40/100 (40%), 30s left",
		"E-step: 100/100 (100%), 35s, loss 0.031",
		"E-step: 100/100 (100%), 35s, loss 0.031 (end)",
	}, "\n")+"\n", out.String())
}

func TestLinesOfAnUnknownTotalOrAnEarlyEndPromiseNothing(t *testing.T) {
	var out bytes.Buffer
	c := &clock{at: time.Unix(0, 0)}
	p := &lines{out: &out, now: c.now}
	unknown, never := p.Start("read", 0), p.Start("train", 10)
	c.after(time.Minute)
	unknown.Add(7)
	unknown.Done()
	never.Done()
	assert.Equal(t, "read: 7, 1m0s\nread: 7, 1m0s (end)\ntrain: 0/10 (0%) (end)\n", out.String())
}

func TestAFileGetsLinesAndSilentNothing(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer f.Close()
	task := NewProgress(f).Start("x", 1)
	task.Add(1)
	task.Done()
	text, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	assert.Equal(t, "x: 1/1 (100%), 0s (end)\n", string(text))

	task = Silent.Start("x", 1)
	task.Add(1)
	task.Note("y")
	task.Done()
}

func TestProgressMayBeUsedFromManyGoroutines(t *testing.T) {
	var out bytes.Buffer
	for name, p := range map[string]Progress{"lines": &lines{out: &out, now: time.Now}, "bars": &bars{out: &out}} {
		out.Reset()
		task := p.Start("many", 400)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 50 {
					task.Add(1)
					task.Note("at work")
				}
			})
		}
		group.Wait()
		task.Done()
		assert.Contains(t, out.String(), "400/400 (100%)", name)
	}
}

func TestBarsEndWithTheirTasks(t *testing.T) {
	var out bytes.Buffer
	p := &bars{out: &out}
	for _, label := range []string{"first", "second"} { // a container each
		outer, inner := p.Start(label, 2), p.Start(label+" inner", 0)
		inner.Add(3)
		inner.Note("halfway")
		inner.Done()
		outer.Add(1)
		outer.Done()
		assert.Zero(t, p.tasks)
		shown := out.String() // all is written when Done returns
		assert.Contains(t, shown, label+" ")
		assert.Contains(t, shown, "1/2 (50%)")
		assert.Regexp(t, `3, \d+s, halfway`, shown)
		out.Reset()
	}
}
