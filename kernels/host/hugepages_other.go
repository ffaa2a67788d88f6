//go:build !linux

package host

// askForHugePages does nothing: other systems choose the size of their pages themselves.
func askForHugePages([]byte) {}
