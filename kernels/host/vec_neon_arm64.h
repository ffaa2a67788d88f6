// What the row kernels for NEON share: constants, loads and stores, loops, the exponential, arguments.

// Offsets in neonConstants.
#define CONST_ONE 0
#define CONST_LOG2E 16
#define CONST_LN2HI 32
#define CONST_LN2LO 48
#define CONST_EXP2 64
#define CONST_EXP3 80
#define CONST_EXP4 96
#define CONST_EXP5 112
#define CONST_EXP6 128
#define CONST_SIGN 144
#define CONST_EXPLOW 160
#define CONST_SILULOW 176
#define CONST_SLOPEHIGH 192
#define CONST_HALF 208
#define CONST_ULP 224
#define CONST_SQRTHALF 240
#define CONST_NONE 256
#define CONST_LOG0 272
#define CONST_LOG1 288
#define CONST_LOG2 304
#define CONST_LOG3 320
#define CONST_LN2 336
#define CONST_NTWO 352
#define CONST_EIGHTH 368
#define CONST_QUARTERMASK 384
#define CONST_QUARTER 400
#define CONST_SIN0 416
#define CONST_SIN1 432
#define CONST_SIN2 448
#define CONST_SIN3 464
#define CONST_COS0 480
#define CONST_COS1 496
#define CONST_COS2 512
#define CONST_COS3 528
#define CONST_QUARTERTURN 544
#define CONST_BLOCKS 560
#define CONST_STEP 576
#define CONST_M0 592
#define CONST_M1 608

// A vector or one float at a pointer that moves on (LOAD, STORE) or stays (PEEK).
#define LOAD(r, f) FMOVQ.P 16(r), f
#define LOAD1(r, f) FMOVS.P 4(r), f
#define STORE(f, r) FMOVQ.P f, 16(r)
#define STORE1(f, r) FMOVS.P f, 4(r)
#define PEEK(r, f) FMOVQ (r), f
#define PEEK1(r, f) FMOVS (r), f

// SCALAR broadcasts an argument.
#define SCALAR(m, f, v) \
	FMOVS m, f; \
	DUP(0, v, v)

// EVERY runs WHOLE for every vector of R3 floats, then SINGLE for each float of the rest.
#define EVERY(WHOLE, SINGLE) \
	SUBS $4, R3; \
	BLT  rest; \
loop: \
	WHOLE; \
	SUBS $4, R3; \
	BGE  loop; \
rest: \
	ADDS $4, R3; \
	BEQ  done; \
one: \
	SINGLE; \
	SUBS $1, R3; \
	BNE  one; \
done:

#define FLOATS(WHOLE, SINGLE) \
	EVERY(WHOLE, SINGLE) \
	RET

// The constants of EXP, SILU and SILUGRAD.
#define C_ONE V16
#define C_LOG2E V17
#define C_LN2HI V18
#define C_LN2LO V19
#define C_EXP2 V20
#define C_EXP3 V21
#define C_EXP4 V22
#define C_EXP5 V23
#define C_EXP6 V24
#define C_EXPLOW V25
#define C_SILULOW V26
#define C_SLOPEHIGH V27
#define LOADCONSTANTS \
	MOVD $·neonConstants(SB), R24; \
	FMOVQ CONST_ONE(R24), F16; \
	FMOVQ CONST_LOG2E(R24), F17; \
	FMOVQ CONST_LN2HI(R24), F18; \
	FMOVQ CONST_LN2LO(R24), F19; \
	FMOVQ CONST_EXP2(R24), F20; \
	FMOVQ CONST_EXP3(R24), F21; \
	FMOVQ CONST_EXP4(R24), F22; \
	FMOVQ CONST_EXP5(R24), F23; \
	FMOVQ CONST_EXP6(R24), F24; \
	FMOVQ CONST_EXPLOW(R24), F25; \
	FMOVQ CONST_SILULOW(R24), F26; \
	FMOVQ CONST_SLOPEHIGH(R24), F27

// e = exp(e), |e| <= 104, clobbering n, p and q: e = n ln 2 + r, exp = p(r) 2^n, relative error of p below 2^-28. 2^n comes in
// two factors, so that overflow and underflow are those of the product.
#define EXP(e, n, p, q) \
	FMUL(C_LOG2E, e, n); \
	FRINTN(n, n); \
	FMLS(C_LN2HI, n, e); \
	FMLS(C_LN2LO, n, e); \
	MOV16(C_EXP5, p); \
	FMLA(C_EXP6, e, p); \
	MOV16(C_EXP4, q); \
	FMLA(p, e, q); \
	MOV16(C_EXP3, p); \
	FMLA(q, e, p); \
	MOV16(C_EXP2, q); \
	FMLA(p, e, q); \
	MOV16(C_ONE, p); \
	FMLA(q, e, p); \
	MOV16(C_ONE, q); \
	FMLA(p, e, q); \
	FCVTZS(n, n); \
	SSHR4(1, n, p); \
	SUB4(p, n, n); \
	SHL4(23, p, p); \
	ADD4(C_ONE, p, p); \
	SHL4(23, n, n); \
	ADD4(C_ONE, n, n); \
	FMUL(p, q, q); \
	FMUL(n, q, e)

// e = exp(-x) for -104 <= x, clobbering n, p and q. Below exp(-87) the result no longer matters to 1+e.
#define EXPNEG(x, e, n, p, q) \
	FNEG(x, e); \
	FMAX(C_EXPLOW, e, e); \
	EXP(e, n, p, q)

// x = x/(1+exp(-x)), clobbering t, u, v, w. From -104 down exp overflows and the result is -0.
#define SILU(x, t, u, v, w) \
	FMAX(C_SILULOW, x, x); \
	EXPNEG(x, t, u, v, w); \
	FADD(C_ONE, t, t); \
	FDIV(t, x, x)

// dy = dy * SiLU'(x), clobbering x, t, u, v, w. With e = exp(-x), s = 1/(1+e): SiLU' = s (1 + x e s); x >= -87 keeps e finite.
#define SILUGRAD(dy, x, t, u, v, w) \
	FMAX(C_EXPLOW, x, x); \
	FMIN(C_SLOPEHIGH, x, x); \
	EXPNEG(x, t, u, v, w); \
	FADD(C_ONE, t, u); \
	FDIV(u, C_ONE, u); \
	FMUL(u, t, t); \
	MOV16(C_ONE, v); \
	FMLA(t, x, v); \
	FMUL(u, v, v); \
	FMUL(v, dy, dy)

// ---- Arguments, by the names of the Go declarations ----

#define ARGS1 \
	MOVD dst_base+0(FP), R0; \
	MOVD dst_len+8(FP), R3; \
	MOVD src_base+24(FP), R1

#define ARGS2 \
	MOVD dst_base+0(FP), R0; \
	MOVD dst_len+8(FP), R3; \
	MOVD a_base+24(FP), R1; \
	MOVD b_base+48(FP), R2

#define ARGS_GRAD \
	MOVD dst_base+0(FP), R0; \
	MOVD dst_len+8(FP), R3; \
	MOVD dy_base+24(FP), R1; \
	MOVD x_base+48(FP), R2

// NORM_ROWS prepares the pointers of rows of R3 channels at R0 and R1: R6 and R7 come as strides in floats and become what is
// missing from the end of a row to the next, in bytes. R13, R14, R15 hold mean, a and b; R9, R10, R11 walk along them.
#define NORM_ROWS \
	MOVD R3, R12; \
	SUB  R12, R6; \
	LSL  $2, R6; \
	SUB  R12, R7; \
	LSL  $2, R7

#define NORM_ARGS \
	MOVD y_base+0(FP), R0; \
	MOVD x_base+24(FP), R1; \
	MOVD rows+48(FP), R5; \
	MOVD yStride+56(FP), R6; \
	MOVD xStride+64(FP), R7; \
	MOVD mean_base+72(FP), R13; \
	MOVD mean_len+80(FP), R3; \
	MOVD a_base+96(FP), R14; \
	MOVD b_base+120(FP), R15; \
	NORM_ROWS

#define NORMSUMS_ARGS \
	MOVD s1_base+0(FP), R19; \
	MOVD s2_base+24(FP), R20; \
	MOVD dy_base+48(FP), R0; \
	MOVD x_base+72(FP), R1; \
	MOVD rows+96(FP), R5; \
	MOVD dyStride+104(FP), R6; \
	MOVD xStride+112(FP), R7; \
	MOVD mean_base+120(FP), R13; \
	MOVD mean_len+128(FP), R3; \
	MOVD a_base+144(FP), R14; \
	MOVD b_base+168(FP), R15; \
	NORM_ROWS

#define NORMDX_ARGS \
	MOVD dx_base+0(FP), R21; \
	MOVD dy_base+24(FP), R0; \
	MOVD x_base+48(FP), R1; \
	MOVD rows+72(FP), R5; \
	MOVD dyStride+80(FP), R6; \
	MOVD xStride+88(FP), R7; \
	MOVD mean_base+96(FP), R13; \
	MOVD mean_len+104(FP), R3; \
	MOVD a_base+120(FP), R14; \
	MOVD b_base+144(FP), R15; \
	MOVD q_base+168(FP), R19; \
	MOVD r_base+192(FP), R20; \
	NORM_ROWS

// V12 counts blocks, V9, V10 and V11 are the other words: image, step and stream.
#define PHILOX_ARGS \
	MOVD dst_base+0(FP), R0; \
	MOVD dst_len+8(FP), R3; \
	MOVD s+24(FP), R2; \
	PHILOX_START

#define PHILOX_START \
	MOVD $·neonConstants(SB), R24; \
	ADD  $80, R2, R9; \
	LD1R4(9, V12); \
	LD1R4(9, V9); \
	LD1R4(9, V10); \
	LD1R4(9, V11); \
	FMOVQ CONST_BLOCKS(R24), F0; \
	ADD4(V0, V12, V12); \
	FMOVQ CONST_M0(R24), F13; \
	FMOVQ CONST_M1(R24), F14; \
	FMOVQ CONST_STEP(R24), F15; \
	FMOVQ CONST_HALF(R24), F16; \
	FMOVQ CONST_ULP(R24), F17
