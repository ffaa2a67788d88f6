package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"emdiff/emdiff/learn"
)

// checkpoint is a learn.Store in the folder "state" of a run: the arrays, and state.json, which names them. Arrays have
// names that are unique for their contents and are written first; state.json, replaced as a whole, is what makes a
// checkpoint valid; arrays that it does not name are then removed. A crash at any moment leaves the old checkpoint or the
// new one.
type checkpoint struct {
	folder *Folder
	stats  *Stats
	keep   int // checkpoints: 1 is the newest alone, more are those of the ends of rounds beside it
}

// checkpointState is the contents of state.json.
type checkpointState struct {
	State   learn.State `json:"state"`
	Records int         `json:"records"` // of the statistics file when the checkpoint was made
	Files   []string    `json:"files"`
	Keep    int         `json:"keep,omitempty"` // checkpoints that the run keeps
}

func (c checkpoint) path(name string) string { return c.folder.Path("state", name) }

// Save implements learn.Store.
func (c checkpoint) Save(state learn.State, files []learn.File) error {
	if err := os.MkdirAll(c.folder.Path("state"), 0o777); err != nil {
		return fmt.Errorf("%s cannot be made: %w: check the space left on its disk", c.folder.Path("state"), cause(err))
	}
	s := checkpointState{State: state, Records: c.stats.Records(), Keep: c.keep}
	for _, f := range files {
		s.Files = append(s.Files, f.Name)
		if _, err := os.Stat(c.path(f.Name)); err == nil {
			continue
		}
		if err := WriteFile(c.path(f.Name), f.Write); err != nil {
			return err
		}
	}
	if c.keep > 1 && endsRound(state) {
		if err := c.writeState(keptFile(lastRound(state)), s); err != nil {
			return err
		}
	}
	if err := c.writeState("state.json", s); err != nil {
		return err
	}
	return c.tidy(s)
}

func (c checkpoint) writeState(name string, s checkpointState) error {
	return WriteFile(c.path(name), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(s)
	})
}

func (c checkpoint) removeExcept(keep []string) error {
	entries, err := os.ReadDir(c.folder.Path("state"))
	if err != nil {
		return fmt.Errorf("%s cannot be listed: %w: check that it may be read", c.folder.Path("state"), cause(err))
	}
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			if err := os.Remove(c.path(e.Name())); err != nil {
				return fmt.Errorf("%s cannot be removed: %w: check that its folder may be written", c.path(e.Name()), cause(err))
			}
		}
	}
	return nil
}

// Load implements learn.Store.
func (c checkpoint) Load() (state learn.State, ok bool, err error) {
	s, ok, err := c.read()
	return s.State, ok, err
}

// read returns the contents of state.json; ok is false when there is no checkpoint.
func (c checkpoint) read() (s checkpointState, ok bool, err error) { return c.readState("state.json") }

func (c checkpoint) readState(name string) (s checkpointState, ok bool, err error) {
	text, err := os.ReadFile(c.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, false, fmt.Errorf("%s is damaged (%w): %s", c.path(name), err, damagedRemedy(name))
	}
	return s, true, nil
}

// damagedRemedy is what to do about a damaged state file: the run can do without a kept one.
func damagedRemedy(name string) string {
	if name == "state.json" {
		return "start a new run"
	}
	return "delete it"
}

// Open implements learn.Store.
func (c checkpoint) Open(name string) (io.ReaderAt, int64, io.Closer, error) {
	f, err := os.Open(c.path(name))
	if err != nil {
		return nil, 0, nil, fmt.Errorf("the checkpoint is incomplete: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, nil, fmt.Errorf("the checkpoint is incomplete: %w", err)
	}
	return f, info.Size(), f, nil
}
