package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The parts of a data set that comes in two.
const (
	Train = "train"
	Test  = "test"
)

// OpenOptions are the choices in opening a set. The zero value suits most sets.
type OpenOptions struct {
	// Part chooses between Train and Test where a folder or archive holds both: CIFAR-10, and a
	// folder with the subfolders train and test. Empty means Train. Other sets have no parts, and
	// asking for one is an error.
	Part string

	// Crop keeps the centre of each image, a square of so many pixels, before anything is resized;
	// 0 keeps the image. CelebA's aligned images, 178x218, are Crop 178, 140 or 128 (whole width,
	// head, face) and Size 64.
	Crop int
	// Size makes each image a square of so many pixels: the largest centred square, resized with an
	// antialiased tent filter. 0 keeps the size, and then all images must have the same.
	Size int

	// Channels makes all images grey (1) or colour (3); 0 leaves them as they are stored, and then
	// all must be alike. Grey becomes colour by repetition. Colour becomes grey where its three
	// channels are equal; other colour is an error unless Grey allows it.
	Channels int
	// Grey lets Channels: 1 reduce colour to luma, 0.299 R + 0.587 G + 0.114 B.
	Grey bool
	// Background, "black" or "white", shows through transparent pixels. Without it, only an alpha
	// channel that is opaque everywhere is dropped, and another is an error.
	Background string

	// Range says which stored values become -1 and 1:
	//
	//	""  "auto"          0 and 255 for 8-bit files, 0 and 65535 for 16-bit ones; floating-point
	//	                    files need one of the others
	//	"lo,hi"             these values, in the units of the file
	//	"percentile:lo,hi"  these percentiles (0 to 100) of each image, of the part that Crop keeps
	//
	// Values outside become values outside [-1, 1]. [Set.Origins] records the map of every image.
	Range string

	// Layout names the dimensions of .npy arrays: HW, HWC, CHW (one image), NHW, NHWC or NCHW.
	// Empty means HW, NHW or NHWC, by their number.
	Layout string
	// Array names the array of an .npz file; it may be empty where only one has several dimensions.
	Array string

	// Shuffle puts the images in an order drawn from Seed, the same in every version of the program.
	Shuffle bool
	Seed    uint64
	// Limit keeps the first so many images, after Shuffle; 0 keeps all.
	Limit int
}

// Open reads the image set at path with the zero options: see [OpenOptions.Open].
func Open(path string) (*Set, error) { return OpenOptions{}.Open(path) }

// Open reads the image set at path, which it recognises by content (names say only which members of
// a folder or archive are images):
//
//   - an IDX file of 8-bit grey images, plain or compressed with gzip;
//   - a CIFAR-10 binary file, a folder of them, or the publisher's .tar.gz: data_batch_*.bin in the
//     order of their names is the Train part, test_batch.bin the Test part;
//   - a folder, .zip, .tar or .tar.gz of PNG, JPEG, WebP, TIFF (8 and 16 bits) and .npy images (one
//     in each), with its subfolders, in the order of their paths, or one such file;
//   - an .npy or .npz array of uint8, uint16, float32 or float64.
//
// EXIF orientation and colour profiles are not applied. Files whose names start with a dot are
// passed over, and so are files that are no images, unless there is nothing else.
//
// An error is an [*Error]: one sentence with the file, what is wrong with it and the remedy.
func (o OpenOptions) Open(path string) (*Set, error) {
	if err := o.check(path); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, openError(path, err)
	}
	switch {
	case info.IsDir():
		return o.openFolder(path)
	case !info.Mode().IsRegular():
		return nil, &Error{Path: path, Wrong: "is neither a file nor a folder", Remedy: "give a file or folder of images"}
	}
	return o.openFile(path)
}

// Embedded is [Embedded] with options.
func (o OpenOptions) Embedded() (*Set, error) {
	const path = "embedded Fashion-MNIST"
	if err := o.check(path); err != nil {
		return nil, err
	}
	if err := o.onePart(path); err != nil {
		return nil, err
	}
	s, err := Embedded()
	if err != nil {
		return nil, err
	}
	return o.revise(s)
}

// check refuses options that no set could satisfy, before anything is read.
func (o OpenOptions) check(path string) error {
	if o.Part != "" && o.Part != Train && o.Part != Test {
		return &Error{Path: path, Wrong: fmt.Sprintf("has no part %q", o.Part), Remedy: `ask for "train" or "test"`}
	}
	if known := strings.Fields(knownLayouts); o.Layout != "" && !slices.Contains(known, o.Layout) {
		return &Error{Path: fmt.Sprintf("--layout %q", o.Layout), Wrong: "is unknown", Remedy: "give one of " + strings.Join(known, ", ")}
	}
	_, err := o.recipe()
	return err
}

// onePart refuses the choice of a part of a set that has none.
func (o OpenOptions) onePart(path string) error {
	if o.Part == "" {
		return nil
	}
	return &Error{Path: path, Wrong: fmt.Sprintf("has no part %q", o.Part), Remedy: "leave the part out, or give a set that comes in parts"}
}

// openFile reads a single file after a look at how it begins.
func (o OpenOptions) openFile(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, openError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, openError(path, err)
	}
	s, err := o.readFile(f, path, info.Size())
	if err != nil {
		return nil, err
	}
	if s.Name == "" {
		s.Name, _, _ = strings.Cut(filepath.Base(path), ".")
		s.Source = path
	}
	return s, nil
}

var gzipMagic = []byte{0x1f, 0x8b}

// sniffBytes is enough to see the mark of a tar archive, which ends at byte 262, compressed or not.
const sniffBytes = 4096

// readFile recognises the format of a file and reads it.
func (o OpenOptions) readFile(f *os.File, path string, size int64) (*Set, error) {
	r := bufio.NewReaderSize(f, chunkBytes)
	head, _ := r.Peek(sniffBytes) // a shorter file fails the tests below
	if size == 0 {
		return nil, &Error{Path: path, Wrong: "is empty", Remedy: "fetch the file again, or give another"}
	}
	if isTar(head) || bytes.HasPrefix(head, gzipMagic) && isTar(unzippedHead(head)) {
		return o.readTar(&tarArchive{path: path, file: f, size: size})
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) { // the second where it is empty
		return o.readZip(f, path, size)
	}
	if err := o.onePart(path); err != nil {
		return nil, err
	}
	var s *Set
	var err error
	switch {
	case bytes.HasPrefix(head, []byte(npyMagic)):
		return o.readNPY(r, path, size)
	case codecFor(head) != nil:
		return o.readImage(r, path, size)
	case bytes.HasPrefix(head, gzipMagic):
		s, err = readGzipIDX(r, path, size)
	case bytes.HasPrefix(head, []byte{0, 0, 8, 3}), bytes.HasPrefix(head, []byte{0, 0, 8, 1}):
		s, err = readIDX(r, path, size)
	case size%cifarRecordBytes == 0, strings.EqualFold(filepath.Ext(path), ".bin"):
		s, err = readCIFAR(path)
	default:
		err = &Error{
			Path:   path,
			Wrong:  "is no image set that this program knows",
			Remedy: "give a PNG, JPEG, WebP, TIFF, .npy or .npz file, a folder, .zip or .tar of images, an IDX file of 8-bit images (plain or .gz), or CIFAR-10's binary version",
		}
	}
	if err != nil {
		return nil, err
	}
	s.Source = path
	if s, err = o.revise(s); err != nil {
		return nil, err
	}
	return s, nil
}

// isTar looks for the mark of POSIX and GNU archives.
func isTar(head []byte) bool {
	return len(head) >= 262 && string(head[257:262]) == "ustar"
}

// unzippedHead is as much of what is compressed as the first bytes of a gzip file give.
func unzippedHead(head []byte) []byte {
	unzip, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return nil
	}
	begin := make([]byte, sniffBytes)
	n, _ := io.ReadFull(unzip, begin)
	return begin[:n]
}

// readImage reads a single image file as a set of one.
func (o OpenOptions) readImage(r io.Reader, path string, size int64) (*Set, error) {
	rec, err := o.recipe()
	if err != nil {
		return nil, err
	}
	content, err := readMember(r, path, size, imageRemedy)
	if err != nil {
		return nil, err
	}
	st, err := o.decodeMember(content, path, rec.background)
	if err != nil {
		return nil, err
	}
	b := builder{recipe: rec, n: 1, bytes: size}
	if err := b.put(0, st, path, Origin{Path: filepath.Base(path)}); err != nil {
		return nil, err
	}
	return b.made, nil
}

func (o OpenOptions) readTar(a *tarArchive) (*Set, error) {
	list, err := a.members()
	if err != nil {
		return nil, err
	}
	if isCIFAR(list) {
		s, err := readCIFARArchive(a.path, a, list, o.Part)
		if err != nil {
			return nil, err
		}
		return o.revise(s)
	}
	if err := o.onePart(a.path); err != nil {
		return nil, err
	}
	return o.loadImages(a.path, a, list)
}

func (o OpenOptions) readZip(f io.ReaderAt, path string, size int64) (*Set, error) {
	a, err := openZip(f, size, path)
	if err != nil {
		return nil, err
	}
	if err := o.onePart(path); err != nil {
		return nil, err
	}
	list, err := a.members()
	switch {
	case err != nil:
		return nil, err
	case isNPZ(list):
		return o.readNPZ(a)
	}
	return o.loadImages(path, a, list)
}

// openFolder reads CIFAR-10's binary files, one of the subfolders train and test, or images.
func (o OpenOptions) openFolder(dir string) (*Set, error) {
	names, err := fs.Glob(os.DirFS(dir), "*_batch*.bin")
	if err != nil {
		return nil, openError(dir, err)
	}
	list := make([]member, len(names))
	for i, name := range names {
		list[i].name = name
	}
	if isCIFAR(list) {
		return o.openCIFARFolder(dir)
	}
	if isFolder(filepath.Join(dir, Train)) && isFolder(filepath.Join(dir, Test)) {
		part := o.Part
		if part == "" {
			part = Train
		}
		dir = filepath.Join(dir, part)
	} else if err := o.onePart(dir); err != nil {
		return nil, err
	}
	files := &folder{dir: dir}
	if list, err = files.members(); err != nil {
		return nil, err
	}
	s, err := o.loadImages(dir, files, list)
	if err != nil {
		return nil, err
	}
	if abs, err := filepath.Abs(dir); err == nil {
		s.Name = filepath.Base(abs) // "." has no name of its own
	}
	s.Source = dir
	return s, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// openCIFARFolder reads one part of a folder that holds CIFAR-10's binary files.
func (o OpenOptions) openCIFARFolder(dir string) (*Set, error) {
	part := o.Part
	if part == "" {
		part = Train
	}
	pattern := cifarPattern(part)
	names, err := fs.Glob(os.DirFS(dir), pattern) // in the order of the names
	if err != nil {
		return nil, openError(dir, err)
	}
	if len(names) == 0 {
		return nil, &Error{
			Path:   dir,
			Wrong:  "is a folder of CIFAR-10 without " + pattern,
			Remedy: "ask for the other part, or fetch the missing files",
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
	return o.revise(s)
}
