//go:build !linux && !darwin

package run

import (
	"cmp"
	"os"
	"runtime"
)

// cpuModel is the processor's name as the system reports it: Windows does so in the environment.
func cpuModel() string {
	return cmp.Or(os.Getenv("PROCESSOR_IDENTIFIER"), "unknown "+runtime.GOARCH)
}
