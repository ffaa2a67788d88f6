//go:build !linux && !darwin

package run

// memoryBytes is the machine's memory, 0 where the system does not say.
func memoryBytes() uint64 { return 0 }
