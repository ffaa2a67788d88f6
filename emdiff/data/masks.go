package data

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
)

const masksRemedy = "give a grey image that is black where nothing was measured and white elsewhere, or a folder of them, with the names of the images"

// OpenMasks reads which pixels of images were measured: [images][H*W] values 0 (not) and 1 (measured). At path lies
//
//   - a folder that has a mask for each image, of the same path within the folder whatever the extension;
//   - a file or archive of as many masks as there are images, in their order (an .npy array of N x H x W, say); or
//   - a single mask for all images: [H*W] values are then returned.
//
// A mask is a grey image of the size of the images, with two values: 0, and anything else that is the same everywhere. Every
// mask must measure something.
func OpenMasks(path string, images *Set) ([]float32, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, openError(path, err)
	}
	if info.IsDir() {
		return openMaskFolder(path, images)
	}
	masks, err := openMaskFile(OpenOptions.Open, path)
	if err != nil {
		return nil, err
	}
	if masks.Len() != 1 && masks.Len() != images.Len() {
		return nil, &Error{Path: path, Wrong: fmt.Sprintf("holds %d masks for %d images", masks.Len(), images.Len()), Remedy: "give one mask for each image, or one for all"}
	}
	values := make([]float32, 0, len(masks.Pixels))
	for i := range masks.Len() {
		name := path
		if masks.Len() > 1 {
			name = fmt.Sprintf("%s, mask %d", path, i)
		}
		if values, err = appendMask(values, masks, i, name, images); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// openMaskFolder finds the mask of each image by its path.
func openMaskFolder(dir string, images *Set) ([]float32, error) {
	names, err := Files(dir)
	if err != nil {
		return nil, err
	}
	byStem := map[string]string{}
	for _, name := range names {
		byStem[stem(name)] = name
	}
	var values []float32
	for i := range images.Len() {
		image := images.Origin(i).Path
		if image == "" {
			return nil, &Error{Path: dir, Wrong: "is a folder of masks, but the images have no files whose names could be compared", Remedy: "give the masks as one .npy array, in the order of the images"}
		}
		name, ok := byStem[stem(image)]
		if !ok {
			return nil, &Error{Path: dir, Wrong: fmt.Sprintf("holds no mask for %s", image), Remedy: "add one of that name, or leave the image out"}
		}
		mask, err := openMaskFile(func(o OpenOptions, _ string) (*Set, error) { return o.OpenMember(dir, name) }, dir)
		if err != nil {
			return nil, err
		}
		if values, err = appendMask(values, mask, 0, path.Join(dir, name), images); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// stem is a path without its extension.
func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// openMaskFile opens masks with the range of their type; floating-point ones have none and run from 0 to 1.
func openMaskFile(open func(o OpenOptions, path string) (*Set, error), path string) (*Set, error) {
	s, err := open(OpenOptions{Channels: 1}, path)
	if err == nil {
		return s, nil
	}
	if unit, unitErr := open(OpenOptions{Channels: 1, Range: "0,1"}, path); unitErr == nil {
		return unit, nil
	}
	var e *Error
	if errors.As(err, &e) && strings.Contains(e.Wrong, "floating-point") {
		err = &Error{Path: e.Path, Wrong: "holds values other than 0 and 1", Remedy: masksRemedy}
	}
	return nil, err
}

// appendMask checks mask i and adds its values.
func appendMask(values []float32, masks *Set, i int, name string, images *Set) ([]float32, error) {
	if masks.H != images.H || masks.W != images.W {
		return nil, &Error{Path: name, Wrong: fmt.Sprintf("is a mask %s, while the images are %s", dimensions(masks.H, masks.W), dimensions(images.H, images.W)),
			Remedy: "give masks of the size of the images"}
	}
	const hidden = -1
	measured, affine := float32(hidden), masks.Origin(i).Affine
	for _, v := range masks.Image(i) {
		switch {
		case v == hidden:
			values = append(values, 0)
			continue
		case measured == hidden && v > hidden:
			measured = v
		case v != measured:
			return nil, &Error{Path: name, Wrong: fmt.Sprintf("is no mask: it holds the values %g and %g beside 0", affine.Invert(measured), affine.Invert(v)), Remedy: masksRemedy}
		}
		values = append(values, 1)
	}
	if measured == hidden {
		return nil, &Error{Path: name, Wrong: "is a mask that hides every pixel", Remedy: "leave that image out"}
	}
	return values, nil
}
