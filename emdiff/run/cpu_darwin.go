package run

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// cpuModel is the processor's name as the system reports it.
func cpuModel() string {
	if name, err := unix.Sysctl("machdep.cpu.brand_string"); err == nil {
		return name
	}
	return "unknown " + runtime.GOARCH
}
