// Outer kernels for NEON; matrixKernels.outer says what they compute.
//
// Ladder. Nothing has been timed, for want of a machine: these are counts of the loop over products as assembled, where FMLA is
// a multiply-add of four floats and FMADD, which Go makes of its loops, of one.
//
//	                         loads        other         instructions that
//	                         per multiply-add           do not multiply-add
//	1 outer1x8Portable       0.88         0.50          58 %   (8 FMADD of 19)
//	2 tile of 6x16           0.21         0.17          27 %   (24 FMLA of 33)
//
// Rows lie side by side in a, so that two loads bring all six, and FMLA broadcasts the element it wants by itself. Two loads of
// pairs bring the row of b.

#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"

// One row of a wide and of a narrow tile: the row of b in V26..V29 times element i of x.
#define WIDE(x, i, a, b, c, d) \
	FMLAE(x, i, V26, a); \
	FMLAE(x, i, V27, b); \
	FMLAE(x, i, V28, c); \
	FMLAE(x, i, V29, d)

#define NARROW(x, i, a, b) \
	FMLAE(x, i, V26, a); \
	FMLAE(x, i, V27, b)

#define WIDE1 \
	WIDE(V24, 0, V0, V1, V2, V3)

#define NARROW1 \
	NARROW(V24, 0, V0, V1)

#define WIDE2 \
	WIDE1; \
	WIDE(V24, 1, V4, V5, V6, V7)

#define NARROW2 \
	NARROW1; \
	NARROW(V24, 1, V2, V3)

#define WIDE4 \
	WIDE2; \
	WIDE(V24, 2, V8, V9, V10, V11); \
	WIDE(V24, 3, V12, V13, V14, V15)

#define NARROW4 \
	NARROW2; \
	NARROW(V24, 2, V4, V5); \
	NARROW(V24, 3, V6, V7)

#define WIDE6 \
	WIDE4; \
	WIDE(V25, 0, V16, V17, V18, V19); \
	WIDE(V25, 1, V20, V21, V22, V23)

#define NARROW6 \
	NARROW4; \
	NARROW(V25, 0, V8, V9); \
	NARROW(V25, 1, V10, V11)

// The rows of one product are next to each other at R7.
#define ROWS1 FMOVS (R7), F24
#define ROWS2 FMOVD (R7), F24
#define ROWS4 FMOVQ (R7), F24
#define ROWS6 \
	ROWS4; \
	FMOVD 16(R7), F25

#define SETUP \
	MOVD args+0(FP), R0; \
	MOVD outerArgs_cStride(R0), R2; \
	MOVD outerArgs_a(R0), R3; \
	MOVD outerArgs_offsets(R0), R4; \
	MOVD outerArgs_count(R0), R5; \
	MOVD outerArgs_b(R0), R6; \
	MOVD outerArgs_from(R0), R1; \
	MOVD outerArgs_fromStride(R0), R8; \
	MOVD outerArgs_c(R0), R0

// The loop over products.
#define LOOP_WIDE(ROWS, STEP) \
loop: \
	MOVD.P 8(R4), R7; \
	ADD  R3, R7; \
	ROWS; \
	FLDPQ (R6), (F26, F27); \
	FLDPQ 32(R6), (F28, F29); \
	ADD  $64, R6; \
	STEP; \
	SUBS $1, R5; \
	BNE  loop

#define LOOP_NARROW(ROWS, STEP) \
loop: \
	MOVD.P 8(R4), R7; \
	ADD  R3, R7; \
	ROWS; \
	FLDPQ (R6), (F26, F27); \
	ADD  $32, R6; \
	STEP; \
	SUBS $1, R5; \
	BNE  loop

#define LOAD_WIDE(a, b, c, d) \
	FLDPQ (R1), (a, b); \
	FLDPQ 32(R1), (c, d); \
	ADD   R8, R1

#define LOAD_NARROW(a, b) \
	FLDPQ (R1), (a, b); \
	ADD   R8, R1

#define STORE_WIDE(a, b, c, d) \
	FSTPQ (a, b), (R0); \
	FSTPQ (c, d), 32(R0); \
	ADD   R2, R0

#define STORE_NARROW(a, b) \
	FSTPQ (a, b), (R0); \
	ADD   R2, R0

// func outer6x16NEON(args *outerArgs)
TEXT ·outer6x16NEON(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(F0, F1, F2, F3)
	LOAD_WIDE(F4, F5, F6, F7)
	LOAD_WIDE(F8, F9, F10, F11)
	LOAD_WIDE(F12, F13, F14, F15)
	LOAD_WIDE(F16, F17, F18, F19)
	LOAD_WIDE(F20, F21, F22, F23)
	LOOP_WIDE(ROWS6, WIDE6)
	STORE_WIDE(F0, F1, F2, F3)
	STORE_WIDE(F4, F5, F6, F7)
	STORE_WIDE(F8, F9, F10, F11)
	STORE_WIDE(F12, F13, F14, F15)
	STORE_WIDE(F16, F17, F18, F19)
	STORE_WIDE(F20, F21, F22, F23)
	RET

// func outer6x8NEON(args *outerArgs)
TEXT ·outer6x8NEON(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(F0, F1)
	LOAD_NARROW(F2, F3)
	LOAD_NARROW(F4, F5)
	LOAD_NARROW(F6, F7)
	LOAD_NARROW(F8, F9)
	LOAD_NARROW(F10, F11)
	LOOP_NARROW(ROWS6, NARROW6)
	STORE_NARROW(F0, F1)
	STORE_NARROW(F2, F3)
	STORE_NARROW(F4, F5)
	STORE_NARROW(F6, F7)
	STORE_NARROW(F8, F9)
	STORE_NARROW(F10, F11)
	RET

// func outer4x16NEON(args *outerArgs)
TEXT ·outer4x16NEON(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(F0, F1, F2, F3)
	LOAD_WIDE(F4, F5, F6, F7)
	LOAD_WIDE(F8, F9, F10, F11)
	LOAD_WIDE(F12, F13, F14, F15)
	LOOP_WIDE(ROWS4, WIDE4)
	STORE_WIDE(F0, F1, F2, F3)
	STORE_WIDE(F4, F5, F6, F7)
	STORE_WIDE(F8, F9, F10, F11)
	STORE_WIDE(F12, F13, F14, F15)
	RET

// func outer4x8NEON(args *outerArgs)
TEXT ·outer4x8NEON(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(F0, F1)
	LOAD_NARROW(F2, F3)
	LOAD_NARROW(F4, F5)
	LOAD_NARROW(F6, F7)
	LOOP_NARROW(ROWS4, NARROW4)
	STORE_NARROW(F0, F1)
	STORE_NARROW(F2, F3)
	STORE_NARROW(F4, F5)
	STORE_NARROW(F6, F7)
	RET

// func outer2x16NEON(args *outerArgs)
TEXT ·outer2x16NEON(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(F0, F1, F2, F3)
	LOAD_WIDE(F4, F5, F6, F7)
	LOOP_WIDE(ROWS2, WIDE2)
	STORE_WIDE(F0, F1, F2, F3)
	STORE_WIDE(F4, F5, F6, F7)
	RET

// func outer2x8NEON(args *outerArgs)
TEXT ·outer2x8NEON(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(F0, F1)
	LOAD_NARROW(F2, F3)
	LOOP_NARROW(ROWS2, NARROW2)
	STORE_NARROW(F0, F1)
	STORE_NARROW(F2, F3)
	RET

// func outer1x16NEON(args *outerArgs)
TEXT ·outer1x16NEON(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(F0, F1, F2, F3)
	LOOP_WIDE(ROWS1, WIDE1)
	STORE_WIDE(F0, F1, F2, F3)
	RET

// func outer1x8NEON(args *outerArgs)
TEXT ·outer1x8NEON(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(F0, F1)
	LOOP_NARROW(ROWS1, NARROW1)
	STORE_NARROW(F0, F1)
	RET
