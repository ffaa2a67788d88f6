package run

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"emdiff/emdiff/learn"
)

// A run may keep the checkpoints at the ends of its last rounds beside the newest one: state-003.json names the arrays of
// the end of round 3, as state.json names those of the newest. Whatever neither names is removed.

// keptName matches the names that keptFile makes.
var keptName = regexp.MustCompile(`^state-(\d{3,})\.json$`)

func keptFile(round int) string { return fmt.Sprintf("state-%03d.json", round) }

// lastRound is the last round that a state has finished, -1 if it has none.
func lastRound(s learn.State) int { return len(s.Results) - 1 }

// endsRound reports whether a state is that after the evaluation of a round, before anything else.
func endsRound(s learn.State) bool {
	return len(s.Results) > 0 && s.Position == 0 && (s.Phase == learn.EStep || s.Phase == learn.Final)
}

func (o TrainOptions) checkKeep() error {
	switch {
	case o.Keep < 0:
		return fmt.Errorf("--keep %d must be positive (1 = only the newest checkpoint)", o.Keep)
	case o.Round != nil && o.Resume == "":
		return fmt.Errorf("--round %d says where to continue: add --resume with the folder of the run", *o.Round)
	}
	return nil
}

// begin returns the checkpoint from which a run goes on; ok is false when there is none. With a round it is the one kept
// at that round's end, which from then on is the newest.
func (c *checkpoint) begin(o TrainOptions) (s checkpointState, ok bool, err error) {
	if s, ok, err = c.read(); err != nil {
		return s, ok, err
	}
	c.keep = cmp.Or(o.Keep, s.Keep, 1)
	if o.Round != nil {
		if s, err = c.goBack(*o.Round, s, o.Log); err != nil {
			return s, false, err
		}
	}
	return s, ok, nil
}

// settle removes what comes after the checkpoint that a run has gone on from, once that was restored, and what a crash left.
func (c checkpoint) settle(s checkpointState) error {
	return inTurn(func() error { return c.tidy(s) }, func() error { return c.forget(s.State) })
}

// goBack makes the checkpoint kept at the end of a round the newest.
func (c checkpoint) goBack(round int, newest checkpointState, log io.Writer) (s checkpointState, err error) {
	s, ok, err := c.readState(keptFile(round))
	if err != nil {
		return s, err
	}
	last := lastRound(newest.State)
	if !ok || round > last {
		return s, fmt.Errorf("--round %d: %s", round, c.explainKept(last))
	}
	for _, name := range s.Files {
		_, _, closer, err := c.Open(name)
		if err != nil {
			return s, err
		}
		closer.Close()
	}
	s.Keep = c.keep
	if err := c.writeState("state.json", s); err != nil {
		return s, err
	}
	later := "what followed"
	switch {
	case last == round+1:
		later = fmt.Sprintf("round %d", last)
	case last > round:
		later = fmt.Sprintf("rounds %d to %d", round+1, last)
	}
	fmt.Fprintf(log, "Going back to the end of round %d: the records, pictures and checkpoints of %s are removed and made anew.\n\n", round, later)
	return s, nil
}

// explainKept says which rounds can be gone back to, none of them after last.
func (c checkpoint) explainKept(last int) string {
	entries, _ := os.ReadDir(c.folder.Path("state")) // no folder: nothing is kept
	var rounds []string
	for _, e := range entries {
		if m := keptName.FindStringSubmatch(e.Name()); m != nil {
			if k, err := strconv.Atoi(m[1]); err == nil && k <= last {
				rounds = append(rounds, strconv.Itoa(k))
			}
		}
	}
	if rounds == nil {
		return c.folder.Dir + " keeps only its newest checkpoint: leave --round out, and give --keep when a run starts"
	}
	return fmt.Sprintf("%s keeps no checkpoint of that round's end: choose one of %s", c.folder.Dir, strings.Join(rounds, ", "))
}

// tidy removes the files that neither the newest checkpoint nor one kept of the last rounds names.
func (c checkpoint) tidy(newest checkpointState) error {
	keep := append(slices.Clone(newest.Files), "state.json")
	last := lastRound(newest.State)
	for round := max(0, last-c.keep+1); c.keep > 1 && round <= last; round++ {
		s, ok, err := c.readState(keptFile(round))
		if err != nil {
			return err
		}
		if ok {
			keep = append(append(keep, s.Files...), keptFile(round))
		}
	}
	return c.removeExcept(keep)
}

// forget removes what pictures of rounds after a state are made from.
func (c checkpoint) forget(s learn.State) error {
	entries, err := os.ReadDir(c.folder.Path("rounds"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s cannot be listed: %w: check its permissions", c.folder.Path("rounds"), cause(err))
	}
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "-")
		round, err := strconv.Atoi(number)
		later := err == nil && round > lastRound(s)
		if later || e.Name() == "mean.f32" && s.Phase != learn.Done {
			if err := os.Remove(c.folder.Path("rounds", e.Name())); err != nil {
				return fmt.Errorf("a picture of a later round cannot be removed: %w", err)
			}
		}
	}
	return nil
}

// wentBack leaves pictures and weights as they were at the end of the round that the run has gone back to.
func (r *reporter) wentBack() error {
	return inTurn(r.draw, func() error {
		return writeWeights(r.folder, r.em.Network(), r.settings, r.images.Held.H, r.images.Held.W)
	})
}
