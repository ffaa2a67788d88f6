package host

import "syscall"

// askForHugePages tells the kernel that memory is read and written as a whole. It may decline: nothing depends on it.
func askForHugePages(memory []byte) { _ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE) }
