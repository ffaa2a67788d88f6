package data

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The parts of a data set that comes as a folder.
const (
	Train = "train"
	Test  = "test"
)

// OpenOptions are the choices in opening a set. The zero value suits most sets.
type OpenOptions struct {
	// Part chooses between Train and Test in a folder that holds both; empty means Train. A
	// single file has no parts, and asking for one is an error.
	Part string
}

// Open reads the image set at path with the zero options: see [OpenOptions.Open].
func Open(path string) (*Set, error) { return OpenOptions{}.Open(path) }

// Open reads the image set at path, which it recognises by content (the name helps only
// to word the error about a damaged file):
//
//   - an IDX file of 8-bit grey images, plain or compressed with gzip;
//   - a CIFAR-10 binary file;
//   - a folder of CIFAR-10 binary files: data_batch_*.bin in the order of their names is the
//     Train part, test_batch.bin the Test part.
//
// An error is an [*Error]: one sentence with the file, what is wrong with it and the remedy.
func (o OpenOptions) Open(path string) (*Set, error) {
	if o.Part != "" && o.Part != Train && o.Part != Test {
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("has no part %q", o.Part), Remedy: `ask for "train" or "test"`}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, openError(path, err)
	}
	if info.IsDir() {
		return openCIFARFolder(path, o.Part)
	}
	if o.Part != "" {
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("is a single file and has no part %q", o.Part), Remedy: "leave the part out, or give the folder"}
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Path: path, Wrong: "is neither a file nor a folder", Remedy: "give an IDX file or a CIFAR-10 file or folder"}
	}
	return openFile(path)
}

// openFile reads a single file after a look at how it begins.
func openFile(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, openError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, openError(path, err)
	}
	size := info.Size()
	r := bufio.NewReaderSize(f, chunkBytes)
	head, _ := r.Peek(4) // a shorter file fails every test below

	var s *Set
	switch {
	case size == 0:
		return nil, &Error{Path: path, Wrong: "is empty", Remedy: "fetch the file again, or give another"}
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		s, err = readGzipIDX(r, path, size)
	case bytes.Equal(head, []byte{0, 0, 8, 3}), bytes.Equal(head, []byte{0, 0, 8, 1}):
		s, err = readIDX(r, path, size)
	case size%cifarRecordBytes == 0, strings.EqualFold(filepath.Ext(path), ".bin"):
		s, err = readCIFAR(path)
	default:
		return nil, &Error{
			Path:   path,
			Wrong:  "is no image set that this program knows",
			Remedy: "give an IDX file of 8-bit images (plain or .gz), a CIFAR-10 .bin file, or a folder of those .bin files",
		}
	}
	if err != nil {
		return nil, err
	}
	s.Name, _, _ = strings.Cut(filepath.Base(path), ".")
	s.Source = path
	return s, nil
}

// openCIFARFolder reads one part of a folder that holds CIFAR-10's binary files.
func openCIFARFolder(dir, part string) (*Set, error) {
	pattern := "data_batch_*.bin"
	if part == Test {
		pattern = "test_batch.bin"
	} else {
		part = Train
	}
	names, err := fs.Glob(os.DirFS(dir), pattern) // in the order of the names
	if err != nil {
		return nil, openError(dir, err)
	}
	if len(names) == 0 {
		return nil, &Error{
			Path:   dir,
			Wrong:  "is a folder without " + pattern,
			Remedy: "give the folder of CIFAR-10's binary version, or one image file",
		}
	}
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(dir, name)
	}
	s, err := readCIFAR(paths...)
	if err != nil {
		return nil, err
	}
	s.Name = "cifar10-" + part
	s.Source = filepath.Join(dir, "{"+strings.Join(names, ",")+"}")
	if len(names) == 1 {
		s.Source = paths[0]
	}
	return s, nil
}
