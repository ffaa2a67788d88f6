package emu

import (
	"math"
	"math/bits"
	"testing"

	"emdiff/gpu"

	"github.com/stretchr/testify/require"
)

// storeR2 ends a body: out[tid] = %r2.
const storeR2 = " mul.wide.u32 %rd15, %r1, 4; add.s64 %rd15, %rd1, %rd15; st.global.u32 [%rd15], %r2;"

// x is a value that depends on the thread: %r3 = x(tid).
func x(i uint32) uint32 { return i*0x9E3779B9 + 0x7F4A7C15 }

const makeX = "mad.lo.u32 %r3, %r1, -1640531527, 2135587861;"

func b2u(cond bool) uint32 {
	if cond {
		return 1
	}
	return 0
}

// TestInstructionSemantics runs single instructions through parser, compiler and interpreter, in a block with a partial warp.
func TestInstructionSemantics(t *testing.T) {
	f := math.Float32bits
	for _, c := range []struct {
		body string
		want func(i uint32) uint32
	}{
		{"add.u32 %r2, %r3, 5;", func(i uint32) uint32 { return x(i) + 5 }},
		{"sub.s32 %r2, 5, %r3;", func(i uint32) uint32 { return 5 - x(i) }},
		{"mul.hi.u32 %r2, %r3, %r3;", func(i uint32) uint32 { return uint32(uint64(x(i)) * uint64(x(i)) >> 32) }},
		{"mul.hi.s32 %r2, %r3, 77777777;", func(i uint32) uint32 { return uint32(int64(int32(x(i))) * 77777777 >> 32) }},
		{"mul.wide.s32 %rd2, %r3, -3; cvt.u32.u64 %r2, %rd2;", func(i uint32) uint32 { return uint32(int64(int32(x(i))) * -3) }},
		{"mul.wide.s32 %rd2, %r3, -3; shr.u64 %rd2, %rd2, 32; cvt.u32.u64 %r2, %rd2;", func(i uint32) uint32 { return uint32(int64(int32(x(i))) * -3 >> 32) }},
		{"mad.wide.u32 %rd2, %r3, %r3, %rd3; shr.u64 %rd2, %rd2, 32; cvt.u32.u64 %r2, %rd2;", func(i uint32) uint32 { return uint32(uint64(x(i)) * uint64(x(i)) >> 32) }},
		{"mul.wide.u16 %r2, %rs1, 7; cvt.u16.u32 %rs1, %r3; mul.wide.u16 %r2, %rs1, 7;", func(i uint32) uint32 { return x(i) & 0xFFFF * 7 }},
		{"mul.wide.s16 %r2, %rs1, 7; cvt.u16.u32 %rs1, %r3; mul.wide.s16 %r2, %rs1, 7;", func(i uint32) uint32 { return uint32(int32(int16(x(i))) * 7) }},
		{"mad.hi.u32 %r2, %r3, %r3, 9;", func(i uint32) uint32 { return uint32(uint64(x(i))*uint64(x(i))>>32) + 9 }},
		{"div.s32 %r2, %r3, -7;", func(i uint32) uint32 { return uint32(int32(x(i)) / -7) }},
		{"rem.s32 %r2, %r3, 7;", func(i uint32) uint32 { return uint32(int32(x(i)) % 7) }},
		{"div.u32 %r2, %r3, 0;", func(uint32) uint32 { return 0xFFFFFFFF }},
		{"abs.s32 %r2, %r3;", func(i uint32) uint32 { return uint32(max(int32(x(i)), -int32(x(i)))) }},
		{"neg.s32 %r2, %r3;", func(i uint32) uint32 { return -x(i) }},
		{"min.s32 %r2, %r3, 12;", func(i uint32) uint32 { return uint32(min(int32(x(i)), 12)) }},
		{"max.u32 %r2, %r3, 2147483648;", func(i uint32) uint32 { return max(x(i), 1<<31) }},
		{"min.s16 %rs2, %rs1, 3; cvt.u16.u32 %rs1, %r3; min.s16 %rs2, %rs1, 3; cvt.s32.s16 %r2, %rs2;", func(i uint32) uint32 { return uint32(min(int16(x(i)), 3)) }},
		{"sad.u32 %r2, %r3, 100, 1;", func(i uint32) uint32 { return max(x(i), 100) - min(x(i), 100) + 1 }},
		{"shl.b32 %r2, %r3, 40;", func(uint32) uint32 { return 0 }},
		{"shl.b32 %r2, %r3, %r1;", func(i uint32) uint32 { return x(i) << i }},
		{"shr.s32 %r2, %r3, 99;", func(i uint32) uint32 { return uint32(int32(x(i)) >> 31) }},
		{"shr.u32 %r2, %r3, 4;", func(i uint32) uint32 { return x(i) >> 4 }},
		{"cvt.u16.u32 %rs1, %r3; shr.s16 %rs2, %rs1, 4; cvt.s32.s16 %r2, %rs2;", func(i uint32) uint32 { return uint32(int16(x(i)) >> 4) }},
		{"shf.l.wrap.b32 %r2, %r3, %r3, 37;", func(i uint32) uint32 { return bits.RotateLeft32(x(i), 5) }},
		{"shf.r.clamp.b32 %r2, %r3, %r1, 40;", func(i uint32) uint32 { return i }},
		{"lop3.b32 %r2, %r3, %r1, 255, 0x96;", func(i uint32) uint32 { return x(i) ^ i ^ 255 }},
		{"lop3.b32 %r2, %r3, %r1, 255, 0xE8;", func(i uint32) uint32 { return x(i)&i | x(i)&255 | i&255 }},
		{"lop3.b32 %r2, %r3, %r1, 255, 0xCA;", func(i uint32) uint32 { return x(i)&i | ^x(i)&255 }},
		{"prmt.b32 %r2, %r3, %r1, 0x0123;", func(i uint32) uint32 { return bits.ReverseBytes32(x(i)) }},
		{"prmt.b32 %r2, %r3, %r1, 0x540B;", func(i uint32) uint32 {
			return uint32(int32(x(i))>>31)&0xFF | x(i)&0xFF<<8 | i&0xFF<<16 | i>>8<<24
		}},
		{"bfe.u32 %r2, %r3, 5, 9;", func(i uint32) uint32 { return x(i) >> 5 & 511 }},
		{"bfe.s32 %r2, %r3, 5, 9;", func(i uint32) uint32 { return uint32(int32(x(i)) << 18 >> 23) }},
		{"bfe.s32 %r2, %r3, 28, 9;", func(i uint32) uint32 { return uint32(int32(x(i)) >> 28) }},
		{"bfe.u32 %r2, %r3, 3, 0;", func(uint32) uint32 { return 0 }},
		{"bfi.b32 %r2, %r1, %r3, 4, 8;", func(i uint32) uint32 { return x(i)&^0xFF0 | i&0xFF<<4 }},
		{"cvt.u64.u32 %rd2, %r3; bfi.b64 %rd2, %rd2, 0, 8, 32; shr.u64 %rd2, %rd2, 8; cvt.u32.u64 %r2, %rd2;", x},
		{"cvt.u64.u32 %rd2, %r3; bfe.u64 %rd3, %rd2, 4, 40; cvt.u32.u64 %r2, %rd3;", func(i uint32) uint32 { return x(i) >> 4 }},
		{"popc.b32 %r2, %r3;", func(i uint32) uint32 { return uint32(bits.OnesCount32(x(i))) }},
		{"clz.b32 %r2, %r1;", func(i uint32) uint32 { return uint32(bits.LeadingZeros32(i)) }},
		{"cvt.u64.u32 %rd2, %r1; clz.b64 %r2, %rd2;", func(i uint32) uint32 { return uint32(bits.LeadingZeros64(uint64(i))) }},
		{"bfind.u32 %r2, %r1;", func(i uint32) uint32 { return uint32(31 - bits.LeadingZeros32(i)) }},
		{"bfind.shiftamt.s32 %r2, -5;", func(uint32) uint32 { return 29 }},
		{"cnot.b32 %r2, %r1;", func(i uint32) uint32 { return b2u(i == 0) }},
		{"cvt.u64.u32 %rd2, %r3; mul.hi.u64 %rd3, %rd2, -1; cvt.u32.u64 %r2, %rd3;", func(i uint32) uint32 { return x(i) - 1 }},
		{"cvt.s64.s32 %rd2, %r3; mul.hi.s64 %rd3, %rd2, -1; cvt.u32.u64 %r2, %rd3;", func(i uint32) uint32 {
			if int32(x(i)) > 0 {
				return 0xFFFFFFFF
			}
			return 0
		}},
		{"cvt.s64.s32 %rd2, %r3; shr.s64 %rd3, %rd2, 100; cvt.u32.u64 %r2, %rd3;", func(i uint32) uint32 { return uint32(int32(x(i)) >> 31) }},
		{"setp.gt.s32 %p1, %r3, 0; selp.b32 %r2, 3, 4, %p1;", func(i uint32) uint32 { return 4 - b2u(int32(x(i)) > 0) }},
		{"setp.gt.u32 %p1, %r1, 9; setp.lt.and.u32 %p2, %r1, 20, %p1; selp.u32 %r2, 1, 0, %p2;", func(i uint32) uint32 { return b2u(i > 9 && i < 20) }},
		{"setp.gt.u32 %p1, %r1, 9; setp.lt.or.u32 %p2|%p3, %r1, 3, !%p1; selp.u32 %r2, 1, 0, %p3;", func(i uint32) uint32 { return b2u(i >= 3 || i <= 9) }},
		{"setp.gt.u32 %p1, %r1, 9; not.pred %p2, %p1; xor.pred %p3, %p1, %p2; selp.u32 %r2, 1, 0, %p3;", func(uint32) uint32 { return 1 }},
		{"set.gt.u32.u32 %r2, %r1, 9;", func(i uint32) uint32 { return -b2u(i > 9) }},
		{"set.gt.f32.u32 %f1, %r1, 9; mov.b32 %r2, %f1;", func(i uint32) uint32 { return b2u(i > 9) * f(1) }},
		{"mov.f32 %f1, 0f7FC00000; setp.neu.f32 %p1, %f1, %f1; setp.ne.f32 %p2, %f1, %f1; selp.u32 %r2, 1, 0, %p1; @%p2 add.u32 %r2, %r2, 2;", func(uint32) uint32 { return 1 }},
		{"mov.b32 {%rs1, %rs2}, %r3; mov.b32 %r2, {%rs2, %rs1};", func(i uint32) uint32 { return bits.RotateLeft32(x(i), 16) }},
		{"mov.b64 %rd2, {%r3, %r1}; mov.b64 {%r4, %r5}, %rd2; xor.b32 %r2, %r4, %r5;", func(i uint32) uint32 { return x(i) ^ i }},
		{"mov.b32 {%rs1, %rs2}, %r3; mov.b64 %rd2, {%rs2, %rs1, %rs1, %rs2}; mov.b64 {%r2, _}, %rd2;", func(i uint32) uint32 { return bits.RotateLeft32(x(i), 16) }},
		{"cvt.rn.f32.s32 %f1, %r1; neg.f32 %f1, %f1; abs.f32 %f2, %f1; mov.b32 %r2, %f2;", func(i uint32) uint32 { return f(float32(i)) }},
		{"cvt.rn.f32.u32 %f1, %r1; cvt.rn.bf16x2.f32 %r2, %f1, 0f3F800000;", func(i uint32) uint32 { return f(float32(i)) | 0x3F80 }},
		{"cvt.rn.f32.u32 %f1, %r1; cvt.rn.f16.f32 %rs1, %f1; cvt.f32.f16 %f2, %rs1; cvt.rzi.u32.f32 %r2, %f2;", func(i uint32) uint32 { return i }},
		{"cvt.rn.f32.u32 %f1, %r1; fma.rn.ftz.sat.f32 %f2, %f1, 0f3D000000, 0f00000000; mov.b32 %r2, %f2;", func(i uint32) uint32 { return f(min(float32(i)/32, 1)) }},
		{"cvt.s8.s32 %r2, %r3;", func(i uint32) uint32 { return uint32(int8(x(i))) }},
		{"cvt.sat.u8.s32 %r2, %r3;", func(i uint32) uint32 { return uint32(min(max(int32(x(i)), 0), 255)) }},
		{"cvt.rn.f64.u32 %fd1, %r3; mul.rn.f64 %fd2, %fd1, 0d3FE0000000000000; cvt.rni.u32.f64 %r2, %fd2;", func(i uint32) uint32 { return uint32(math.RoundToEven(float64(x(i)) / 2)) }},
		{"cvt.rn.f64.u32 %fd1, %r1; fma.rn.f64 %fd2, %fd1, %fd1, %fd1; sqrt.rn.f64 %fd2, %fd2; div.rn.f64 %fd2, %fd2, 0d3F60624DD2F1A9FC; cvt.rzi.u32.f64 %r2, %fd2;",
			func(i uint32) uint32 { return uint32(math.Sqrt(float64(i*i+i)) / 0.002) }},
		{"setp.lt.u32 %p1, %r1, 7; mov.u32 %r2, 1; @%p1 mov.u32 %r2, 2; @!%p1 add.u32 %r2, %r2, 5;", func(i uint32) uint32 { return 6 - 4*b2u(i < 7) }},
		{"mov.u32 %r2, %laneid;", func(i uint32) uint32 { return i % 32 }},
		{"mov.u32 %r2, %warpid;", func(i uint32) uint32 { return i / 32 }},
		{"mov.u32 %r2, %lanemask_lt;", func(i uint32) uint32 { return 1<<(i%32) - 1 }},
		{"mov.u32 %r2, %lanemask_ge;", func(i uint32) uint32 { return ^uint32(0) << (i % 32) }},
		{"mov.u32 %r2, %ntid.x;", func(uint32) uint32 { return 40 }},
		{"{ .reg .b32 t; add.u32 t, %r1, 1; mov.u32 %r2, t; }", func(i uint32) uint32 { return i + 1 }},
		{"mov.u64 %rd2, sh; cvta.shared.u64 %rd3, %rd2; mad.wide.u32 %rd4, %r1, 4, %rd3; st.u32 [%rd4], %r3; ld.u32 %r2, [%rd4];", x},
		{"add.f16 %rs3, %rs1, %rs2; mov.u16 %rs1, 0x3C00; fma.rn.f16 %rs3, %rs1, %rs1, %rs1; cvt.u32.u16 %r2, %rs3;", func(uint32) uint32 { return 0x4000 }},
		{"mov.b32 %r4, 0x3F804000; fma.rn.bf16x2 %r2, %r4, %r4, %r4;", func(uint32) uint32 { return 0x400040C0 }},
	} {
		t.Run(c.body, func(t *testing.T) {
			r := newRigSource(t, asm(makeX+c.body+storeR2), checked())
			out := r.empty(160)
			r.count(40, out)
			for i, got := range download[uint32](r, out) {
				require.Equal(t, c.want(uint32(i)), got, "thread %d", i)
			}
		})
	}
}

func TestCollectives(t *testing.T) {
	for _, c := range []struct {
		body string
		want func(i uint32) uint32
	}{
		{"shfl.sync.up.b32 %r2, %r1, 3, 0, -1;", func(i uint32) uint32 { return i - 3*b2u(i >= 3) }},
		{"shfl.sync.down.b32 %r2, %r1, 3, 31, -1;", func(i uint32) uint32 { return i + 3*b2u(i < 29) }},
		{"shfl.sync.bfly.b32 %r2, %r1, 5, 31, -1;", func(i uint32) uint32 { return i ^ 5 }},
		{"shfl.sync.idx.b32 %r2, %r1, 9, 31, -1;", func(uint32) uint32 { return 9 }},
		// segments of 8 lanes: c = (32-8)<<8 | clamp
		{"shfl.sync.down.b32 %r2|%p1, %r1, 2, 6175, -1; @!%p1 mov.u32 %r2, 99;", func(i uint32) uint32 {
			if i%8 < 6 {
				return i + 2
			}
			return 99
		}},
		{"shfl.sync.up.b32 %r2|%p1, %r1, 2, 6144, -1; @!%p1 mov.u32 %r2, 99;", func(i uint32) uint32 {
			if i%8 >= 2 {
				return i - 2
			}
			return 99
		}},
		{"shfl.sync.idx.b32 %r2, %r1, 3, 6175, -1;", func(i uint32) uint32 { return i/8*8 + 3 }},
		{"setp.lt.u32 %p1, %r1, 5; vote.sync.ballot.b32 %r2, %p1, -1;", func(uint32) uint32 { return 31 }},
		{"setp.lt.u32 %p1, %r1, 5; vote.sync.any.pred %p2, %p1, -1; vote.sync.all.pred %p3, %p1, -1; selp.u32 %r2, 1, 0, %p2; @%p3 mov.u32 %r2, 7;", func(uint32) uint32 { return 1 }},
		{"setp.lt.u32 %p1, %r1, 50; vote.sync.uni.pred %p2, !%p1, -1; selp.u32 %r2, 1, 0, %p2;", func(uint32) uint32 { return 1 }},
		{"setp.lt.u32 %p1, %r1, 5; mov.u32 %r2, 0; @%p1 activemask.b32 %r2;", func(i uint32) uint32 { return 31 * b2u(i < 5) }},
		{"and.b32 %r4, %r1, 3; match.any.sync.b32 %r2, %r4, -1;", func(i uint32) uint32 { return 0x11111111 << (i % 4) }},
		{"mov.u32 %r4, 3; match.all.sync.b32 %r2|%p1, %r4, -1; @%p1 add.u32 %r2, %r2, 1;", func(uint32) uint32 { return 0 }},
	} {
		t.Run(c.body, func(t *testing.T) {
			r := newRigSource(t, asm(c.body+storeR2), checked())
			out := r.empty(128)
			r.count(32, out)
			for i, got := range download[uint32](r, out) {
				require.Equal(t, c.want(uint32(i)), got, "lane %d", i)
			}
		})
	}
}

func TestAtomicOperations(t *testing.T) {
	for _, c := range []struct {
		op   string
		init uint32
		want uint32 // after 32 lanes with operand lane+1, in lane order
	}{
		{"add.u32", 5, 5 + 528}, {"min.s32", 100, 1}, {"max.u32", 7, 32}, {"and.b32", 0xFF, 0}, {"or.b32", 0, 63}, {"xor.b32", 0, 32},
		{"inc.u32", 0, 1}, {"dec.u32", 0, 2},
	} {
		r := newRigSource(t, asm("add.u32 %r3, %r1, 1; red.global."+c.op+" [%rd1], %r3;"), checked())
		out := upload(r, []uint32{c.init})
		r.count(32, out)
		want := c.want
		if c.op == "inc.u32" || c.op == "dec.u32" { // recompute lane by lane
			want = c.init
			for b := uint32(1); b <= 32; b++ {
				if c.op == "inc.u32" {
					want = map[bool]uint32{true: 0, false: want + 1}[want >= b]
				} else {
					want = map[bool]uint32{true: b, false: want - 1}[want == 0 || want > b]
				}
			}
		}
		require.Equal(t, want, download[uint32](r, out)[0], c.op)
	}
	r := newRigSource(t, asm("atom.global.add.u32 %r3, [%rd1], 1; mul.wide.u32 %rd2, %r3, 4; add.s64 %rd2, %rd1, %rd2; st.global.u32 [%rd2+4], %r1;"), checked())
	out := upload(r, make([]uint32, 33))
	r.count(32, out)
	require.Equal(t, uint32(32), download[uint32](r, out)[0])
	require.Equal(t, uint32(31), download[uint32](r, out)[32], "every lane got its own old value")
	r = newRigSource(t, asm("atom.global.cas.b32 %r3, [%rd1], 7, 9; atom.global.add.f32 %f1, [%rd1+4], 0f3F000000; atom.global.exch.b64 %rd2, [%rd1+8], -1;"), checked())
	out = upload(r, []uint32{7, 0, 0, 0})
	r.count(32, out)
	require.Equal(t, []uint32{9, math.Float32bits(16), 0xFFFFFFFF, 0xFFFFFFFF}, download[uint32](r, out))
}

func TestAtomicsOfManyBlocksAreNoRaceAndLoseNothing(t *testing.T) {
	r := newRigSource(t, asm("red.global.add.u32 [%rd1], 1;"), Options{Checks: AllChecks(), Workers: 4})
	out := upload(r, []uint32{0})
	r.run("k", 100, 64, gpu.Ptr(out))
	require.Equal(t, uint32(6400), download[uint32](r, out)[0])
}

func TestBlocksMayReadTogetherButNotWhatAnotherWrites(t *testing.T) {
	read := "ld.global.u32 %r3, [%rd1];"
	r := newRigSource(t, asm(read), Options{Checks: AllChecks(), Workers: 1})
	r.run("k", 3, 32, gpu.Ptr(upload(r, []uint32{1})))
	r = newRigSource(t, asm(read+"mov.u32 %r4, %ctaid.x; setp.eq.u32 %p1, %r4, 2; setp.eq.and.u32 %p1, %r1, 0, %p1; @%p1 st.global.u32 [%rd1], %r3;"),
		Options{Checks: AllChecks(), Workers: 1})
	f := r.refused(GlobalRace, "k", 3, 32, gpu.Ptr(upload(r, []uint32{1})))
	require.Contains(t, f.Error(), "read by several blocks")
	// The next launch starts afresh.
	r = newRigSource(t, asm("mov.u32 %r4, %ctaid.x; mul.wide.u32 %rd2, %r4, 4; add.s64 %rd2, %rd1, %rd2; st.global.u32 [%rd2], %r4;"),
		Options{Checks: AllChecks(), Workers: 1})
	out := upload(r, []uint32{1, 2})
	r.run("k", 2, 1, gpu.Ptr(out))
	require.Equal(t, []uint32{0, 1}, download[uint32](r, out))
	r.run("k", 2, 1, gpu.Ptr(out.Slice(0, 8)))
}

func TestWarpBarriersOrderOnlyTheLanesTheyName(t *testing.T) {
	// Lane l writes word l and reads word l^1 after a barrier of its pair, or of another set of lanes.
	body := func(mask string) []byte {
		return asm("mov.u32 %r3, sh; mad.lo.u32 %r4, %r1, 4, %r3; xor.b32 %r5, %r1, 1; mad.lo.u32 %r5, %r5, 4, %r3; st.shared.u32 [%r4], %r1;" +
			mask + "bar.warp.sync %r6; ld.shared.u32 %r2, [%r5];" + storeR2)
	}
	r := newRigSource(t, body("mov.u32 %r6, -1;"), checked())
	r.count(32, r.empty(128))
	// Sixteen threads in two groups of eight, each with a barrier of its own.
	grouped := func(partner string) []byte {
		return asm("mov.u32 %r3, sh; mad.lo.u32 %r4, %r1, 4, %r3; xor.b32 %r5, %r1, " + partner + "; mad.lo.u32 %r5, %r5, 4, %r3; st.shared.u32 [%r4], %r1;" +
			"setp.ge.u32 %p1, %r1, 8; @%p1 bra $high; bar.warp.sync 0xFF; bra.uni $join; $high: bar.warp.sync 0xFF00; $join: ld.shared.u32 %r2, [%r5];" + storeR2)
	}
	r = newRigSource(t, grouped("1"), checked())
	out := r.empty(64)
	r.count(16, out)
	require.Equal(t, uint32(2), download[uint32](r, out)[3])
	r = newRigSource(t, grouped("8"), checked())
	r.refused(SharedRace, "k", 1, 16, gpu.Ptr(r.empty(64)))
}

func TestSharedRaceKinds(t *testing.T) {
	slot := "mov.u32 %r3, sh; "
	for _, c := range []struct {
		name, body string
		race       bool
	}{
		{"two lanes write one word in one instruction", "st.shared.u32 [%r3], %r1;", true},
		{"one lane writes twice", "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r3], %r1; @%p1 st.shared.u32 [%r3], %r1;", false},
		{"read then write without barrier", "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r3], %r1; bar.sync 0; ld.shared.u32 %r2, [%r3]; @%p1 st.shared.u32 [%r3], %r1;", true},
		{"read, barrier, write", "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r3], %r1; bar.sync 0; ld.shared.u32 %r2, [%r3]; bar.sync 0; @%p1 st.shared.u32 [%r3], %r1;", false},
		{"a shuffle orders nothing", "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r3], %r1; shfl.sync.idx.b32 %r4, %r1, 0, 31, -1; ld.shared.u32 %r2, [%r3];", true},
		{"neighbouring halves by neighbouring lanes", "mad.lo.u32 %r4, %r1, 2, %r3; cvt.u16.u32 %rs1, %r1; st.shared.u16 [%r4], %rs1; ld.shared.u16 %rs2, [%r4];", false},
		{"a word over two lanes' halves", "mad.lo.u32 %r4, %r1, 2, %r3; cvt.u16.u32 %rs1, %r1; st.shared.u16 [%r4], %rs1; ld.shared.u32 %r2, [%r3];", true},
		{"atomics do not race with each other", "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r3], %r1; bar.sync 0; red.shared.add.u32 [%r3], 1; red.shared.add.u32 [%r3], 1;", false},
		{"an atomic races with a plain read", "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r3], %r1; bar.sync 0; red.shared.add.u32 [%r3], 1; ld.shared.u32 %r2, [%r3];", true},
		{"a warp barrier orders an atomic of this warp", "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r3], %r1; bar.sync 0; red.shared.add.u32 [%r3], 1; bar.warp.sync -1; ld.shared.u32 %r2, [%r3];", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRigSource(t, asm(slot+c.body), checked())
			if c.race {
				r.refused(SharedRace, "k", 1, 32, gpu.Ptr(r.empty(4)))
			} else {
				r.count(32, r.empty(4))
			}
		})
	}
}

func TestManyWarpBarriersInOneIntervalKeepTheBooks(t *testing.T) {
	// More warp barriers than the shadow's sequence numbers hold, with a hand-over in each round.
	loop := func(sync string) []byte {
		return asm("mov.u32 %r3, sh; mad.lo.u32 %r4, %r1, 4, %r3; xor.b32 %r5, %r1, 1; mad.lo.u32 %r5, %r5, 4, %r3; mov.u32 %r6, 0; st.shared.u32 [%r4], %r1;" +
			"$l: bar.warp.sync -1; ld.shared.u32 %r7, [%r5]; " + sync + " st.shared.u32 [%r4], %r7; add.u32 %r6, %r6, 1; setp.lt.u32 %p1, %r6, 20000; @%p1 bra $l;")
	}
	r := newRigSource(t, loop("bar.warp.sync -1;"), checked())
	r.count(32, r.empty(4))
	r = newRigSource(t, loop(""), checked())
	r.refused(SharedRace, "k", 1, 32, gpu.Ptr(r.empty(4)))
}

func TestCpAsyncZeroFillAndGroups(t *testing.T) {
	// 8 of 16 bytes are read, the rest is zero; the second group may still be in flight after wait_group 1.
	r := newRigSource(t, asm("mov.u32 %r3, sh; mad.lo.u32 %r4, %r1, 32, %r3; mov.u32 %r5, 8; cp.async.cg.shared.global [%r4], [%rd1], 16, %r5; cp.async.commit_group;"+
		"cp.async.cg.shared.global [%r4+16], [%rd1], 16; cp.async.commit_group; cp.async.wait_group 1; ld.shared.v4.u32 {%r6,%r7,%r8,%r9}, [%r4];"+
		"mul.wide.u32 %rd2, %r1, 16; add.s64 %rd2, %rd1, %rd2; st.global.v4.u32 [%rd2+16], {%r6,%r7,%r8,%r9};"), checked())
	out := r.empty(16 + 32*16)
	require.NoError(t, r.d.CopyHtoD(out.Slice(0, 16), raw([]uint32{1, 2, 3, 4})))
	r.count(32, out)
	require.Equal(t, []uint32{1, 2, 3, 4, 1, 2, 0, 0, 1, 2, 0, 0}, download[uint32](r, out)[:12])
	r = newRigSource(t, asm("mov.u32 %r3, sh; mad.lo.u32 %r4, %r1, 16, %r3; cp.async.cg.shared.global [%r4], [%rd1], 16; cp.async.commit_group;"+
		"cp.async.wait_group 1; ld.shared.u32 %r2, [%r4];"), checked())
	r.refused(AsyncCopy, "k", 1, 32, gpu.Ptr(upload(r, make([]uint32, 4))))
}

func TestConstantAndGlobalVariables(t *testing.T) {
	src := ".version 7.0\n.target sm_70\n.address_size 64\n.const .align 4 .f32 table[4] = {1.0, 2.0, 3.0, 4.0};\n.global .align 4 .u32 total;\n" +
		".visible .entry k(.param .u64 k_param_0)\n{ .reg .b32 %r<4>; .reg .f32 %f<4>; .reg .b64 %rd<6>; ld.param.u64 %rd1, [k_param_0]; mov.u32 %r1, %tid.x;" +
		"mul.wide.u32 %rd2, %r1, 4; mov.u64 %rd3, table; add.s64 %rd4, %rd3, %rd2; ld.const.f32 %f1, [%rd4]; ld.const.f32 %f2, [table+4]; mul.rn.f32 %f1, %f1, %f2;" +
		"add.s64 %rd5, %rd1, %rd2; st.global.f32 [%rd5], %f1; red.global.add.u32 [total], 1; ret; }"
	r := newRigSource(t, []byte(src), checked())
	out := r.empty(16)
	r.count(4, out)
	require.Equal(t, []float32{2, 4, 6, 8}, download[float32](r, out))
	require.NoError(t, r.m.Unload())
}

func TestSlotsAreSharedButLiveValuesKept(t *testing.T) {
	r := newRig(t, "kernels.ptx", Options{})
	f, err := r.m.Function("sgemm_f32_tiled")
	require.NoError(t, err)
	p := f.(*function).prog
	require.Less(t, p.slots32, (98+459)/4, "the PTX declares 98 integer and 459 float registers")
	require.Greater(t, p.liveRegs, 16)
}
