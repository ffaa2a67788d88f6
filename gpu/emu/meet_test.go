package emu

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"emdiff/gpu"

	"github.com/stretchr/testify/require"
)

// late sends lanes 0 to 15 to a block that lies behind the one they come back to, as compilers lay loops out; %r2 tells them apart.
const late = `
	mov.u32 %r2, 1; setp.lt.u32 %p1, %r1, 16; setp.eq.u32 %p2, %r1, %r1; mov.u32 %r4, -1; @%p1 bra $late;
$join: INSTRUCTION
	bra.uni $store;
$late: mov.u32 %r2, 2; bra.uni $join;
$store:` + storeR2

func TestLanesMeetWhateverTheOrderOfBlocks(t *testing.T) {
	value := func(i int) uint32 { // of %r2 at $join
		if i < 16 {
			return 2
		}
		return 1
	}
	same := func(i int) uint32 { return 0xFFFF << (16 * (i / 16)) }
	for instruction, want := range map[string]func(i int) uint32{
		"bar.sync 0;":                              value,
		"bar.warp.sync -1;":                        value,
		"@%p2 bar.warp.sync %r4;":                  value,
		"shfl.sync.bfly.b32 %r2, %r2, 16, 31, -1;": func(i int) uint32 { return 3 - value(i) },
		"setp.eq.u32 %p3, %r2, 2; vote.sync.ballot.b32 %r2, %p3, -1;":  func(int) uint32 { return 0xFFFF },
		"match.any.sync.b32 %r2, %r2, -1;":                             same,
		"activemask.b32 %r3; shfl.sync.bfly.b32 %r2, %r1, 1, 31, %r4;": func(i int) uint32 { return uint32(i ^ 1) },
	} {
		t.Run(instruction, func(t *testing.T) {
			for _, o := range []Options{checked(), {}} {
				r := newRigSource(t, asm(strings.Replace(late, "INSTRUCTION", instruction, 1)), o)
				out := r.empty(4 * 32)
				r.run("k", 1, 32, gpu.Ptr(out))
				for i, got := range download[uint32](r, out) {
					require.Equal(t, want(i), got, "lane %d", i)
				}
			}
		})
	}
}

func TestAnInstructionWhereLanesMeetIsCountedOnce(t *testing.T) {
	r := newRigSource(t, asm(strings.Replace(late, "INSTRUCTION", "bar.sync 0;", 1)), checked())
	r.run("k", 1, 32, gpu.Ptr(r.empty(4*32)))
	for _, line := range r.reports[0].Lines {
		if line.Opcode == "bar.sync" {
			require.Equal(t, [2]int64{1, 32}, [2]int64{line.WarpInstructions, line.ThreadInstructions})
		}
	}
	require.Equal(t, int64(1), r.reports[0].Counters.Barriers)
}

func TestLanesThatWaitForEachOtherAtTwoPlacesAreRefused(t *testing.T) {
	for instruction, kind := range map[string]FaultKind{
		"bar.sync 0;": BarrierDivergence, "bar.warp.sync -1;": LaneDivergence, "shfl.sync.bfly.b32 %r2, %r2, 16, 31, -1;": LaneDivergence,
	} {
		r := newRigSource(t, asm(`setp.lt.u32 %p1, %r1, 16; mov.u32 %r2, 0; @%p1 bra $other;`+instruction+"bra.uni $end; $other:"+instruction+"$end:"), checked())
		r.refused(kind, "k", 1, 32, gpu.Ptr(r.empty(4)))
	}
}

func TestMembersAloneAreWaitedFor(t *testing.T) {
	// Lanes 16 to 31 exchange values while the others are in a loop that ends later.
	r := newRigSource(t, asm(`setp.lt.u32 %p1, %r1, 16; mov.u32 %r2, 7; mov.u32 %r3, 0; mov.u32 %r4, -65536; @%p1 bra $loop;
		setp.lt.u32 %p2, %r1, 24; @%p2 bra $late;
	$join: shfl.sync.bfly.b32 %r2, %r1, 15, 31, %r4; bra.uni $end;
	$late: add.u32 %r2, %r2, 1; bra.uni $join;
	$loop: add.u32 %r3, %r3, 1; setp.lt.u32 %p2, %r3, 50; @%p2 bra $loop;
	$end:`+storeR2), checked())
	out := r.empty(4 * 32)
	r.run("k", 1, 32, gpu.Ptr(out))
	for i, got := range download[uint32](r, out) {
		want := uint32(7)
		if i >= 16 {
			want = uint32(i ^ 15)
		}
		require.Equal(t, want, got, "lane %d", i)
	}
}

// shuffleBlocks parts the text of a kernel at its labels and puts all pieces but the first into another order.
func shuffleBlocks(g *rand.Rand, text string) string {
	pieces := strings.Split(text, "\n$R")
	for i, p := range pieces {
		next := "$tail"
		if i+1 < len(pieces) {
			label, _, _ := strings.Cut(pieces[i+1], ":")
			next = "$R" + label
		}
		if i > 0 {
			p = "$R" + p
		}
		pieces[i] = p + "\nbra.uni " + next + ";\n"
	}
	rest := pieces[1:]
	g.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return strings.Join(pieces, "") + "$tail:\n"
}

func TestRandomControlFlowMeetsInAnyOrderOfBlocks(t *testing.T) {
	const threads = 77
	for seed := range uint64(40) {
		k := &randomKernel{g: rand.New(rand.NewPCG(seed, 4))}
		var steps []step
		for range 5 {
			steps = append(steps, k.block(3, 3))
			k.emit("bar.sync 0; vote.sync.ballot.b32 %%r3, %%p2, -1; xor.b32 %%v0, %%v0, %%r3;")
		}
		body := fmt.Sprintf(".reg .b32 %%v<%d>; .reg .b32 %%t<%d>; setp.eq.u32 %%p2, %%r1, %%r1;\n", randomRegs, k.temps+1)
		for i := range randomRegs {
			body += fmt.Sprintf("mad.lo.u32 %%v%d, %%r1, %d, %d;\n", i, 2*i+1, 7*i)
		}
		body = shuffleBlocks(k.g, body+k.ptx.String()) + "mov.u32 %r2, %v0;\n"
		for i := 1; i < randomRegs; i++ {
			body += fmt.Sprintf("mad.lo.u32 %%r2, %%r2, 31, %%v%d;\n", i)
		}
		r := newRigSource(t, asm(body+storeR2), checked())
		out := r.empty(4 * threads)
		c := r.run("k", 1, threads, gpu.Ptr(out))
		require.Equal(t, int64(5), c.Barriers)
		for i, got := range download[uint32](r, out) {
			var v [randomRegs]uint32
			for j := range v {
				v[j] = uint32(i*(2*j+1) + 7*j)
			}
			for _, s := range steps {
				s(&v)
				if i < 64 {
					v[0] ^= 0xFFFFFFFF
				} else {
					v[0] ^= 1<<(threads-64) - 1
				}
			}
			want := v[0]
			for _, x := range v[1:] {
				want = want*31 + x
			}
			require.Equal(t, want, got, "seed %d, thread %d", seed, i)
		}
	}
}
