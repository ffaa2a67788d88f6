//go:build !amd64 && !arm64

package host

func vectorLevels() []level { return nil }
