// Panel kernels for AVX-512; matrixKernels.panel says what they compute.
//
// Ladder (3x3 convolutions of small U-Nets, 32 to 128 channels, one core, share of PeakFMA in CPU time):
//	1 panel2x8Portable     0.03
//	2 tile of 12x32        0.84-0.92   24 accumulators hide the latency of the multiply-add (two ports, four cycles); a
//	                       value of x is broadcast by the load port and feeds two of them: 14 loads for 24. Twelve row
//	                       pointers stay in registers; they reach the next tap by one addition each, because the window
//	                       is copied with its padding (see window), and the taps of a row count as one deep tap.
// The kernel alone reaches 0.89 with weights in the first or the second cache. No gain (within 1 %): two or four broadcasts
// ahead of their multiply-adds, prefetching weights, an aligned loop.

#include "textflag.h"
#include "go_asm.h"

// One row of a wide (two vectors) and of a narrow tile: broadcast x, multiply-add with the weights in Z24 and Z25.
#define WIDE(p, off, c0, c1) \
	VBROADCASTSS off(p)(CX*1), Z26; \
	VFMADD231PS Z24, Z26, c0; \
	VFMADD231PS Z25, Z26, c1

#define NARROW(p, off, c0) \
	VBROADCASTSS off(p)(CX*1), Z26; \
	VFMADD231PS Z24, Z26, c0

// One step of depth for a tile: woff is the place of its weights from R14.
#define WIDE12(off, woff) \
	VMOVUPS woff(R14), Z24; \
	VMOVUPS 64+woff(R14), Z25; \
	WIDE(AX, off, Z0, Z1); \
	WIDE(BX, off, Z2, Z3); \
	WIDE(DX, off, Z4, Z5); \
	WIDE(SI, off, Z6, Z7); \
	WIDE(DI, off, Z8, Z9); \
	WIDE(R8, off, Z10, Z11); \
	WIDE(R9, off, Z12, Z13); \
	WIDE(R10, off, Z14, Z15); \
	WIDE(R11, off, Z16, Z17); \
	WIDE(R12, off, Z18, Z19); \
	WIDE(R13, off, Z20, Z21); \
	WIDE(R15, off, Z22, Z23)

#define NARROW12(off, woff) \
	VMOVUPS woff(R14), Z24; \
	NARROW(AX, off, Z0); \
	NARROW(BX, off, Z1); \
	NARROW(DX, off, Z2); \
	NARROW(SI, off, Z3); \
	NARROW(DI, off, Z4); \
	NARROW(R8, off, Z5); \
	NARROW(R9, off, Z6); \
	NARROW(R10, off, Z7); \
	NARROW(R11, off, Z8); \
	NARROW(R12, off, Z9); \
	NARROW(R13, off, Z10); \
	NARROW(R15, off, Z11)

#define WIDE4(off, woff) \
	VMOVUPS woff(R14), Z24; \
	VMOVUPS 64+woff(R14), Z25; \
	WIDE(AX, off, Z0, Z1); \
	WIDE(BX, off, Z2, Z3); \
	WIDE(DX, off, Z4, Z5); \
	WIDE(SI, off, Z6, Z7)

#define NARROW4(off, woff) \
	VMOVUPS woff(R14), Z24; \
	NARROW(AX, off, Z0); \
	NARROW(BX, off, Z1); \
	NARROW(DX, off, Z2); \
	NARROW(SI, off, Z3)

#define WIDE1(off, woff) \
	VMOVUPS woff(R14), Z24; \
	VMOVUPS 64+woff(R14), Z25; \
	WIDE(AX, off, Z0, Z1)

#define NARROW1(off, woff) \
	VMOVUPS woff(R14), Z24; \
	NARROW(AX, off, Z0)

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

#define POINTERS12 \
	POINTERS4; \
	MOVQ 32(R13), DI; \
	ADDQ CX, DI; \
	MOVQ 40(R13), R8; \
	ADDQ CX, R8; \
	MOVQ 48(R13), R9; \
	ADDQ CX, R9; \
	MOVQ 56(R13), R10; \
	ADDQ CX, R10; \
	MOVQ 64(R13), R11; \
	ADDQ CX, R11; \
	MOVQ 72(R13), R12; \
	ADDQ CX, R12; \
	MOVQ 88(R13), R15; \
	ADDQ CX, R15; \
	MOVQ 80(R13), R13; \
	ADDQ CX, R13

// The step in CX takes the rows to their next tap.
#define ADVANCE1 \
	ADDQ CX, AX

#define ADVANCE4 \
	ADVANCE1; \
	ADDQ CX, BX; \
	ADDQ CX, DX; \
	ADDQ CX, SI

#define ADVANCE12 \
	ADVANCE4; \
	ADDQ CX, DI; \
	ADDQ CX, R8; \
	ADDQ CX, R9; \
	ADDQ CX, R10; \
	ADDQ CX, R11; \
	ADDQ CX, R12; \
	ADDQ CX, R13; \
	ADDQ CX, R15

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
	VMOVUPS c1, 64(AX); \
	ADDQ BX, AX

#define STORE_NARROW(c0) \
	VMOVUPS c0, (AX); \
	ADDQ BX, AX

// func panel12x32AVX512(args *panelArgs)
TEXT ·panel12x32AVX512(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Z0
	VMOVUPS 64(R14), Z1
	POINTERS12
	VMOVAPS Z0, Z2
	VMOVAPS Z1, Z3
	VMOVAPS Z0, Z4
	VMOVAPS Z1, Z5
	VMOVAPS Z0, Z6
	VMOVAPS Z1, Z7
	VMOVAPS Z0, Z8
	VMOVAPS Z1, Z9
	VMOVAPS Z0, Z10
	VMOVAPS Z1, Z11
	VMOVAPS Z0, Z12
	VMOVAPS Z1, Z13
	VMOVAPS Z0, Z14
	VMOVAPS Z1, Z15
	VMOVAPS Z0, Z16
	VMOVAPS Z1, Z17
	VMOVAPS Z0, Z18
	VMOVAPS Z1, Z19
	VMOVAPS Z0, Z20
	VMOVAPS Z1, Z21
	VMOVAPS Z0, Z22
	VMOVAPS Z1, Z23
	LOOP(WIDE12, ADVANCE12, 128)
	STORE_WIDE(Z0, Z1)
	STORE_WIDE(Z2, Z3)
	STORE_WIDE(Z4, Z5)
	STORE_WIDE(Z6, Z7)
	STORE_WIDE(Z8, Z9)
	STORE_WIDE(Z10, Z11)
	STORE_WIDE(Z12, Z13)
	STORE_WIDE(Z14, Z15)
	STORE_WIDE(Z16, Z17)
	STORE_WIDE(Z18, Z19)
	STORE_WIDE(Z20, Z21)
	STORE_WIDE(Z22, Z23)
	VZEROUPPER
	RET

// func panel12x16AVX512(args *panelArgs)
TEXT ·panel12x16AVX512(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Z0
	POINTERS12
	VMOVAPS Z0, Z1
	VMOVAPS Z0, Z2
	VMOVAPS Z0, Z3
	VMOVAPS Z0, Z4
	VMOVAPS Z0, Z5
	VMOVAPS Z0, Z6
	VMOVAPS Z0, Z7
	VMOVAPS Z0, Z8
	VMOVAPS Z0, Z9
	VMOVAPS Z0, Z10
	VMOVAPS Z0, Z11
	LOOP(NARROW12, ADVANCE12, 64)
	STORE_NARROW(Z0)
	STORE_NARROW(Z1)
	STORE_NARROW(Z2)
	STORE_NARROW(Z3)
	STORE_NARROW(Z4)
	STORE_NARROW(Z5)
	STORE_NARROW(Z6)
	STORE_NARROW(Z7)
	STORE_NARROW(Z8)
	STORE_NARROW(Z9)
	STORE_NARROW(Z10)
	STORE_NARROW(Z11)
	VZEROUPPER
	RET

// func panel4x32AVX512(args *panelArgs)
TEXT ·panel4x32AVX512(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Z0
	VMOVUPS 64(R14), Z1
	POINTERS4
	VMOVAPS Z0, Z2
	VMOVAPS Z1, Z3
	VMOVAPS Z0, Z4
	VMOVAPS Z1, Z5
	VMOVAPS Z0, Z6
	VMOVAPS Z1, Z7
	LOOP(WIDE4, ADVANCE4, 128)
	STORE_WIDE(Z0, Z1)
	STORE_WIDE(Z2, Z3)
	STORE_WIDE(Z4, Z5)
	STORE_WIDE(Z6, Z7)
	VZEROUPPER
	RET

// func panel4x16AVX512(args *panelArgs)
TEXT ·panel4x16AVX512(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Z0
	POINTERS4
	VMOVAPS Z0, Z1
	VMOVAPS Z0, Z2
	VMOVAPS Z0, Z3
	LOOP(NARROW4, ADVANCE4, 64)
	STORE_NARROW(Z0)
	STORE_NARROW(Z1)
	STORE_NARROW(Z2)
	STORE_NARROW(Z3)
	VZEROUPPER
	RET

// func panel1x32AVX512(args *panelArgs)
TEXT ·panel1x32AVX512(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Z0
	VMOVUPS 64(R14), Z1
	POINTERS1
	LOOP(WIDE1, ADVANCE1, 128)
	STORE_WIDE(Z0, Z1)
	VZEROUPPER
	RET

// func panel1x16AVX512(args *panelArgs)
TEXT ·panel1x16AVX512(SB), NOSPLIT, $16-8
	SETUP
	VMOVUPS (R14), Z0
	POINTERS1
	LOOP(NARROW1, ADVANCE1, 64)
	STORE_NARROW(Z0)
	VZEROUPPER
	RET
