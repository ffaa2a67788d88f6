package run

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writing is a WriteFile callback that writes s and then returns err.
func writing(s string, err error) func(io.Writer) error {
	return func(w io.Writer) error {
		_, werr := io.WriteString(w, s)
		return errors.Join(werr, err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestWriteFileReplacesTheWholeFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	long := strings.Repeat("more than the buffer holds ", 1e4)
	for _, s := range []string{long, "short", ""} {
		require.NoError(t, WriteFile(path, writing(s, nil)))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, s, string(got))
		assert.Equal(t, []string{"file"}, names(t, dir))
	}
}

func TestWriteFileShowsNothingBeforeTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, WriteFile(path, writing("old", nil)))
	require.NoError(t, WriteFile(path, func(w io.Writer) error {
		io.WriteString(w, strings.Repeat("x", 1<<20))
		got, err := os.ReadFile(path)
		assert.Equal(t, "old", string(got))
		return err
	}))
}

func TestWriteFileLeavesEverythingAsItWasOnError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, WriteFile(path, writing("old", nil)))
	broken := errors.New("broken")
	err := WriteFile(path, writing(strings.Repeat("x", 1<<20), broken))
	assert.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, path)
	assert.Panics(t, func() { WriteFile(path, func(io.Writer) error { panic("bug") }) })
	got, rerr := os.ReadFile(path)
	require.NoError(t, rerr)
	assert.Equal(t, "old", string(got))
	assert.Equal(t, []string{"file"}, names(t, dir))
}

func TestWriteFileNamesTheFileThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing", "file")
	assert.ErrorContains(t, WriteFile(missing, writing("x", nil)), missing+" cannot be created")
	folder := filepath.Join(dir, "folder")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "full"), 0o777))
	assert.ErrorContains(t, WriteFile(folder, writing("x", nil)), folder+" cannot be put in place")
	assert.Equal(t, []string{"folder"}, names(t, dir))
}

func TestWriteFileReportsAFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	path := filepath.Join(t.TempDir(), "file")
	err = WriteFile(path, func(w io.Writer) error {
		_, err := full.Write([]byte("x"))
		return err
	})
	assert.ErrorContains(t, err, "no space left")
	assert.NoFileExists(t, path)
}

func TestWriteFileWorksInTheCurrentFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, WriteFile("file", writing("x", nil)))
	assert.FileExists(t, "file")
}

func TestTemporaryNamesMatchThePatternThatSweepUses(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, WriteFile(filepath.Join(dir, "file.png"), func(io.Writer) error {
		list := names(t, dir)
		require.Len(t, list, 1)
		match, err := filepath.Match(tempPattern, list[0])
		assert.True(t, match)
		return err
	}))
}
