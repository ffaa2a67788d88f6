package kerneltest

import (
	"testing"

	"emdiff/kernels"
)

// FuzzOps lets the fuzzer choose op, shape, optional arguments, aliasing and data. A test binary uses it as
//
//	func FuzzOps(f *testing.F) { kerneltest.FuzzOps(f, open) }
//
// Its seeds are a few throws of every op, so that a plain go test runs them.
func FuzzOps(f *testing.F, open func(t testing.TB) kernels.Set) {
	for i := range Ops() {
		f.Add([]byte{byte(i)}) // every choice the lowest
		f.Add([]byte{byte(i), 2, 7, 13, 1, 1, 2, 1, 0, 2, 1, 4, 5, 1, 3, 0, 1, 1, 2})
		f.Add([]byte{byte(i), 1, 250, 131, 17, 92, 3, 255, 64, 31, 8, 7, 6, 201, 33, 5, 1, 90, 14, 77})
	}
	s := open(f)
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, choices []byte) {
		c := thrown(choices)
		if !s.Supports(precision(c)) {
			t.Skip("no such precision")
		}
		e, err := newExpectation(c) // not kept: the fuzzer never stops
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.check(s); err != nil {
			t.Error(err)
		} else if err := e.checkBatch(s); err != nil {
			t.Error(err)
		}
	})
}

// thrown turns bytes into a case: the first chooses the op.
func thrown(choices []byte) Case {
	d := bytesDice(choices)
	ops := Ops()
	return table[ops[int(d.next())%len(ops)]].random(d)
}
