package run

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func statsFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stats.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
	return path
}

// line is a record with the given event.
func line(event string) string {
	return `{"event":"` + event + `","time":"2026-01-02T03:04:05Z"}` + "\n"
}

func events(t *testing.T, path string) (list []string) {
	t.Helper()
	records, err := ReadStats(path)
	require.NoError(t, err)
	for _, r := range records {
		list = append(list, r.Event)
	}
	return list
}

func TestStatsComeBackAsTheyWereAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stats.jsonl")
	s, err := OpenStats(path)
	require.NoError(t, err)
	before := time.Now()
	require.NoError(t, s.Append("mstep", map[string]any{"step": 3, "loss": 0.25, "where": "a \"b\"\nc", "tail": []int{1, 2}}))
	require.NoError(t, s.Append("done", nil))
	assert.Equal(t, 2, s.Records())

	text, err := os.ReadFile(path) // before Close: a record is on disk when Append returns
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(text), "\n"), "one line per record")
	assert.True(t, strings.HasPrefix(string(text), `{"event":"mstep","time":"`))

	records, err := ReadStats(path)
	require.NoError(t, err)
	require.Len(t, records, 2)
	assert.Equal(t, map[string]any{"step": 3.0, "loss": 0.25, "where": "a \"b\"\nc", "tail": []any{1.0, 2.0}}, records[0].Fields)
	assert.WithinDuration(t, before, records[0].Time, time.Minute)
	assert.Equal(t, Record{Event: "done", Time: records[1].Time, Fields: map[string]any{}}, records[1])
	require.NoError(t, s.Close())

	s, err = OpenStats(path)
	require.NoError(t, err)
	defer s.Close()
	assert.Equal(t, 2, s.Records())
	require.NoError(t, s.Append("again", nil))
	assert.Equal(t, []string{"mstep", "done", "again"}, events(t, path))
}

func TestStatsKeepNumbersThatJSONLacks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stats.jsonl")
	s, err := OpenStats(path)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Append("x", map[string]any{
		"nan": math.NaN(), "inf": float32(math.Inf(1)), "low": math.Inf(-1), "one": float32(1), "text": "1", "name": "psnr",
	}))
	records, err := ReadStats(path)
	require.NoError(t, err)
	for key, want := range map[string]float64{"inf": math.Inf(1), "low": math.Inf(-1), "one": 1} {
		got, ok := records[0].Float(key)
		assert.True(t, ok, key)
		assert.Equal(t, want, got, key)
	}
	got, ok := records[0].Float("nan")
	assert.True(t, ok && math.IsNaN(got))
	for _, key := range []string{"text", "name", "missing"} {
		_, ok := records[0].Float(key)
		assert.False(t, ok, key)
	}
}

func TestStatsRefuseWhatTheyCannotRecordAndWriteNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stats.jsonl")
	s, err := OpenStats(path)
	require.NoError(t, err)
	defer s.Close()
	assert.ErrorContains(t, s.Append("x", map[string]any{"time": 3}), "reserved")
	assert.ErrorContains(t, s.Append("x", map[string]any{"f": func() {}}), `field "f"`)
	assert.Equal(t, 0, s.Records())
	assert.Empty(t, events(t, path))
	_, err = OpenStats(filepath.Join(path, "below-a-file"))
	assert.ErrorContains(t, err, "cannot be opened")
}

func TestATornLastLineIsAsIfNeverBegun(t *testing.T) {
	whole := line("a") + line("b")
	for name, tail := range map[string]string{
		"cut":            line("c")[:20],
		"cut at the end": strings.TrimSuffix(line("c"), "\n"),
		"zeros":          "\x00\x00\x00",
		"zeros, newline": "\x00\x00\x00\n",
		"nothing":        "",
	} {
		t.Run(name, func(t *testing.T) {
			path := statsFile(t, whole+tail)
			assert.Equal(t, []string{"a", "b"}, events(t, path))
			s, err := OpenStats(path)
			require.NoError(t, err)
			defer s.Close()
			require.Equal(t, 2, s.Records())
			require.NoError(t, s.Append("c", nil))
			assert.Equal(t, []string{"a", "b", "c"}, events(t, path))
		})
	}
}

func TestADamagedLineInTheMiddleIsNamed(t *testing.T) {
	for _, bad := range []string{"rubbish\n", "{}\n", "3\n", `{"event":3,"time":"2026-01-02T03:04:05Z"}` + "\n"} {
		path := statsFile(t, line("a")+bad+line("b"))
		_, err := ReadStats(path)
		assert.ErrorContains(t, err, path+": line 2 is no record")
		_, err = OpenStats(path)
		assert.Error(t, err)
		assert.Error(t, TruncateStats(path, 1))
	}
}

func TestTruncateStatsKeepsTheFirstRecords(t *testing.T) {
	path := statsFile(t, line("a")+line("b")+line("c")+"torn")
	assert.ErrorContains(t, TruncateStats(path, 4), "holds 3 records")
	assert.Error(t, TruncateStats(path, -1))
	require.NoError(t, TruncateStats(path, 3))
	require.NoError(t, TruncateStats(path, 1))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, line("a"), string(text))
	require.NoError(t, TruncateStats(path, 0))
	assert.Empty(t, events(t, path))
}

func TestAMissingStatisticsFileHasNoRecords(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "stats.jsonl")
	assert.Empty(t, events(t, missing))
	require.NoError(t, TruncateStats(missing, 0))
	assert.Error(t, TruncateStats(missing, 1))
}
