// Outer kernels for AVX2 and FMA; matrixKernels.outer says what they compute.
//
// Ladder (weight gradients of 3x3 convolutions of small U-Nets, one core, share of PeakFMA in CPU time):
//	1 outer1x8Portable     0.07
//	2 tile of 6x16         0.68-0.79   as outer_avx512_amd64.s with half the rows
//	3 one copy of x for all panels, half the partial sums, added by vectors: 0.74-0.85

#include "textflag.h"
#include "go_asm.h"

// One row of a wide and of a narrow tile: broadcast a[r], multiply-add with the row of b in Y12 and Y13.
#define WIDE(off, c0, c1) \
	VBROADCASTSS off(DI), Y14; \
	VFMADD231PS Y12, Y14, c0; \
	VFMADD231PS Y13, Y14, c1

#define NARROW(off, c0) \
	VBROADCASTSS off(DI), Y14; \
	VFMADD231PS Y12, Y14, c0

#define WIDE1 \
	WIDE(0, Y0, Y1)

#define NARROW1 \
	NARROW(0, Y0)

#define WIDE2 \
	WIDE1; \
	WIDE(4, Y2, Y3)

#define NARROW2 \
	NARROW1; \
	NARROW(4, Y1)

#define WIDE4 \
	WIDE2; \
	WIDE(8, Y4, Y5); \
	WIDE(12, Y6, Y7)

#define NARROW4 \
	NARROW2; \
	NARROW(8, Y2); \
	NARROW(12, Y3)

#define WIDE6 \
	WIDE4; \
	WIDE(16, Y8, Y9); \
	WIDE(20, Y10, Y11)

#define NARROW6 \
	NARROW4; \
	NARROW(16, Y4); \
	NARROW(20, Y5)

#define SETUP \
	MOVQ args+0(FP), AX; \
	MOVQ outerArgs_a(AX), BX; \
	MOVQ outerArgs_count(AX), CX; \
	MOVQ outerArgs_b(AX), DX; \
	MOVQ outerArgs_offsets(AX), SI; \
	MOVQ outerArgs_from(AX), R8; \
	MOVQ outerArgs_fromStride(AX), R10; \
	MOVQ outerArgs_cStride(AX), R9; \
	MOVQ outerArgs_c(AX), AX

// The loop over products.
#define LOOP_WIDE(STEP) \
loop: \
	MOVQ (SI), DI; \
	ADDQ BX, DI; \
	VMOVUPS (DX), Y12; \
	VMOVUPS 32(DX), Y13; \
	STEP; \
	ADDQ $64, DX; \
	ADDQ $8, SI; \
	DECQ CX; \
	JNZ  loop

#define LOOP_NARROW(STEP) \
loop: \
	MOVQ (SI), DI; \
	ADDQ BX, DI; \
	VMOVUPS (DX), Y12; \
	STEP; \
	ADDQ $32, DX; \
	ADDQ $8, SI; \
	DECQ CX; \
	JNZ  loop

#define LOAD_WIDE(c0, c1) \
	VMOVUPS (R8), c0; \
	VMOVUPS 32(R8), c1; \
	ADDQ R10, R8

#define LOAD_NARROW(c0) \
	VMOVUPS (R8), c0; \
	ADDQ R10, R8

#define STORE_WIDE(c0, c1) \
	VMOVUPS c0, (AX); \
	VMOVUPS c1, 32(AX); \
	ADDQ R9, AX

#define STORE_NARROW(c0) \
	VMOVUPS c0, (AX); \
	ADDQ R9, AX

// func outer6x16AVX2(args *outerArgs)
TEXT ·outer6x16AVX2(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(Y0, Y1)
	LOAD_WIDE(Y2, Y3)
	LOAD_WIDE(Y4, Y5)
	LOAD_WIDE(Y6, Y7)
	LOAD_WIDE(Y8, Y9)
	LOAD_WIDE(Y10, Y11)
	LOOP_WIDE(WIDE6)
	STORE_WIDE(Y0, Y1)
	STORE_WIDE(Y2, Y3)
	STORE_WIDE(Y4, Y5)
	STORE_WIDE(Y6, Y7)
	STORE_WIDE(Y8, Y9)
	STORE_WIDE(Y10, Y11)
	VZEROUPPER
	RET

// func outer6x8AVX2(args *outerArgs)
TEXT ·outer6x8AVX2(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(Y0)
	LOAD_NARROW(Y1)
	LOAD_NARROW(Y2)
	LOAD_NARROW(Y3)
	LOAD_NARROW(Y4)
	LOAD_NARROW(Y5)
	LOOP_NARROW(NARROW6)
	STORE_NARROW(Y0)
	STORE_NARROW(Y1)
	STORE_NARROW(Y2)
	STORE_NARROW(Y3)
	STORE_NARROW(Y4)
	STORE_NARROW(Y5)
	VZEROUPPER
	RET

// func outer4x16AVX2(args *outerArgs)
TEXT ·outer4x16AVX2(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(Y0, Y1)
	LOAD_WIDE(Y2, Y3)
	LOAD_WIDE(Y4, Y5)
	LOAD_WIDE(Y6, Y7)
	LOOP_WIDE(WIDE4)
	STORE_WIDE(Y0, Y1)
	STORE_WIDE(Y2, Y3)
	STORE_WIDE(Y4, Y5)
	STORE_WIDE(Y6, Y7)
	VZEROUPPER
	RET

// func outer4x8AVX2(args *outerArgs)
TEXT ·outer4x8AVX2(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(Y0)
	LOAD_NARROW(Y1)
	LOAD_NARROW(Y2)
	LOAD_NARROW(Y3)
	LOOP_NARROW(NARROW4)
	STORE_NARROW(Y0)
	STORE_NARROW(Y1)
	STORE_NARROW(Y2)
	STORE_NARROW(Y3)
	VZEROUPPER
	RET

// func outer2x16AVX2(args *outerArgs)
TEXT ·outer2x16AVX2(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(Y0, Y1)
	LOAD_WIDE(Y2, Y3)
	LOOP_WIDE(WIDE2)
	STORE_WIDE(Y0, Y1)
	STORE_WIDE(Y2, Y3)
	VZEROUPPER
	RET

// func outer2x8AVX2(args *outerArgs)
TEXT ·outer2x8AVX2(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(Y0)
	LOAD_NARROW(Y1)
	LOOP_NARROW(NARROW2)
	STORE_NARROW(Y0)
	STORE_NARROW(Y1)
	VZEROUPPER
	RET

// func outer1x16AVX2(args *outerArgs)
TEXT ·outer1x16AVX2(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(Y0, Y1)
	LOOP_WIDE(WIDE1)
	STORE_WIDE(Y0, Y1)
	VZEROUPPER
	RET

// func outer1x8AVX2(args *outerArgs)
TEXT ·outer1x8AVX2(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(Y0)
	LOOP_NARROW(NARROW1)
	STORE_NARROW(Y0)
	VZEROUPPER
	RET
