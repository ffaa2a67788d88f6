package run

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/learn"
)

func listLines(t *testing.T, root string) []string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, List(&out, root))
	return strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
}

func TestListShowsRunsOfEveryKind(t *testing.T) {
	root := t.TempDir()
	var log bytes.Buffer
	o := options(t, root, &log)
	require.NoError(t, Train(context.Background(), o)) // 1: done
	ctx, cancel := context.WithCancel(context.Background())
	o.Progress = interruptAt{"round 1 m-step", cancel}
	require.ErrorIs(t, Train(ctx, o), learn.ErrInterrupted) // 2: stopped
	cancel()
	ctx, cancel = context.WithCancel(context.Background())
	o.Progress = interruptAt{"init", cancel}
	require.ErrorIs(t, Train(ctx, o), learn.ErrInterrupted) // 3: stopped, and taken up again below
	cancel()

	at := func(number int) string { return filepath.Join(root, "0000"+strconv.Itoa(number)+"-quick") }
	holder, err := Open(at(3))
	require.NoError(t, err)
	require.NoError(t, holder.Lock())
	defer holder.Unlock()
	manifest, err := os.ReadFile(filepath.Join(at(1), "manifest.json"))
	require.NoError(t, err)
	for number, format := range map[int]string{4: "9", 5: "0"} {
		require.NoError(t, os.Mkdir(at(number), 0o777))
		text := bytes.Replace(manifest, []byte(`"format": 1`), []byte(`"format": `+format), 1)
		require.NoError(t, os.WriteFile(filepath.Join(at(number), "manifest.json"), text, 0o666))
	}
	young, err := Create(root, "quick") // 6: a process has just begun
	require.NoError(t, err)
	require.NoError(t, young.Lock())
	defer young.Unlock()
	require.NoError(t, os.Mkdir(at(7), 0o777)) // 7: and here it ended then
	require.NoError(t, os.CopyFS(at(8), os.DirFS(at(1))))
	require.NoError(t, os.WriteFile(filepath.Join(at(8), "state", "state.json"), []byte("{"), 0o666))
	require.NoError(t, os.CopyFS(at(9), os.DirFS(at(1))))
	require.NoError(t, os.RemoveAll(filepath.Join(at(9), "state")))
	for _, foreign := range []string{"notes", "evil\x1b[2J\nname", ".00010"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, foreign), 0o777))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "readme"), nil, 0o666))

	before := folderSize(root)
	lines := listLines(t, root)
	assert.Equal(t, before, folderSize(root), "nothing is changed")
	require.Len(t, lines, 5+7)
	pid := strconv.Itoa(os.Getpid())
	assert.Regexp(t, `^number  name   started`, lines[0])
	assert.Regexp(t, `^00001   quick  \d{4}-\d\d-\d\d \d\d:\d\d  done  +fashion-mnist-10k  denoise  PSNR \d+\.\d\d dB, means \d+\.\d\d dB  \d+\.\d [KM]iB$`, lines[1])
	assert.Regexp(t, `^00002 .*stopped: round 1/1 m-step  .*PSNR \d+\.\d\d dB, misfit \d\.\d{3}  `, lines[2])
	assert.Regexp(t, `^00003 .* round 0/1 init, in use by process `+pid+`  .*  –  `, lines[3])
	assert.NotContains(t, lines[3], "stopped")
	assert.Regexp(t, `^00009 .*stopped: before its first checkpoint  `, lines[4])
	for i, want := range []string{"00004-quick: .*has format 9 and this program knows 1", "00005-quick: .*is no manifest", "00006-quick: is being made by process " + pid,
		"00007-quick: .*manifest.json does not exist", "00008-quick: .*state.json is damaged", `evil\\x1b\[2J\\nname: is no run folder`, "notes: is no run folder"} {
		assert.Regexp(t, "^"+want, lines[5+i])
	}
}

func TestListOfNothingSaysSo(t *testing.T) {
	root := t.TempDir()
	missing := filepath.Join(root, "missing")
	assert.Equal(t, []string{"There are no runs in " + missing + "."}, listLines(t, missing))
	require.NoError(t, os.Mkdir(filepath.Join(root, "notes"), 0o777))
	assert.Equal(t, []string{"There are no runs in " + root + ".", "notes: is no run folder: the names of those begin with a number"}, listLines(t, root))
	file := filepath.Join(root, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	assert.ErrorContains(t, List(&bytes.Buffer{}, file), "--out "+file+" cannot be listed")
}

func TestSizesHaveFittingUnits(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0.0 KiB", 1536: "1.5 KiB", 5 << 20: "5.0 MiB", 3 << 30: "3.0 GiB"} {
		assert.Equal(t, want, describeSize(bytes))
	}
}
