//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package run

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestLockWaitsForAReaderThatOnlyLooks(t *testing.T) {
	f, err := Create(t.TempDir(), "a")
	require.NoError(t, err)
	require.NoError(t, f.Lock())
	require.NoError(t, f.Unlock())
	reader, err := os.Open(f.Path(lockName))
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(reader.Fd()), unix.LOCK_SH|unix.LOCK_NB))
	time.AfterFunc(time.Millisecond, func() { reader.Close() })
	require.NoError(t, f.Lock())
	require.NoError(t, f.Unlock())
}
