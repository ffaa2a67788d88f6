package gpu

import "math"

// Arg is one kernel argument in an 8-byte slot. Drivers read whole slots, so every argument has one of its own whatever its size.
type Arg struct {
	slot uint64
	size int
}

// Bits passes raw bits to a parameter of size bytes (4 or 8).
func Bits(v uint64, size int) Arg { return Arg{v, size} }

// Slot returns the argument's bits, zero-extended.
func (a Arg) Slot() uint64 { return a.slot }

// Size returns the bytes the kernel's parameter must have: 4 or 8.
func (a Arg) Size() int { return a.size }

// Ptr passes the address of a buffer.
func Ptr(b Buffer) Arg { return Arg{uint64(b.Ptr), 8} }

// I32 passes an int.
func I32(v int32) Arg { return Arg{uint64(uint32(v)), 4} }

// U32 passes an unsigned int.
func U32(v uint32) Arg { return Arg{uint64(v), 4} }

// I64 passes a long long.
func I64(v int64) Arg { return Arg{uint64(v), 8} }

// U64 passes an unsigned long long.
func U64(v uint64) Arg { return Arg{v, 8} }

// F32 passes a float.
func F32(v float32) Arg { return Arg{uint64(math.Float32bits(v)), 4} }

// F64 passes a double.
func F64(v float64) Arg { return Arg{math.Float64bits(v), 8} }
