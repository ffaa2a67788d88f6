package cmd_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	crashes   = flag.Int("crashes", 12, "kills of the crash test")
	crashSeed = flag.Uint64("crash-seed", 0, "seed of the moments of the kills; 0 = by the clock")
)

// TestAKilledRunEndsAsIfItHadNeverBeen kills runs with SIGKILL, over and over, resumes them until they are done, and
// compares all that they leave with an undisturbed run. Half of the kills fall anywhere within the time that a run takes;
// the others aim at what is too short for chance: the first files of a folder, and a file being written.
func TestAKilledRunEndsAsIfItHadNeverBeen(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-crash-seed %d replays the kills as far as a clock can", seed)
	c := crasher{dir: workplace(t), dice: rand.New(rand.NewPCG(seed, 0)), stages: map[string]int{}}
	for c.kills < *crashes {
		c.oneRun(t)
	}
	t.Logf("%d kills in %d runs, which ended like the undisturbed one of %v; %d folders were refused because they had just been made",
		c.kills, c.runs, reference.took.Round(time.Millisecond), c.refused)
	for _, stage := range slices.Sorted(maps.Keys(c.stages)) {
		t.Logf("%5d x %s", c.stages[stage], stage)
	}
	if *crashes >= 100 {
		for _, stage := range []string{"checkpoint init", "checkpoint e-step", "checkpoint m-step", "checkpoint evaluate", "checkpoint final",
			"no checkpoint", "while a file was written"} {
			require.Positive(t, c.stages[stage], "no kill found a run so: %s", stage)
		}
	}
}

type crasher struct {
	dir    string
	dice   *rand.Rand
	stages map[string]int

	kills, runs, refused int
}

// oneRun starts a run, kills it until it has come to its end or enough kills were done, and then lets it end.
func (c *crasher) oneRun(t *testing.T) {
	c.runs++
	home := filepath.Join(c.dir, fmt.Sprintf("run-%d", c.runs))
	require.NoError(t, os.Mkdir(home, 0o777))
	defer os.RemoveAll(home)
	for {
		folder := latest(t, home)
		args := second
		if folder != "" {
			args = resumed(folder)
		}
		o, killed := c.start(t, home, folder, args)
		if killed {
			c.kills++
			c.count(t, home)
			continue
		}
		if o.code == 0 {
			if folder = latest(t, home); folder == "" {
				t.Fatal("the run left no folder")
			}
			requireSame(t, filepath.Join(home, folder))
			return
		}
		// Only a folder that was killed while it was made may be refused, and in words that help.
		at := inspect(t, filepath.Join(home, folder))
		require.Contains(t, []string{"no settings", "no manifest"}, at.phase, o.stderr)
		require.Contains(t, o.sentence(t, "emdiff-train"), "start a new run")
		require.Equal(t, 1, o.code)
		require.NoError(t, os.RemoveAll(filepath.Join(home, folder)))
		c.refused++
	}
}

// latest is the newest run folder below home, or "".
func latest(t *testing.T, home string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(home, "runs", "[0-9]*"))
	require.NoError(t, err)
	if len(found) == 0 {
		return ""
	}
	return filepath.Join("runs", filepath.Base(slices.Max(found)))
}

// count notes where a kill found its run.
func (c *crasher) count(t *testing.T, home string) {
	folder := latest(t, home)
	if folder == "" {
		c.stages["no folder"]++
		return
	}
	at := inspect(t, filepath.Join(home, folder))
	if strings.HasPrefix(at.phase, "no ") {
		c.stages[at.phase]++
	} else {
		c.stages["checkpoint "+at.phase]++
	}
	if at.writing {
		c.stages["while a file was written"]++
	}
	if at.torn {
		c.stages["with a torn line of statistics"]++
	}
}

// start runs the command and kills it unless it ends before or enough kills were done.
func (c *crasher) start(t *testing.T, home, folder string, args []string) (o outcome, killed bool) {
	aim, share := c.dice.IntN(4), c.dice.Float64()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program("emdiff-train"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, &stdout, &stderr
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	if c.kills < *crashes {
		switch {
		case aim == 0 && folder == "": // within milliseconds after the folder has been made
			if c.await(done, func() bool { return latest(t, home) != "" }) {
				sleep(done, time.Duration(share*float64(5*time.Millisecond)))
			}
		case aim == 1: // while a file is written
			sleep(done, time.Duration(share*float64(reference.took)))
			c.await(done, func() bool {
				temp, _ := filepath.Glob(filepath.Join(home, "runs", "*", "state", ".*.tmp"))
				return len(temp) > 0
			})
		default:
			sleep(done, time.Duration(share*float64(reference.took)))
		}
		cmd.Process.Kill()
	}
	<-done
	code := cmd.ProcessState.ExitCode()
	return outcome{code, stdout.String(), stderr.String()}, code == -1
}

// await polls until the condition holds, or the process has ended: then it is false.
func (c *crasher) await(done <-chan struct{}, condition func() bool) bool {
	for !condition() {
		select {
		case <-done:
			return false
		case <-time.After(100 * time.Microsecond):
		}
	}
	return true
}

func sleep(done <-chan struct{}, d time.Duration) {
	select {
	case <-done:
	case <-time.After(d):
	}
}
