// Package data reads sets of images: the embedded default (Fashion-MNIST's test images), IDX
// files, CIFAR-10's binary layout, folders and archives of image files, and numpy arrays; and it
// writes images back in the format and units of the file they came from.
//
// Every reader yields one Set: NHWC float32 in [-1, 1], the scale on which all noise levels
// of this module are given. Labels are read past and never used. A reader trusts nothing it
// reads: the memory it takes is bounded by the size of the file (4 bytes per file byte for
// plain files, 128 for gzip and members of archives, 2048 for compressed images, or a fixed
// allowance where that is more), and a damaged file is one sentence that names the file, what
// is wrong and what to do.
//
// The package imports nothing else of this module.
package data
