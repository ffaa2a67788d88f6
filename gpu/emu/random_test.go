package emu

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"emdiff/gpu"

	"github.com/stretchr/testify/require"
)

// randomKernel writes a kernel with nested branches and loops that depend on the thread, together with the same program in Go.
type randomKernel struct {
	g      *rand.Rand
	ptx    strings.Builder
	labels int
	temps  int
}

const randomRegs = 6

type step func(r *[randomRegs]uint32)

func (k *randomKernel) label() string {
	k.labels++
	return fmt.Sprintf("$R%d", k.labels)
}

// temp names a fresh register, so that live ranges are many and short.
func (k *randomKernel) temp() string {
	k.temps++
	return fmt.Sprintf("%%t%d", k.temps)
}

func (k *randomKernel) emit(format string, args ...any) { fmt.Fprintf(&k.ptx, format+"\n", args...) }

// block writes n statements of at most the given depth.
func (k *randomKernel) block(n, depth int) step {
	var steps []step
	for range n {
		switch c := k.g.IntN(10); {
		case c < 2 && depth > 0:
			steps = append(steps, k.branch(depth))
		case c < 3 && depth > 0:
			steps = append(steps, k.loop(depth))
		default:
			steps = append(steps, k.assign())
		}
	}
	return func(r *[randomRegs]uint32) {
		for _, s := range steps {
			s(r)
		}
	}
}

func (k *randomKernel) assign() step {
	d, a, b := k.g.IntN(randomRegs), k.g.IntN(randomRegs), k.g.IntN(randomRegs)
	t, p := k.temp(), k.temp()
	switch k.g.IntN(4) {
	case 0:
		k.emit("add.u32 %s, %%v%d, %%v%d; xor.b32 %%v%d, %s, 21;", t, a, b, d, t)
		return func(r *[randomRegs]uint32) { r[d] = (r[a] + r[b]) ^ 21 }
	case 1:
		k.emit("mad.lo.u32 %s, %%v%d, 5, %%v%d; shr.u32 %s, %s, 1; add.u32 %%v%d, %s, 3;", t, a, b, p, t, d, p)
		return func(r *[randomRegs]uint32) { r[d] = (r[a]*5+r[b])>>1 + 3 }
	case 2:
		k.emit("setp.lt.u32 %%p1, %%v%d, %%v%d; selp.u32 %s, %%v%d, 9, %%p1; @%%p1 add.u32 %%v%d, %s, 1;", a, b, t, a, d, t)
		return func(r *[randomRegs]uint32) {
			if r[a] < r[b] {
				r[d] = r[a] + 1
			}
		}
	default:
		k.emit("sub.u32 %%v%d, %%v%d, %%v%d;", d, a, b)
		return func(r *[randomRegs]uint32) { r[d] = r[a] - r[b] }
	}
}

func (k *randomKernel) branch(depth int) step {
	a, bit := k.g.IntN(randomRegs), k.g.IntN(4)
	t, other, end := k.temp(), k.label(), k.label()
	k.emit("shr.u32 %s, %%v%d, %d; and.b32 %s, %s, 1; setp.eq.u32 %%p1, %s, 0; @%%p1 bra %s;", t, a, bit, t, t, t, other)
	then := k.block(1+k.g.IntN(4), depth-1)
	k.emit("bra.uni %s;\n%s:", end, other)
	otherwise := k.block(1+k.g.IntN(4), depth-1)
	k.emit("%s:", end)
	return func(r *[randomRegs]uint32) {
		if r[a]>>bit&1 != 0 {
			then(r)
		} else {
			otherwise(r)
		}
	}
}

// loop runs its body 0 to 3 times, by thread.
func (k *randomKernel) loop(depth int) step {
	a := k.g.IntN(randomRegs)
	n, head, end := k.temp(), k.label(), k.label()
	k.emit("and.b32 %s, %%v%d, 3;\n%s: setp.eq.u32 %%p1, %s, 0; @%%p1 bra %s; sub.u32 %s, %s, 1;", n, a, head, n, end, n, n)
	body := k.block(1+k.g.IntN(4), depth-1)
	k.emit("bra.uni %s;\n%s:", head, end)
	return func(r *[randomRegs]uint32) {
		for c := r[a] & 3; c != 0; c-- {
			body(r)
		}
	}
}

func TestRandomControlFlowMatchesTheSameProgramInGo(t *testing.T) {
	for seed := range uint64(60) {
		k := &randomKernel{g: rand.New(rand.NewPCG(seed, 3))}
		run := k.block(8, 4)
		body := fmt.Sprintf(".reg .b32 %%v<%d>; .reg .b32 %%t<%d>;\n", randomRegs, k.temps+1)
		for i := range randomRegs {
			body += fmt.Sprintf("mad.lo.u32 %%v%d, %%r1, %d, %d;\n", i, 2*i+1, 7*i)
		}
		body += k.ptx.String() + "mov.u32 %r2, %v0;\n"
		for i := 1; i < randomRegs; i++ {
			body += fmt.Sprintf("mad.lo.u32 %%r2, %%r2, 31, %%v%d;\n", i)
		}
		r := newRigSource(t, asm(body+storeR2), checked())
		const threads = 77
		out := r.empty(4 * threads)
		c := r.run("k", 1, threads, gpu.Ptr(out))
		for i, got := range download[uint32](r, out) {
			var v [randomRegs]uint32
			for j := range v {
				v[j] = uint32(i*(2*j+1) + 7*j)
			}
			run(&v)
			want := v[0]
			for _, x := range v[1:] {
				want = want*31 + x
			}
			require.Equal(t, want, got, "seed %d, thread %d, %d divergent branches", seed, i, c.DivergentBranches)
		}
	}
}
