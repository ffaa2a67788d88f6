package host

import "unsafe"

// winogradKernels are the transforms of F(2x2, 3x3) at one level (Lavin & Gray 2016): a tile of 2x2 results of a 3x3
// convolution is a 4x4 tile of products, each of its 16 elements xi = 4i + j a matrix product over channels:
//
//	Y = A^T [(B^T d B) . (G g G^T)] A
//
//	      1  0 -1  0         1   0   0         1  1  1  0
//	B^T = 0  1  1  0     G = 1/2 1/2 1/2   A^T = 0  1 -1  1
//	      0 -1  1  0         1/2 -1/2 1/2
//	      0 -1  0  1         0   0   1
//
// (rows 3 of B^T and A have the opposite sign of the paper's, which saves a negation). Every kernel works on columns of
// channels; n is a multiple of 16 floats.
type winogradKernels struct {
	input       func(*winogradInputArgs)  // V = B^T d B of tiles of images
	output      func(*winogradOutputArgs) // y = A^T M A + bias + add + res
	outputGrad  func(*winogradOutputArgs) // M = A y A^T
	weights     func(*winogradWeightArgs) // U = G g G^T
	weightsGrad func(*winogradWeightArgs) // g = G^T U G
}

// winogradInputArgs: tile t has its element (r, c) at src + offsets[t] + r*row + c*pix, its transform (i, j) goes to
// dst + t*tilePitch + (4i+j)*xiPitch. Everything is in bytes.
type winogradInputArgs struct {
	src       unsafe.Pointer
	row, pix  int
	offsets   *int64
	tiles     int
	dst       unsafe.Pointer
	tilePitch int
	xiPitch   int
	n         int
}

// winogradTile is where the 2x2 pixels of a tile lie, and what is added to them. A pixel beyond the image points to
// memory that nobody reads, or for outputGrad to zeros.
type winogradTile struct {
	y, res [4]unsafe.Pointer
	add    unsafe.Pointer
}

// winogradOutputArgs: tile t has element (i, j) of M at m + t*tilePitch + (4i+j)*xiPitch. The columns are n bytes from
// byte col on of the tiles' rows and of bias.
type winogradOutputArgs struct {
	m         unsafe.Pointer
	tilePitch int
	xiPitch   int
	tiles     *winogradTile
	count     int
	col, n    int
	bias      unsafe.Pointer
}

// winogradWeightArgs: g has 9 rows of n bytes at gPitch, u has 16 at uPitch.
type winogradWeightArgs struct {
	g      unsafe.Pointer
	gPitch int
	u      unsafe.Pointer
	uPitch int
	n      int
}
