// Package gputest is the conformance suite of gpu.Driver: what every driver must do, run on the emulator always and on hardware
// where there is some. A driver's test calls RunAll with a function that opens a fresh device.
//
// The suite brings its own PTX (suite.ptx, compiled from suite.cu), so that modules, launches and argument packing are covered too.
//
// May import: gpu.
package gputest
