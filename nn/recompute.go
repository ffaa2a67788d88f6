package nn

import "emdiff/kernels"

// block is a part of a network that can run again in the reverse pass.
type block interface {
	// forward writes into, or a new tensor, and leaves no other memory in use.
	forward(t *Tape, a args, into *Tensor) *Tensor
}

// args are what a block reads.
type args struct {
	x, cond  *Tensor
	residual *Tensor // added to the output, or nil; its values are not read again
}

// run runs a block. If again is set, a recording tape keeps nothing of it but its inputs.
func (t *Tape) run(b block, a args, into *Tensor, again bool) *Tensor {
	if !again || !t.recording() {
		return b.forward(t, a, into)
	}
	reads := [4]*Tensor{a.x, a.cond}
	t.hold(reads) // until the record holds them
	t.paused = true
	y := b.forward(t, a, into)
	t.paused = false
	s := state[segment](t)
	*s = segment{block: b, args: a, out: y, options: t.options()}
	t.record(record{out: y, in: [3]*Tensor{a.x, a.cond, a.residual}, reads: reads, params: true, op: s})
	t.unhold(reads)
	return y
}

// segment is a block on the tape.
type segment struct {
	block   block
	args    args
	out     *Tensor
	options options
}

// options are the fields of a Tape that a block depends on.
type options struct {
	precision kernels.Precision
	ema       bool
	seed      uint64
	step      uint32
	ids       kernels.Buffer
}

func (t *Tape) options() options { return options{t.Precision, t.UseEMA, t.Seed, t.Step, t.ImageIDs} }

func (t *Tape) with(o options) {
	t.Precision, t.UseEMA, t.Seed, t.Step, t.ImageIDs = o.precision, o.ema, o.seed, o.step, o.ids
}

// reverse records the block and goes back through it. Nothing reads what it ends in, so its last products are not computed.
func (s *segment) reverse(p *pass) {
	t := p.tape
	now := t.options()
	t.with(s.options)
	from := len(t.records)
	t.skip = s.out
	s.block.forward(t, s.args, s.out)
	t.skip = nil
	t.with(now)
	p.mark(from)
	p.play(from, true)
	t.cut(from)
}
