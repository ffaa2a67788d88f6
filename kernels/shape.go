package kernels

import (
	"fmt"
)

// ShapeError is a programmer's mistake: an argument whose shape, type or presence does not fit the op. Ops panic with it.
type ShapeError struct {
	Op, Arg, Got, Want string
}

// Error returns one sentence: op, argument, what it was and what it must be.
func (e *ShapeError) Error() string {
	return fmt.Sprintf("kernels: %s: %s is %s, want %s", e.Op, e.Arg, e.Got, e.Want)
}

// need panics unless b holds at least n elements of type d.
func need(op, arg string, b Buffer, d DType, n int) {
	if b == nil {
		panic(&ShapeError{op, arg, "nil", fmt.Sprintf("%d %s", n, d)})
	}
	if b.DType() != d || b.Len() < n {
		panic(&ShapeError{op, arg, fmt.Sprintf("%d %s", b.Len(), b.DType()), fmt.Sprintf("at least %d %s", n, d)})
	}
}

// optional is need for an argument that may be nil.
func optional(op, arg string, b Buffer, d DType, n int) {
	if b != nil {
		need(op, arg, b, d, n)
	}
}

// valid panics when the parameter struct of an op is impossible. It is generic so that the struct stays on the stack.
func valid[P interface{ Validate() error }](op string, p P) {
	if err := p.Validate(); err != nil {
		panic(&ShapeError{op, "params", err.Error(), "possible values"})
	}
}

// positive returns an error naming the first value that is not > 0; it takes name, value pairs. It keeps none of them, so that
// they stay on the stack: it runs before every op.
func positive(pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		if name, v := pairs[i].(string), pairs[i+1].(int); v <= 0 {
			return fmt.Errorf("%s = %d must be positive", name, v)
		}
	}
	return nil
}

// stride resolves "0 means contiguous".
func stride(s, c int) int {
	if s == 0 {
		return c
	}
	return s
}

// span is the length of rows x c elements at stride s.
func span(rows, c, s int) int {
	if rows == 0 {
		return 0
	}
	return (rows-1)*stride(s, c) + c
}

// checkStride rejects strides that would make pixels overlap.
func checkStride(name string, s, c int) error {
	if s != 0 && s < c {
		return fmt.Errorf("%s = %d is smaller than the %d channels of a pixel", name, s, c)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}
