//go:build cuda

package cudrv

// What gorgonia.org/cu v0.9.6 lacks, and the shim.

// #cgo CFLAGS: -I${SRCDIR}/include
// #cgo LDFLAGS: -ldl
// #include <string.h>
// #include "shim.h"
import "C"

import (
	"unsafe"

	"gorgonia.org/cu"
)

// bind points the driver symbols at a library.
func bind(library string) {
	s := C.CString(library)
	defer C.free(unsafe.Pointer(s))
	C.emdiff_bind(s)
}

// library returns what the driver symbols point at, and why it could not be loaded ("" if it could).
func library() (name, why string) {
	return C.GoString(C.emdiff_library()), C.GoString(C.emdiff_why())
}

// initialise returns the result of the library's cuInit; cu's own call of it always succeeds.
func initialise() result {
	C.cuInit(0)
	return result(C.emdiff_init_result())
}

// errorString returns the driver's sentence for a result, "" if it has none.
func errorString(r result) string {
	var s *C.char
	if C.cuGetErrorString(C.CUresult(r), &s) != C.CUDA_SUCCESS || s == nil {
		return ""
	}
	return C.GoString(s)
}

// check returns nil for success and a result otherwise.
func check(r C.CUresult) error {
	if r == C.CUDA_SUCCESS {
		return nil
	}
	return result(r)
}

// setMaxDynamicShared opts a kernel in to more dynamic shared memory than the default.
func setMaxDynamicShared(fn cu.Function, bytes int) error {
	h := *(*C.CUfunction)(unsafe.Pointer(&fn)) // a cu.Function is its handle
	return check(C.cuFuncSetAttribute(h, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(bytes)))
}

// allocPinned returns page-locked host memory; cu.MemFreeHost takes it back.
func allocPinned(bytes int) (unsafe.Pointer, error) {
	var p unsafe.Pointer
	err := check(C.cuMemHostAlloc(&p, C.size_t(bytes), 0))
	return p, err
}

// withLog runs load with a buffer for the compiler's messages and returns what was written there. The buffer is C memory, because
// cu hands its address over inside another array.
func withLog(load func(*cu.JITErrorLogBuffer) error) (string, error) {
	const size = 4096
	p := C.calloc(1, size)
	defer C.free(p)
	err := load(&cu.JITErrorLogBuffer{Buffer: unsafe.Slice((*byte)(p), size)})
	return C.GoStringN((*C.char)(p), C.int(C.strnlen((*C.char)(p), size))), err
}
