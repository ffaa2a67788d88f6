package data

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const maskRemedy = "give grey masks of the size of the images, 0 for hidden pixels and 1 or the format's white for measured ones"

// maskRange holds the values of every mask, and keeps them to the precision of a float32: 0 stays 0.
const maskRange = "-65535,65535"

// OpenMasks reads which pixels of images were measured: values 0 (hidden) or 1 (measured).
//
//   - A folder, .zip, .tar or .tar.gz holds a file for each image, of the same path within it but for the extension
//     ([Set.Origin]); what belongs to no image is passed over. The result is [images][H*W].
//   - An .npy or .npz array of shape (images, H, W), in the order of images, gives the same.
//   - One image file, or an array of one mask, holds for all images: [H*W].
//
// A mask has the size of the images and holds 0 and either 1 or the largest value of its format, 255 for 8 bits, 65535 for
// 16, 1 for floating point. An error is an [*Error] that names the file.
func OpenMasks(path string, images *Set) ([]float32, error) {
	masks, named, err := readMasks(path)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && strings.Contains(e.Remedy, "--") { // flags for images do not apply to masks
			err = &Error{Path: e.Path, Wrong: e.Wrong, Remedy: maskRemedy, Err: e.Err}
		}
		return nil, err
	}
	path = cmp.Or(masks.Source, path) // the subfolder that was read
	ids, err := chooseMasks(path, masks, named, images)
	if err != nil {
		return nil, err
	}
	out := make([]float32, 0, len(ids)*images.H*images.W)
	for _, i := range ids {
		mask, err := measured(masks, i, maskName(path, masks, i))
		if err != nil {
			return nil, err
		}
		out = append(out, mask...)
	}
	return out, nil
}

// readMasks reads all masks at path in the units of their files, and reports whether they are found by name.
func readMasks(path string) (s *Set, named bool, err error) {
	o := OpenOptions{Channels: 1, Range: maskRange}
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, openError(path, err)
	}
	if !info.Mode().IsRegular() {
		s, err = o.Open(path)
		return s, true, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, openError(path, err)
	}
	defer f.Close()
	head, _ := bufio.NewReaderSize(f, sniffBytes).Peek(sniffBytes)
	switch {
	case isTar(head), bytes.HasPrefix(head, gzipMagic) && isTar(unzippedHead(head)):
		named = true
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		a, err := openZip(f, info.Size(), path)
		if err != nil {
			return nil, false, err
		}
		list, err := a.members()
		if err != nil {
			return nil, false, err
		}
		if isNPZ(list) && len(list) > 1 { // masks with names, unless labels stand beside the only ones
			if _, err := o.chooseArray(a); err != nil {
				s, err = o.loadImages(path, a, list)
				return s, true, err
			}
		}
		named = !isNPZ(list)
	}
	s, err = o.Open(path)
	return s, named, err
}

// maskName is the file of mask i, and its number where the file holds several.
func maskName(root string, masks *Set, i int) string {
	origin := masks.Origin(i)
	name := root
	if origin.Path != "" && origin.Path != filepath.Base(root) {
		name = filepath.Join(root, origin.Path)
	}
	if masks.Len() > 1 && (origin.Index > 0 || origin.Path == masks.Origin((i+1)%masks.Len()).Path) {
		name = fmt.Sprintf("%s, mask %d", name, origin.Index)
	}
	return name
}

// chooseMasks gives the mask of each image, or the only one.
func chooseMasks(root string, masks *Set, named bool, images *Set) ([]int, error) {
	var ids []int
	switch {
	case named:
		var err error
		if ids, err = masksByName(root, masks, images); err != nil {
			return nil, err
		}
	case masks.Len() == 1 || masks.Len() == images.Len():
		ids = inOrder(masks.Len())
	default:
		return nil, &Error{
			Path:   root,
			Wrong:  fmt.Sprintf("holds %d masks for %d images", masks.Len(), images.Len()),
			Remedy: "give one mask for all images, or one for each in their order",
		}
	}
	if masks.H != images.H || masks.W != images.W {
		return nil, &Error{
			Path:   maskName(root, masks, ids[0]),
			Wrong:  fmt.Sprintf("is %s, while the images are %s", dimensions(masks.H, masks.W), dimensions(images.H, images.W)),
			Remedy: maskRemedy,
		}
	}
	return ids, nil
}

// stem is a path without its extension.
func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// masksByName finds for each image the mask of the same name.
func masksByName(root string, masks, images *Set) ([]int, error) {
	byStem := make(map[string]int, masks.Len())
	for i := range masks.Len() {
		name := masks.Origin(i).Path
		if j, twice := byStem[stem(name)]; twice {
			return nil, &Error{
				Path:   filepath.Join(root, name),
				Wrong:  "is a mask of the same name as " + masks.Origin(j).Path,
				Remedy: "keep one of them",
			}
		}
		byStem[stem(name)] = i
	}
	ids := make([]int, images.Len())
	seen := make(map[string]bool, images.Len())
	for i := range ids {
		name := images.Origin(i).Path
		if name == "" || seen[name] {
			return nil, &Error{
				Path:   root,
				Wrong:  fmt.Sprintf("holds masks by name, and image %d has no file of its own", i),
				Remedy: "give one .npy array of shape (images, H, W)",
			}
		}
		seen[name] = true
		id, ok := byStem[stem(name)]
		if !ok {
			return nil, &Error{
				Path:   filepath.Join(root, stem(name)+".*"),
				Wrong:  "is missing, the mask of the image " + name,
				Remedy: "give a mask file of the same name for every image",
			}
		}
		ids[i] = id
	}
	return ids, nil
}

// measured is mask i as zeros and ones.
func measured(masks *Set, i int, name string) ([]float32, error) {
	origin := masks.Origin(i)
	white := 1.0
	if origin.BitDepth <= 16 {
		white = float64(uint(1)<<origin.BitDepth - 1)
	}
	mask := make([]float32, masks.ImageLen())
	one := 0.0 // the value of measured pixels, once one was seen
	for k, x := range masks.Image(i) {
		v := origin.Affine.Invert(x)
		if v == 0 {
			continue
		}
		if whole := math.Round(v); math.Abs(v-whole) <= 0x1p-22*whole { // undo the rounding of maskRange
			v = whole
		}
		if one == 0 && (v == 1 || v == white) {
			one = v
		}
		if v != one {
			allowed := fmt.Sprintf("0 and 1 or 0 and %g", white)
			if white == 1 {
				allowed = "0 and 1"
			}
			return nil, &Error{
				Path:   name,
				Wrong:  fmt.Sprintf("holds %.6g at row %d, column %d, where a mask holds %s", v, k/masks.W, k%masks.W, allowed),
				Remedy: maskRemedy,
			}
		}
		mask[k] = 1
	}
	if one == 0 {
		return nil, &Error{Path: name, Wrong: "hides every pixel", Remedy: "leave that image out, or give a mask that measures some"}
	}
	return mask, nil
}
