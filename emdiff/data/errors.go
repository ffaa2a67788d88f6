package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode"
)

// Error says in one sentence why an image set could not be read.
type Error struct {
	Path   string // the file or folder, or the flag
	Wrong  string // what is wrong with it
	Remedy string // what to do about it
	Err    error  // the cause, where another package reported one
}

// Error is the whole sentence, in one line whatever a file is called.
func (e *Error) Error() string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, fmt.Sprintf("%s: %s: %s", e.Path, e.Wrong, e.Remedy))
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// readError words a failed read of n expected bytes. The cause is named only where it says more
// than that the file ended.
func readError(path, what, remedy string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Path: path, Wrong: "the file ends inside " + what, Remedy: remedy, Err: err}
	}
	return &Error{Path: path, Wrong: fmt.Sprintf("%s cannot be read (%v)", what, err), Remedy: remedy, Err: err}
}

// mustEnd refuses data after the last byte that was announced, worded as surplus. To read on to the
// end also makes gzip and zip verify their checksums.
func mustEnd(r io.Reader, path, surplus, remedy string) error {
	var next [1]byte
	switch n, err := io.ReadFull(r, next[:]); {
	case n > 0:
		return &Error{Path: path, Wrong: surplus, Remedy: remedy}
	case err != io.EOF:
		return readError(path, "its last bytes", remedy, err)
	}
	return nil
}

// openError words a failure to open or look at path.
func openError(path string, err error) error {
	e := &Error{Path: path, Wrong: "cannot be opened", Remedy: "check the path and its permissions", Err: err}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		e.Wrong = fmt.Sprintf("cannot be opened (%v)", pathErr.Err)
	}
	return e
}
