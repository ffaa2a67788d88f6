package data

import (
	"archive/zip"
	"fmt"
	"path/filepath"
	"strings"
)

// isNPZ reports whether all members of a zip archive are arrays, as numpy.savez writes them.
func isNPZ(list []member) bool {
	for _, m := range list {
		if !strings.HasSuffix(m.name, ".npy") {
			return false
		}
	}
	return len(list) > 0
}

// readNPZ reads one array of an .npz file as a set: the one that [OpenOptions.Array] names, or the
// only one with more than one dimension (labels have one).
func (o OpenOptions) readNPZ(a *zipArchive) (*Set, error) {
	chosen, err := o.chooseArray(a)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(a.path, chosen.Name)
	r, err := a.open(chosen)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return o.readNPY(r, path, int64(chosen.UncompressedSize64))
}

func (o OpenOptions) chooseArray(a *zipArchive) (*zip.File, error) {
	var candidates []*zip.File
	var names []string
	for _, f := range a.files {
		name := strings.TrimSuffix(f.Name, ".npy")
		names = append(names, name)
		if o.Array != "" {
			if name == o.Array {
				return f, nil
			}
			continue
		}
		r, err := a.open(f)
		if err != nil {
			return nil, err
		}
		header, err := readNPYHeader(r, filepath.Join(a.path, f.Name))
		r.Close()
		if err != nil || len(header.shape) > 1 { // what cannot be read is no label: let it be refused by name
			candidates = append(candidates, f)
		}
	}
	if len(candidates) == 1 {
		return candidates[0], nil
	}
	wrong := "holds several arrays"
	if o.Array != "" {
		wrong = fmt.Sprintf("holds no array %q", o.Array)
	} else if len(candidates) == 0 {
		wrong = "holds no array of images"
	}
	return nil, &Error{Path: a.path, Wrong: wrong + " (" + strings.Join(names, ", ") + ")", Remedy: "name the array of the images with --array"}
}
