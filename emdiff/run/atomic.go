package run

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// tempPattern matches the temporary files of WriteFile.
const tempPattern = ".*.tmp"

// WriteFile makes the file at path hold what write writes, so that it is seen either whole or not
// at all, whatever happens in between: write fills a temporary file in the same folder (through a
// buffer), which is synced and renamed over path, and then the folder is synced. When it returns
// nil the file survives a power cut; when it returns an error, or write panics, nothing remains and
// a file that was at path before is untouched.
//
// The error of write is wrapped; other errors name the file and the likely remedy.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	dir, base := filepath.Split(path)
	temp := filepath.Join(dir, fmt.Sprintf(".%s.%016x.tmp", base, rand.Uint64()))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("%s cannot be created: %w: check that its folder exists and may be written", path, cause(err))
	}
	renamed := false
	defer func() {
		if !renamed { // also on the way out of a panic in write
			f.Close()
			os.Remove(temp)
		}
	}()

	disk := &diskWriter{f: f}
	buffered := bufio.NewWriterSize(disk, 1<<16)
	if err := write(buffered); err != nil && disk.err == nil {
		return fmt.Errorf("%s was not written: %w", path, err)
	}
	for _, finish := range []func() error{buffered.Flush, f.Sync, f.Close} {
		if err := finish(); err != nil {
			return fmt.Errorf("%s cannot be written: %w: check the space left on its disk", path, cause(err))
		}
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("%s cannot be put in place: %w: check that it is no folder and may be replaced", path, cause(err))
	}
	renamed = true
	return syncFolder(filepath.Dir(path))
}

// diskWriter remembers that the file failed: whatever write makes of that, the disk is the reason, and Flush repeats it.
type diskWriter struct {
	f   *os.File
	err error
}

func (w *diskWriter) Write(b []byte) (n int, err error) {
	n, err = w.f.Write(b)
	w.err = err
	return n, err
}

// syncFolder makes renames in dir durable. Windows neither offers this nor needs it.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cause strips the path that package os puts into its errors, for sentences that name it already.
func cause(err error) error {
	var pathErr *os.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		return pathErr.Err
	case errors.As(err, &linkErr):
		return linkErr.Err
	}
	return err
}
