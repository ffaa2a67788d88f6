package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"emdiff/emdiff/learn"
)

// List writes a table of the runs in the folder root. It takes no lock and changes nothing, so runs may go on meanwhile. A
// folder that is no run, or one that cannot be read, is a line that says why; only root itself can be at fault.
func List(out io.Writer, root string) error {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		entries, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("--out %s cannot be listed: %w: give the folder that holds the run folders", root, cause(err))
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	count := 0
	var strange []string
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		row, err := listed(&Folder{Dir: filepath.Join(root, e.Name())})
		if err != nil {
			strange = append(strange, printable(e.Name())+": "+printable(err.Error()))
			continue
		}
		if count == 0 {
			fmt.Fprintln(t, "number\tname\tstarted\tstate\tdata\ttask\tscores\tsize")
		}
		count++
		for i := range row {
			row[i] = printable(row[i])
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if count == 0 {
		fmt.Fprintf(out, "There are no runs in %s.\n", root)
	}
	for _, line := range strange {
		fmt.Fprintln(out, line)
	}
	return nil
}

// listed are the cells of one run's row.
func listed(f *Folder) ([]string, error) {
	base := filepath.Base(f.Dir)
	m := numbered.FindStringSubmatch(base)
	if m == nil {
		return nil, errors.New("is no run folder: the names of those begin with a number")
	}
	pid, held := lockHolder(f.Path(lockName))
	manifest, err := ReadManifest(f.Path("manifest.json"))
	if err != nil && held {
		return nil, fmt.Errorf("is being made by process %s", pid)
	}
	if err != nil {
		return nil, err
	}
	settings, err := readSettings(f.Path("config.toml"))
	if err != nil {
		return nil, err
	}
	saved, ok, err := checkpoint{folder: f}.read()
	if err != nil {
		return nil, err
	}
	records, err := ReadStats(f.Path("stats.jsonl"))
	if err != nil {
		return nil, err
	}
	state := describeState(saved.State, ok, settings.EM.Rounds, pid, held)
	return []string{m[1], strings.TrimPrefix(base, m[0]), manifest.Started.Local().Format("2006-01-02 15:04"), state,
		manifest.Data.Name, settings.Task.Name, historyOf(records).brief(), describeSize(folderSize(f.Dir))}, nil
}

// describeState says how far a run is, by its checkpoint, and whether a process is at it.
func describeState(s learn.State, saved bool, rounds int, pid string, held bool) string {
	where := fmt.Sprintf("round %d/%d %s", s.Round, rounds, s.Phase)
	switch {
	case !saved:
		where = "before its first checkpoint"
	case s.Phase == learn.Done:
		where = "done"
	case s.Phase == learn.Final:
		where = "final evaluation"
	}
	switch {
	case held:
		return where + ", in use by process " + pid
	case saved && s.Phase == learn.Done:
		return where
	}
	return "stopped: " + where
}

// brief is the latest scores in a few words: of the end, or of the latest round, by what its record has.
func (h history) brief() string {
	type score struct{ key, words string }
	last := h.last()
	scores := []score{{"psnr_draw", "PSNR %.2f dB"}, {"misfit_draw", "misfit %.3f"}, {"loglik_measurements", "log density %.4f"}}
	if h.done != nil {
		if _, ok := h.done.Float("psnr_final_mean"); ok {
			last = *h.done
			scores = []score{{"psnr_final", "PSNR %.2f dB"}, {"psnr_final_mean", "means %.2f dB"}}
		}
	}
	var words []string
	for _, s := range scores {
		if v, ok := last.Float(s.key); ok && len(words) < 2 {
			words = append(words, fmt.Sprintf(s.words, v))
		}
	}
	if words == nil {
		return "–"
	}
	return strings.Join(words, ", ")
}

// folderSize is the number of bytes in the files of a folder; what vanishes meanwhile, or may not be read, counts nothing.
func folderSize(dir string) (bytes int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

func describeSize(bytes int64) string {
	const kibi = 1 << 10
	switch {
	case bytes < kibi*kibi:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/kibi)
	case bytes < kibi*kibi*kibi:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/kibi/kibi)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/kibi/kibi/kibi)
}

// printable keeps text on its line and a terminal safe from it.
func printable(text string) string {
	for _, r := range text {
		if !strconv.IsPrint(r) {
			quoted := strconv.Quote(text)
			return quoted[1 : len(quoted)-1]
		}
	}
	return text
}
