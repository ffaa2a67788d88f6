// Package run gives a run of the program its place on disk and its outward face: the numbered
// folder that one process at a time may write, files that appear whole or not at all, the
// manifest that says what made them, statistics line by line, image grids, curves, and progress
// for whoever is watching.
//
// Everything a run needs in order to be resumed is in its folder. The parts here know nothing of
// each other and nothing of the method; what a run does in which order is decided in run.go.
//
// The package may import emdiff/learn and all that it imports.
package run
