package data

import (
	"path/filepath"
	"slices"
)

// Files lists the image files in a folder and its subfolders that [OpenOptions.Open] would read, as paths within it, with
// slashes, in its order; for those who work on them one by one, whatever their sizes.
func Files(dir string) ([]string, error) {
	from := &folder{dir: dir}
	list, err := from.members()
	if err != nil {
		return nil, err
	}
	images := imageMembers(list)
	if len(images) == 0 {
		return nil, noImages(dir, list)
	}
	names := make([]string, len(images))
	for k, i := range images {
		names[k] = list[i].name
	}
	slices.Sort(names)
	return names, nil
}

// OpenMember reads one of the [Files] of a folder as a set of its own, whose origins say where in the folder it lies.
func (o OpenOptions) OpenMember(dir, name string) (*Set, error) {
	s, err := o.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	for i := range s.Origins {
		s.Origins[i].Path = name
	}
	return s, nil
}
