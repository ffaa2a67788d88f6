// Panel kernels for AVX2 and FMA; matrixKernels.panel says what they compute.
//
// Ladder (3x3 convolutions of small U-Nets, 32 to 128 channels, one core, share of PeakFMA in CPU time):
//	1 panel2x8Portable     0.07
//	2 tile of 6x16         0.90-0.94   as panel_avx512_amd64.s with half the rows: 16 registers hold 12 accumulators, two
//	                       vectors of weights and one broadcast

#include "textflag.h"
#include "go_asm.h"

// One row of a wide (two vectors) and of a narrow tile: broadcast x, multiply-add with the weights in Y12 and Y13.
#define WIDE(p, off, c0, c1) \
	VBROADCASTSS off(p)(CX*1), Y14; \
	VFMADD231PS Y12, Y14, c0; \
	VFMADD231PS Y13, Y14, c1

#define NARROW(p, off, c0) \
	VBROADCASTSS off(p)(CX*1), Y14; \
	VFMADD231PS Y12, Y14, c0

// One step of depth for a tile: woff is the place of its weights from R14.
#define WIDE6(off, woff) \
	VMOVUPS woff(R14), Y12; \
	VMOVUPS 32+woff(R14), Y13; \
	WIDE(AX, off, Y0, Y1); \
	WIDE(BX, off, Y2, Y3); \
	WIDE(DX, off, Y4, Y5); \
	WIDE(SI, off, Y6, Y7); \
	WIDE(DI, off, Y8, Y9); \
	WIDE(R8, off, Y10, Y11)

#define NARROW6(off, woff) \
	VMOVUPS woff(R14), Y12; \
	NARROW(AX, off, Y0); \
	NARROW(BX, off, Y1); \
	NARROW(DX, off, Y2); \
	NARROW(SI, off, Y3); \
	NARROW(DI, off, Y4); \
	NARROW(R8, off, Y5)

#define WIDE4(off, woff) \
	VMOVUPS woff(R14), Y12; \
	VMOVUPS 32+woff(R14), Y13; \
	WIDE(AX, off, Y0, Y1); \
	WIDE(BX, off, Y2, Y3); \
	WIDE(DX, off, Y4, Y5); \
	WIDE(SI, off, Y6, Y7)

#define NARROW4(off, woff) \
	VMOVUPS woff(R14), Y12; \
	NARROW(AX, off, Y0); \
	NARROW(BX, off, Y1); \
	NARROW(DX, off, Y2); \
	NARROW(SI, off, Y3)

#define WIDE1(off, woff) \
	VMOVUPS woff(R14), Y12; \
	VMOVUPS 32+woff(R14), Y13; \
	WIDE(AX, off, Y0, Y1)

#define NARROW1(off, woff) \
	VMOVUPS woff(R14), Y12; \
	NARROW(AX, off, Y0)

// Row pointers are a + offset[r] + 4*depth, so that CX runs from -4*depth to 0. R13 holds the offsets, CX the base.
#define SETUP \
	MOVQ args+0(FP), R14; \
	MOVQ panelArgs_taps(R14), CX; \
	MOVQ CX, taps-8(SP); \
	MOVQ panelArgs_steps(R14), CX; \
	MOVQ CX, steps-16(SP); \
	MOVQ panelArgs_offsets(R14), R13; \
	MOVQ panelArgs_a(R14), CX; \
	SUBQ panelArgs_negDepth(R14), CX; \
	MOVQ panelArgs_bias(R14), R14

#define POINTERS1 \
	MOVQ 0(R13), AX; \
	ADDQ CX, AX

#define POINTERS4 \
	POINTERS1; \
	MOVQ 8(R13), BX; \
	ADDQ CX, BX; \
	MOVQ 16(R13), DX; \
	ADDQ CX, DX; \
	MOVQ 24(R13), SI; \
	ADDQ CX, SI

#define POINTERS6 \
	POINTERS4; \
	MOVQ 32(R13), DI; \
	ADDQ CX, DI; \
	MOVQ 40(R13), R8; \
	ADDQ CX, R8

// The step in CX takes the rows to their next tap.
#define ADVANCE1 \
	ADDQ CX, AX

#define ADVANCE4 \
	ADVANCE1; \
	ADDQ CX, BX; \
	ADDQ CX, DX; \
	ADDQ CX, SI

#define ADVANCE6 \
	ADVANCE4; \
	ADDQ CX, DI; \
	ADDQ CX, R8

// The loop over taps and, four at a time, over their depth; wbytes is one row of the panel. At the end AX and BX are the
// result and its stride.
#define LOOP(STEP, ADVANCE, wbytes) \
	MOVQ args+0(FP), CX; \
	MOVQ panelArgs_w(CX), R14; \
tap: \
	MOVQ args+0(FP), CX; \
	MOVQ panelArgs_negDepth(CX), CX; \
	CMPQ CX, $-16; \
	JGT  rest; \
four: \
	STEP(0, 0); \
	STEP(4, wbytes); \
	STEP(8, 2*wbytes); \
	STEP(12, 3*wbytes); \
	ADDQ $(4*wbytes), R14; \
	ADDQ $16, CX; \
	CMPQ CX, $-16; \
	JLE  four; \
rest: \
	TESTQ CX, CX; \
	JZ   next; \
one: \
	STEP(0, 0); \
	ADDQ $wbytes, R14; \
	ADDQ $4, CX; \
	JNZ  one; \
next: \
	DECQ taps-8(SP); \
	JZ   done; \
	MOVQ steps-16(SP), CX; \
	ADDQ $8, steps-16(SP); \
	MOVQ (CX), CX; \
	ADVANCE; \
	JMP  tap; \
done: \
	MOVQ args+0(FP), CX; \
	MOVQ panelArgs_c(CX), AX; \
	MOVQ panelArgs_cStride(CX), BX

#define STORE_WIDE(c0, c1) \
	VMOVUPS c0, (AX); \
	VMOVUPS c1, 32(AX); \
	ADDQ BX, AX

#define STORE_NARROW(c0) \
	VMOVUPS c0, (AX); \
	ADDQ BX, AX

// func panel6x16AVX2(args *panelArgs)
TEXT ·panel6x16AVX2(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Y0
	VMOVUPS 32(R14), Y1
	POINTERS6
	VMOVAPS Y0, Y2
	VMOVAPS Y1, Y3
	VMOVAPS Y0, Y4
	VMOVAPS Y1, Y5
	VMOVAPS Y0, Y6
	VMOVAPS Y1, Y7
	VMOVAPS Y0, Y8
	VMOVAPS Y1, Y9
	VMOVAPS Y0, Y10
	VMOVAPS Y1, Y11
	LOOP(WIDE6, ADVANCE6, 64)
	STORE_WIDE(Y0, Y1)
	STORE_WIDE(Y2, Y3)
	STORE_WIDE(Y4, Y5)
	STORE_WIDE(Y6, Y7)
	STORE_WIDE(Y8, Y9)
	STORE_WIDE(Y10, Y11)
	VZEROUPPER
	RET

// func panel6x8AVX2(args *panelArgs)
TEXT ·panel6x8AVX2(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Y0
	POINTERS6
	VMOVAPS Y0, Y1
	VMOVAPS Y0, Y2
	VMOVAPS Y0, Y3
	VMOVAPS Y0, Y4
	VMOVAPS Y0, Y5
	LOOP(NARROW6, ADVANCE6, 32)
	STORE_NARROW(Y0)
	STORE_NARROW(Y1)
	STORE_NARROW(Y2)
	STORE_NARROW(Y3)
	STORE_NARROW(Y4)
	STORE_NARROW(Y5)
	VZEROUPPER
	RET

// func panel4x16AVX2(args *panelArgs)
TEXT ·panel4x16AVX2(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Y0
	VMOVUPS 32(R14), Y1
	POINTERS4
	VMOVAPS Y0, Y2
	VMOVAPS Y1, Y3
	VMOVAPS Y0, Y4
	VMOVAPS Y1, Y5
	VMOVAPS Y0, Y6
	VMOVAPS Y1, Y7
	LOOP(WIDE4, ADVANCE4, 64)
	STORE_WIDE(Y0, Y1)
	STORE_WIDE(Y2, Y3)
	STORE_WIDE(Y4, Y5)
	STORE_WIDE(Y6, Y7)
	VZEROUPPER
	RET

// func panel4x8AVX2(args *panelArgs)
TEXT ·panel4x8AVX2(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Y0
	POINTERS4
	VMOVAPS Y0, Y1
	VMOVAPS Y0, Y2
	VMOVAPS Y0, Y3
	LOOP(NARROW4, ADVANCE4, 32)
	STORE_NARROW(Y0)
	STORE_NARROW(Y1)
	STORE_NARROW(Y2)
	STORE_NARROW(Y3)
	VZEROUPPER
	RET

// func panel1x16AVX2(args *panelArgs)
TEXT ·panel1x16AVX2(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Y0
	VMOVUPS 32(R14), Y1
	POINTERS1
	LOOP(WIDE1, ADVANCE1, 64)
	STORE_WIDE(Y0, Y1)
	VZEROUPPER
	RET

// func panel1x8AVX2(args *panelArgs)
TEXT ·panel1x8AVX2(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Y0
	POINTERS1
	LOOP(NARROW1, ADVANCE1, 32)
	STORE_NARROW(Y0)
	VZEROUPPER
	RET
