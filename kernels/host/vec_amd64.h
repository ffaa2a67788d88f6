// Row kernels shared by the AVX2 and AVX-512 levels. The including file defines the width (LANES), the registers V0..V15,
// the symbol of each kernel, and the few instructions that differ. Two rules keep the source one:
//
//  - a kernel is a BODY over registers, wrapped by a skeleton that loads and stores whole vectors and then one masked
//    vector, so a value gets the same bits wherever it lies in a slice;
//  - constants are named C_*: registers at AVX-512 (LOADCONSTANTS fills them), memory operands at AVX2.
//
// Ladder, in billions of values per second on one core of a Xeon, 128 Ki values in the level 2 cache (
// go test -bench Vector/size=l2 ./bench, best of three while other work ran):
//
//	           portable   AVX2   AVX-512
//	SiLU           0.12    2.3       4.4
//	GroupNorm      0.62    5.7       7.0   with SiLU 0.09, 1.7, 2.8
//	AdamW          0.36    1.9       2.0
//	Normal         0.06    0.58      0.87

// Offsets in vectorConstants.
#define CONST_ONE 0
#define CONST_NLOG2E 64
#define CONST_EXPLN2 128
#define CONST_EXP2 192
#define CONST_EXP3 256
#define CONST_EXP4 320
#define CONST_EXP5 384
#define CONST_EXP6 448
#define CONST_EXPLOW 512
#define CONST_EXPHIGH 576
#define CONST_SILULOW 640
#define CONST_SIGN 704
#define CONST_HALF 768
#define CONST_ULP 832
#define CONST_SQRTHALF 896
#define CONST_NONE 960
#define CONST_LOG0 1024
#define CONST_LOG1 1088
#define CONST_LOG2 1152
#define CONST_LOG3 1216
#define CONST_LN2 1280
#define CONST_NTWO 1344
#define CONST_EIGHTH 1408
#define CONST_QUARTERMASK 1472
#define CONST_QUARTER 1536
#define CONST_SIN0 1600
#define CONST_SIN1 1664
#define CONST_SIN2 1728
#define CONST_SIN3 1792
#define CONST_COS0 1856
#define CONST_COS1 1920
#define CONST_COS2 1984
#define CONST_COS3 2048
#define CONST_QUARTERTURN 2112
#define CONST_BLOCKS8 2176
#define CONST_STEP8 2240
#define CONST_BLOCKS4 2304
#define CONST_STEP4 2368
#define CONST_M0 2432
#define CONST_M1 2496
#define CONST_THIRDS16 2560
#define CONST_THIRDS8 2752

// Whole and masked access to LANES floats.
#define LOAD(m, v) VMOVUPS m, v
#define STORE(v, m) VMOVUPS v, m

// FLOATS runs WHOLE for every full vector of CX floats at index DX, then MASKED for the rest.
#define FLOATS(WHOLE, MASKED) \
	XORQ DX, DX;       \
	SUBQ $LANES, CX;   \
	JLT  rest;         \
loop:                 \
	WHOLE;             \
	ADDQ $LANES, DX;   \
	CMPQ DX, CX;       \
	JLE  loop;         \
rest:                 \
	ADDQ $LANES, CX;   \
	SUBQ DX, CX;       \
	JEQ  done;         \
	SETMASK(CX, R11);       \
	MASKED;            \
done:                 \
	VZEROUPPER;        \
	RET

// at is element DX of the slice whose base is in a register.
#define at(r) (r)(DX*4)

// t = exp(-t), |t| <= 87, clobbering n and p: -t = n ln 2 + r, exp = p(r) 2^n, relative error of p below 2^-28. ln 2 is one
// constant: its error, 2^-29 n, shows in the last place where t exceeds 20 and the result is small.
#define EXPNEG(t, n, p) \
	VMULPS C_NLOG2E, t, n;        \
	ROUND(n);                     \
	VFNMSUB231PS C_EXPLN2, n, t;  \
	VMOVUPS C_EXP6, p;            \
	VFMADD213PS C_EXP5, t, p;     \
	VFMADD213PS C_EXP4, t, p;     \
	VFMADD213PS C_EXP3, t, p;     \
	VFMADD213PS C_EXP2, t, p;     \
	VFMADD213PS C_ONE, t, p;      \
	VFMADD213PS C_ONE, t, p;      \
	SCALE2(p, n, t)

// x = x/(1+exp(-x)), clobbering t, u, v. The levels differ in how the result becomes 0 below -87.
#define SILU(x, t, u, v) \
	CLAMPLOW(x, C_SILULOW, x, t); \
	CLAMPHIGH(x, C_EXPHIGH, t);   \
	EXPNEG(t, u, v);              \
	VADDPS C_ONE, t, t;           \
	SILUEND(x, t, u)

// dy = dy * SiLU'(x), clobbering x, t, u, v. With e = exp(-x), s = 1/(1+e): SiLU' = s (1 + x e s).
#define SILUGRAD(dy, x, t, u, v) \
	CLAMPLOW(x, C_EXPLOW, x, t);  \
	CLAMPHIGH(x, C_EXPHIGH, t);   \
	VMOVAPS t, x;                 \
	EXPNEG(t, u, v);              \
	VADDPS C_ONE, t, u;           \
	VMOVUPS C_ONE, v;             \
	VDIVPS u, v, u;               \
	VMULPS u, t, t;               \
	VFMADD213PS C_ONE, x, t;      \
	VMULPS u, t, t;               \
	VMULPS t, dy, dy

// ---- One source: func(dst, src []float32, ...) ----

#define ARGS1 \
	MOVQ dst_base+0(FP), DI; \
	MOVQ dst_len+8(FP), CX;  \
	MOVQ src_base+24(FP), SI

#define STEP1(L, S, BODY) \
	L(at(SI), V0); \
	BODY;          \
	S(V0, at(DI))

#define KERNEL1(S, BODY) \
	FLOATS(STEP1(LOAD, S, BODY), STEP1(LOADM, STOREM, BODY))

// One row of scores turned into weights, in place: func(x []float32, scale, shift float32) float32, x = exp(scale x - shift);
// the result is their sum. The masked lanes that lie beyond the row must not be in it: KEEPMASK clears them.
#define WEIGH_STEP(L, S, KEEP) \
	L(at(SI), V0);                \
	VMOVAPS V8, V1;               \
	VFNMADD231PS V9, V0, V1;      \
	CLAMPHIGH(V1, C_EXPHIGH, V0); \
	EXPNEG(V0, V1, V2);           \
	KEEP(V0);                     \
	VADDPS V0, V7, V7;            \
	S(V0, at(SI))
#define KEEPALL(v)
TEXT WEIGH_SYM(SB), NOSPLIT, $0-36
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	LOADCONSTANTS
	VBROADCASTSS scale+24(FP), V9
	VBROADCASTSS shift+28(FP), V8
	VXORPS X7, X7, X7
	XORQ DX, DX
	SUBQ $LANES, CX
	JLT  rest
loop:
	WEIGH_STEP(LOAD, STORE, KEEPALL)
	ADDQ $LANES, DX
	CMPQ DX, CX
	JLE  loop
rest:
	ADDQ $LANES, CX
	SUBQ DX, CX
	JEQ  done
	SETMASK(CX, R11)
	WEIGH_STEP(LOADM, STOREM, KEEPMASK)
done:
	VMOVAPS V7, V0
	FOLD
	VMOVSS X0, ret+32(FP)
	VZEROUPPER
	RET

// func(dst, w []float32, rowSum, scale float32): dst = scale w (dst - rowSum), the cotangent of scores
#define DSCORES_STEP(L, S) \
	L(at(DI), V0);      \
	VSUBPS V8, V0, V0;  \
	L(at(SI), V1);      \
	VMULPS V0, V1, V0;  \
	VMULPS V9, V0, V0;  \
	S(V0, at(DI))
TEXT DSCORES_SYM(SB), NOSPLIT, $0-56
	ARGS1
	VBROADCASTSS rowSum+48(FP), V8
	VBROADCASTSS scale+52(FP), V9
	FLOATS(DSCORES_STEP(LOAD, STORE), DSCORES_STEP(LOADM, STOREM))

// A maximum may see a value twice: the last vector overlaps the one before it.
TEXT MAXIMUM_SYM(SB), NOSPLIT, $0-28
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VBROADCASTSS (SI), V0
	XORQ DX, DX
	SUBQ $LANES, CX
	JLT  few
vector:
	VMAXPS (SI)(DX*4), V0, V0
	ADDQ $LANES, DX
	CMPQ DX, CX
	JLE  vector
	VMAXPS (SI)(CX*4), V0, V0
	FOLDMAX
	JMP  done
few:
	ADDQ $LANES, CX
one:
	VMAXSS (SI)(DX*4), X0, X0
	INCQ DX
	CMPQ DX, CX
	JLT  one
done:
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

#define SCALE_BODY VMULPS V8, V0, V0
#define CLAMP_BODY \
	VMAXPS V0, V8, V0; \
	VMINPS V0, V9, V0
// func(dst, src []float32): every value three times
TEXT TRIPLE_SYM(SB), NOSPLIT, $0-48
	ARGS1
	VMOVUPS ·vectorConstants+CONST_THIRDS+0(SB), V4
	VMOVUPS ·vectorConstants+CONST_THIRDS+64(SB), V5
	VMOVUPS ·vectorConstants+CONST_THIRDS+128(SB), V6
loop:
	VPERMPS (SI), V4, V0
	VPERMPS (SI), V5, V1
	VPERMPS (SI), V6, V2
	VMOVUPS V0, (DI)
	VMOVUPS V1, BYTES(DI)
	VMOVUPS V2, (2*BYTES)(DI)
	ADDQ $BYTES, SI
	ADDQ $(3*BYTES), DI
	SUBQ $(3*LANES), CX
	JGT  loop
	VZEROUPPER
	RET

// func(dst, src []float32): a copy past the caches. dst lies on a cache line and the length is a multiple of 16.
#define STREAM_STEP(off) \
	VMOVUPS off(SI)(DX*4), V0; \
	VMOVNTPS V0, off(DI)(DX*4)
TEXT STREAM_SYM(SB), NOSPLIT, $0-48
	ARGS1
	XORQ DX, DX
	SUBQ $(4*LANES), CX
	JLT  few
four:
	STREAM_STEP(0*BYTES)
	STREAM_STEP(1*BYTES)
	STREAM_STEP(2*BYTES)
	STREAM_STEP(3*BYTES)
	ADDQ $(4*LANES), DX
	CMPQ DX, CX
	JLE  four
few:
	ADDQ $(4*LANES), CX
	CMPQ DX, CX
	JGE  done
one:
	STREAM_STEP(0)
	ADDQ $LANES, DX
	CMPQ DX, CX
	JLT  one
done:
	VZEROUPPER
	RET

// ---- Two sources: func(dst, a, b []float32, ...) ----

#define ARGS2 \
	ARGS1;                  \
	MOVQ b_base+48(FP), R8

#define STEP2(L, S, BODY) \
	L(at(SI), V0); \
	L(at(R8), V1); \
	BODY;          \
	S(V0, at(DI))

#define KERNEL2(S, BODY) \
	FLOATS(STEP2(LOAD, S, BODY), STEP2(LOADM, STOREM, BODY))

#define ADD_BODY VADDPS V1, V0, V0
#define MUL_BODY VMULPS V1, V0, V0
#define ADDSCALED_BODY VFMADD231PS V8, V1, V0
#define COMBINE_BODY \
	VMULPS V8, V0, V0; \
	VFMADD231PS V9, V1, V0
#define DIFFERENCE_BODY \
	VSUBPS V1, V0, V0; \
	VMULPS V8, V0, V0
// The predicates 29 (>=, ordered) and 18 (<=, ordered) are false for NaN.
#define DROPOUT_BODY \
	VMULPS V9, V0, V0; \
	KEEPGE
// ---- Gaussian posterior: func(dst, z, y, gain, w []float32, k, noise float32) ----

// q = 1/(1 + g^2 k), x = (g k y + z) q + noise sqrt(q) w
#define POSTERIOR_STEP(L, S) \
	L(at(SI), V0);            \
	L(at(R8), V1);            \
	L(at(R9), V2);            \
	L(at(R10), V3);           \
	VMULPS V8, V2, V4;        \
	VFMADD231PS V4, V1, V0;   \
	VFMADD213PS V10, V2, V4;  \
	VDIVPS V4, V10, V4;       \
	VMULPS V4, V0, V0;        \
	VSQRTPS V4, V4;           \
	VMULPS V9, V4, V4;        \
	VFMADD231PS V3, V4, V0;   \
	S(V0, at(DI))
// ---- AdamW: func(w, m, v, ema, g []float32, c *adamCoefficients) ----

// The coefficients fill V4..V14.
#define ADAM_STEP(L, S) \
	L(at(R10), V0);              \
	VMULPS V8, V0, V0;           \
	L(at(SI), V1);               \
	VMULPS V9, V1, V1;           \
	VFMADD231PS V10, V0, V1;     \
	S(V1, at(SI));               \
	L(at(R8), V2);               \
	VMULPS V0, V0, V3;           \
	VMULPS V11, V2, V2;          \
	VFMADD231PS V12, V3, V2;     \
	S(V2, at(R8));               \
	VMULPS V13, V2, V2;          \
	VSQRTPS V2, V2;              \
	VADDPS V14, V2, V2;          \
	VDIVPS V2, V1, V1;           \
	L(at(DI), V0);               \
	VMULPS V4, V0, V3;           \
	VFMADD231PS V5, V1, V3;      \
	VSUBPS V3, V0, V0;           \
	S(V0, at(DI));               \
	L(at(R9), V3);               \
	VMULPS V6, V3, V3;           \
	VFMADD231PS V7, V0, V3;      \
	S(V3, at(R9))
TEXT ADAM_SYM(SB), NOSPLIT, $0-128
	MOVQ w_base+0(FP), DI
	MOVQ w_len+8(FP), CX
	MOVQ m_base+24(FP), SI
	MOVQ v_base+48(FP), R8
	MOVQ ema_base+72(FP), R9
	MOVQ g_base+96(FP), R10
	MOVQ c+120(FP), R11
	VBROADCASTSS 0(R11), V8
	VBROADCASTSS 4(R11), V9
	VBROADCASTSS 8(R11), V10
	VBROADCASTSS 12(R11), V11
	VBROADCASTSS 16(R11), V12
	VBROADCASTSS 20(R11), V13
	VBROADCASTSS 24(R11), V14
	VBROADCASTSS 28(R11), V4
	VBROADCASTSS 32(R11), V5
	VBROADCASTSS 36(R11), V6
	VBROADCASTSS 40(R11), V7
	FLOATS(ADAM_STEP(LOAD, STORE), ADAM_STEP(LOADM, STOREM))

// ---- Reductions ----

// SUMS folds the four accumulators V0..V3 in a fixed order.
#define SUMS \
	VADDPS V1, V0, V0; \
	VADDPS V3, V2, V2; \
	VADDPS V2, V0, V0; \
	FOLD

#define ZERO4 \
	VXORPS X0, X0, X0; \
	VXORPS X1, X1, X1; \
	VXORPS X2, X2, X2; \
	VXORPS X3, X3, X3

// REDUCE adds STEP of four vectors at a time to V0..V3, then single ones to V0, then the masked rest to V0.
#define REDUCE(STEP) \
	ZERO4;                        \
	XORQ DX, DX;                  \
	SUBQ $(4*LANES), CX;          \
	JLT  few;                     \
four:                            \
	STEP(LOAD, 0*BYTES, V0);      \
	STEP(LOAD, 1*BYTES, V1);      \
	STEP(LOAD, 2*BYTES, V2);      \
	STEP(LOAD, 3*BYTES, V3);      \
	ADDQ $(4*LANES), DX;          \
	CMPQ DX, CX;                  \
	JLE  four;                    \
few:                             \
	ADDQ $(3*LANES), CX;          \
	CMPQ DX, CX;                  \
	JGT  rest;                    \
one:                             \
	STEP(LOAD, 0, V0);            \
	ADDQ $LANES, DX;              \
	CMPQ DX, CX;                  \
	JLE  one;                     \
rest:                            \
	ADDQ $LANES, CX;              \
	SUBQ DX, CX;                  \
	JEQ  fold;                    \
	SETMASK(CX, R11);                  \
	STEP(LOADM, 0, V0);           \
fold:                            \
	SUMS

#define DOT_STEP(L, off, acc) \
	L(off(SI)(DX*4), V4); \
	L(off(R8)(DX*4), V5); \
	VFMADD231PS V5, V4, acc
TEXT DOT_SYM(SB), NOSPLIT, $0-52
	MOVQ a_base+0(FP), SI
	MOVQ a_len+8(FP), CX
	MOVQ b_base+24(FP), R8
	REDUCE(DOT_STEP)
	VMOVSS X0, ret+48(FP)
	VZEROUPPER
	RET

#define DISTANCE_STEP(L, off, acc) \
	L(off(SI)(DX*4), V4);  \
	L(off(R8)(DX*4), V5);  \
	VSUBPS V5, V4, V4;     \
	VFMADD231PS V4, V4, acc
TEXT DISTANCE_SYM(SB), NOSPLIT, $0-52
	MOVQ a_base+0(FP), SI
	MOVQ a_len+8(FP), CX
	MOVQ b_base+24(FP), R8
	REDUCE(DISTANCE_STEP)
	VMOVSS X0, ret+48(FP)
	VZEROUPPER
	RET

#define SUM_STEP(L, off, acc) \
	L(off(SI)(DX*4), V4);  \
	VADDPS V4, acc, acc
TEXT SUM_SYM(SB), NOSPLIT, $0-28
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	REDUCE(SUM_STEP)
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// Squares summed in float64: half a vector of floats fills a vector of doubles.
#define SQUARES_STEP(off, acc) \
	VCVTPS2PD off(SI)(DX*4), V4; \
	VFMADD231PD V4, V4, acc
TEXT SQUARES_SYM(SB), NOSPLIT, $0-32
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	ZERO4
	VXORPS X5, X5, X5
	XORQ DX, DX
	SUBQ $(2*LANES), CX
	JLT  few
four:
	SQUARES_STEP(0*BYTES/2, V0)
	SQUARES_STEP(1*BYTES/2, V1)
	SQUARES_STEP(2*BYTES/2, V2)
	SQUARES_STEP(3*BYTES/2, V3)
	ADDQ $(2*LANES), DX
	CMPQ DX, CX
	JLE  four
few:
	ADDQ $(2*LANES), CX
	CMPQ DX, CX
	JGE  fold
one:
	VCVTSS2SD (SI)(DX*4), X4, X4
	VFMADD231SD X4, X4, X5
	INCQ DX
	CMPQ DX, CX
	JLT  one
fold:
	VADDPD V1, V0, V0
	VADDPD V3, V2, V2
	VADDPD V2, V0, V0
	FOLD64
	VADDSD X5, X0, X0
	VMOVSD X0, ret+24(FP)
	VZEROUPPER
	RET

// ---- Columns: sums over the rows of a matrix, per channel ----

// COLUMNS walks the channels of a row: FOUR handles 4*LANES of them, ONE a vector, LAST the masked rest. CX counts the
// channels, DX is the first one of the step.
#define COLUMNS(FOUR, ONE, LAST) \
	XORQ DX, DX;            \
	SUBQ $(4*LANES), CX;    \
	JLT  narrow;            \
wide:                      \
	FOUR;                   \
	ADDQ $(4*LANES), DX;    \
	CMPQ DX, CX;            \
	JLE  wide;              \
narrow:                    \
	ADDQ $(3*LANES), CX;    \
	CMPQ DX, CX;            \
	JGT  rest;              \
single:                    \
	ONE;                    \
	ADDQ $LANES, DX;        \
	CMPQ DX, CX;            \
	JLE  single;            \
rest:                      \
	ADDQ $LANES, CX;        \
	SUBQ DX, CX;            \
	JEQ  done;              \
	SETMASK(CX, R11);            \
	LAST;                   \
done:                      \
	VZEROUPPER;             \
	RET

// ROWS runs STEP on every row at R10, R12 bytes apart, R11 times.
#define ROWS(STEP, label) \
	LEAQ at(SI), R10;      \
	MOVQ R9, R11;          \
label:                    \
	STEP;                  \
	ADDQ R12, R10;         \
	DECQ R11;              \
	JNE  label

#define STORE4 \
	STORE(V0, 0*BYTES(DI)(DX*4)); \
	STORE(V1, 1*BYTES(DI)(DX*4)); \
	STORE(V2, 2*BYTES(DI)(DX*4)); \
	STORE(V3, 3*BYTES(DI)(DX*4))

// func(dst, x []float32, rows, stride int)
#define SUMROWS_ROW4 \
	VADDPS 0*BYTES(R10), V0, V0; \
	VADDPS 1*BYTES(R10), V1, V1; \
	VADDPS 2*BYTES(R10), V2, V2; \
	VADDPS 3*BYTES(R10), V3, V3
#define SUMROWS_FOUR \
	ZERO4;                     \
	ROWS(SUMROWS_ROW4, rows4); \
	STORE4
#define SUMROWS_ROW(L) \
	L((R10), V1);      \
	VADDPS V1, V0, V0
#define SUMROWS_ONE(L, S, label) \
	VXORPS X0, X0, X0;           \
	ROWS(SUMROWS_ROW(L), label); \
	S(V0, at(DI))
TEXT SUMROWS_SYM(SB), NOSPLIT, $0-64
	ARGS1
	MOVQ rows+48(FP), R9
	MOVQ stride+56(FP), R12
	SHLQ $2, R12
	COLUMNS(SUMROWS_FOUR, SUMROWS_ONE(LOAD, STORE, rows1), SUMROWS_ONE(LOADM, STOREM, rowsM))

// func(sum, squares, pivot, x []float32, rows, stride int): adds the sums of d and d^2, d = x - pivot
#define MOMENTS_ADD(m, pivot, sum, squares) \
	VMOVUPS m, V12;               \
	VSUBPS pivot, V12, V12;       \
	VADDPS V12, sum, sum;         \
	VFMADD231PS V12, V12, squares
#define MOMENTS_ROW4 \
	MOMENTS_ADD(0*BYTES(R10), V8, V0, V4);  \
	MOMENTS_ADD(1*BYTES(R10), V9, V1, V5);  \
	MOMENTS_ADD(2*BYTES(R10), V10, V2, V6); \
	MOMENTS_ADD(3*BYTES(R10), V11, V3, V7)
#define MOMENTS_FOUR \
	LOAD(0*BYTES(DI)(DX*4), V0);    \
	LOAD(1*BYTES(DI)(DX*4), V1);    \
	LOAD(2*BYTES(DI)(DX*4), V2);    \
	LOAD(3*BYTES(DI)(DX*4), V3);    \
	LOAD(0*BYTES(R8)(DX*4), V4);    \
	LOAD(1*BYTES(R8)(DX*4), V5);    \
	LOAD(2*BYTES(R8)(DX*4), V6);    \
	LOAD(3*BYTES(R8)(DX*4), V7);    \
	LOAD(0*BYTES(R13)(DX*4), V8);   \
	LOAD(1*BYTES(R13)(DX*4), V9);   \
	LOAD(2*BYTES(R13)(DX*4), V10);  \
	LOAD(3*BYTES(R13)(DX*4), V11);  \
	ROWS(MOMENTS_ROW4, rows4);      \
	STORE4;                         \
	STORE(V4, 0*BYTES(R8)(DX*4));   \
	STORE(V5, 1*BYTES(R8)(DX*4));   \
	STORE(V6, 2*BYTES(R8)(DX*4));   \
	STORE(V7, 3*BYTES(R8)(DX*4))
#define MOMENTS_ROW(L) \
	L((R10), V1);            \
	VSUBPS V8, V1, V1;       \
	VADDPS V1, V0, V0;       \
	VFMADD231PS V1, V1, V4
#define MOMENTS_ONE(L, S, label) \
	L(at(DI), V0);               \
	L(at(R8), V4);               \
	L(at(R13), V8);              \
	ROWS(MOMENTS_ROW(L), label); \
	S(V0, at(DI));               \
	S(V4, at(R8))
TEXT MOMENTS_SYM(SB), NOSPLIT, $0-112
	MOVQ sum_base+0(FP), DI
	MOVQ sum_len+8(FP), CX
	MOVQ squares_base+24(FP), R8
	MOVQ pivot_base+48(FP), R13
	MOVQ x_base+72(FP), SI
	MOVQ rows+96(FP), R9
	MOVQ stride+104(FP), R12
	SHLQ $2, R12
	COLUMNS(MOMENTS_FOUR, MOMENTS_ONE(LOAD, STORE, rows1), MOMENTS_ONE(LOADM, STOREM, rowsM))

// ---- Finite impulse response: func(dst, src, taps []float32, step int) ----

// dst[i] = sum of taps[k] src[i + k step]: the "rows" are the shifted sources, and the taps are summed in order.
#define FIR_ROW4 \
	VBROADCASTSS (R13), V8;             \
	ADDQ $4, R13;                       \
	VFMADD231PS 0*BYTES(R10), V8, V0;   \
	VFMADD231PS 1*BYTES(R10), V8, V1;   \
	VFMADD231PS 2*BYTES(R10), V8, V2;   \
	VFMADD231PS 3*BYTES(R10), V8, V3
#define FIR_FOUR \
	ZERO4;                        \
	MOVQ R8, R13;                 \
	ROWS(FIR_ROW4, taps4);        \
	STORE4
#define FIR_ROW(L) \
	VBROADCASTSS (R13), V8; \
	ADDQ $4, R13;           \
	L((R10), V1);           \
	VFMADD231PS V1, V8, V0
#define FIR_ONE(L, S, label) \
	VXORPS X0, X0, X0;       \
	MOVQ R8, R13;            \
	ROWS(FIR_ROW(L), label); \
	S(V0, at(DI))
TEXT FIR_SYM(SB), NOSPLIT, $0-80
	ARGS2
	MOVQ b_len+56(FP), R9
	MOVQ step+72(FP), R12
	SHLQ $2, R12
	COLUMNS(FIR_FOUR, FIR_ONE(LOAD, STORE, taps1), FIR_ONE(LOADM, STOREM, tapsM))

// ---- Group norm: rows of C channels with per-channel coefficients ----

// EACHROW runs WHOLE and MASKED over the CX channels of R11 rows; NEXT advances the pointers.
#define EACHROW(WHOLE, MASKED, NEXT) \
	MOVQ CX, BX;             \
	ANDQ $(LANES-1), BX;     \
	SETMASK(BX, DX);             \
	SUBQ $LANES, CX;         \
row:                        \
	XORQ DX, DX;             \
	CMPQ DX, CX;             \
	JGT  rest;               \
loop:                       \
	WHOLE;                   \
	ADDQ $LANES, DX;         \
	CMPQ DX, CX;             \
	JLE  loop;               \
rest:                       \
	TESTQ BX, BX;            \
	JEQ  next;               \
	MASKED;                  \
next:                       \
	NEXT;                    \
	DECQ R11;                \
	JNE  row;                \
	VZEROUPPER;              \
	RET

// func(y, x []float32, rows, yStride, xStride int, mean, a, b []float32): y = f((x-mean) a + b). x is in cache after the
// statistics, so the pass waits for y: asking for it a page ahead takes a tenth off the whole op in memory.
#define NORM_STEP(L, S, AHEAD, ACT) \
	L(at(SI), V0);           \
	L(at(R8), V1);           \
	VSUBPS V1, V0, V0;       \
	L(at(R9), V2);           \
	L(at(R10), V3);          \
	VFMADD213PS V3, V2, V0;  \
	AHEAD;                   \
	ACT;                     \
	S(V0, at(DI))
#define NORM_NEXT \
	ADDQ R12, DI; \
	ADDQ R13, SI
#define NORM_ARGS \
	MOVQ y_base+0(FP), DI;      \
	MOVQ x_base+24(FP), SI;     \
	MOVQ rows+48(FP), R11;      \
	MOVQ yStride+56(FP), R12;   \
	MOVQ xStride+64(FP), R13;   \
	MOVQ mean_base+72(FP), R8;  \
	MOVQ mean_len+80(FP), CX;   \
	MOVQ a_base+96(FP), R9;     \
	MOVQ b_base+120(FP), R10;   \
	MOVQ ahead+144(FP), AX;     \
	SHLQ $2, R12;               \
	SHLQ $2, R13;               \
	LEAQ (SI)(AX*4), AX
#define NORM_ADVANCE \
	NORM_NEXT; \
	ADDQ R13, AX
#define NONE
#define NORM_SILU SILU(V0, V1, V2, V3)
// NORM_DU leaves d = x - mean in V5 and du = dy f'(d a + b) in V0.
#define NORM_DU(L, ACT) \
	L(at(DI), V0);           \
	L(at(SI), V5);           \
	L(at(R8), V1);           \
	VSUBPS V1, V5, V5;       \
	ACT(L)
#define NORM_LINEAR(L)
#define NORM_SLOPE(L) \
	L(at(R9), V1);           \
	L(at(R10), V2);          \
	VFMADD213PS V2, V5, V1;  \
	SILUGRAD(V0, V1, V2, V3, V4)

// func(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32): s1 += du, s2 += du d
#define NORMSUMS_STEP(L, S, ACT) \
	NORM_DU(L, ACT);          \
	L((AX)(DX*4), V1);        \
	VADDPS V0, V1, V1;        \
	S(V1, (AX)(DX*4));        \
	L((R15)(DX*4), V1);       \
	VFMADD231PS V0, V5, V1;   \
	S(V1, (R15)(DX*4))
#define NORMSUMS_ARGS \
	MOVQ s1_base+0(FP), AX;     \
	MOVQ s2_base+24(FP), R15;   \
	MOVQ dy_base+48(FP), DI;    \
	MOVQ x_base+72(FP), SI;     \
	MOVQ rows+96(FP), R11;      \
	MOVQ dyStride+104(FP), R12; \
	MOVQ xStride+112(FP), R13;  \
	MOVQ mean_base+120(FP), R8; \
	MOVQ mean_len+128(FP), CX;  \
	MOVQ a_base+144(FP), R9;    \
	MOVQ b_base+168(FP), R10;   \
	SHLQ $2, R12;               \
	SHLQ $2, R13
TEXT NORMSUMS_SYM(SB), NOSPLIT, $0-192
	NORMSUMS_ARGS
	EACHROW(NORMSUMS_STEP(LOAD, STORE, NORM_LINEAR), NORMSUMS_STEP(LOADM, STOREM, NORM_LINEAR), NORM_NEXT)

TEXT NORMSUMSSILU_SYM(SB), NOSPLIT, $0-192
	NORMSUMS_ARGS
	LOADCONSTANTS
	EACHROW(NORMSUMS_STEP(LOAD, STORE, NORM_SLOPE), NORMSUMS_STEP(LOADM, STOREM, NORM_SLOPE), NORM_NEXT)

// func(s1, s2, du, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32): the same, keeping du, which has
// the stride of x
#define NORMKEEP_STEP(L, S) \
	NORMSUMS_STEP(L, S, NORM_SLOPE); \
	S(V0, (R14)(DX*4))
#define NORMKEEP_NEXT \
	NORM_NEXT; \
	ADDQ R13, R14
TEXT NORMKEEPSILU_SYM(SB), NOSPLIT, $0-216
	MOVQ s1_base+0(FP), AX
	MOVQ s2_base+24(FP), R15
	MOVQ du_base+48(FP), R14
	MOVQ dy_base+72(FP), DI
	MOVQ x_base+96(FP), SI
	MOVQ rows+120(FP), R11
	MOVQ dyStride+128(FP), R12
	MOVQ xStride+136(FP), R13
	MOVQ mean_base+144(FP), R8
	MOVQ mean_len+152(FP), CX
	MOVQ a_base+168(FP), R9
	MOVQ b_base+192(FP), R10
	SHLQ $2, R12
	SHLQ $2, R13
	LOADCONSTANTS
	EACHROW(NORMKEEP_STEP(LOAD, STORE), NORMKEEP_STEP(LOADM, STOREM), NORMKEEP_NEXT)

// func(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32): dx = a du + q d + r; dx has the
// stride of x
#define NORMDX_STEP(L, S, ACT) \
	NORM_DU(L, ACT);          \
	L((R15)(DX*4), V1);       \
	L((R14)(DX*4), V2);       \
	VFMADD231PS V5, V1, V2;   \
	L(at(R9), V1);            \
	VFMADD231PS V0, V1, V2;   \
	S(V2, (AX)(DX*4))
#define NORMDX_NEXT \
	NORM_NEXT; \
	ADDQ R13, AX
#define NORMDX_ARGS \
	MOVQ dx_base+0(FP), AX;     \
	MOVQ dy_base+24(FP), DI;    \
	MOVQ x_base+48(FP), SI;     \
	MOVQ rows+72(FP), R11;      \
	MOVQ dyStride+80(FP), R12;  \
	MOVQ xStride+88(FP), R13;   \
	MOVQ mean_base+96(FP), R8;  \
	MOVQ mean_len+104(FP), CX;  \
	MOVQ a_base+120(FP), R9;    \
	MOVQ b_base+144(FP), R10;   \
	MOVQ q_base+168(FP), R15;   \
	MOVQ r_base+192(FP), R14;   \
	SHLQ $2, R12;               \
	SHLQ $2, R13
TEXT NORMDXSILU_SYM(SB), NOSPLIT, $0-232
	NORMDX_ARGS
	LOADCONSTANTS
	EACHROW(NORMDX_STEP(LOAD, STORE, NORM_SLOPE), NORMDX_STEP(LOADM, STOREM, NORM_SLOPE), NORMDX_NEXT)

// WHOLEROWS is EACHROW for whole vectors; it asks for dy and x aheadDY and aheadX floats on. Their registers are those of
// the mask and of the number of rows, which stays in memory.
#define WHOLEROWS(WHOLE) \
	MOVQ aheadDY+216(FP), BX;  \
	LEAQ (DI)(BX*4), BX;       \
	MOVQ aheadX+224(FP), R11;  \
	LEAQ (SI)(R11*4), R11;     \
	SUBQ $LANES, CX;           \
row:                          \
	XORQ DX, DX;               \
loop:                         \
	WHOLE;                     \
	PREFETCHT1 (BX)(DX*4);     \
	PREFETCHT1 (R11)(DX*4);    \
	ADDQ $LANES, DX;           \
	CMPQ DX, CX;               \
	JLE  loop;                 \
	ADDQ R12, BX;              \
	ADDQ R13, R11;             \
	NORMDX_NEXT;               \
	DECQ rows+72(FP);          \
	JNE  row;                  \
	VZEROUPPER;                \
	RET

// ---- Philox: func(dst []float32, s *philoxState), len(dst) a multiple of 4*LANES ----

// A 64-bit lane holds one block, each counter word in the low half, so that VPMULUDQ yields both halves of the product.
// The upper halves fill with garbage that nothing reads. A round turns (c0,c1,c2,c3) into (c0,p1,c2,p0).
#define ROUND4X32(c0, c1, c2, c3, p0, p1, key) \
	VPMULUDQ V14, c0, p0;     \
	VPMULUDQ V13, c2, p1;     \
	VPSRLQ $32, p1, c0;       \
	XOR3KEY(key, c1, c0);     \
	VPSRLQ $32, p0, c2;       \
	XOR3KEY(key+4, c3, c2)

// Two vectors of blocks at a time: one waits for its own products, and the processor looks no further than a few rounds ahead.
#define ROUND_PAIR(key) \
	ROUND4X32(V0, V1, V2, V3, V4, V5, key);    \
	ROUND4X32(V6, V7, V8, V9, V10, V11, key);  \
	ROUND4X32(V0, V5, V2, V4, V3, V1, key+8);  \
	ROUND4X32(V6, V11, V8, V10, V9, V7, key+8)

// PHILOX leaves words 0 and 2 of each block interleaved in V0 and V6, and words 1 and 3 in V1 and V7.
#define PHILOX \
	VMOVUPS V12, V0;                          \
	VPADDD ·vectorConstants+CONST_STEP(SB), V12, V6;  \
	VPADDD ·vectorConstants+CONST_STEP(SB), V6, V12;  \
	VPBROADCASTD 84(R8), V1;                  \
	VPBROADCASTD 88(R8), V2;                  \
	VPBROADCASTD 92(R8), V3;                  \
	VMOVUPS V1, V7;                           \
	VMOVUPS V2, V8;                           \
	VMOVUPS V3, V9;                           \
	ROUND_PAIR(0);                            \
	ROUND_PAIR(16);                           \
	ROUND_PAIR(32);                           \
	ROUND_PAIR(48);                           \
	ROUND_PAIR(64);                           \
	VPSLLQ $32, V2, V2;                       \
	INTERLEAVE(V2, V0);                       \
	VPSLLQ $32, V3, V3;                       \
	INTERLEAVE(V3, V1);                       \
	VPSLLQ $32, V8, V8;                       \
	INTERLEAVE(V8, V6);                       \
	VPSLLQ $32, V9, V9;                       \
	INTERLEAVE(V9, V7)

// The blocks of one vector, in the order that makes VUNPCK[LH]PS of the two word pairs contiguous.
#define PHILOX_START \
	VPBROADCASTD 80(R8), V12;                     \
	VPADDD ·vectorConstants+CONST_BLOCKS(SB), V12, V12; \
	VPBROADCASTD ·vectorConstants+CONST_M0(SB), V14; \
	VPBROADCASTD ·vectorConstants+CONST_M1(SB), V13; \
	LOADNORMAL

#define PHILOX_ARGS \
	MOVQ dst_base+0(FP), DI;                      \
	MOVQ dst_len+8(FP), CX;                       \
	MOVQ s+24(FP), R8;                            \
	PHILOX_START

// v = (float(v>>9) + 0.5) 2^-23
#define TOUNIFORM(v) \
	VPSRLD $9, v, v;              \
	VCVTDQ2PS v, v;               \
	VADDPS C_HALF, v, v;          \
	VMULPS C_ULP, v, v

// SPREAD puts the numbers of the blocks of u and v in order, into t and p.
#define SPREAD(u, v, t, p) \
	VUNPCKLPS v, u, t; \
	VUNPCKHPS v, u, p

#define PHILOX_STORE \
	SPREAD(V0, V1, V2, V3);       \
	SPREAD(V6, V7, V8, V9);       \
	VMOVUPS V2, (DI);             \
	VMOVUPS V3, BYTES(DI);        \
	VMOVUPS V8, (2*BYTES)(DI);    \
	VMOVUPS V9, (3*BYTES)(DI);    \
	ADDQ $(4*BYTES), DI;          \
	SUBQ $(4*LANES), CX;          \
	JGT  loop;                    \
	VZEROUPPER;                   \
	RET

TEXT UNIFORMS_SYM(SB), NOSPLIT, $0-32
	PHILOX_ARGS
loop:
	PHILOX
	TOUNIFORM(V0)
	TOUNIFORM(V1)
	TOUNIFORM(V6)
	TOUNIFORM(V7)
	PHILOX_STORE

// h = ((c3 t + c2) t + c1) t + c0, unfused.
#define HORNER(t, h, c0, c1, c2, c3) \
	VMULPS c3, t, h; \
	VADDPS c2, h, h; \
	VMULPS t, h, h;  \
	VADDPS c1, h, h; \
	VMULPS t, h, h;  \
	VADDPS c0, h, h

// Box-Muller exactly as kernels.NormalBlock, on the words u and v, clobbering the rest: no fused operation anywhere. The
// exponent is split off at sqrt(1/2) in integers, which gives the m and e of kernels.NormalLog without a comparison.
#define NORMAL_PAIR(u, v, t, p, q, r) \
	TOUNIFORM(u); \
	VPSUBD C_SQRTHALF, u, t; \
	VPSRAD $23, t, t; /* e */ \
	VPSLLD $23, t, p; \
	VPSUBD p, u, u; /* m */ \
	VADDPS C_NONE, u, p; /* m-1 */ \
	VADDPS C_ONE, u, u; /* m+1 */ \
	VDIVPS u, p, u; /* s */ \
	VMULPS u, u, p; /* t */ \
	HORNER(p, q, C_LOG0, C_LOG1, C_LOG2, C_LOG3); \
	VMULPS p, q, q; \
	VADDPS C_ONE, q, q; /* p */ \
	VADDPS u, u, u; \
	VMULPS q, u, u; \
	VCVTDQ2PS t, t; \
	VMULPS C_LN2, t, t; \
	VADDPS t, u, u; /* ln u */ \
	VMULPS C_NTWO, u, u; \
	VSQRTPS u, u; /* radius */ \
	VPSRLD $8, v, v; \
	VPADDD C_EIGHTH, v, v; /* k */ \
	VANDI C_QUARTERMASK, v, t; \
	VPSUBD C_EIGHTH, t, t; \
	VCVTDQ2PS t, t; \
	VMULPS C_QUARTER, t, t; /* a */ \
	VMULPS t, t, p; /* t */ \
	HORNER(p, q, C_SIN0, C_SIN1, C_SIN2, C_SIN3); \
	VMULPS p, q, q; \
	VADDPS C_ONE, q, q; \
	VMULPS q, t, q; /* sin a */ \
	HORNER(p, r, C_COS0, C_COS1, C_COS2, C_COS3); \
	VMULPS p, r, r; \
	VADDPS C_ONE, r, r; /* cos a */ \
	VPSLLD $9, v, t; /* odd quadrants swap sin and cos */ \
	SWAP(t, q, r, p); /* p = sin, r = cos */ \
	VPSLLD $8, v, t; \
	VANDI C_SIGN, t, t; \
	VXORI t, p, p; /* sin < 0 in quadrants 2, 3 */ \
	VPADDD C_QUARTERTURN, v, v; \
	VPSLLD $8, v, v; \
	VANDI C_SIGN, v, v; \
	VXORI v, r, r; /* cos < 0 in quadrants 1, 2 */ \
	VMULPS p, u, v; \
	VMULPS r, u, u

TEXT NORMALS_SYM(SB), NOSPLIT, $0-32
	PHILOX_ARGS
loop:
	PHILOX
	NORMAL_PAIR(V0, V1, V2, V3, V4, V5)
	NORMAL_PAIR(V6, V7, V8, V9, V10, V11)
	PHILOX_STORE

// One vector of x A + d B + e C + w Noise, c = (A, B, C, Noise) at R11; d and e may be absent.
#define UPDATE_VECTOR(off, w, S, noD, noE) \
	VBROADCASTSS 0(R11), V4;                 \
	VMULPS off(SI)(DX*4), V4, V4;            \
	TESTQ R9, R9;                            \
	JEQ  noD;                                \
	VBROADCASTSS 4(R11), V5;                 \
	VFMADD231PS off(R9)(DX*4), V5, V4;       \
noD:                                        \
	TESTQ R10, R10;                          \
	JEQ  noE;                                \
	VBROADCASTSS 8(R11), V5;                 \
	VFMADD231PS off(R10)(DX*4), V5, V4;      \
noE:                                        \
	VBROADCASTSS 12(R11), V5;                \
	VFMADD231PS w, V5, V4;                   \
	S(V4, off(DI)(DX*4))
