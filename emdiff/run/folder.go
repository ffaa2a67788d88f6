package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// lockName is the file in a run folder that its writer holds.
const lockName = "lock"

// numbered matches the names of run folders.
var numbered = regexp.MustCompile(`^(\d{5,})-`)

// Folder is the folder of one run.
type Folder struct {
	Dir string // path of the folder

	unlock func() error // nil while this Folder does not hold the lock
}

// Create makes a new run folder below root, which is made too if need be, and returns it unlocked.
// Its name is a number one above the highest in root and then slug: 00007-cifar10-denoise.
// Processes that do so at once get different numbers.
func Create(root, slug string) (*Folder, error) {
	if slug == "" || slug != filepath.Base(slug) || slug == "." || slug == ".." {
		return nil, fmt.Errorf("%q cannot end the name of a run folder: give a name without path separators", slug)
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, fmt.Errorf("%s cannot hold run folders: %w: give another folder to write to", root, cause(err))
	}
	taken, err := numbers(root)
	if err != nil {
		return nil, err
	}
	for number := slices.Max(append(taken, 0)) + 1; ; number++ {
		f, err := claim(root, number, slug)
		if err != nil || f != nil {
			return f, err
		}
	}
}

// claim makes the folder of one number, or returns nil if another process has that number. Names
// with different slugs do not collide, so Mkdir on the final name cannot decide; it decides on a
// name made of the number alone, and the winner gives that folder its final name once it has seen
// that no earlier winner did. A process killed in between leaves an empty folder and costs a number.
func claim(root string, number int, slug string) (*Folder, error) {
	bare := filepath.Join(root, fmt.Sprintf(".%05d", number))
	if err := os.Mkdir(bare, 0o777); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("%s cannot hold run folders: %w: give another folder to write to", root, cause(err))
	}
	taken, err := numbers(root)
	if err == nil && !slices.Contains(taken, number) {
		dir := filepath.Join(root, fmt.Sprintf("%05d-%s", number, slug))
		if err = os.Rename(bare, dir); err == nil {
			return &Folder{Dir: dir}, nil
		}
		err = fmt.Errorf("run folder %s cannot be made: %w: give another folder to write to", dir, cause(err))
	}
	os.Remove(bare)
	return nil, err
}

// numbers lists the numbers of the run folders in root.
func numbers(root string) ([]int, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be listed: %w: give another folder to write to", root, cause(err))
	}
	var list []int
	for _, e := range entries {
		if m := numbered.FindStringSubmatch(e.Name()); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil {
				list = append(list, n)
			}
		}
	}
	return list, nil
}

// Open returns the run folder at path, unlocked. Whether it holds a run that this program can read
// is for ReadManifest to say.
func Open(path string) (*Folder, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("run folder %s cannot be opened: %w: check the path", path, cause(err))
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file: give the run folder", path)
	}
	return &Folder{Dir: path}, nil
}

// Path is the path of something in the folder.
func (f *Folder) Path(names ...string) string {
	return filepath.Join(append([]string{f.Dir}, names...)...)
}

// Lock takes the folder for this process until Unlock or the end of the process, and removes what
// killed writers of WriteFile left in it. A folder that another process (or another Folder of this
// one) holds is an error that names it. Readers need no lock.
func (f *Folder) Lock() error {
	if f.unlock != nil {
		return nil
	}
	unlock, err := lockFile(f.Path(lockName))
	if err != nil {
		return err
	}
	f.unlock = unlock
	return f.sweep()
}

// Unlock gives the folder back; without a lock it does nothing.
func (f *Folder) Unlock() error {
	if f.unlock == nil {
		return nil
	}
	unlock := f.unlock
	f.unlock = nil
	return unlock()
}

// discard removes the folder of a run that could not begin.
func (f *Folder) discard() {
	f.Unlock()
	os.RemoveAll(f.Dir)
}

// sweep removes the temporary files of writers that were killed.
func (f *Folder) sweep() error {
	return filepath.WalkDir(f.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if match, _ := filepath.Match(tempPattern, entry.Name()); match {
			return os.Remove(path)
		}
		return nil
	})
}

// lockError words a lock at path that the process with the given number holds.
func lockError(path, pid, remedy string) error {
	return fmt.Errorf("run folder %s is in use by process %s: %s", filepath.Dir(path), holderName(pid), remedy)
}

// holderName is the number in a lock file, which is empty if the holder had no time to write it.
func holderName(pid string) string {
	if pid == "" {
		return "unknown"
	}
	return pid
}
