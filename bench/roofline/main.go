// Command roofline draws a run of the benchmarks as a roofline and tabulates it: what each kernel reaches, what the ceilings
// measured in that run allow, and which of them binds it.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"emdiff/bench"
	"emdiff/emdiff/run"
)

type flags struct {
	In      string `arg:"" help:"Output of go test -bench ./bench."`
	SVG     string `placeholder:"FILE.svg" help:"The picture."`
	Page    string `placeholder:"FILE.md" help:"Page that receives the table between its markers."`
	Command string `help:"How the run was made, for the caption."`
}

// The table stands between these lines of the page.
const (
	opening = "<!-- roofline: made by make roofline -->\n"
	closing = "<!-- end of roofline -->\n"
)

// Run does the work.
func (f *flags) Run() error {
	read, err := bench.ReadFile(f.In)
	if err != nil {
		return err
	}
	points := pointsOf(read)
	if len(points) == 0 {
		return fmt.Errorf("%s has no benchmark with the metric %%ceiling: make it with go test -bench . ./bench", f.In)
	}
	caption := fmt.Sprintf("%s, level %s, %s threads, %s", read.CPU, points[0].level, points[0].threads, time.Now().UTC().Format(time.DateOnly))
	if f.SVG != "" {
		if err := run.WriteFile(f.SVG, func(w io.Writer) error { return draw(w, points, caption) }); err != nil {
			return err
		}
	}
	if f.Page == "" {
		return nil
	}
	page, err := os.ReadFile(f.Page)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(page, []byte(opening))
	_, after, closed := bytes.Cut(rest, []byte(closing))
	if !found || !closed {
		return fmt.Errorf("%s lacks the lines between which the table goes: put %q and %q into it", f.Page, opening, closing)
	}
	return run.WriteFile(f.Page, func(w io.Writer) error {
		w.Write(before)
		io.WriteString(w, opening)
		tabulate(w, points, caption, f.Command)
		io.WriteString(w, closing)
		_, err := w.Write(after)
		return err
	})
}

func main() {
	f := &flags{}
	command := kong.Parse(f, kong.Name("roofline"), kong.Description("Draw and tabulate a run of the benchmarks as a roofline."))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "roofline:", err)
		os.Exit(1)
	}
}
