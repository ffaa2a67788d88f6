// Package physics is the camera: the linear operators A of y = A x + n, the measurements they make, and the exact draws
// and misfits that the samplers of p(x | y) need from them.
//
// An Operator works on a batch of images on a kernels.Set. Whatever belongs to one image (its mask, its noise) depends
// on that image's global id alone, never on its place in a batch or on the size of the data set.
//
// Images and measurements are float32 NHWC on the [-1, 1] scale; sigma_y is the standard deviation of the noise on that
// scale. Entries that are not measured hold 0, which is grey.
//
// It imports kernels, and gonum for the decomposition of small matrices on the host.
package physics
