package run

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/learn"
)

// rounds makes options of a run of several rounds that keeps some checkpoints.
func rounds(t *testing.T, out string, log *bytes.Buffer, keep int) TrainOptions {
	o := options(t, out, log)
	o.Settings = small(t, "em.rounds=3", "em.steps=4", "init.steps=4", "eval.generated=2")
	o.Keep = keep
	return o
}

func stateFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "state"))
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// made are the contents of what a run made that is a function of its settings alone.
func made(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"*.png", "rounds/*", "state/*.safetensors", "weights.safetensors"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, paths, pattern)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			name, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			files[name] = string(text)
		}
	}
	return files
}

// equalFiles compares without printing megabytes.
func equalFiles(t *testing.T, want, got map[string]string) {
	t.Helper()
	for name, text := range want {
		assert.True(t, text == got[name], "%s differs", name)
	}
	assert.Len(t, got, len(want))
}

func TestOnlyTheNewestCheckpointsAreKept(t *testing.T) {
	for keep, want := range map[int][]string{
		0: {"state.json", "weights-003-end.safetensors"},
		1: {"state.json", "weights-003-end.safetensors"},
		2: {"state-002.json", "state-003.json", "state.json", "weights-002-end.safetensors", "weights-003-end.safetensors"},
	} {
		out := t.TempDir()
		var log bytes.Buffer
		require.NoError(t, Train(context.Background(), rounds(t, out, &log, keep)))
		assert.Equal(t, want, stateFiles(t, filepath.Join(out, "00001-quick")), "--keep %d", keep)
	}
}

func TestGoingBackToARoundEndsWithTheSameBits(t *testing.T) {
	out := t.TempDir()
	var log bytes.Buffer
	o := rounds(t, out, &log, 4)
	require.NoError(t, Train(context.Background(), o))
	dir := filepath.Join(out, "00001-quick")
	want := made(t, dir)

	// Where the run has gone back to, nothing is left of the later rounds.
	for _, round := range []int{2, 0} {
		log.Reset()
		ctx, cancel := context.WithCancel(context.Background())
		back := o
		back.Keep, back.Resume, back.Round, back.Progress = 0, dir, &round, interruptAt{"round 1 e-step", cancel}
		if round == 2 {
			back.Progress = interruptAt{"round 3 e-step", cancel}
		}
		require.ErrorIs(t, Train(ctx, back), learn.ErrInterrupted)
		cancel()
		assert.Contains(t, log.String(), map[int]string{2: "end of round 2: the records, pictures and checkpoints of round 3 are removed", 0: "end of round 0: the records, pictures and checkpoints of rounds 1 to 2 are removed"}[round])
		assert.FileExists(t, filepath.Join(dir, "state", keptFile(round)))
		assert.NoFileExists(t, filepath.Join(dir, "state", keptFile(round+1)))
		records, err := ReadStats(filepath.Join(dir, "stats.jsonl"))
		require.NoError(t, err)
		last := records[len(records)-1]
		assert.Equal(t, "round", last.Event)
		assert.EqualValues(t, round, last.Fields["round"])
		files := made(t, dir)
		assert.NotContains(t, files, "rounds/mean.f32")
		assert.Contains(t, files, filepath.Join("rounds", "00"+string(rune('0'+round))+"-draws.f32"))
		assert.NotContains(t, files, filepath.Join("rounds", "00"+string(rune('1'+round))+"-draws.f32"))
		assert.False(t, files["weights.safetensors"] == want["weights.safetensors"], "the weights are those of the round")
	}

	// And on to the end, which keeps as many as the run began with.
	o.Keep, o.Resume, o.Round = 0, dir, nil
	require.NoError(t, Train(context.Background(), o))
	equalFiles(t, want, made(t, dir))
	assert.Contains(t, stateFiles(t, dir), "state-000.json")
	assert.Contains(t, stateFiles(t, dir), "state-003.json")

	// A finished run goes back as well.
	last := 3
	o.Round = &last
	log.Reset()
	require.NoError(t, Train(context.Background(), o))
	assert.Contains(t, log.String(), "checkpoints of what followed")
	equalFiles(t, want, made(t, dir))
}

func TestGoingBackWhereNothingIsKeptChangesNothing(t *testing.T) {
	out := t.TempDir()
	var log bytes.Buffer
	o := rounds(t, out, &log, 2)
	require.NoError(t, Train(context.Background(), o))
	dir := filepath.Join(out, "00001-quick")
	before, names := made(t, dir), stateFiles(t, dir)
	round := 1
	o.Round = &round
	require.ErrorContains(t, Train(context.Background(), o), "--round 1 says where to continue: add --resume")
	o.Resume = dir
	require.ErrorContains(t, Train(context.Background(), o), "--round 1: "+dir+" keeps no checkpoint of that round's end: choose one of 2, 3")
	o.Keep = -1
	require.ErrorContains(t, Train(context.Background(), o), "--keep -1 must be positive")
	o.Keep, round = 0, 2
	require.NoError(t, os.Rename(filepath.Join(dir, "state", "weights-002-end.safetensors"), filepath.Join(dir, "away")))
	require.ErrorContains(t, Train(context.Background(), o), "incomplete")
	require.NoError(t, os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "state", "weights-002-end.safetensors")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state", "state-001.json"), []byte("{"), 0o666))
	round = 1
	require.ErrorContains(t, Train(context.Background(), o), "state-001.json is damaged")
	require.NoError(t, os.Remove(filepath.Join(dir, "state", "state-001.json")))
	equalFiles(t, before, made(t, dir))
	assert.Equal(t, names, stateFiles(t, dir))

	o.Round, o.Keep = nil, 1
	require.NoError(t, Train(context.Background(), o), "keeping fewer from now on")
	assert.Equal(t, []string{"state.json", "weights-003-end.safetensors"}, stateFiles(t, dir))
	o.Round, o.Keep = &round, 0
	require.ErrorContains(t, Train(context.Background(), o), "keeps only its newest checkpoint")
}
