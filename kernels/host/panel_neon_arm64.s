// Panel kernels for NEON; matrixKernels.panel says what they compute.
//
// Ladder. Nothing has been timed, for want of a machine: these are counts of the innermost loop as assembled, where FMLA is a
// multiply-add of four floats and FMADD, which Go makes of its loops, of one.
//
//	                         loads        other         instructions that
//	                         per multiply-add           do not multiply-add
//	1 panel2x8Portable       0.75         0.50          56 %   (8 FMADD of 18)
//	2 tile of 6x16           0.22         0.03          20 %   (96 FMLA of 120)
//
// 24 accumulators keep four pipes of latency 4 to 6 busy. One load brings four steps of depth of a row of x, and FMLA
// broadcasts the element it wants by itself, so x costs 6 loads for 96 FMLA. The two registers that are left take the weights in
// turn, each loaded again as soon as its 6 FMLA are done and needed 6 FMLA later. Other tiles: 8x8 and 5x16 need 0.25 and 0.26
// loads for fewer chains, and 8x12 leaves no register for weights once its 8 rows of x are in.

#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"

// Accumulators are V0 on, row by row. Rows of x are in V24..V29, weights in V30 and V31.

// One column of four results of every row: weights w times element i of each row.
#define COLUMN1(w, i, a) \
	FMLAE(V24, i, w, a)

#define COLUMN4(w, i, a, b, c, d) \
	FMLAE(V24, i, w, a); \
	FMLAE(V25, i, w, b); \
	FMLAE(V26, i, w, c); \
	FMLAE(V27, i, w, d)

#define COLUMN6(w, i, a, b, c, d, e, f) \
	COLUMN4(w, i, a, b, c, d); \
	FMLAE(V28, i, w, e); \
	FMLAE(V29, i, w, f)

#define WEIGHTS(off, f) FMOVQ off(R4), f
#define NONE

// One step of depth of a tile that is four columns wide. off is the place of its weights from R4; the first two are there
// already, and NEXT30 and NEXT31 load those of the next step.
#define WIDE6(i, off, NEXT30, NEXT31) \
	COLUMN6(V30, i, V0, V4, V8, V12, V16, V20); \
	WEIGHTS(off+32, F30); \
	COLUMN6(V31, i, V1, V5, V9, V13, V17, V21); \
	WEIGHTS(off+48, F31); \
	COLUMN6(V30, i, V2, V6, V10, V14, V18, V22); \
	NEXT30; \
	COLUMN6(V31, i, V3, V7, V11, V15, V19, V23); \
	NEXT31

#define WIDE4(i, off, NEXT30, NEXT31) \
	COLUMN4(V30, i, V0, V4, V8, V12); \
	WEIGHTS(off+32, F30); \
	COLUMN4(V31, i, V1, V5, V9, V13); \
	WEIGHTS(off+48, F31); \
	COLUMN4(V30, i, V2, V6, V10, V14); \
	NEXT30; \
	COLUMN4(V31, i, V3, V7, V11, V15); \
	NEXT31

#define WIDE1(i, off, NEXT30, NEXT31) \
	COLUMN1(V30, i, V0); \
	WEIGHTS(off+32, F30); \
	COLUMN1(V31, i, V1); \
	WEIGHTS(off+48, F31); \
	COLUMN1(V30, i, V2); \
	NEXT30; \
	COLUMN1(V31, i, V3); \
	NEXT31

// The same, two columns wide.
#define NARROW6(i, off, NEXT30, NEXT31) \
	COLUMN6(V30, i, V0, V2, V4, V6, V8, V10); \
	NEXT30; \
	COLUMN6(V31, i, V1, V3, V5, V7, V9, V11); \
	NEXT31

#define NARROW4(i, off, NEXT30, NEXT31) \
	COLUMN4(V30, i, V0, V2, V4, V6); \
	NEXT30; \
	COLUMN4(V31, i, V1, V3, V5, V7); \
	NEXT31

#define NARROW1(i, off, NEXT30, NEXT31) \
	COLUMN1(V30, i, V0); \
	NEXT30; \
	COLUMN1(V31, i, V1); \
	NEXT31

// Rows of x: four steps of depth, or one.
#define ROWS1(MOVE, bytes) \
	MOVE bytes(R8), F24

#define ROWS4(MOVE, bytes) \
	ROWS1(MOVE, bytes); \
	MOVE bytes(R9), F25; \
	MOVE bytes(R10), F26; \
	MOVE bytes(R11), F27

#define ROWS6(MOVE, bytes) \
	ROWS4(MOVE, bytes); \
	MOVE bytes(R12), F28; \
	MOVE bytes(R13), F29

// Arguments: R1 taps, R2 steps, R3 -4*depth, R4 weights, R5 bias, R6 offsets, R7 base of the rows.
#define SETUP \
	MOVD args+0(FP), R0; \
	MOVD panelArgs_taps(R0), R1; \
	MOVD panelArgs_steps(R0), R2; \
	MOVD panelArgs_negDepth(R0), R3; \
	MOVD panelArgs_w(R0), R4; \
	MOVD panelArgs_bias(R0), R5; \
	MOVD panelArgs_offsets(R0), R6; \
	MOVD panelArgs_a(R0), R7

#define POINTERS1 \
	MOVD 0(R6), R8; \
	ADD  R7, R8

#define POINTERS4 \
	POINTERS1; \
	MOVD 8(R6), R9; \
	ADD  R7, R9; \
	MOVD 16(R6), R10; \
	ADD  R7, R10; \
	MOVD 24(R6), R11; \
	ADD  R7, R11

#define POINTERS6 \
	POINTERS4; \
	MOVD 32(R6), R12; \
	ADD  R7, R12; \
	MOVD 40(R6), R13; \
	ADD  R7, R13

// R15 takes the rows from the end of one tap to the next tap.
#define ADVANCE1 \
	ADD R15, R8

#define ADVANCE4 \
	ADVANCE1; \
	ADD R15, R9; \
	ADD R15, R10; \
	ADD R15, R11

#define ADVANCE6 \
	ADVANCE4; \
	ADD R15, R12; \
	ADD R15, R13

// The loop over taps and, four at a time, over their depth; wbytes is one row of the panel. At the end R0 and R1 are the
// result and its stride.
#define LOOP(STEP, ROWS, ADVANCE, wbytes) \
tap: \
	ADDS $16, R3, R14; \
	BGT  rest; \
four: \
	ROWS(FMOVQ.P, 16); \
	FLDPQ (R4), (F30, F31); \
	STEP(0, 0*wbytes, WEIGHTS(1*wbytes, F30), WEIGHTS(1*wbytes+16, F31)); \
	STEP(1, 1*wbytes, WEIGHTS(2*wbytes, F30), WEIGHTS(2*wbytes+16, F31)); \
	STEP(2, 2*wbytes, WEIGHTS(3*wbytes, F30), WEIGHTS(3*wbytes+16, F31)); \
	STEP(3, 3*wbytes, NONE, NONE); \
	ADD  $(4*wbytes), R4; \
	ADDS $16, R14; \
	BLE  four; \
rest: \
	SUBS $16, R14; \
	BEQ  next; \
one: \
	ROWS(FMOVS.P, 4); \
	FLDPQ (R4), (F30, F31); \
	STEP(0, 0, NONE, NONE); \
	ADD  $wbytes, R4; \
	ADDS $4, R14; \
	BNE  one; \
next: \
	SUBS $1, R1; \
	BEQ  done; \
	MOVD.P 8(R2), R15; \
	ADD  R3, R15; \
	ADVANCE; \
	B    tap; \
done: \
	MOVD panelArgs_cStride(R0), R1; \
	MOVD panelArgs_c(R0), R0

#define COPY4(a, b, c, d) \
	MOV16(V0, a); \
	MOV16(V1, b); \
	MOV16(V2, c); \
	MOV16(V3, d)

#define COPY2(a, b) \
	MOV16(V0, a); \
	MOV16(V1, b)

#define STORE4(a, b, c, d) \
	FSTPQ (a, b), (R0); \
	FSTPQ (c, d), 32(R0); \
	ADD   R1, R0

#define STORE2(a, b) \
	FSTPQ (a, b), (R0); \
	ADD   R1, R0

// func panel6x16NEON(args *panelArgs)
TEXT ·panel6x16NEON(SB), NOSPLIT, $0-8
	SETUP
	FLDPQ (R5), (F0, F1)
	FLDPQ 32(R5), (F2, F3)
	POINTERS6
	COPY4(V4, V5, V6, V7)
	COPY4(V8, V9, V10, V11)
	COPY4(V12, V13, V14, V15)
	COPY4(V16, V17, V18, V19)
	COPY4(V20, V21, V22, V23)
	LOOP(WIDE6, ROWS6, ADVANCE6, 64)
	STORE4(F0, F1, F2, F3)
	STORE4(F4, F5, F6, F7)
	STORE4(F8, F9, F10, F11)
	STORE4(F12, F13, F14, F15)
	STORE4(F16, F17, F18, F19)
	STORE4(F20, F21, F22, F23)
	RET

// func panel6x8NEON(args *panelArgs)
TEXT ·panel6x8NEON(SB), NOSPLIT, $0-8
	SETUP
	FLDPQ (R5), (F0, F1)
	POINTERS6
	COPY2(V2, V3)
	COPY2(V4, V5)
	COPY2(V6, V7)
	COPY2(V8, V9)
	COPY2(V10, V11)
	LOOP(NARROW6, ROWS6, ADVANCE6, 32)
	STORE2(F0, F1)
	STORE2(F2, F3)
	STORE2(F4, F5)
	STORE2(F6, F7)
	STORE2(F8, F9)
	STORE2(F10, F11)
	RET

// func panel4x16NEON(args *panelArgs)
TEXT ·panel4x16NEON(SB), NOSPLIT, $0-8
	SETUP
	FLDPQ (R5), (F0, F1)
	FLDPQ 32(R5), (F2, F3)
	POINTERS4
	COPY4(V4, V5, V6, V7)
	COPY4(V8, V9, V10, V11)
	COPY4(V12, V13, V14, V15)
	LOOP(WIDE4, ROWS4, ADVANCE4, 64)
	STORE4(F0, F1, F2, F3)
	STORE4(F4, F5, F6, F7)
	STORE4(F8, F9, F10, F11)
	STORE4(F12, F13, F14, F15)
	RET

// func panel4x8NEON(args *panelArgs)
TEXT ·panel4x8NEON(SB), NOSPLIT, $0-8
	SETUP
	FLDPQ (R5), (F0, F1)
	POINTERS4
	COPY2(V2, V3)
	COPY2(V4, V5)
	COPY2(V6, V7)
	LOOP(NARROW4, ROWS4, ADVANCE4, 32)
	STORE2(F0, F1)
	STORE2(F2, F3)
	STORE2(F4, F5)
	STORE2(F6, F7)
	RET

// func panel1x16NEON(args *panelArgs)
TEXT ·panel1x16NEON(SB), NOSPLIT, $0-8
	SETUP
	FLDPQ (R5), (F0, F1)
	FLDPQ 32(R5), (F2, F3)
	POINTERS1
	LOOP(WIDE1, ROWS1, ADVANCE1, 64)
	STORE4(F0, F1, F2, F3)
	RET

// func panel1x8NEON(args *panelArgs)
TEXT ·panel1x8NEON(SB), NOSPLIT, $0-8
	SETUP
	FLDPQ (R5), (F0, F1)
	POINTERS1
	LOOP(NARROW1, ROWS1, ADVANCE1, 32)
	STORE2(F0, F1)
	RET
