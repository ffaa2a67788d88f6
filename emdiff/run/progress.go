package run

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// lineEvery is the least time between two progress lines of one task.
const lineEvery = 10 * time.Second

// Progress shows someone how far work has come. Tasks may run one after another, nested or side by
// side, and all methods may be called from any goroutine.
type Progress interface {
	// Start begins to show a task of total units; 0 means that the number is not known.
	Start(label string, total int) Task
}

// Task is one piece of work being shown.
type Task interface {
	Add(n int)        // n more units are done
	Note(text string) // replaces the remark shown beside the count, such as the latest loss
	Done()            // ends the task, also before all units are done; to be called once
}

// Silent shows nothing.
var Silent Progress = silent{}

type silent struct{}

func (silent) Start(string, int) Task { return silent{} }
func (silent) Add(int)                {}
func (silent) Note(string)            {}
func (silent) Done()                  {}

// NewProgress shows progress on out, usually os.Stderr: as bars where out is a terminal, and
// elsewhere (a log file, a pipe) as plain lines, one per task every ten seconds at most and one at
// its end. Both give the time left, from the mean speed so far.
func NewProgress(out *os.File) Progress {
	if term.IsTerminal(int(out.Fd())) {
		return &bars{out: out}
	}
	return &lines{out: out, now: time.Now}
}

// meter is how far a task has come.
type meter struct {
	label string
	start time.Time

	mu    sync.Mutex
	done  int
	total int
	note  string
}

func (m *meter) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
}

// Note implements Task.
func (m *meter) Note(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note = text
}

// status is the count, the time left and the note: "120/1000 (12%), 4m10s left, loss 0.031".
func (m *meter) status(now time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := fmt.Sprint(m.done)
	if m.total > 0 {
		text = fmt.Sprintf("%d/%d (%d%%)", m.done, m.total, 100*m.done/m.total)
	}
	elapsed := now.Sub(m.start)
	switch {
	case m.total > 0 && m.done > 0 && m.done < m.total:
		left := time.Duration(float64(elapsed) * float64(m.total-m.done) / float64(m.done))
		text += fmt.Sprintf(", %v left", left.Round(time.Second))
	case m.done > 0:
		text += fmt.Sprintf(", %v", elapsed.Round(time.Second))
	}
	if m.note != "" {
		text += ", " + m.note
	}
	return text
}

// lines is Progress for files and pipes.
type lines struct {
	out io.Writer
	now func() time.Time
	mu  sync.Mutex // one line at a time
}

// Start implements Progress.
func (l *lines) Start(label string, total int) Task {
	now := l.now()
	return &lineTask{meter: meter{label: label, total: total, start: now}, lines: l, last: now}
}

type lineTask struct {
	meter
	lines *lines
	last  time.Time // of the latest line; guarded by lines.mu
}

// Add implements Task.
func (t *lineTask) Add(n int) {
	t.add(n)
	t.lines.mu.Lock()
	defer t.lines.mu.Unlock()
	if now := t.lines.now(); now.Sub(t.last) >= lineEvery {
		t.last = now
		fmt.Fprintf(t.lines.out, "%s: %s\n", t.label, t.status(now))
	}
}

// Done implements Task.
func (t *lineTask) Done() {
	t.lines.mu.Lock()
	defer t.lines.mu.Unlock()
	fmt.Fprintf(t.lines.out, "%s: %s (end)\n", t.label, t.status(t.lines.now()))
}

// bars is Progress for terminals. The library keeps all bars that are shown together in one
// container, which has to be waited for before others may write to the terminal: so a container
// lives from the first task to the moment when no task is left.
type bars struct {
	out io.Writer

	mu        sync.Mutex
	container *mpb.Progress
	tasks     int
}

// Start implements Progress.
func (b *bars) Start(label string, total int) Task {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tasks == 0 {
		b.container = mpb.New(mpb.WithOutput(b.out), mpb.WithAutoRefresh(), mpb.WithWidth(32))
	}
	b.tasks++
	t := &barTask{meter: meter{label: label, total: total, start: time.Now()}, bars: b}
	t.bar = b.container.AddBar(int64(total),
		mpb.PrependDecorators(decor.Name(label+" ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return t.status(time.Now()) })),
	)
	return t
}

type barTask struct {
	meter
	bars *bars
	bar  *mpb.Bar
}

// Add implements Task.
func (t *barTask) Add(n int) {
	t.add(n)
	t.bar.IncrBy(n)
}

// Done implements Task.
func (t *barTask) Done() {
	t.bar.Abort(false) // without effect on a bar that is full
	t.bar.Wait()
	t.bars.mu.Lock()
	defer t.bars.mu.Unlock()
	if t.bars.tasks--; t.bars.tasks == 0 {
		t.bars.container.Wait()
	}
}
