// Package ref is the oracle: every op of kernels.Set as one plain loop nest, written to be read next to its formula and
// never optimised. One nest serves three Sets, which differ in the types of storage and arithmetic alone:
//
//	New()      float32 storage, float64 arithmetic: one rounding per stored value; stands in for any Set
//	Naive()    float32 storage, float32 arithmetic in plain order: what rounding costs without any care
//	Float64()  float64 storage, float64 arithmetic: the exact answer, read with Values
//
// Tests hold the error of an implementation against Float64 to a small multiple of the error of Naive. It imports
// kernels only.
package ref
