package run

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/data"
)

func testManifest() Manifest {
	set := &data.Set{Name: "dots", Source: "a <file>", H: 1, W: 2, C: 1, Pixels: []float32{0, 1, -1, 0.5}}
	return NewManifest(set, Device{Name: "host", Level: "avx2", Why: "auto: cuda refused: no driver"}, 1<<63+1)
}

func TestManifestSaysWhatMadeTheRun(t *testing.T) {
	m := testManifest()
	assert.Equal(t, FormatVersion, m.Format)
	assert.WithinDuration(t, time.Now(), m.Started, time.Minute)
	assert.Equal(t, runtime.Version(), m.Program.Go)
	assert.NotEmpty(t, m.Program.Version)
	assert.Equal(t, []string{runtime.GOOS, runtime.GOARCH}, []string{m.Machine.OS, m.Machine.Arch})
	assert.Equal(t, runtime.GOMAXPROCS(0), m.Machine.Cores)
	assert.NotEmpty(t, m.Machine.CPU)
	assert.Equal(t, "avx2", m.Device.Level)
	assert.Equal(t, []int{2, 1, 2, 1}, []int{m.Data.Images, m.Data.Height, m.Data.Width, m.Data.Channels})
	assert.Len(t, m.Data.SHA256, 64)
	assert.Equal(t, uint64(1<<63+1), m.Seed)
}

func TestManifestComesBackAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manifest.json")
	m := testManifest()
	require.NoError(t, m.Write(path))
	got, err := ReadManifest(path)
	require.NoError(t, err)
	assert.Equal(t, m, got, "also a seed beyond 2^53")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"source": "a <file>"`)
}

func TestReadManifestRefusesOtherFormatsInOneSentence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manifest.json")
	_, err := ReadManifest(path)
	assert.ErrorContains(t, err, path+" does not exist")
	for content, want := range map[string]string{
		fmt.Sprintf(`{"format":%d,"seed":"another type"}`, FormatVersion+1): "use the newer program",
		fmt.Sprintf(`{"format":%d,"sede":3}`, FormatVersion):                `unknown field "sede"`,
		`{"format":0}`: "no format version",
		`{}`:           "no format version",
		`{"format":`:   "no manifest of a run",
		"":             "no manifest of a run",
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
		_, err := ReadManifest(path)
		require.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, path)
		assert.False(t, strings.Contains(err.Error(), "\n"))
	}
}

func TestFormatsBeforeAndAfterTheKnownOneAreToldApart(t *testing.T) {
	assert.NoError(t, checkFormat("m", 3, 3))
	assert.ErrorContains(t, checkFormat("m", 2, 3), "m has format 2 and this program knows 3: use the older program")
	assert.ErrorContains(t, checkFormat("m", 4, 3), "m has format 4 and this program knows 3: use the newer program")
}

func TestProgramIsOneLine(t *testing.T) {
	p := Program{Version: "v1.2.0", Revision: "abc", Modified: true, Go: "go1.26"}
	assert.Equal(t, "v1.2.0 abc with changes (go1.26)", p.String())
	assert.Equal(t, "(devel) (go1.26)", Program{Version: "(devel)", Go: "go1.26"}.String())
}
