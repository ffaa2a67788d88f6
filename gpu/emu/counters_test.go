package emu

import (
	"testing"

	"emdiff/gpu"

	"github.com/stretchr/testify/require"
)

// asm is a kernel k(out) whose %rd1 holds the global address of out and %r1 the thread index.
func asm(body string) []byte {
	return []byte(`.version 7.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 k_param_0)
{
.reg .pred %p<8>; .reg .b16 %rs<8>; .reg .b32 %r<16>; .reg .f32 %f<16>; .reg .b64 %rd<16>; .reg .f64 %fd<8>;
.shared .align 16 .b8 sh[8192];
ld.param.u64 %rd1, [k_param_0];
mov.u32 %r1, %tid.x;
` + body + "\nret;\n}\n")
}

// preamble is what asm itself executes: ld.param, mov, ret.
const preamble = 3

func (r *rig) count(block int, out gpu.Buffer) Counters { return r.run("k", 1, block, gpu.Ptr(out)) }

func TestInstructionsByClassAndFLOPs(t *testing.T) {
	r := newRigSource(t, asm(`
		fma.rn.f32 %f1, %f1, %f1, %f1;
		add.f32 %f2, %f1, %f1;
		ex2.approx.f32 %f3, %f2;
		neg.f32 %f3, %f3;
		mul.wide.u32 %rd2, %r1, 4;
		add.s64 %rd3, %rd1, %rd2;
		setp.lt.u32 %p1, %r1, 10;
		@%p1 fma.rn.f32 %f1, %f1, %f1, %f1;
		cvt.rn.f32.u32 %f4, %r1;
		st.global.f32 [%rd3], %f4;`), checked())
	c := r.count(40, r.empty(160)) // two warps, the second with 8 lanes
	want := [classes]int64{ClassFloat32: 3*40 + 10, ClassSpecial: 40, ClassInteger: 3 * 40, ClassConvert: 40, ClassGlobal: 40,
		ClassMove: 2 * 40, ClassBranch: 40}
	require.Equal(t, want, c.ByClass)
	require.Equal(t, int64((preamble+9)*40+10), c.ThreadInstructions)
	require.Equal(t, int64((preamble+10)*2), c.WarpInstructions)
	require.Equal(t, int64(2*40+40+40+2*10), c.FLOPs)
	require.Equal(t, int64(1), c.Launches)
	require.Equal(t, int64(1), c.Blocks)
}

func TestTensorFLOPs(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	c := r.run("mma_tf32_tile", 1, 32, gpu.Ptr(r.empty(512)), gpu.Ptr(upload(r, normals(1, 128))), gpu.Ptr(upload(r, normals(2, 64))))
	require.Equal(t, int64(2*16*8*8), c.FLOPs)
	require.Equal(t, int64(32), c.ByClass[ClassTensor])
}

func TestGEMMFLOPs(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	_, _, _, launch := r.gemm(64, 128, 32)
	require.NoError(t, launch())
	require.Equal(t, int64(2*64*128*32), r.reports[0].Counters.FLOPs)
	require.Equal(t, int64(2*2*2), r.reports[0].Counters.Barriers, "two per K step and block")
}

// globalAccess stores 4 bytes per thread at stride bytes, after an offset.
func TestGlobalSectors(t *testing.T) {
	for _, c := range []struct {
		name, body     string
		sectors, bytes int64
	}{
		{"contiguous words: 4 sectors", "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r1;", 4, 128},
		{"shifted by one word: 5 sectors", "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3+4], %r1;", 5, 128},
		{"stride 32: one sector per lane", "mul.wide.u32 %rd2, %r1, 32; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r1;", 32, 128},
		{"backwards: 4 sectors", "sub.s32 %r2, 31, %r1; mul.wide.u32 %rd2, %r2, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r1;", 4, 128},
		{"128-bit: 16 sectors", "mul.wide.u32 %rd2, %r1, 16; add.s64 %rd3, %rd1, %rd2; st.global.v4.u32 [%rd3], {%r1, %r1, %r1, %r1};", 16, 512},
		{"shuffled pairs: 4 sectors", "xor.b32 %r2, %r1, 17; mul.wide.u32 %rd2, %r2, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r1;", 4, 128},
		{"lane 0 alone: 1 sector", "setp.eq.u32 %p1, %r1, 0; @%p1 st.global.u32 [%rd1], %r1;", 1, 4},
		{"halves: 2 sectors", "mul.wide.u32 %rd2, %r1, 2; add.s64 %rd3, %rd1, %rd2; cvt.u16.u32 %rs1, %r1; st.global.u16 [%rd3], %rs1;", 2, 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRigSource(t, asm(c.body), checked())
			got := r.count(32, r.empty(1024)).GlobalStores
			require.Equal(t, Traffic{Requests: 1, Bytes: c.bytes, Sectors: c.sectors}, got)
			require.Equal(t, float64(c.sectors), got.SectorsPerRequest())
		})
	}
	r := newRigSource(t, asm("ld.global.u32 %r2, [%rd1]; st.global.u32 [%rd1+4], %r2;"), Options{})
	c := r.count(64, upload(r, make([]uint32, 2)))
	require.Equal(t, Traffic{Requests: 2, Bytes: 256, Sectors: 2}, c.GlobalLoads, "a broadcast needs one sector per warp")
}

func TestBankConflicts(t *testing.T) {
	address := func(scale string) string {
		return "mov.u32 %r3, sh; mad.lo.s32 %r2, %r1, " + scale + ", %r3;"
	}
	for _, c := range []struct {
		name, body string
		conflicts  int64
	}{
		{"neighbouring words: none", address("4") + "st.shared.u32 [%r2], %r1;", 0},
		{"stride 2: two lanes per bank", address("8") + "st.shared.u32 [%r2], %r1;", 1},
		{"stride 32: all in one bank", address("128") + "st.shared.u32 [%r2], %r1;", 31},
		{"stride 33: none", address("132") + "st.shared.u32 [%r2], %r1;", 0},
		{"64-bit neighbours: none in either half warp", address("8") + "st.shared.u64 [%r2], %rd1;", 0},
		{"64-bit stride 2: 2 lanes per bank in 2 phases", address("16") + "st.shared.u64 [%r2], %rd1;", 2},
		{"128-bit neighbours: none in any quarter warp", address("16") + "st.shared.v4.u32 [%r2], {%r1, %r1, %r1, %r1};", 0},
		{"128-bit stride 2: 2 lanes per bank in 4 phases", address("32") + "st.shared.v4.u32 [%r2], {%r1, %r1, %r1, %r1};", 4},
		{"128-bit stride 128: 8 lanes per bank in 4 phases", address("128") + "st.shared.v4.u32 [%r2], {%r1, %r1, %r1, %r1};", 28},
		{"halves of one word share it", address("2") + "st.shared.u16 [%r2], %rs1;", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRigSource(t, asm(c.body), checked())
			got := r.count(32, r.empty(4))
			require.Equal(t, int64(1), got.SharedStores.Requests)
			require.Equal(t, c.conflicts, got.Conflicts())
		})
	}
	r := newRigSource(t, asm("mov.u32 %r3, sh; ld.shared.u32 %r2, [%r3]; ld.shared.u32 %r2, [%r3+128];"), Options{})
	require.Equal(t, Traffic{Requests: 2, Bytes: 256}, r.count(32, r.empty(4)).SharedLoads, "a broadcast has no conflict")
}

func TestLdmatrixConflicts(t *testing.T) {
	// Rows of 16 bytes: packed ones hit all banks once, rows 128 bytes apart all the same four banks.
	for stride, want := range map[string]int64{"16": 0, "128": 7 * 4} {
		r := newRigSource(t, asm("mov.u32 %r3, sh; mad.lo.s32 %r2, %r1, "+stride+", %r3;"+
			"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4,%r5,%r6,%r7}, [%r2];"), Options{})
		require.Equal(t, want, r.count(32, r.empty(4)).SharedLoads.Conflicts)
	}
}

func TestBranchCounters(t *testing.T) {
	r := newRigSource(t, asm(`
		setp.lt.u32 %p1, %r1, 8;
		@%p1 bra $a;
		bra.uni $b;
		$a: add.s32 %r2, %r1, 1;
		$b: setp.lt.u32 %p2, %r1, 1000;
		@%p2 bra $c;
		$c: bar.sync 0;`), checked())
	c := r.count(64, r.empty(4))
	// Warp 0 diverges at the first branch and runs "bra $b" for the rest; warp 1 does not. "@p2 bra $c" is taken by all.
	require.Equal(t, int64(2+2+2), c.Branches)
	require.Equal(t, int64(1), c.DivergentBranches)
	require.Equal(t, int64(1), c.Barriers)
	require.Equal(t, int64(8), r.reports[0].lineOf(t, "add.s32").ThreadInstructions)
}

func (rep Report) lineOf(t *testing.T, opcode string) LineCount {
	for _, l := range rep.Lines {
		if l.Opcode == opcode {
			return l
		}
	}
	require.Fail(t, "no "+opcode)
	return LineCount{}
}

func TestCpAsyncTraffic(t *testing.T) {
	r := newRig(t, "kernels.ptx", checked())
	c := r.run("stream_f32_cpasync", 1, 128, gpu.Ptr(r.empty(4096)), gpu.Ptr(upload(r, normals(1, 1024))), gpu.I32(1024))
	require.Equal(t, Traffic{Requests: 8, Bytes: 4096, Sectors: 128}, c.GlobalLoads)
	require.Equal(t, Traffic{Requests: 8, Bytes: 4096}, c.SharedStores)
}

func TestTotalsAddUp(t *testing.T) {
	r := newRig(t, "bugs.ptx", checked())
	y := r.empty(128)
	one := r.run("fill_f32", 1, 32, gpu.Ptr(y), gpu.F32(1))
	r.run("fill_f32", 1, 32, gpu.Ptr(y), gpu.F32(1))
	total := r.d.Totals()
	require.Equal(t, int64(2), total.Launches)
	require.Equal(t, 2*one.ThreadInstructions, total.ThreadInstructions)
	r.d.ResetTotals()
	require.Zero(t, r.d.Totals())
}
