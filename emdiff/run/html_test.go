package run

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reported is a run folder made by hand, with the given records, and its report.
func reported(t *testing.T, name string, records func(*Stats)) string {
	t.Helper()
	f := &Folder{Dir: filepath.Join(t.TempDir(), name)}
	require.NoError(t, os.Mkdir(f.Dir, 0o777))
	s := small(t, "em.rounds=2")
	text, err := s.TOML()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.Path("config.toml"), text, 0o666))
	m := Manifest{Format: FormatVersion, Data: Data{Name: "digits", Source: "<b>disk</b>", SHA256: "0123abcd"}}
	require.NoError(t, m.Write(f.Path("manifest.json")))
	stats, err := OpenStats(f.Path("stats.jsonl"))
	require.NoError(t, err)
	records(stats)
	require.NoError(t, stats.Close())
	require.NoError(t, writeReport(f))
	return readReport(t, f.Dir)
}

// readReport checks that a report is well-formed and needs nothing else.
func readReport(t *testing.T, dir string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(dir, reportName))
	require.NoError(t, err)
	decoder := xml.NewDecoder(bytes.NewReader(page))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err, "the page is not well-formed")
		if e, ok := token.(xml.StartElement); ok {
			assert.NotContains(t, []string{"script", "link", "iframe"}, e.Name.Local)
			for _, a := range e.Attr {
				assert.False(t, strings.HasPrefix(a.Name.Local, "on"), a.Name.Local)
				if a.Name.Local == "src" {
					assert.True(t, strings.HasPrefix(a.Value, "data:image/png;base64,"), "%.40s", a.Value)
				}
			}
		}
	}
	for _, far := range []string{"http://", "https://", "url(", "@import", "ZgotmplZ"} {
		assert.NotContains(t, string(page), far)
	}
	return string(page)
}

func TestTheReportShowsTheWholeRun(t *testing.T) {
	out := t.TempDir()
	var log bytes.Buffer
	o := options(t, out, &log)
	o.Settings = small(t, "em.rounds=2", "train.lr=0.00125")
	ctx, cancel := context.WithCancel(context.Background())
	o.Progress = interruptAt{"round 2 m-step", cancel}
	require.ErrorContains(t, Train(ctx, o), "interrupted")
	cancel()
	dir := filepath.Join(out, "00001-quick")
	page := readReport(t, dir)
	assert.Equal(t, 2, strings.Count(page, `<tr class="round">`))
	assert.Contains(t, page, "round 1 of 2 is done")
	assert.Contains(t, page, "emdiff-train --resume "+dir)

	o.Resume, o.Progress = dir, Silent
	require.NoError(t, Train(context.Background(), o))
	page = readReport(t, dir)
	assert.Equal(t, 3, strings.Count(page, `<tr class="round">`), "a row for each round")
	assert.Equal(t, 3, strings.Count(page, "data:image/png"))
	assert.Equal(t, 4, strings.Count(page, "<svg"), "loss, PSNR, misfit and log density")
	manifest, err := ReadManifest(filepath.Join(dir, "manifest.json"))
	require.NoError(t, err)
	for _, want := range []string{"<h1>00001-quick</h1>", "finished", "PSNR of means of draws", "final evaluation", manifest.Data.SHA256,
		"<mark>0.00125</mark><small>preset 0.003</small>", "emdiff-sample " + dir} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "cannot be known")
	assert.NotContains(t, page, "<mark>28</mark>", "what the images decide is no change of the user's")
}

func TestTheReportShowsWhatRecordsHave(t *testing.T) {
	page := reported(t, "00003-mine", func(s *Stats) {
		for round := range 2 {
			require.NoError(t, s.Append("round", map[string]any{"round": round, "loss": 0.5, "misfit_draw": 1.25, "spread_draw": 0.0625,
				"loglik_measurements": -1.5, "psnr_tikhonov": 17.125, "entropy<i>": 3.5, "seconds": map[string]float64{"m_step": 3, "evaluate": 1}}))
		}
	})
	for _, want := range []string{"PSNR cannot be known: no clean images", "−1.5000", "log density of held-out measurements per measured value",
		"posterior standard deviation", "linear baseline", "entropy&lt;i&gt;", "<td>3.5</td>", "M-step <b>75 %</b>", "data misfit of 1.250"} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "SSIM")
	assert.NotContains(t, page, "<mark>", "there is no preset to compare with")
}

func TestTheReportEscapesWhatItIsGiven(t *testing.T) {
	page := reported(t, `00001-<script>alert('1')<`, func(*Stats) {})
	assert.NotContains(t, page, "<script")
	assert.NotContains(t, page, "<b>disk")
	assert.Contains(t, page, "&lt;script&gt;alert")
	assert.Contains(t, page, `&#39;\&#39;&#39;1`, "the shell's quotes")
	assert.Contains(t, page, "No round is done yet")
}

func TestPathsAreOneWordOfACommand(t *testing.T) {
	for path, want := range map[string]string{"runs/00001-quick": "runs/00001-quick", "my runs/a": "'my runs/a'", "it's": `'it'\''s'`, "-rf": "./-rf", "$HOME": "'$HOME'"} {
		assert.Equal(t, want, shellQuote(path))
	}
}

func TestTimesAreSpelledOut(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0.0 s", 5.25: "5.2 s", 75: "1 min 15 s", 3600 * 2.1: "2 h 06 min"} {
		assert.Equal(t, want, spell(seconds))
	}
}
