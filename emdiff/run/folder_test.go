package run

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCreateNumbersFoldersUpwards(t *testing.T) {
	root := filepath.Join(t.TempDir(), "runs", "deep")
	for _, want := range []string{"00001-a", "00002-b"} {
		f, err := Create(root, want[6:])
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(root, want), f.Dir)
		assert.DirExists(t, f.Dir)
	}
	for _, other := range []string{"00041-x", "123456-y", "99", "200000", "9-early", "notes"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, other), 0o777))
	}
	f, err := Create(root, "c")
	require.NoError(t, err)
	assert.Equal(t, "123457-c", filepath.Base(f.Dir), "names of other forms do not count")
}

func TestCreateGivesEveryCallerItsOwnNumber(t *testing.T) {
	root := t.TempDir()
	const callers = 32
	names := make([]string, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			f, err := Create(root, "slug"+strconv.Itoa(i))
			if assert.NoError(t, err) {
				names[i] = filepath.Base(f.Dir)[:5]
			}
		})
	}
	group.Wait()
	slices.Sort(names)
	assert.Len(t, slices.Compact(names), callers)
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	assert.Len(t, entries, callers, "no claim is left behind")
}

func TestCreateStepsOverANumberThatAKilledProcessClaimed(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, ".00001"), 0o777))
	f, err := Create(root, "a")
	require.NoError(t, err)
	assert.Equal(t, "00002-a", filepath.Base(f.Dir))
}

func TestCreateAndOpenRefuseWhatIsNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	for _, slug := range []string{"", ".", "..", "a/b"} {
		_, err := Create(t.TempDir(), slug)
		assert.ErrorContains(t, err, "without path separators")
	}
	_, err := Create(file, "a")
	assert.ErrorContains(t, err, file)
	_, err = Open(file)
	assert.ErrorContains(t, err, file+" is a file")
	_, err = Open(file + "-missing")
	assert.ErrorContains(t, err, "check the path")
}

func TestPathIsInsideTheFolder(t *testing.T) {
	f, err := Open(t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(f.Dir, "round-3", "x.png"), f.Path("round-3", "x.png"))
	assert.Equal(t, f.Dir, f.Path())
}

func TestLockKeepsASecondWriterOut(t *testing.T) {
	f, err := Create(t.TempDir(), "a")
	require.NoError(t, err)
	require.NoError(t, f.Lock())
	require.NoError(t, f.Lock(), "the holder may ask again")

	other, err := Open(f.Dir)
	require.NoError(t, err)
	err = other.Lock()
	require.Error(t, err)
	assert.Contains(t, err.Error(), "run folder "+f.Dir)
	assert.Contains(t, err.Error(), "process "+strconv.Itoa(os.Getpid()))
	require.NoError(t, other.Unlock(), "who holds nothing gives nothing back")
	require.Error(t, other.Lock())

	require.NoError(t, f.Unlock())
	require.NoError(t, other.Lock())
	require.NoError(t, other.Unlock())
}

// TestLockHolder is the other process of the next test, not a test of its own.
func TestLockHolder(t *testing.T) {
	dir := os.Getenv("EMDIFF_TEST_LOCK")
	if dir == "" {
		t.Skip("run by TestLockHoldsAcrossProcessesAndEndsWithThem")
	}
	f, err := Open(dir)
	require.NoError(t, err)
	require.NoError(t, f.Lock())
	os.Stdout.WriteString("locked\n")
	time.Sleep(time.Minute) // select {} would be a deadlock, which ends the process
	require.NoError(t, f.Unlock())
}

func TestLockHoldsAcrossProcessesAndEndsWithThem(t *testing.T) {
	f, err := Create(t.TempDir(), "a")
	require.NoError(t, err)
	holder := exec.Command(os.Args[0], "-test.run=^TestLockHolder$")
	holder.Env = append(os.Environ(), "EMDIFF_TEST_LOCK="+f.Dir)
	out, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	defer holder.Process.Kill()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked", strings.TrimSpace(line))

	assert.ErrorContains(t, f.Lock(), "in use by process "+strconv.Itoa(holder.Process.Pid))
	require.NoError(t, holder.Process.Kill())
	require.Error(t, holder.Wait())
	if !lockEndsWithProcess {
		t.Skip("this system has no flock")
	}
	require.NoError(t, f.Lock())
	require.NoError(t, f.Unlock())
}

func TestLockSweepsWhatKilledWritersLeft(t *testing.T) {
	f, err := Create(t.TempDir(), "a")
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(f.Path("sub"), 0o777))
	keep := []string{f.Path("weights"), f.Path("sub", "x.tmp"), f.Path("sub", ".hidden")}
	drop := []string{f.Path(".weights.00ab.tmp"), f.Path("sub", ".x.png.17.tmp")}
	for _, p := range slices.Concat(keep, drop) {
		require.NoError(t, os.WriteFile(p, nil, 0o666))
	}
	require.NoError(t, f.Lock())
	defer f.Unlock()
	for _, p := range keep {
		assert.FileExists(t, p)
	}
	for _, p := range drop {
		assert.NoFileExists(t, p)
	}
}
