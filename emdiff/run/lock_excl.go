//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// lockEndsWithProcess says whether a killed holder frees the lock.
const lockEndsWithProcess = false

// lockFile makes the file at path, with this process's number in it, and fails if it exists. A
// process that was killed leaves the file behind, and only its user can know that.
func lockFile(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		text, _ := os.ReadFile(path)
		return nil, lockError(path, strings.TrimSpace(string(text)), "if no such process runs any more, delete "+path)
	}
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be made: %w: check that its folder may be written", path, cause(err))
	}
	return func() error { return os.Remove(path) }, nil
}

// lockHolder reports whether the lock at path is there, and which process made it.
func lockHolder(path string) (pid string, held bool) {
	text, err := os.ReadFile(path)
	return holderName(strings.TrimSpace(string(text))), err == nil
}
