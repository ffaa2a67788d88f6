package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeasurementsAreNoisyAndScored(t *testing.T) {
	for _, c := range []struct{ name, psnr, file string }{{"clothes", "20.0", "499.png"}, {"frames", "22.5", "frame-3.tiff"}} {
		dir := t.TempDir()
		var out bytes.Buffer
		require.NoError(t, run([]string{"make", c.name, dir}, &out))
		assert.FileExists(t, filepath.Join(dir, "measured", c.file))
		require.NoError(t, os.CopyFS(filepath.Join(dir, "restored"), os.DirFS(filepath.Join(dir, "measured"))))
		require.NoError(t, run([]string{"score", c.name, dir}, &out))
		for _, folder := range []string{"measured", "restored"} {
			assert.Contains(t, out.String(), fmt.Sprintf("%-9s PSNR  %s", folder, c.psnr))
		}
	}
}

func TestSeamsAreSeen(t *testing.T) {
	clean, err := frames()
	require.NoError(t, err)
	noisy := make([]float32, len(clean.Pixels))
	for i := range noisy {
		noisy[i] = clean.Pixels[i] + 0.01*float32(i*i%7)
		if i%clean.W%32 < 16 { // every other column of tiles is brighter
			noisy[i] += 0.1
		}
	}
	assert.Greater(t, seams(noisy, clean, 16), 1.2)
}

func TestAMistakenCommandShowsTheUsage(t *testing.T) {
	assert.EqualError(t, run([]string{"make", "pictures", "x"}, nil), usage)
}
