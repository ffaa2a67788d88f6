package data

// Kernel is a point-spread function: what a camera makes of a single bright pixel.
type Kernel struct {
	H, W   int       // odd
	Values []float32 // [H][W], sum 1
}
