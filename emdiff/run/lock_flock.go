//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package run

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockEndsWithProcess says whether a killed holder frees the lock.
const lockEndsWithProcess = true

// lockFile locks the file at path, with this process's number in it. The system ends the lock with
// the process, however that ends, so the file may stay: its text is only for the error message.
func lockFile(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be locked: %w: check that its folder may be written", path, cause(err))
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for range 20 { // lockHolder may be looking, which takes it microseconds
		if !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		time.Sleep(2 * time.Millisecond)
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s cannot be locked: %w: use a file system with flock", path, err)
		}
		text, _ := os.ReadFile(path)
		return nil, lockError(path, strings.TrimSpace(string(text)), "wait for it, stop it, or start a new run")
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s cannot be written: %w: check the space left on its disk", path, cause(err))
	}
	return f.Close, nil
}

// lockHolder reports whether a process holds the lock at path, and which. The only way to ask is to share the lock for a
// moment, which lockFile waits out.
func lockHolder(path string) (pid string, held bool) {
	f, err := os.Open(path)
	if err != nil {
		return "", false // nobody has locked the folder yet
	}
	defer f.Close()
	if !errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return "", false
	}
	text, _ := os.ReadFile(path)
	return holderName(strings.TrimSpace(string(text))), true
}
