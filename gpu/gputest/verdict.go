package gputest

import (
	"fmt"
	"runtime"
	"strings"

	"emdiff/gpu"
)

// Verdict is what a test of the suite found.
type Verdict struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Verdicts runs the suite outside of go test. A test that fails, panics or cannot open its device leaves the others to run.
func Verdicts(open func() (gpu.Driver, error)) []Verdict {
	verdicts := make([]Verdict, len(tests))
	for i, c := range tests {
		r := &recorder{}
		done := make(chan struct{})
		go func() { // FailNow ends it
			defer close(done)
			r.record(func() { r.test(c.run, open, c.name != closes) })
		}()
		<-done
		verdicts[i] = Verdict{c.name, len(r.failures) == 0, strings.Join(r.failures, "; ")}
	}
	return verdicts
}

// recorder is a tester that keeps the failures.
type recorder struct{ failures []string }

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
}

func (r *recorder) FailNow() {
	if len(r.failures) == 0 {
		r.failures = append(r.failures, "failed")
	}
	runtime.Goexit()
}

// record runs f and keeps a panic as a failure.
func (r *recorder) record(f func()) {
	defer func() {
		if p := recover(); p != nil {
			r.Errorf("panics: %v", p)
		}
	}()
	f()
}

func (r *recorder) test(run func(*device), open func() (gpu.Driver, error), closes bool) {
	driver, err := open()
	if err != nil {
		r.Errorf("%v", err)
		return
	}
	if closes {
		defer func() {
			if err := driver.Close(); err != nil {
				r.Errorf("close: %v", err)
			}
		}()
	}
	run(&device{tester: r, Driver: driver})
}
