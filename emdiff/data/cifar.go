package data

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	cifarSide        = 32
	cifarPlane       = cifarSide * cifarSide
	cifarRecordBytes = 1 + 3*cifarPlane // label, then the planes R, G and B, each row by row
	cifarLabels      = 10
)

const cifarRemedy = "fetch CIFAR-10's binary version again"

// readCIFAR reads CIFAR-10 binary files one after the other into one set. Memory: 4 bytes per
// byte of the files.
func readCIFAR(paths ...string) (*Set, error) {
	var images int64
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, openError(path, err)
		}
		n, err := cifarImages(path, info.Size())
		if err != nil {
			return nil, err
		}
		images += n
	}
	s := &Set{H: cifarSide, W: cifarSide, C: 3, Pixels: make([]float32, images*3*cifarPlane)}
	rest := s.Pixels
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, openError(path, err)
		}
		rest, err = decodeCIFAR(rest, bufio.NewReaderSize(f, chunkBytes), path)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	if len(rest) > 0 {
		return nil, &Error{Path: paths[len(paths)-1], Wrong: "shrank while it was read", Remedy: cifarRemedy}
	}
	return s, nil
}

// cifarPattern matches the names of the files of a part.
func cifarPattern(part string) string {
	if part == Test {
		return "test_batch.bin"
	}
	return "data_batch_*.bin"
}

// cifarMembers gives the indices of the members that are one part of CIFAR-10, in the order of
// their names.
func cifarMembers(list []member, part string) (batches []int) {
	for i, m := range list {
		if match, _ := path.Match(cifarPattern(part), path.Base(m.name)); match && !m.hidden() {
			batches = append(batches, i)
		}
	}
	slices.SortFunc(batches, func(i, j int) int { return cmp.Compare(list[i].name, list[j].name) })
	return batches
}

// isCIFAR reports whether a container holds a part of CIFAR-10's binary version.
func isCIFAR(list []member) bool {
	return len(cifarMembers(list, Train)) > 0 || len(cifarMembers(list, Test)) > 0
}

// readCIFARArchive reads one part of CIFAR-10 out of an archive of its binary files, such as the
// publisher's. Memory: 4 bytes per byte of the files in it, and one file.
func readCIFARArchive(root string, from container, list []member, part string) (*Set, error) {
	part = cmp.Or(part, Train)
	batches := cifarMembers(list, part)
	if len(batches) == 0 {
		return nil, &Error{Path: root, Wrong: "is an archive of CIFAR-10 without " + cifarPattern(part), Remedy: "ask for the other part, or fetch the archive again"}
	}
	firstOf := make(map[int]int64, len(batches)) // member -> number of its first image
	var images int64
	names := make([]string, len(batches))
	for k, i := range batches {
		n, err := cifarImages(filepath.Join(root, list[i].name), list[i].size)
		if err != nil {
			return nil, err
		}
		firstOf[i] = images
		images += n
		names[k] = path.Base(list[i].name)
	}
	s := &Set{Name: "cifar10-" + part, Source: filepath.Join(root, "{"+strings.Join(names, ",")+"}"), H: cifarSide, W: cifarSide, C: 3}
	if err := withinBudget(root, images*cifarRecordBytes, from.bytes()); err != nil {
		return nil, err
	}
	const imageLen = 3 * cifarPlane
	s.Pixels = make([]float32, images*imageLen)
	err := from.read(
		func(i int) bool { _, wanted := firstOf[i]; return wanted },
		func(i int, content []byte) error {
			_, err := decodeCIFAR(s.Pixels[firstOf[i]*imageLen:], bytes.NewReader(content), filepath.Join(root, list[i].name))
			return err
		})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// cifarImages is the number of images in a file of size bytes.
func cifarImages(path string, size int64) (int64, error) {
	if size == 0 || size%cifarRecordBytes != 0 {
		return 0, &Error{
			Path:   path,
			Wrong:  fmt.Sprintf("has %d bytes, not a positive multiple of CIFAR-10's %d per image", size, cifarRecordBytes),
			Remedy: cifarRemedy,
		}
	}
	return size / cifarRecordBytes, nil
}

// decodeCIFAR reads records to the end of r into the front of pixels, turned from planes to
// NHWC, and returns the part of pixels that it left.
//
// The label is not kept, but it is looked at: the layout has no header, and a label above 9 is
// the one sign of a file that is something else.
func decodeCIFAR(pixels []float32, r io.Reader, path string) ([]float32, error) {
	var record [cifarRecordBytes]byte
	for i := 0; ; i++ {
		switch _, err := io.ReadFull(r, record[:]); {
		case err == io.EOF:
			return pixels, nil
		case err != nil:
			return nil, readError(path, fmt.Sprintf("image %d", i), cifarRemedy, err)
		case record[0] >= cifarLabels:
			return nil, &Error{
				Path:   path,
				Wrong:  fmt.Sprintf("image %d has label %d, and CIFAR-10's are 0 to 9", i, record[0]),
				Remedy: cifarRemedy + " (not CIFAR-100, and not the Python or Matlab version)",
			}
		case len(pixels) == 0:
			return nil, &Error{Path: path, Wrong: "grew while it was read", Remedy: "wait until it is complete"}
		}
		red, green, blue := record[1:1+cifarPlane], record[1+cifarPlane:1+2*cifarPlane], record[1+2*cifarPlane:]
		for p := range cifarPlane {
			pixels[3*p], pixels[3*p+1], pixels[3*p+2] = fromByte[red[p]], fromByte[green[p]], fromByte[blue[p]]
		}
		pixels = pixels[3*cifarPlane:]
	}
}
