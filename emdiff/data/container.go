package data

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// container is a folder or an archive.
type container interface {
	// bytes is the size on disk of all members together, packed.
	bytes() int64
	// members lists all regular files, in the order in which read visits them.
	members() ([]member, error)
	// read hands the contents of the members that are wanted to visit, one after the other, and
	// stops at its first error. The memory of content passes to visit.
	read(wanted func(i int) bool, visit func(i int, content []byte) error) error
}

// member is one file of a container.
type member struct {
	name string // its path inside, with slashes
	size int64  // its bytes, unpacked, as the container announces them
}

// hidden tells of files that systems add to folders and archives beside the user's own.
func (m member) hidden() bool {
	for part := range strings.SplitSeq(m.name, "/") {
		if part == "__MACOSX" || (strings.HasPrefix(part, ".") && part != "." && part != "..") {
			return true
		}
	}
	return false
}

// inside makes an archive's name for a file a plain relative path, so that nobody who writes a file
// of the same name elsewhere can be led out of his folder.
func inside(name string) string {
	return strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/")
}

const archiveRemedy = "fetch or pack the archive again"

// withinBudget refuses a file that unpacks from packed bytes to far more.
func withinBudget(path string, size, packed int64) error {
	if most := max(gzipAllowance, maxGzipRatio*packed); size > most {
		return &Error{
			Path:   path,
			Wrong:  fmt.Sprintf("unpacks to %d bytes, more than %d per byte of the archive", size, maxGzipRatio),
			Remedy: "if it is sound, unpack the archive and give what is in it",
		}
	}
	return nil
}

// readMember reads a member of size bytes. Memory grows with what really comes, never with what is
// announced.
func readMember(r io.Reader, path string, size int64, remedy string) ([]byte, error) {
	var content bytes.Buffer
	content.Grow(int(min(size, gzipAllowance)) + bytes.MinRead)
	switch n, err := content.ReadFrom(io.LimitReader(r, size+1)); {
	case err != nil:
		return nil, readError(path, "its content", remedy, err)
	case n != size:
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("does not hold the %d bytes that were announced", size), Remedy: remedy}
	}
	return content.Bytes(), nil
}

// folder is a container of files, recursive. It follows links to files, not to folders.
type folder struct {
	dir   string
	files []member
}

func (f *folder) bytes() (sum int64) {
	for _, m := range f.files {
		sum += m.size
	}
	return sum
}

func (f *folder) members() ([]member, error) {
	root := os.DirFS(f.dir)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return openError(filepath.Join(f.dir, name), err)
		}
		if entry.IsDir() {
			return nil
		}
		info, err := fs.Stat(root, name)
		if err != nil {
			return openError(filepath.Join(f.dir, name), err)
		}
		if info.Mode().IsRegular() {
			f.files = append(f.files, member{name, info.Size()})
		}
		return nil
	})
	return f.files, err
}

func (f *folder) read(wanted func(i int) bool, visit func(i int, content []byte) error) error {
	for i, m := range f.files {
		if !wanted(i) {
			continue
		}
		path := filepath.Join(f.dir, m.name)
		file, err := os.Open(path)
		if err != nil {
			return openError(path, err)
		}
		content, err := readMember(file, path, m.size, imageRemedy)
		file.Close()
		if err != nil {
			return err
		}
		if err := visit(i, content); err != nil {
			return err
		}
	}
	return nil
}

// zipArchive is a .zip file.
type zipArchive struct {
	path  string
	size  int64 // of the file
	files []*zip.File
}

func openZip(r io.ReaderAt, size int64, path string) (*zipArchive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, readError(path, "its list of files", archiveRemedy, err)
	}
	a := &zipArchive{path: path, size: size}
	for _, f := range z.File {
		if f.Mode().IsRegular() {
			a.files = append(a.files, f)
		}
	}
	return a, nil
}

func (a *zipArchive) bytes() int64 { return a.size }

func (a *zipArchive) members() ([]member, error) {
	list := make([]member, len(a.files))
	for i, f := range a.files {
		list[i] = member{inside(f.Name), int64(f.UncompressedSize64)}
	}
	return list, nil
}

func (a *zipArchive) read(wanted func(i int) bool, visit func(i int, content []byte) error) error {
	for i, f := range a.files {
		if !wanted(i) {
			continue
		}
		content, err := a.readFile(f)
		if err != nil {
			return err
		}
		if err := visit(i, content); err != nil {
			return err
		}
	}
	return nil
}

func (a *zipArchive) readFile(f *zip.File) ([]byte, error) {
	path := filepath.Join(a.path, f.Name)
	r, err := a.open(f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readMember(r, path, int64(f.UncompressedSize64), archiveRemedy)
}

// open begins to unpack a file, whose announced size it has checked.
func (a *zipArchive) open(f *zip.File) (io.ReadCloser, error) {
	path := filepath.Join(a.path, f.Name)
	packed := min(f.CompressedSize64, uint64(a.size))
	if err := withinBudget(path, int64(min(f.UncompressedSize64, math.MaxInt64)), int64(packed)); err != nil {
		return nil, err
	}
	r, err := f.Open()
	if err != nil {
		return nil, readError(path, "its content", archiveRemedy, err)
	}
	return r, nil
}

// tarArchive is a .tar file, plain or compressed with gzip. It is read from the front twice: once
// for the list, which also checks it to its end, and once for the contents.
type tarArchive struct {
	path string
	file io.ReadSeeker
	size int64 // of the file
}

// walk visits the regular files in the order of the archive.
func (a *tarArchive) walk(visit func(i int, m member, r io.Reader) error) error {
	broken := func(err error) error { return readError(a.path, "the archive", archiveRemedy, err) }
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return broken(err)
	}
	buffered := bufio.NewReaderSize(a.file, chunkBytes)
	var stream io.Reader = buffered
	if head, _ := buffered.Peek(2); bytes.Equal(head, gzipMagic) {
		unzip, err := gzip.NewReader(buffered)
		if err != nil {
			return broken(err)
		}
		stream = unzip
	}
	archive := tar.NewReader(stream)
	for i := 0; ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return broken(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := visit(i, member{inside(header.Name), header.Size}, archive); err != nil {
			return err
		}
		i++
	}
	// What follows the archive's end mark is padding, and the checksum of gzip.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return broken(err)
	}
	return nil
}

func (a *tarArchive) bytes() int64 { return a.size }

func (a *tarArchive) members() (list []member, err error) {
	err = a.walk(func(_ int, m member, _ io.Reader) error {
		list = append(list, m)
		return nil
	})
	return list, err
}

func (a *tarArchive) read(wanted func(i int) bool, visit func(i int, content []byte) error) error {
	return a.walk(func(i int, m member, r io.Reader) error {
		if !wanted(i) {
			return nil
		}
		path := filepath.Join(a.path, m.name)
		if err := withinBudget(path, m.size, a.size); err != nil {
			return err
		}
		content, err := readMember(r, path, m.size, archiveRemedy)
		if err != nil {
			return err
		}
		return visit(i, content)
	})
}
