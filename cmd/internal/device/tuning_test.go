package device

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels/cuda"
)

func TestTheTableOfTheEnvironmentIsTakenOrRefused(t *testing.T) {
	table := &cuda.Table{Format: cuda.TableFormat, Card: "a card", PTX: cuda.PTXHash()}
	var text bytes.Buffer
	require.NoError(t, table.Write(&text))
	path := filepath.Join(t.TempDir(), "table.json")
	require.NoError(t, os.WriteFile(path, text.Bytes(), 0o666))

	c, err := Open("emu", 1)
	require.NoError(t, err)
	assert.Empty(t, c.Tuning)
	require.NoError(t, c.Set.Close())

	t.Setenv(tuningFile, path)
	c, err = Open("emu", 1)
	require.NoError(t, err)
	assert.Equal(t, table.Hash(), c.Tuning)
	assert.Equal(t, "cuda/emu, tuned by "+path+" for a card", c.String())
	require.NoError(t, c.Set.Close())

	c, err = Open("host", 1)
	require.NoError(t, err)
	assert.Empty(t, c.Tuning, "the host has no variants to choose")
	require.NoError(t, c.Set.Close())

	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(text.String(), `"format": 1`, `"format": 9`, 1)), 0o666))
	_, err = Open("emu", 1)
	assert.EqualError(t, err, "EMDIFF_CUDA_TUNING: tuning table "+path+": it has format 9 and this program knows 1: make it anew with emdiff-ptx tune")
}
