// Package kerneltest is the conformance suite of kernels.Set: every implementation runs the same cases and is held to
// the oracle of kernels/ref. An implementation's test is one line,
//
//	func TestConformance(t *testing.T) { kerneltest.RunAll(t, open) }
//
// and a failure prints the Case as a Go literal, which Check replays. The tolerance is a budget: the worst error against
// the exact result may be twice (three times for gradients) that of the naive float32 loop nest on the same case, plus
// 2 ulp of the largest exact value of that output.
//
// It imports kernels and kernels/ref only.
package kerneltest
