package run

import "golang.org/x/sys/unix"

// memoryBytes is the machine's memory, 0 where the system does not say.
func memoryBytes() uint64 {
	bytes, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return bytes
}
