package host

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

func TestLargeBuffersAskForHugePages(t *testing.T) {
	probe, err := syscall.Mmap(-1, 0, hugePage, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	require.NoError(t, err)
	defer syscall.Munmap(probe)
	_ = syscall.Madvise(probe, syscall.MADV_HUGEPAGE)
	if !strings.Contains(mappingFlags(t, uintptr(unsafe.Pointer(&probe[0]))), " hg") {
		kerneltest.Required(t, "hugepages", errors.New("the kernel takes no note of the wish"))
	}
	large := memory{}.Alloc(kernels.F32, leastHuge/4).(*buffer)
	assert.Zero(t, uintptr(large.data)%hugePage)
	assert.Contains(t, mappingFlags(t, uintptr(large.data)), " hg")
	for _, v := range f32(large) {
		require.Zero(t, v)
	}
}

// mappingFlags returns what the kernel notes of the mapping that holds an address.
func mappingFlags(t *testing.T, address uintptr) string {
	t.Helper()
	file, err := os.Open("/proc/self/smaps")
	require.NoError(t, err)
	defer file.Close()
	inside := false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= address && address < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			return flags
		}
	}
	t.Fatal("the address is in no mapping")
	return ""
}
