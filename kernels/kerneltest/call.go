package kerneltest

import (
	"fmt"

	"emdiff/kernels"
)

// Call is a case whose arguments lie in the memory of a Set, to be run many times: for timing.
type Call struct {
	set      kernels.Set
	op       op
	c        Case
	operands []operand
	buffers  buffers
}

// NewCall places the arguments of a case.
func NewCall(s kernels.Set, c Case) (*Call, error) {
	o, ok := table[c.Op]
	if !ok {
		return nil, fmt.Errorf("kerneltest: there is no op %q", c.Op)
	}
	call := &Call{set: s, op: o, c: c}
	call.operands, call.buffers = place(s, o, c, o.data(c, 0))
	return call, s.Sync()
}

// Queue runs a case without looking at what comes out: for counting.
func Queue(s kernels.Set, c Case) error {
	call, err := NewCall(s, c)
	if err != nil {
		return err
	}
	defer call.Free()
	call.Queue()
	return s.Sync()
}

// Queue calls the op. What it writes stays in its arguments: an op that accumulates does so from call to call.
func (k *Call) Queue() { k.op.call(k.set, k.buffers, k.c) }

// Reset makes the destinations hold what they held before the first call.
func (k *Call) Reset() {
	for _, x := range k.operands {
		if x.written() && x.dtype == kernels.F32 {
			k.set.Upload(x.parent, x.before)
		}
	}
}

// Values are the destinations, one after the other, with what surrounds them.
func (k *Call) Values() ([]float32, error) {
	var all []float32
	for _, x := range k.operands {
		if !x.written() || x.dtype != kernels.F32 {
			continue
		}
		values := make([]float32, x.parent.Len())
		k.set.Download(values, x.parent)
		all = append(all, values...)
	}
	return all, k.set.Sync()
}

// Free gives the arguments back.
func (k *Call) Free() {
	for _, x := range k.operands {
		k.set.Free(x.parent)
	}
}
