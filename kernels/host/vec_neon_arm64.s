// Row kernels for NEON, four lanes. They follow vec_amd64.h kernel by kernel, with one difference: there are no masks, so a
// BODY runs over whole vectors and then over what is left one float at a time, in lane 0 of the same registers. A value gets
// the same bits wherever it lies in a slice.
//
// Nothing has been timed, for want of a machine. As assembled, SiLU is 34 instructions for four values, one of them the division.

#include "textflag.h"
#include "neon_arm64.h"
#include "vec_neon_arm64.h"

// ---- One source: func(dst, src []float32, ...) ----

#define STEP1(L, S, BODY) \
	L(R1, F0); \
	BODY; \
	S(F0, R0)

#define KERNEL1(BODY) \
	FLOATS(STEP1(LOAD, STORE, BODY), STEP1(LOAD1, STORE1, BODY))

// func siluNEON(dst, src []float32)
TEXT ·siluNEON(SB), NOSPLIT, $0-48
	ARGS1
	LOADCONSTANTS
	KERNEL1(SILU(V0, V1, V2, V3, V4))

// x = exp(scale x - shift); only lane 0 of a single one counts for the sum.
#define WEIGH_STEP(P, S, KEEP) \
	P(R1, F5); \
	MOV16(V8, V0); \
	FMLA(V9, V5, V0); \
	FMAX(C_EXPLOW, V0, V0); \
	EXP(V0, V1, V2, V3); \
	KEEP; \
	FADD(V0, V7, V7); \
	S(F0, R1)
#define KEEPALL
#define KEEPONE FMOVS F0, F0
// func weighNEON(x []float32, scale, shift float32) (ret float32)
TEXT ·weighNEON(SB), NOSPLIT, $0-36
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R3
	LOADCONSTANTS
	SCALAR(scale+24(FP), F9, V9)
	SCALAR(shift+28(FP), F8, V8)
	FNEG(V8, V8)
	ZERO(V7)
	EVERY(WEIGH_STEP(PEEK, STORE, KEEPALL), WEIGH_STEP(PEEK1, STORE1, KEEPONE))
	FADDP(V7, V7, V7)
	FADDPS(V7, V7)
	FMOVS F7, ret+32(FP)
	RET

// dst = scale w (dst - rowSum), the cotangent of scores.
#define DSCORES_STEP(L, P, S) \
	P(R0, F0); \
	FSUB(V8, V0, V0); \
	L(R1, F1); \
	FMUL(V0, V1, V0); \
	FMUL(V9, V0, V0); \
	S(F0, R0)
// func dscoresNEON(dst, w []float32, rowSum, scale float32)
TEXT ·dscoresNEON(SB), NOSPLIT, $0-56
	MOVD dst_base+0(FP), R0
	MOVD dst_len+8(FP), R3
	MOVD w_base+24(FP), R1
	SCALAR(rowSum+48(FP), F8, V8)
	SCALAR(scale+52(FP), F9, V9)
	FLOATS(DSCORES_STEP(LOAD, PEEK, STORE), DSCORES_STEP(LOAD1, PEEK1, STORE1))

// func tripleNEON(dst, src []float32)
TEXT ·tripleNEON(SB), NOSPLIT, $0-48
	ARGS1
loop:
	LOAD(R1, F0)
	MOV16(V0, V1)
	MOV16(V0, V2)
	ST3P(V0, 0)
	SUBS $12, R3
	BGT  loop
	RET

// A maximum may see a value twice: the last vector overlaps the one before it.
// func maximumNEON(x []float32) (ret float32)
TEXT ·maximumNEON(SB), NOSPLIT, $0-28
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R3
	SUBS $4, R3
	BLT  few
	FMOVQ (R1), F0
vector:
	LOAD(R1, F1)
	FMAX(V1, V0, V0)
	SUBS $4, R3
	BGE  vector
	ADD  R3<<2, R1 // R3 floats, -4 to -1, back from the end
	FMOVQ (R1), F1
	FMAX(V1, V0, V0)
	FMAXV(V0, V0)
	FMOVS F0, ret+24(FP)
	RET
few:
	LD1R4(1, V0)
	ADDS $3, R3
	BEQ  done
one:
	LD1R4(1, V1)
	FMAX(V1, V0, V0)
	SUBS $1, R3
	BNE  one
done:
	FMOVS F0, ret+24(FP)
	RET

#define SCALE_BODY FMUL(V8, V0, V0)
// func scaleNEON(dst, src []float32, alpha float32)
TEXT ·scaleNEON(SB), NOSPLIT, $0-52
	ARGS1
	SCALAR(alpha+48(FP), F8, V8)
	KERNEL1(SCALE_BODY)

#define CLAMP_BODY \
	FMAX(V8, V0, V0); \
	FMIN(V9, V0, V0)
// func clampNEON(dst, src []float32, lo, hi float32)
TEXT ·clampNEON(SB), NOSPLIT, $0-56
	ARGS1
	SCALAR(lo+48(FP), F8, V8)
	SCALAR(hi+52(FP), F9, V9)
	KERNEL1(CLAMP_BODY)

// ---- Two sources: func(dst, a, b []float32, ...) ----

#define STEP2(L, S, BODY) \
	L(R1, F0); \
	L(R2, F1); \
	BODY; \
	S(F0, R0)

#define KERNEL2(BODY) \
	FLOATS(STEP2(LOAD, STORE, BODY), STEP2(LOAD1, STORE1, BODY))

#define ADD_BODY FADD(V1, V0, V0)
// func addNEON(dst, a, b []float32)
TEXT ·addNEON(SB), NOSPLIT, $0-72
	ARGS2
	KERNEL2(ADD_BODY)

#define MUL_BODY FMUL(V1, V0, V0)
// func mulNEON(dst, a, b []float32)
TEXT ·mulNEON(SB), NOSPLIT, $0-72
	ARGS2
	KERNEL2(MUL_BODY)

#define ADDSCALED_BODY FMLA(V8, V1, V0)
// func addScaledNEON(dst, a, b []float32, alpha float32)
TEXT ·addScaledNEON(SB), NOSPLIT, $0-76
	ARGS2
	SCALAR(alpha+72(FP), F8, V8)
	KERNEL2(ADDSCALED_BODY)

#define COMBINE_BODY \
	FMUL(V8, V0, V0); \
	FMLA(V9, V1, V0)
// func combineNEON(dst, a, b []float32, alpha, beta float32)
TEXT ·combineNEON(SB), NOSPLIT, $0-80
	ARGS2
	SCALAR(alpha+72(FP), F8, V8)
	SCALAR(beta+76(FP), F9, V9)
	KERNEL2(COMBINE_BODY)

#define DIFFERENCE_BODY \
	FSUB(V1, V0, V0); \
	FMUL(V8, V0, V0)
// func differenceNEON(dst, a, b []float32, alpha float32)
TEXT ·differenceNEON(SB), NOSPLIT, $0-76
	ARGS2
	SCALAR(alpha+72(FP), F8, V8)
	KERNEL2(DIFFERENCE_BODY)

// func siluGradNEON(dst, dy, x []float32)
TEXT ·siluGradNEON(SB), NOSPLIT, $0-72
	ARGS_GRAD
	LOADCONSTANTS
	KERNEL2(SILUGRAD(V0, V1, V2, V3, V4, V5))

// Comparisons with NaN are false.
#define KEEPINSIDE \
	FCMGE(V8, V1, V2); \
	FCMGE(V1, V9, V3); \
	AND16(V2, V0, V0); \
	AND16(V3, V0, V0)
// func clampGradNEON(dst, dy, x []float32, lo, hi float32)
TEXT ·clampGradNEON(SB), NOSPLIT, $0-80
	ARGS_GRAD
	SCALAR(lo+72(FP), F8, V8)
	SCALAR(hi+76(FP), F9, V9)
	KERNEL2(KEEPINSIDE)

#define DROPOUT_BODY \
	FMUL(V9, V0, V0); \
	FCMGE(V8, V1, V2); \
	AND16(V2, V0, V0)
// func dropoutNEON(dst, x, u []float32, rate, alpha float32)
TEXT ·dropoutNEON(SB), NOSPLIT, $0-80
	MOVD dst_base+0(FP), R0
	MOVD dst_len+8(FP), R3
	MOVD x_base+24(FP), R1
	MOVD u_base+48(FP), R2
	SCALAR(rate+72(FP), F8, V8)
	SCALAR(alpha+76(FP), F9, V9)
	KERNEL2(DROPOUT_BODY)

// ---- Gaussian posterior ----

// q = 1/(1 + g^2 k), x = (g k y + z) q + noise sqrt(q) w
#define POSTERIOR_STEP(L, S) \
	L(R1, F0); \
	L(R2, F1); \
	L(R4, F2); \
	L(R5, F3); \
	FMUL(V8, V2, V4); \
	FMLA(V4, V1, V0); \
	MOV16(C_ONE, V5); \
	FMLA(V4, V2, V5); \
	FDIV(V5, C_ONE, V4); \
	FMUL(V4, V0, V0); \
	FSQRT(V4, V4); \
	FMUL(V9, V4, V4); \
	FMLA(V3, V4, V0); \
	S(F0, R0)
// func posteriorNEON(dst, z, y, gain, w []float32, k, noise float32)
TEXT ·posteriorNEON(SB), NOSPLIT, $0-128
	MOVD dst_base+0(FP), R0
	MOVD dst_len+8(FP), R3
	MOVD z_base+24(FP), R1
	MOVD y_base+48(FP), R2
	MOVD gain_base+72(FP), R4
	MOVD w_base+96(FP), R5
	SCALAR(k+120(FP), F8, V8)
	SCALAR(noise+124(FP), F9, V9)
	MOVD $·neonConstants(SB), R24
	FMOVQ CONST_ONE(R24), F16
	FLOATS(POSTERIOR_STEP(LOAD, STORE), POSTERIOR_STEP(LOAD1, STORE1))

// ---- AdamW ----

// The coefficients fill V16..V26 in the order of adamCoefficients.
#define ADAM_STEP(L, P, S) \
	L(R5, F0); \
	FMUL(V16, V0, V0); \
	P(R1, F1); \
	FMUL(V17, V1, V1); \
	FMLA(V18, V0, V1); \
	S(F1, R1); \
	P(R2, F2); \
	FMUL(V0, V0, V3); \
	FMUL(V19, V2, V2); \
	FMLA(V20, V3, V2); \
	S(F2, R2); \
	FMUL(V21, V2, V2); \
	FSQRT(V2, V2); \
	FADD(V22, V2, V2); \
	FDIV(V2, V1, V1); \
	P(R0, F0); \
	FMUL(V23, V0, V3); \
	FMLA(V24, V1, V3); \
	FSUB(V3, V0, V0); \
	S(F0, R0); \
	P(R4, F3); \
	FMUL(V25, V3, V3); \
	FMLA(V26, V0, V3); \
	S(F3, R4)
// func adamNEON(w, m, v, ema, g []float32, c *adamCoefficients)
TEXT ·adamNEON(SB), NOSPLIT, $0-128
	MOVD w_base+0(FP), R0
	MOVD w_len+8(FP), R3
	MOVD m_base+24(FP), R1
	MOVD v_base+48(FP), R2
	MOVD ema_base+72(FP), R4
	MOVD g_base+96(FP), R5
	MOVD c+120(FP), R6
	LD1R4(6, V16)
	LD1R4(6, V17)
	LD1R4(6, V18)
	LD1R4(6, V19)
	LD1R4(6, V20)
	LD1R4(6, V21)
	LD1R4(6, V22)
	LD1R4(6, V23)
	LD1R4(6, V24)
	LD1R4(6, V25)
	LD1R4(6, V26)
	FLOATS(ADAM_STEP(LOAD, PEEK, STORE), ADAM_STEP(LOAD1, PEEK1, STORE1))

// ---- Reductions ----

#define ZERO4 \
	ZERO(V0); \
	ZERO(V1); \
	ZERO(V2); \
	ZERO(V3)

// REDUCE adds STEP of four vectors at a time to V0..V3, then single ones to V0, then the rest to lane 0 of V0, and folds all
// of it in a fixed order.
#define REDUCE(STEP) \
	ZERO4; \
	SUBS $16, R3; \
	BLT  few; \
four: \
	STEP(LOAD, V0); \
	STEP(LOAD, V1); \
	STEP(LOAD, V2); \
	STEP(LOAD, V3); \
	SUBS $16, R3; \
	BGE  four; \
few: \
	ADDS $12, R3; \
	BLT  rest; \
vector: \
	STEP(LOAD, V0); \
	SUBS $4, R3; \
	BGE  vector; \
rest: \
	ADDS $4, R3; \
	BEQ  fold; \
one: \
	STEP(LOAD1, V0); \
	SUBS $1, R3; \
	BNE  one; \
fold: \
	FADD(V1, V0, V0); \
	FADD(V3, V2, V2); \
	FADD(V2, V0, V0); \
	FADDP(V0, V0, V0); \
	FADDPS(V0, V0)

#define DOT_STEP(L, acc) \
	L(R1, F4); \
	L(R2, F5); \
	FMLA(V5, V4, acc)
// func dotNEON(a, b []float32) (ret float32)
TEXT ·dotNEON(SB), NOSPLIT, $0-52
	MOVD a_base+0(FP), R1
	MOVD a_len+8(FP), R3
	MOVD b_base+24(FP), R2
	REDUCE(DOT_STEP)
	FMOVS F0, ret+48(FP)
	RET

#define DISTANCE_STEP(L, acc) \
	L(R1, F4); \
	L(R2, F5); \
	FSUB(V5, V4, V4); \
	FMLA(V4, V4, acc)
// func distanceNEON(a, b []float32) (ret float32)
TEXT ·distanceNEON(SB), NOSPLIT, $0-52
	MOVD a_base+0(FP), R1
	MOVD a_len+8(FP), R3
	MOVD b_base+24(FP), R2
	REDUCE(DISTANCE_STEP)
	FMOVS F0, ret+48(FP)
	RET

#define SUM_STEP(L, acc) \
	L(R1, F4); \
	FADD(V4, acc, acc)
// func sumNEON(x []float32) (ret float32)
TEXT ·sumNEON(SB), NOSPLIT, $0-28
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R3
	REDUCE(SUM_STEP)
	FMOVS F0, ret+24(FP)
	RET

// Squares summed in float64: a vector of floats fills two of doubles.
#define SQUARES_STEP(lo, hi) \
	LOAD(R1, F4); \
	FCVTL(V4, V5); \
	FCVTL2(V4, V6); \
	FMLAD(V5, V5, lo); \
	FMLAD(V6, V6, hi)
// func squaresNEON(x []float32) (ret float64)
TEXT ·squaresNEON(SB), NOSPLIT, $0-32
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R3
	ZERO4
	SUBS $8, R3
	BLT  few
four:
	SQUARES_STEP(V0, V1)
	SQUARES_STEP(V2, V3)
	SUBS $8, R3
	BGE  four
few:
	ADDS $8, R3
	BEQ  fold
one:
	LOAD1(R1, F4)
	FCVTL(V4, V5)
	FMLAD(V5, V5, V0)
	SUBS $1, R3
	BNE  one
fold:
	FADDD2(V1, V0, V0)
	FADDD2(V3, V2, V2)
	FADDD2(V2, V0, V0)
	FADDPD(V0, V0)
	FMOVD F0, ret+24(FP)
	RET

// ---- Columns: sums over the rows of a matrix, per channel ----

// COLUMNS walks the R3 channels of a row whose first is at R1: FOUR handles 16 of them, WHOLE four, SINGLE one of the rest.
#define COLUMNS(FOUR, WHOLE, SINGLE) \
	SUBS $16, R3; \
	BLT  narrow; \
wide: \
	FOUR; \
	ADD  $64, R1; \
	SUBS $16, R3; \
	BGE  wide; \
narrow: \
	ADDS $12, R3; \
	BLT  rest; \
vector: \
	WHOLE; \
	ADD  $16, R1; \
	SUBS $4, R3; \
	BGE  vector; \
rest: \
	ADDS $4, R3; \
	BEQ  done; \
one: \
	SINGLE; \
	ADD  $4, R1; \
	SUBS $1, R3; \
	BNE  one; \
done: \
	RET

// ROWS runs STEP on every row at R7, R6 bytes apart, R5 times.
#define ROWS(STEP, label) \
	MOVD R1, R7; \
	MOVD R5, R8; \
label: \
	STEP; \
	ADD  R6, R7; \
	SUBS $1, R8; \
	BNE  label

#define LOAD4(r, a, b, c, d) \
	FLDPQ (r), (a, b); \
	FLDPQ 32(r), (c, d)
#define STORE4(a, b, c, d, r) \
	FSTPQ (a, b), (r); \
	FSTPQ (c, d), 32(r); \
	ADD   $64, r

#define SUMROWS_ROW4 \
	LOAD4(R7, F4, F5, F6, F7); \
	FADD(V4, V0, V0); \
	FADD(V5, V1, V1); \
	FADD(V6, V2, V2); \
	FADD(V7, V3, V3)
#define SUMROWS_FOUR \
	ZERO4; \
	ROWS(SUMROWS_ROW4, rows4); \
	STORE4(F0, F1, F2, F3, R0)
#define SUMROWS_ROW(P) \
	P(R7, F1); \
	FADD(V1, V0, V0)
#define SUMROWS_ONE(P, S, label) \
	ZERO(V0); \
	ROWS(SUMROWS_ROW(P), label); \
	S(F0, R0)
// func sumRowsNEON(dst, x []float32, rows, stride int)
TEXT ·sumRowsNEON(SB), NOSPLIT, $0-64
	MOVD dst_base+0(FP), R0
	MOVD dst_len+8(FP), R3
	MOVD x_base+24(FP), R1
	MOVD rows+48(FP), R5
	MOVD stride+56(FP), R6
	LSL  $2, R6
	COLUMNS(SUMROWS_FOUR, SUMROWS_ONE(PEEK, STORE, rows1), SUMROWS_ONE(PEEK1, STORE1, rowsS))

// Adds the sums of d and d^2, d = x - pivot.
#define MOMENTS_ADD(x, pivot, sum, squares) \
	FSUB(pivot, x, x); \
	FADD(x, sum, sum); \
	FMLA(x, x, squares)
#define MOMENTS_ROW4 \
	LOAD4(R7, F12, F13, F14, F15); \
	MOMENTS_ADD(V12, V8, V0, V4); \
	MOMENTS_ADD(V13, V9, V1, V5); \
	MOMENTS_ADD(V14, V10, V2, V6); \
	MOMENTS_ADD(V15, V11, V3, V7)
#define MOMENTS_FOUR \
	LOAD4(R0, F0, F1, F2, F3); \
	LOAD4(R2, F4, F5, F6, F7); \
	LOAD4(R4, F8, F9, F10, F11); \
	ADD  $64, R4; \
	ROWS(MOMENTS_ROW4, rows4); \
	STORE4(F0, F1, F2, F3, R0); \
	STORE4(F4, F5, F6, F7, R2)
#define MOMENTS_ROW(P) \
	P(R7, F1); \
	MOMENTS_ADD(V1, V8, V0, V4)
#define MOMENTS_ONE(L, P, S, label) \
	P(R0, F0); \
	P(R2, F4); \
	L(R4, F8); \
	ROWS(MOMENTS_ROW(P), label); \
	S(F0, R0); \
	S(F4, R2)
// func momentsNEON(sum, squares, pivot, x []float32, rows, stride int)
TEXT ·momentsNEON(SB), NOSPLIT, $0-112
	MOVD sum_base+0(FP), R0
	MOVD sum_len+8(FP), R3
	MOVD squares_base+24(FP), R2
	MOVD pivot_base+48(FP), R4
	MOVD x_base+72(FP), R1
	MOVD rows+96(FP), R5
	MOVD stride+104(FP), R6
	LSL  $2, R6
	COLUMNS(MOMENTS_FOUR, MOMENTS_ONE(LOAD, PEEK, STORE, rows1), MOMENTS_ONE(LOAD1, PEEK1, STORE1, rowsS))

// ---- Finite impulse response ----

// dst[i] = sum of taps[k] src[i + k step]: the "rows" are the shifted sources, and the taps, at R2 and then R9, are summed in
// order.
#define FIR_ROW4 \
	LD1R4(9, V8); \
	LOAD4(R7, F4, F5, F6, F7); \
	FMLA(V4, V8, V0); \
	FMLA(V5, V8, V1); \
	FMLA(V6, V8, V2); \
	FMLA(V7, V8, V3)
#define FIR_FOUR \
	ZERO4; \
	MOVD R2, R9; \
	ROWS(FIR_ROW4, taps4); \
	STORE4(F0, F1, F2, F3, R0)
#define FIR_ROW(P) \
	LD1R4(9, V8); \
	P(R7, F1); \
	FMLA(V1, V8, V0)
#define FIR_ONE(P, S, label) \
	ZERO(V0); \
	MOVD R2, R9; \
	ROWS(FIR_ROW(P), label); \
	S(F0, R0)
// func firNEON(dst, src, taps []float32, step int)
TEXT ·firNEON(SB), NOSPLIT, $0-80
	MOVD dst_base+0(FP), R0
	MOVD dst_len+8(FP), R3
	MOVD src_base+24(FP), R1
	MOVD taps_base+48(FP), R2
	MOVD taps_len+56(FP), R5
	MOVD step+72(FP), R6
	LSL  $2, R6
	COLUMNS(FIR_FOUR, FIR_ONE(PEEK, STORE, taps1), FIR_ONE(PEEK1, STORE1, tapsS))

// ---- Group norm: rows of C channels with per-channel coefficients ----

// EACHROW runs EVERY over the channels of R5 rows. START takes the coefficients back to the first channel, NEXT the rows on.
#define EACHROW(WHOLE, SINGLE, START, NEXT) \
row: \
	MOVD R12, R3; \
	MOVD R13, R9; \
	MOVD R14, R10; \
	MOVD R15, R11; \
	START; \
	EVERY(WHOLE, SINGLE) \
	ADD  R6, R0; \
	ADD  R7, R1; \
	NEXT; \
	SUBS $1, R5; \
	BNE  row; \
	RET
#define NONE

// y = f((x-mean) a + b)
#define NORM_STEP(L, S, ACT) \
	L(R1, F1); \
	L(R9, F2); \
	FSUB(V2, V1, V1); \
	L(R10, F2); \
	L(R11, F0); \
	FMLA(V2, V1, V0); \
	ACT; \
	S(F0, R0)
// func normNEON(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)
TEXT ·normNEON(SB), NOSPLIT, $0-152
	NORM_ARGS
	EACHROW(NORM_STEP(LOAD, STORE, NONE), NORM_STEP(LOAD1, STORE1, NONE), NONE, NONE)

#define NORM_SILU SILU(V0, V1, V2, V3, V4)
// func normSiLUNEON(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)
TEXT ·normSiLUNEON(SB), NOSPLIT, $0-152
	NORM_ARGS
	LOADCONSTANTS
	EACHROW(NORM_STEP(LOAD, STORE, NORM_SILU), NORM_STEP(LOAD1, STORE1, NORM_SILU), NONE, NONE)

// NORM_DU leaves d = x - mean in V6 and du = dy f'(d a + b) in V0; NORM_SLOPE also a in V7.
#define NORM_DU(L, ACT) \
	L(R0, F0); \
	L(R1, F6); \
	L(R9, F1); \
	FSUB(V1, V6, V6); \
	ACT(L)
#define NORM_LINEAR(L)
#define NORM_SLOPE(L) \
	L(R10, F7); \
	L(R11, F1); \
	FMLA(V7, V6, V1); \
	SILUGRAD(V0, V1, V2, V3, V4, V5)

// s1 += du at R16, s2 += du d at R17; R19 and R20 hold where they start.
#define NORMSUMS_STEP(L, P, S, ACT) \
	NORM_DU(L, ACT); \
	P(R16, F1); \
	FADD(V0, V1, V1); \
	S(F1, R16); \
	P(R17, F1); \
	FMLA(V0, V6, V1); \
	S(F1, R17)
#define NORMSUMS_START \
	MOVD R19, R16; \
	MOVD R20, R17
// func normSumsNEON(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)
TEXT ·normSumsNEON(SB), NOSPLIT, $0-192
	NORMSUMS_ARGS
	EACHROW(NORMSUMS_STEP(LOAD, PEEK, STORE, NORM_LINEAR), NORMSUMS_STEP(LOAD1, PEEK1, STORE1, NORM_LINEAR), NORMSUMS_START, NONE)

// func normSumsSiLUNEON(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)
TEXT ·normSumsSiLUNEON(SB), NOSPLIT, $0-192
	NORMSUMS_ARGS
	LOADCONSTANTS
	EACHROW(NORMSUMS_STEP(LOAD, PEEK, STORE, NORM_SLOPE), NORMSUMS_STEP(LOAD1, PEEK1, STORE1, NORM_SLOPE), NORMSUMS_START, NONE)

// The same, keeping du at R21, which has the stride of x.
#define NORMKEEP_STEP(L, P, S) \
	NORMSUMS_STEP(L, P, S, NORM_SLOPE); \
	S(F0, R21)
#define NORMKEEP_NEXT \
	ADD R7, R21
// func normKeepSiLUNEON(s1, s2, du, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)
TEXT ·normKeepSiLUNEON(SB), NOSPLIT, $0-216
	MOVD s1_base+0(FP), R19
	MOVD s2_base+24(FP), R20
	MOVD du_base+48(FP), R21
	MOVD dy_base+72(FP), R0
	MOVD x_base+96(FP), R1
	MOVD rows+120(FP), R5
	MOVD dyStride+128(FP), R6
	MOVD xStride+136(FP), R7
	MOVD mean_base+144(FP), R13
	MOVD mean_len+152(FP), R3
	MOVD a_base+168(FP), R14
	MOVD b_base+192(FP), R15
	NORM_ROWS
	LOADCONSTANTS
	EACHROW(NORMKEEP_STEP(LOAD, PEEK, STORE), NORMKEEP_STEP(LOAD1, PEEK1, STORE1), NORMSUMS_START, NORMKEEP_NEXT)

// dx = a du + q d + r at R21, which has the stride of x; R16 and R17 walk along q and r, R19 and R20 hold where they start.
#define NORMDX_STEP(L, S, ACT) \
	NORM_DU(L, ACT); \
	L(R16, F1); \
	L(R17, F2); \
	FMLA(V6, V1, V2); \
	FMLA(V0, V7, V2); \
	S(F2, R21)
#define NORMDX_LINEAR(L) \
	L(R10, F7)
// func normDxNEON(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)
TEXT ·normDxNEON(SB), NOSPLIT, $0-232
	NORMDX_ARGS
	EACHROW(NORMDX_STEP(LOAD, STORE, NORMDX_LINEAR), NORMDX_STEP(LOAD1, STORE1, NORMDX_LINEAR), NORMSUMS_START, NORMKEEP_NEXT)

// func normDxSiLUNEON(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)
TEXT ·normDxSiLUNEON(SB), NOSPLIT, $0-232
	NORMDX_ARGS
	LOADCONSTANTS
	EACHROW(NORMDX_STEP(LOAD, STORE, NORM_SLOPE), NORMDX_STEP(LOAD1, STORE1, NORM_SLOPE), NORMSUMS_START, NORMKEEP_NEXT)

// ---- Philox: func(dst []float32, s *philoxState), len(dst) a multiple of 16 ----

// The lanes are four consecutive blocks, V0..V3 the words of their counters. A round turns (c0,c1,c2,c3) into
// (hi(p1)^c1^k0, lo(p1), hi(p0)^c3^k1, lo(p0)) with p0 = M0 c0, p1 = M1 c2; its keys are at R9.
#define ROUND4X32 \
	UMULL(V13, V0, V4); \
	UMULL2(V13, V0, V5); \
	UMULL(V14, V2, V6); \
	UMULL2(V14, V2, V7); \
	LD1R4(9, V8); \
	UZP2(V7, V6, V0); \
	EOR16(V1, V0, V0); \
	EOR16(V8, V0, V0); \
	UZP1(V7, V6, V1); \
	LD1R4(9, V8); \
	UZP2(V5, V4, V2); \
	EOR16(V3, V2, V2); \
	EOR16(V8, V2, V2); \
	UZP1(V5, V4, V3)

#define PHILOX \
	MOV16(V12, V0); \
	MOV16(V9, V1); \
	MOV16(V10, V2); \
	MOV16(V11, V3); \
	MOVD R2, R9; \
	ROUND4X32; \
	ROUND4X32; \
	ROUND4X32; \
	ROUND4X32; \
	ROUND4X32; \
	ROUND4X32; \
	ROUND4X32; \
	ROUND4X32; \
	ROUND4X32; \
	ROUND4X32

// v = (float(v>>9) + 0.5) 2^-23
#define TOUNIFORM(v) \
	USHR4(9, v, v); \
	SCVTF(v, v); \
	FADD(V16, v, v); \
	FMUL(V17, v, v)

// Words are interleaved into blocks.
#define PHILOX_STORE \
	ST4P(V0, 0); \
	ADD4(V15, V12, V12); \
	SUBS $16, R3; \
	BGT  loop; \
	RET

// func uniformsNEON(dst []float32, s *philoxState)
TEXT ·uniformsNEON(SB), NOSPLIT, $0-32
	PHILOX_ARGS
loop:
	PHILOX
	TOUNIFORM(V0)
	TOUNIFORM(V1)
	TOUNIFORM(V2)
	TOUNIFORM(V3)
	PHILOX_STORE

// h = ((c3 t + c2) t + c1) t + c0, unfused.
#define HORNER(t, h, c0, c1, c2, c3) \
	FMUL(c3, t, h); \
	FADD(c2, h, h); \
	FMUL(t, h, h); \
	FADD(c1, h, h); \
	FMUL(t, h, h); \
	FADD(c0, h, h)

#define G_ONE V18
#define G_SIGN V19
#define G_LOG0 V20
#define G_LOG1 V21
#define G_LOG2 V22
#define G_LOG3 V23
#define G_SIN0 V24
#define G_SIN1 V25
#define G_SIN2 V26
#define G_SIN3 V27
#define G_COS0 V28
#define G_COS1 V29
#define G_COS2 V30
#define G_COS3 V31
#define LOADNORMAL \
	FMOVQ CONST_ONE(R24), F18; \
	FMOVQ CONST_SIGN(R24), F19; \
	FMOVQ CONST_LOG0(R24), F20; \
	FMOVQ CONST_LOG1(R24), F21; \
	FMOVQ CONST_LOG2(R24), F22; \
	FMOVQ CONST_LOG3(R24), F23; \
	FMOVQ CONST_SIN0(R24), F24; \
	FMOVQ CONST_SIN1(R24), F25; \
	FMOVQ CONST_SIN2(R24), F26; \
	FMOVQ CONST_SIN3(R24), F27; \
	FMOVQ CONST_COS0(R24), F28; \
	FMOVQ CONST_COS1(R24), F29; \
	FMOVQ CONST_COS2(R24), F30; \
	FMOVQ CONST_COS3(R24), F31

// Box-Muller exactly as kernels.NormalBlock, on the words u and k: no fused operation anywhere. The exponent is split off at
// sqrt(1/2) in integers, which gives the m and e of kernels.NormalLog without a comparison. V8 takes the constants that have
// no register.
#define BOXMULLER(u, k) \
	TOUNIFORM(u); \
	FMOVQ CONST_SQRTHALF(R24), F8; \
	SUB4(V8, u, V4); \
	SSHR4(23, V4, V4); /* e */ \
	SHL4(23, V4, V5); \
	SUB4(V5, u, u); /* m */ \
	FMOVQ CONST_NONE(R24), F8; \
	FADD(V8, u, V5); /* m-1 */ \
	FADD(G_ONE, u, u); /* m+1 */ \
	FDIV(u, V5, u); /* s */ \
	FMUL(u, u, V5); /* t */ \
	HORNER(V5, V6, G_LOG0, G_LOG1, G_LOG2, G_LOG3); \
	FMUL(V5, V6, V6); \
	FADD(G_ONE, V6, V6); /* p */ \
	FADD(u, u, u); \
	FMUL(V6, u, u); \
	SCVTF(V4, V4); \
	FMOVQ CONST_LN2(R24), F8; \
	FMUL(V8, V4, V4); \
	FADD(V4, u, u); /* ln u */ \
	FMOVQ CONST_NTWO(R24), F8; \
	FMUL(V8, u, u); \
	FSQRT(u, u); /* radius */ \
	USHR4(8, k, k); \
	FMOVQ CONST_EIGHTH(R24), F8; \
	ADD4(V8, k, k); /* k */ \
	FMOVQ CONST_QUARTERMASK(R24), F4; \
	AND16(V4, k, V4); \
	SUB4(V8, V4, V4); \
	SCVTF(V4, V4); \
	FMOVQ CONST_QUARTER(R24), F8; \
	FMUL(V8, V4, V4); /* a */ \
	FMUL(V4, V4, V5); /* t */ \
	HORNER(V5, V6, G_SIN0, G_SIN1, G_SIN2, G_SIN3); \
	FMUL(V5, V6, V6); \
	FADD(G_ONE, V6, V6); \
	FMUL(V6, V4, V6); /* sin a */ \
	HORNER(V5, V7, G_COS0, G_COS1, G_COS2, G_COS3); \
	FMUL(V5, V7, V7); \
	FADD(G_ONE, V7, V7); /* cos a */ \
	SHL4(9, k, V4); /* odd quadrants swap sin and cos */ \
	SSHR4(31, V4, V4); \
	MOV16(V6, V5); \
	BIT16(V4, V7, V5); /* sin */ \
	BIT16(V4, V6, V7); /* cos */ \
	SHL4(8, k, V4); \
	AND16(G_SIGN, V4, V4); \
	EOR16(V4, V5, V5); /* sin < 0 in quadrants 2, 3 */ \
	FMOVQ CONST_QUARTERTURN(R24), F8; \
	ADD4(V8, k, k); \
	SHL4(8, k, k); \
	AND16(G_SIGN, k, k); \
	EOR16(k, V7, V7); /* cos < 0 in quadrants 1, 2 */ \
	FMUL(V5, u, k); \
	FMUL(V7, u, u)

// func normalsNEON(dst []float32, s *philoxState)
TEXT ·normalsNEON(SB), NOSPLIT, $0-32
	PHILOX_ARGS
	LOADNORMAL
loop:
	PHILOX
	BOXMULLER(V0, V1)
	BOXMULLER(V2, V3)
	PHILOX_STORE

// One vector of x A + d B + e C + w Noise, with A, B, C and Noise in V8; d and e may be absent.
#define UPDATE_VECTOR(w, noD, noE) \
	LOAD(R1, F4); \
	DUP(0, V8, V5); \
	FMUL(V5, V4, V4); \
	CBZ  R4, noD; \
	LOAD(R4, F5); \
	FMLAE(V8, 1, V5, V4); \
noD: \
	CBZ  R5, noE; \
	LOAD(R5, F5); \
	FMLAE(V8, 2, V5, V4); \
noE: \
	FMLAE(V8, 3, w, V4); \
	STORE(F4, R0)
// func updateNEON(dst, src, d, e []float32, c *updateCoefficients, s *philoxState)
TEXT ·updateNEON(SB), NOSPLIT, $0-112
	ARGS1
	MOVD d_base+48(FP), R4
	MOVD e_base+72(FP), R5
	MOVD c+96(FP), R6
	MOVD s+104(FP), R2
	PHILOX_START
	LOADNORMAL
loop:
	PHILOX
	BOXMULLER(V0, V1)
	BOXMULLER(V2, V3)
	TRN1(V1, V0, V4)       // words of one kind to words of one block
	TRN2(V1, V0, V5)
	TRN1(V3, V2, V6)
	TRN2(V3, V2, V7)
	TRN1D(V6, V4, V0)
	TRN1D(V7, V5, V1)
	TRN2D(V6, V4, V2)
	TRN2D(V7, V5, V3)
	FMOVQ (R6), F8
	UPDATE_VECTOR(V0, noD0, noE0)
	UPDATE_VECTOR(V1, noD1, noE1)
	UPDATE_VECTOR(V2, noD2, noE2)
	UPDATE_VECTOR(V3, noD3, noE3)
	ADD4(V15, V12, V12)
	SUBS $16, R3
	BGT  loop
	RET
