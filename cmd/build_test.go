// Package cmd_test holds the tests that need the commands as processes: what a kill, a full disk or bad input does to them.
package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/run"
	"emdiff/nn"
)

// bin is the folder of the commands, which are built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "emdiff-cmd-"); err == nil {
			defer os.RemoveAll(bin)
			// The folder itself may be entered by anyone, for the tests that run as somebody else.
			err = os.Chmod(bin, 0o755)
		}
		if err == nil {
			build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./emdiff-train", "./emdiff-sample", "./emdiff-restore")
			build.Stderr = os.Stderr
			err = build.Run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// program is the path of a command.
func program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(bin, name)
}

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// sentence is what a command said of its failure: the only line of stderr that begins with its name.
func (o outcome) sentence(t *testing.T, name string) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(o.stderr) {
		if strings.HasPrefix(line, name+": ") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	require.Len(t, found, 1, "stderr:\n%s", o.stderr)
	last := o.stderr[strings.LastIndexByte(strings.TrimRight(o.stderr, "\n"), '\n')+1:]
	require.Equal(t, found[0], strings.TrimSpace(last), "the sentence comes last")
	require.NotContains(t, o.stderr, "goroutine")
	return found[0]
}

// command runs a command in a folder to its end.
func command(t *testing.T, dir, name string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	return ended(t, exec.CommandContext(ctx, program(name), args...), dir)
}

func ended(t *testing.T, cmd *exec.Cmd, dir string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// second is a run of about a second that saves whenever it can, on images.npy in its folder's parent.
var second = []string{"--preset", "emu-tiny", "--data", filepath.Join("..", "images.npy"), "--device", "host", "--threads", "1", "--save-every", "0s",
	"--set", "data.limit=40", "--set", "init.steps=100", "--set", "em.rounds=2", "--set", "em.subset=40", "--set", "em.steps=75"}

// resumed are the flags that continue a run of second.
func resumed(dir string) []string {
	return []string{"--resume", dir, "--device", "host", "--threads", "1", "--save-every", "0s"}
}

// reference is where second has run undisturbed, once for all tests.
var reference struct {
	sync.Once
	home  string            // the folder in which the command ran
	files map[string]string // what it left, as contents tells it
	took  time.Duration
}

// undisturbed is the run folder of the reference.
func undisturbed() string { return filepath.Join(reference.home, "runs", "00001-emu-tiny") }

// workplace is a folder with images.npy in it, the parent of folders to run second in.
func workplace(t *testing.T) string {
	t.Helper()
	reference.Do(func() {
		parent := filepath.Join(bin, "reference")
		reference.home = filepath.Join(parent, "home")
		require.NoError(t, os.MkdirAll(reference.home, 0o777))
		writeImages(t, filepath.Join(parent, "images.npy"), 48, 8, 8)
		start := time.Now()
		o := command(t, reference.home, "emdiff-train", second...)
		require.Zero(t, o.code, o.stderr)
		reference.took = time.Since(start)
		reference.files = contents(t, undisturbed())
	})
	require.NotEmpty(t, reference.files, "there is no undisturbed run to compare with")
	dir := t.TempDir()
	writeImages(t, filepath.Join(dir, "images.npy"), 48, 8, 8)
	return dir
}

// writeImages writes n grey images of bytes as a .npy file.
func writeImages(t *testing.T, path string, n, h, w int) {
	t.Helper()
	header := fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': (%d, %d, %d), }", n, h, w)
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	file := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	file = append(file, header...)
	for i := range n * h * w {
		file = append(file, byte(37*i+11*(i/w)))
	}
	require.NoError(t, os.WriteFile(path, file, 0o666))
}

// contents maps the name of every file of a run folder to what it holds, without what may differ between two runs of the
// same settings: times, the folder's own name, the lock.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "lock" {
			return err
		}
		text, err := os.ReadFile(path)
		switch filepath.Ext(path) {
		case ".json", ".jsonl":
			text = timeless(t, text)
		case ".html": // full of times; made from the other files
			text = text[bytes.LastIndexByte(bytes.TrimSpace(text), '\n'):]
		}
		name, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return all
}

// timeless writes JSON values anew without the members that tell times and places.
func timeless(t *testing.T, text []byte) []byte {
	var out bytes.Buffer
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var value any
		err := d.Decode(&value)
		if err == io.EOF {
			return out.Bytes()
		}
		require.NoError(t, err)
		strip(value)
		require.NoError(t, json.NewEncoder(&out).Encode(value))
	}
}

func strip(value any) {
	switch v := value.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(key string, _ any) bool {
			return key == "time" || key == "started" || key == "folder" || key == "seconds" || key == "total_seconds"
		})
		for _, member := range v {
			strip(member)
		}
	case []any:
		for _, element := range v {
			strip(element)
		}
	}
}

// requireSame holds a finished run folder to the undisturbed one, bit for bit.
func requireSame(t *testing.T, dir string) {
	t.Helper()
	want, got := reference.files, contents(t, dir)
	for name := range want {
		require.Contains(t, got, name, "%s lacks a file", dir)
		require.True(t, want[name] == got[name], "%s differs from the undisturbed run in %s", dir, name)
	}
	require.Len(t, got, len(want), "%s holds files that the undisturbed run does not", dir)
}

// stage is where a run folder stands, as the crash test counts it.
type stage struct {
	phase   string // of the checkpoint, or what is missing
	writing bool   // a file was being written
	torn    bool   // the last line of the statistics is not whole
}

// inspect asserts that a run folder that was left at any moment holds no half-written file, temporary ones excepted, and
// says where it stands.
func inspect(t *testing.T, dir string) (at stage) {
	t.Helper()
	have := map[string]bool{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".tmp") {
			at.writing = true
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		have[filepath.ToSlash(name)] = true
		if name == "stats.jsonl" {
			text, err := os.ReadFile(path)
			at.torn = len(text) > 0 && text[len(text)-1] != '\n'
			return err
		}
		return checkFile(path)
	}))
	_, err := run.ReadStats(filepath.Join(dir, "stats.jsonl"))
	require.NoError(t, err)
	switch {
	case !have["config.toml"]:
		at.phase = "no settings"
	case !have["manifest.json"]:
		at.phase = "no manifest"
	case !have["state/state.json"]:
		at.phase = "no checkpoint"
	default:
		var state struct {
			State struct{ Phase string }
			Files []string
		}
		text, err := os.ReadFile(filepath.Join(dir, "state", "state.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &state))
		at.phase = state.State.Phase
		assert.NotEmpty(t, state.Files)
		for _, name := range state.Files {
			require.True(t, have["state/"+name], "%s: the checkpoint names %s, which does not exist", dir, name)
		}
	}
	return at
}

// checkFile reads a whole file by its format.
func checkFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var value any
	switch filepath.Ext(path) {
	case ".json":
		err = json.Unmarshal(text, &value)
	case ".toml":
		if err = toml.Unmarshal(text, &value); err == nil && len(text) == 0 {
			err = io.ErrUnexpectedEOF
		}
	case ".png":
		_, err = png.Decode(bytes.NewReader(text))
	case ".f32":
		if len(text) == 0 || len(text)%(4*8*8) != 0 {
			err = fmt.Errorf("%d bytes are no images", len(text))
		}
	case ".safetensors":
		return nn.ReadFile(path, func(f *nn.Safetensors) error {
			for _, tensor := range f.Tensors {
				if _, err := f.Read(tensor); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	return nil
}
