//go:build cuda

package cudrv

import (
	"fmt"
	"reflect"

	"emdiff/gpu"
)

// result is a CUresult that is not success.
type result int

// The results that mean something to the caller.
const (
	invalidValue   result = 1
	outOfMemory    result = 2
	noDevice       result = 100
	invalidContext result = 201
	noBinaryForGPU result = 209
	invalidPTX     result = 218
	unsupportedPTX result = 222
	invalidHandle  result = 400
	notFound       result = 500
	launchFailed   result = 719
	driverMismatch result = 803
)

// Error returns the driver's sentence and the number.
func (r result) Error() string {
	if s := errorString(r); s != "" {
		return fmt.Sprintf("%s (CUDA error %d)", s, int(r))
	}
	return fmt.Sprintf("CUDA error %d", int(r))
}

// sticky says whether the context is lost: every later call on it returns the same.
func (r result) sticky() bool {
	switch r {
	case 214, 220, 700, 702, 710, 714, 715, 716, 717, 718, launchFailed:
		return true
	}
	return false
}

// resultOf returns the CUresult behind an error of cu, whose type is an unexported integer, or of cuext.go.
func resultOf(err error) (result, bool) {
	if v := reflect.ValueOf(err); v.IsValid() && v.CanInt() {
		return result(v.Int()), true
	}
	return 0, false
}

// remedies by result.
var remedies = map[result]string{
	noDevice:       "check nvidia-smi and CUDA_VISIBLE_DEVICES, or use the host",
	driverMismatch: "the driver's library and kernel module differ in version: restart the machine after a driver update",
	noBinaryForGPU: "load the file compiled for an older target",
	unsupportedPTX: "update the NVIDIA driver, or compile the PTX with an older PTX version",
	invalidPTX:     "the driver's compiler refuses the PTX: rebuild it with make ptx",
}

// explain makes a gpu.Error of an error of cu.
func explain(op, kernel string, err error) error {
	r, ok := resultOf(err)
	if !ok {
		return err
	}
	e := &gpu.Error{Op: op, Kernel: kernel, Err: r, Remedy: remedies[r]}
	switch r {
	case noBinaryForGPU, unsupportedPTX:
		e.Err = fmt.Errorf("%w: %w", gpu.ErrPTXTooNew, r)
	case notFound:
		e.Err = fmt.Errorf("%w: %w", gpu.ErrNotFound, r)
	}
	return e
}
