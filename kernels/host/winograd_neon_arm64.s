// Winograd transforms for NEON; winogradKernels says what they compute.
//
// Not timed, for want of a machine. 32 registers hold a whole tile and what becomes of its columns, so that every element is
// loaded once: the transform of a tile's input is 16 loads, 32 additions, 16 stores and 7 other instructions for four channels.

#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"

// The 16 elements of a tile to V0..V15: LD1P moves on by register s from one to the next.
#define LOAD4(r, s, a, b, c, d) \
	LD1P(r, s, a); \
	LD1P(r, s, b); \
	LD1P(r, s, c); \
	LD1P(r, s, d)

#define STORE4(a, b, c, d, r, s) \
	ST1P(a, r, s); \
	ST1P(b, r, s); \
	ST1P(c, r, s); \
	ST1P(d, r, s)

#define LOAD16(r, s) \
	LOAD4(r, s, V0, V1, V2, V3); \
	LOAD4(r, s, V4, V5, V6, V7); \
	LOAD4(r, s, V8, V9, V10, V11); \
	LOAD4(r, s, V12, V13, V14, V15)

// back = 16 - 16 step goes from the end of 16 vectors, step apart, to the next four channels of the first.
#define BACK16(step, back) \
	LSL $4, step, back; \
	NEG back, back; \
	ADD $16, back

// (a, b, c, d) to (a-c, b+c, c-b, d-b): B^T of four elements.
#define DIFFERENCES(a, b, c, d, e, f, g, h) \
	FSUB(c, a, e); \
	FADD(c, b, f); \
	FSUB(b, c, g); \
	FSUB(b, d, h)

#define INPUT_ROW(a, b, c, d) \
	DIFFERENCES(a, b, c, d, V0, V1, V2, V3); \
	STORE4(V0, V1, V2, V3, 17, 4)

// R1 walks over the offsets, R9..R12 over the rows of a tile, R17 over its transform.
// func winogradInputNEON(args *winogradInputArgs)
TEXT ·winogradInputNEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), R0
	MOVD winogradInputArgs_offsets(R0), R1
	MOVD winogradInputArgs_dst(R0), R2
	MOVD winogradInputArgs_pix(R0), R3
	MOVD winogradInputArgs_xiPitch(R0), R4
	MOVD winogradInputArgs_tiles(R0), R5
	MOVD winogradInputArgs_n(R0), R6
	MOVD winogradInputArgs_tilePitch(R0), R7
	MOVD winogradInputArgs_row(R0), R8
	MOVD winogradInputArgs_src(R0), R16
	LSL  $2, R3, R13
	NEG  R13, R13
	ADD  $16, R13          // from the end of a row to its next four channels
	BACK16(R4, R14)
tile:
	MOVD.P 8(R1), R9
	ADD  R16, R9
	ADD  R8, R9, R10
	ADD  R8, R10, R11
	ADD  R8, R11, R12
	MOVD R2, R17
	MOVD R6, R15
vector:
	LOAD4(9, 3, V0, V1, V2, V3)
	LOAD4(10, 3, V4, V5, V6, V7)
	LOAD4(11, 3, V8, V9, V10, V11)
	LOAD4(12, 3, V12, V13, V14, V15)
	ADD  R13, R9
	ADD  R13, R10
	ADD  R13, R11
	ADD  R13, R12
	DIFFERENCES(V0, V4, V8, V12, V16, V20, V24, V28)
	DIFFERENCES(V1, V5, V9, V13, V17, V21, V25, V29)
	DIFFERENCES(V2, V6, V10, V14, V18, V22, V26, V30)
	DIFFERENCES(V3, V7, V11, V15, V19, V23, V27, V31)
	INPUT_ROW(V16, V17, V18, V19)
	INPUT_ROW(V20, V21, V22, V23)
	INPUT_ROW(V24, V25, V26, V27)
	INPUT_ROW(V28, V29, V30, V31)
	ADD  R14, R17
	SUBS $16, R15
	BNE  vector
	ADD  R7, R2
	SUBS $1, R5
	BNE  tile
	RET

// R1 walks over the tiles, R2 is the M of one; R3 is what R17 walks along it by. R5 and R6 are the columns.
#define OUTPUT_SETUP \
	MOVD args+0(FP), R0; \
	MOVD winogradOutputArgs_m(R0), R2; \
	MOVD winogradOutputArgs_xiPitch(R0), R3; \
	MOVD winogradOutputArgs_tiles(R0), R1; \
	MOVD winogradOutputArgs_count(R0), R4; \
	MOVD winogradOutputArgs_col(R0), R5; \
	MOVD winogradOutputArgs_n(R0), R6; \
	MOVD winogradOutputArgs_tilePitch(R0), R7; \
	BACK16(R3, R8)

// The four pixels of a tile, from column R5 on.
#define PIXELS \
	MOVD winogradTile_y+0(R1), R9; \
	MOVD winogradTile_y+8(R1), R10; \
	MOVD winogradTile_y+16(R1), R11; \
	MOVD winogradTile_y+24(R1), R12; \
	ADD  R5, R9; \
	ADD  R5, R10; \
	ADD  R5, R11; \
	ADD  R5, R12

#define OUTPUT_NEXT \
	ADD  R8, R17; \
	SUBS $16, R15; \
	BNE  vector; \
	ADD  R7, R2; \
	ADD  $winogradTile__size, R1; \
	SUBS $1, R4; \
	BNE  tile; \
	RET

// (a, b, c, d) to (b+c+a, b-c+d): A^T of four elements.
#define SUMS(a, b, c, d, sum, difference) \
	FADD(c, b, sum); \
	FSUB(c, b, difference); \
	FADD(a, sum, sum); \
	FADD(d, difference, difference)

// The two pixels of a row of results; V31 is added to both.
#define OUTPUT_ROW(a, b, c, d, left, right, yLeft, yRight) \
	SUMS(a, b, c, d, V24, V25); \
	FADD(V31, V24, V24); \
	FADD(V31, V25, V25); \
	FMOVQ.P 16(left), F26; \
	FADD(V26, V24, V24); \
	FMOVQ.P 16(right), F27; \
	FADD(V27, V25, V25); \
	FMOVQ.P F24, 16(yLeft); \
	FMOVQ.P F25, 16(yRight)

// R9..R12 are the pixels of y, R13, R14, R16, R19 those of the residual, R20 and R21 the rows of bias and add.
// func winogradOutputNEON(args *winogradOutputArgs)
TEXT ·winogradOutputNEON(SB), NOSPLIT, $0-8
	OUTPUT_SETUP
	MOVD winogradOutputArgs_bias(R0), R22
	ADD  R5, R22
tile:
	PIXELS
	MOVD winogradTile_res+0(R1), R13
	MOVD winogradTile_res+8(R1), R14
	MOVD winogradTile_res+16(R1), R16
	MOVD winogradTile_res+24(R1), R19
	MOVD winogradTile_add(R1), R21
	ADD  R5, R13
	ADD  R5, R14
	ADD  R5, R16
	ADD  R5, R19
	ADD  R5, R21
	MOVD R22, R20
	MOVD R2, R17
	MOVD R6, R15
vector:
	LOAD16(17, 3)
	SUMS(V0, V4, V8, V12, V16, V20)
	SUMS(V1, V5, V9, V13, V17, V21)
	SUMS(V2, V6, V10, V14, V18, V22)
	SUMS(V3, V7, V11, V15, V19, V23)
	FMOVQ.P 16(R20), F31
	FMOVQ.P 16(R21), F30
	FADD(V30, V31, V31)
	OUTPUT_ROW(V16, V17, V18, V19, R13, R14, R9, R10)
	OUTPUT_ROW(V20, V21, V22, V23, R16, R19, R11, R12)
	OUTPUT_NEXT

// A row of A y A^T from the two pixels of a row of A y.
#define OUTPUT_GRAD_ROW(left, right) \
	FADD(right, left, V8); \
	FSUB(right, left, V9); \
	STORE4(left, V8, V9, right, 17, 3)

// func winogradOutputGradNEON(args *winogradOutputArgs)
TEXT ·winogradOutputGradNEON(SB), NOSPLIT, $0-8
	OUTPUT_SETUP
tile:
	PIXELS
	MOVD R2, R17
	MOVD R6, R15
vector:
	FMOVQ.P 16(R9), F0
	FMOVQ.P 16(R10), F1
	FMOVQ.P 16(R11), F2
	FMOVQ.P 16(R12), F3
	FADD(V2, V0, V4)
	FADD(V3, V1, V5)
	FSUB(V2, V0, V6)
	FSUB(V3, V1, V7)
	OUTPUT_GRAD_ROW(V0, V1)
	OUTPUT_GRAD_ROW(V4, V5)
	OUTPUT_GRAD_ROW(V6, V7)
	OUTPUT_GRAD_ROW(V2, V3)
	OUTPUT_NEXT

// R1 walks along g by R2 and comes back by R3, R4 along u by R5 and R6. V31 holds 1/2.
#define WEIGHTS_SETUP \
	MOVD args+0(FP), R0; \
	MOVD winogradWeightArgs_g(R0), R1; \
	MOVD winogradWeightArgs_gPitch(R0), R2; \
	ADD  R2<<3, R2, R3; \
	NEG  R3, R3; \
	ADD  $16, R3; \
	MOVD winogradWeightArgs_u(R0), R4; \
	MOVD winogradWeightArgs_uPitch(R0), R5; \
	BACK16(R5, R6); \
	MOVD winogradWeightArgs_n(R0), R7; \
	FMOVS $0.5, F31; \
	DUP(0, V31, V31)

#define WEIGHTS_NEXT \
	ADD  R3, R1; \
	ADD  R6, R4; \
	SUBS $16, R7; \
	BNE  vector; \
	RET

// (a, b, c) to (a, (a+c+b)/2, (a+c-b)/2, c): what is not there already goes to sum and difference.
#define HALVES(a, b, c, sum, difference) \
	FADD(c, a, difference); \
	FADD(b, difference, sum); \
	FSUB(b, difference, difference); \
	FMUL(V31, sum, sum); \
	FMUL(V31, difference, difference)

#define WEIGHTS_ROW(a, b, c) \
	HALVES(a, b, c, V16, V17); \
	STORE4(a, V16, V17, c, 4, 5)

// func winogradWeightsNEON(args *winogradWeightArgs)
TEXT ·winogradWeightsNEON(SB), NOSPLIT, $0-8
	WEIGHTS_SETUP
vector:
	LOAD4(1, 2, V0, V1, V2, V3)
	LOAD4(1, 2, V4, V5, V6, V7)
	LD1P(1, 2, V8)
	HALVES(V0, V3, V6, V9, V12)
	HALVES(V1, V4, V7, V10, V13)
	HALVES(V2, V5, V8, V11, V14)
	WEIGHTS_ROW(V0, V1, V2)
	WEIGHTS_ROW(V9, V10, V11)
	WEIGHTS_ROW(V12, V13, V14)
	WEIGHTS_ROW(V6, V7, V8)
	WEIGHTS_NEXT

// (a, b, c, d) to (a + (b+c)/2, (b-c)/2, (b+c)/2 + d), in q0, q1 and q2.
#define UNHALVE(a, b, c, d, q0, q1, q2) \
	FADD(c, b, q2); \
	FSUB(c, b, q1); \
	FMUL(V31, q2, q2); \
	FMUL(V31, q1, q1); \
	FADD(a, q2, q0); \
	FADD(d, q2, q2)

#define WEIGHTS_GRAD_ROW(a, b, c, d) \
	UNHALVE(a, b, c, d, V0, V1, V2); \
	ST1P(V0, 1, 2); \
	ST1P(V1, 1, 2); \
	ST1P(V2, 1, 2)

// func winogradWeightsGradNEON(args *winogradWeightArgs)
TEXT ·winogradWeightsGradNEON(SB), NOSPLIT, $0-8
	WEIGHTS_SETUP
vector:
	LOAD16(4, 5)
	UNHALVE(V0, V4, V8, V12, V16, V20, V24)
	UNHALVE(V1, V5, V9, V13, V17, V21, V25)
	UNHALVE(V2, V6, V10, V14, V18, V22, V26)
	UNHALVE(V3, V7, V11, V15, V19, V23, V27)
	WEIGHTS_GRAD_ROW(V16, V17, V18, V19)
	WEIGHTS_GRAD_ROW(V20, V21, V22, V23)
	WEIGHTS_GRAD_ROW(V24, V25, V26, V27)
	WEIGHTS_NEXT
