package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"syscall"

	"emdiff/emdiff/run"
	"emdiff/kernels"
)

// Profiles are the flags with which every command can be profiled: its flags embed them. The files appear when the command
// ends, also by an error, Ctrl-C or SIGTERM.
type Profiles struct {
	CPUProfile string `name:"cpuprofile" placeholder:"FILE" help:"Write a CPU profile, for go tool pprof: docs/profiling.md."`
	MemProfile string `name:"memprofile" placeholder:"FILE" help:"Write a profile of the memory allocated, for go tool pprof."`
	Trace      string `name:"trace" placeholder:"FILE" help:"Write an execution trace, for go tool trace."`
}

// Label makes the ops of a Set carry their names and layers in the profiles, if there are any.
func (p Profiles) Label(s kernels.Set) kernels.Set {
	if p.CPUProfile == "" && p.Trace == "" {
		return s
	}
	return kernels.Labelled(s)
}

// profiles makes every command that embeds the flags a Command.
func (p Profiles) profiles() Profiles { return p }

// Around records while work runs that cannot be interrupted: Ctrl-C and SIGTERM write the files and end the process.
func (p Profiles) Around(work func() error) error {
	stop, err := p.start()
	if err != nil {
		return err
	}
	if p != (Profiles{}) {
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
		go func() {
			<-interrupted
			if err := stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			os.Exit(1)
		}()
	}
	err = work()
	return errors.Join(err, stop())
}

// start begins to record. stop ends it and writes the files.
func (p Profiles) start() (stop func() error, err error) {
	var running []func(keep bool) error
	end := func(keep bool) (err error) {
		for _, s := range running {
			err = errors.Join(err, s(keep))
		}
		return err
	}
	stop = func() error { return end(true) }
	taken := map[string]string{}
	for _, f := range []struct {
		flag, path string
		begin      func(io.Writer) error
		end        func(io.Writer) error
	}{
		// They end in this order: what the others need to write is no allocation of the work, nor part of its trace.
		{"--trace", p.Trace, trace.Start, func(io.Writer) error { trace.Stop(); return nil }},
		{"--cpuprofile", p.CPUProfile, pprof.StartCPUProfile, func(io.Writer) error { pprof.StopCPUProfile(); return nil }},
		{"--memprofile", p.MemProfile, func(io.Writer) error { return nil }, writeMemory},
	} {
		if f.path == "" {
			continue
		}
		if other, twice := taken[filepath.Clean(f.path)]; twice {
			return nil, errors.Join(fmt.Errorf("%s and %s both name %s: give each a file of its own", other, f.flag, f.path), end(false))
		}
		taken[filepath.Clean(f.path)] = f.flag
		s, err := record(f.path, f.begin, f.end)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", f.flag, err), end(false))
		}
		running = append(running, s)
	}
	return stop, nil
}

// errDropped keeps a file from appearing.
var errDropped = errors.New("dropped")

// record starts to fill a file, which appears as a whole when stop is called, unless that is not to keep it.
func record(path string, begin, end func(io.Writer) error) (stop func(keep bool) error, err error) {
	started, stopping, written := make(chan struct{}), make(chan bool), make(chan error, 1)
	go func() {
		written <- run.WriteFile(path, func(w io.Writer) error {
			if err := begin(w); err != nil {
				return err
			}
			close(started)
			keep := <-stopping
			if err := end(w); err != nil || keep {
				return err
			}
			return errDropped
		})
	}()
	select {
	case <-started:
		return func(keep bool) error {
			stopping <- keep
			if err := <-written; !errors.Is(err, errDropped) {
				return err
			}
			return nil
		}, nil
	case err := <-written:
		return nil, err
	}
}

// writeMemory writes what was allocated and what is still in use.
func writeMemory(w io.Writer) error {
	runtime.GC() // the profile is that of the last collection
	return pprof.Lookup("allocs").WriteTo(w, 0)
}
