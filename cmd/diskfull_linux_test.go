package cmd_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"emdiff/kernels/kerneltest"
)

// TestAFileTooLargeStopsARunThatCanContinue stands in for a full disk where none can be mounted: every file that is larger
// than a limit fails to be written, the smaller ones do not.
func TestAFileTooLargeStopsARunThatCanContinue(t *testing.T) {
	dir := workplace(t)
	for _, kib := range []int{1, 400} { // too little for the settings, for a checkpoint
		t.Run(fmt.Sprintf("%d KiB", kib), func(t *testing.T) {
			home := filepath.Join(dir, fmt.Sprint(kib))
			require.NoError(t, os.Mkdir(home, 0o777))
			limited := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, 2*kib), program("emdiff-train")}, second...)...)
			stopsAndContinues(t, ended(t, limited, home), home, "file too large", func() {})
		})
	}
}

// stopsAndContinues asserts that a run was stopped by its disk with a good checkpoint, and ends as if it had not been once
// there is space.
func stopsAndContinues(t *testing.T, o outcome, home string, reason string, makeSpace func()) {
	t.Helper()
	require.Equal(t, 1, o.code, o.stderr)
	sentence := o.sentence(t, "emdiff-train")
	assert.Contains(t, sentence, reason)
	assert.Regexp(t, `check (the space left on its disk|that its folder .* may be written)|give another folder to write to`, sentence)
	folder := latest(t, home)
	phase := "no folder"
	if folder != "" {
		at := inspect(t, filepath.Join(home, folder))
		assert.False(t, at.writing, "a temporary file was left")
		require.NotContains(t, []string{"no settings", "no manifest"}, at.phase, "a folder without a run was left")
		phase = at.phase
	}
	t.Logf("%s: %s", phase, sentence)
	makeSpace()
	args := second
	if folder != "" {
		args = resumed(folder)
	}
	o = command(t, home, "emdiff-train", args...)
	require.Zero(t, o.code, o.stdout+o.stderr)
	requireSame(t, filepath.Join(home, latest(t, home)))
}

// tmpfs mounts a file system of so many KiB.
func tmpfs(t *testing.T, kib int) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib))
	if err != nil {
		err = fmt.Errorf("mount: %w: it needs root, with the right to mount", err)
	}
	kerneltest.Required(t, "tmpfs", err)
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func TestAFullDiskStopsARunThatCanContinue(t *testing.T) {
	dir := workplace(t)
	const size = 3 << 10
	images, err := os.ReadFile(filepath.Join(dir, "images.npy"))
	require.NoError(t, err)
	for _, free := range []int{0, 8, 200, 1000, 1600} {
		t.Run(fmt.Sprintf("%d KiB", free), func(t *testing.T) {
			disk := tmpfs(t, size)
			home := filepath.Join(disk, "home")
			require.NoError(t, os.Mkdir(home, 0o777))
			require.NoError(t, os.WriteFile(filepath.Join(disk, "images.npy"), images, 0o666))
			ballast := filepath.Join(disk, "ballast")
			fill(t, ballast, free)
			o := command(t, home, "emdiff-train", second...)
			stopsAndContinues(t, o, home, "no space left on device", func() { require.NoError(t, os.Remove(ballast)) })
		})
	}

	t.Run("samples", func(t *testing.T) {
		disk := tmpfs(t, size)
		fill(t, filepath.Join(disk, "ballast"), 40)
		before, err := os.ReadDir(disk)
		require.NoError(t, err)
		for _, to := range [][]string{{"--out", "images"}, {"--out", "images.npy"}, {"--grid", "grid.png"}} {
			args := []string{undisturbed(), "--device", "host", "--threads", "1", "--count", "400"}
			o := command(t, disk, "emdiff-sample", append(args, to...)...)
			require.Equal(t, 1, o.code, o.stderr)
			assert.Contains(t, o.sentence(t, "emdiff-sample"), "no space left on device: check the space left on its disk")
			after, err := os.ReadDir(disk)
			require.NoError(t, err)
			assert.Len(t, after, len(before), "%s left something behind", to)
		}
	})
}

// fill writes a file that leaves about free KiB of its file system.
func fill(t *testing.T, path string, free int) {
	t.Helper()
	var disk unix.Statfs_t
	require.NoError(t, unix.Statfs(filepath.Dir(path), &disk))
	size := int64(disk.Bavail)*disk.Bsize - int64(free)<<10
	require.Positive(t, size)
	require.NoError(t, os.WriteFile(path, make([]byte, size), 0o666))
}

func TestAReadOnlyFolderIsRefusedAndContinuesLater(t *testing.T) {
	dir := workplace(t)
	home, reason := filepath.Join(dir, "home"), "permission denied"
	protect := func(protected bool) {
		require.NoError(t, filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
			require.NoError(t, err)
			mode := fs.FileMode(0o644)
			if e.IsDir() {
				mode = 0o755
			}
			if protected {
				mode &^= 0o222
			}
			return os.Chmod(path, mode)
		}))
	}
	if os.Geteuid() == 0 { // permissions do not bind root
		disk := tmpfs(t, 8<<10)
		images, err := os.ReadFile(filepath.Join(dir, "images.npy"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(disk, "images.npy"), images, 0o666))
		home, reason = filepath.Join(disk, "home"), "read-only file system"
		protect = func(protected bool) {
			flags := uintptr(unix.MS_REMOUNT)
			if protected {
				flags |= unix.MS_RDONLY
			}
			require.NoError(t, unix.Mount("tmpfs", disk, "tmpfs", flags, ""))
		}
	}
	require.NoError(t, os.Mkdir(home, 0o777))

	// A run that was asked to stop in its first phase.
	begun := exec.Command(program("emdiff-train"), second...)
	begun.Dir = home
	require.NoError(t, begun.Start())
	folder := filepath.Join(home, "runs", "00001-emu-tiny")
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(folder, "stats.jsonl"))
		return strings.Contains(string(text), `"event":"loss"`)
	}, time.Minute, time.Millisecond)
	require.NoError(t, begun.Process.Signal(syscall.SIGINT))
	require.Error(t, begun.Wait())
	before := contents(t, folder)

	protect(true)
	for _, args := range [][]string{append([]string{"--out", "others"}, second...), second, resumed(filepath.Join("runs", "00001-emu-tiny"))} {
		o := command(t, home, "emdiff-train", args...)
		assert.Equal(t, 1, o.code, o.stderr)
		assert.Equal(t, 1, strings.Count(o.stderr, "\n"), o.stderr)
		assert.Regexp(t, reason+`: (check that its folder may be written|give another folder to write to)`, o.sentence(t, "emdiff-train"))
	}
	protect(false)
	require.Equal(t, before, contents(t, folder))
	o := command(t, home, "emdiff-train", resumed(filepath.Join("runs", "00001-emu-tiny"))...)
	require.Zero(t, o.code, o.stdout+o.stderr)
	requireSame(t, folder)
}
