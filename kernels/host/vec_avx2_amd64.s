//go:build amd64

#include "textflag.h"

// AVX2 and FMA: 8 lanes. Constants are memory operands, since 16 registers do not hold them; the mask is Y15.
#define LANES 8
#define BYTES 32
#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V8 Y8
#define V9 Y9
#define V10 Y10
#define V11 Y11
#define V12 Y12
#define V13 Y13
#define V14 Y14
#define V15 Y15
#define SILU_SYM ·siluAVX2
#define WEIGH_SYM ·weighAVX2
#define DSCORES_SYM ·dscoresAVX2
#define MAXIMUM_SYM ·maximumAVX2
#define SCALE_SYM ·scaleAVX2
#define TRIPLE_SYM ·tripleAVX2
#define STREAM_SYM ·streamAVX2
#define CLAMP_SYM ·clampAVX2
#define ADD_SYM ·addAVX2
#define MUL_SYM ·mulAVX2
#define ADDSCALED_SYM ·addScaledAVX2
#define COMBINE_SYM ·combineAVX2
#define DIFFERENCE_SYM ·differenceAVX2
#define SILUGRAD_SYM ·siluGradAVX2
#define CLAMPGRAD_SYM ·clampGradAVX2
#define DROPOUT_SYM ·dropoutAVX2
#define POSTERIOR_SYM ·posteriorAVX2
#define ADAM_SYM ·adamAVX2
#define FIR_SYM ·firAVX2
#define DOT_SYM ·dotAVX2
#define DISTANCE_SYM ·distanceAVX2
#define SUM_SYM ·sumAVX2
#define SQUARES_SYM ·squaresAVX2
#define SUMROWS_SYM ·sumRowsAVX2
#define MOMENTS_SYM ·momentsAVX2
#define NORM_SYM ·normAVX2
#define NORMSILU_SYM ·normSiLUAVX2
#define NORMSUMS_SYM ·normSumsAVX2
#define NORMSUMSSILU_SYM ·normSumsSiLUAVX2
#define NORMKEEPSILU_SYM ·normKeepSiLUAVX2
#define NORMDX_SYM ·normDxAVX2
#define NORMDXSILU_SYM ·normDxSiLUAVX2
#define UNIFORMS_SYM ·uniformsAVX2
#define NORMALS_SYM ·normalsAVX2
#define UPDATE_SYM ·updateAVX2

#define SETMASK(n, t) \
	LEAQ ·tailMask+32(SB), t; \
	SHLQ $2, n;               \
	SUBQ n, t;                \
	SHRQ $2, n;               \
	VMOVUPS (t), Y15
#define LOADM(m, v) VMASKMOVPS m, Y15, v
#define STOREM(v, m) VMASKMOVPS v, Y15, m

#define VXORI VPXOR
#define VANDI VPAND

// v clamped from below to w, and from above to t. NaN stays: MAXPS returns its last source when either is NaN.
#define CLAMPLOW(v, limit, w, t) \
	VMOVUPS limit, t; \
	VMAXPS v, t, w
#define CLAMPHIGH(v, limit, t) \
	VMOVUPS limit, t; \
	VMINPS v, t, t

#define KEEPMASK(v) VANDPS Y15, v, v

#define ROUND(n) VROUNDPS $8, n, n

// t = p 2^n, for normal results.
#define SCALE2(p, n, t) \
	VCVTPS2DQ n, n;   \
	VPSLLD $23, n, n; \
	VPADDD n, p, t

// SCALE2 cannot give infinity: the result is cleared where x <= -87. The predicate 6 is true for NaN.
#define C_SILULOW C_EXPLOW
#define SILUEND(x, t, u) \
	VCMPPS $6, C_EXPLOW, x, u; \
	VDIVPS t, x, x;            \
	VANDPS u, x, x

#define KEEPINSIDE \
	VCMPPS $29, V8, V1, V2; \
	VCMPPS $18, V9, V1, V3; \
	VANDPS V2, V0, V0;      \
	VANDPS V3, V0, V0
#define KEEPGE \
	VCMPPS $29, V8, V1, V2; \
	VANDPS V2, V0, V0

// FOLD adds the lanes of V0 in a fixed tree.
#define FOLD \
	VEXTRACTF128 $1, Y0, X1; \
	VADDPS X1, X0, X0;       \
	VPERMILPS $0x4e, X0, X1; \
	VADDPS X1, X0, X0;       \
	VPERMILPS $0xb1, X0, X1; \
	VADDSS X1, X0, X0
#define FOLDMAX \
	VEXTRACTF128 $1, Y0, X1;  \
	VMAXPS X1, X0, X0;        \
	VPERMILPS $0x4e, X0, X1;  \
	VMAXPS X1, X0, X0;        \
	VPERMILPS $0xb1, X0, X1;  \
	VMAXSS X1, X0, X0
#define FOLD64 \
	VEXTRACTF128 $1, Y0, X1; \
	VADDPD X1, X0, X0;       \
	VPERMILPD $1, X0, X1;    \
	VADDSD X1, X0, X0

#define XOR3KEY(key, c, d) \
	VPXOR c, d, d;             \
	VPBROADCASTD key(R8), Y15; \
	VPXOR Y15, d, d
// INTERLEAVE puts the odd words of a over those of b.
#define INTERLEAVE(a, b) VPBLENDD $0xaa, a, b, b
// SWAP gives v = c where the sign of m is set, else s; c = s where it is set, else c.
#define SWAP(m, s, c, v) \
	VBLENDVPS m, c, s, v; \
	VBLENDVPS m, s, c, c
#define CONST_BLOCKS CONST_BLOCKS4
#define CONST_THIRDS CONST_THIRDS8
#define CONST_STEP CONST_STEP4

#define LOADCONSTANTS
#define LOADNORMAL
#define C_ONE ·vectorConstants+CONST_ONE(SB)
#define C_EXP2 ·vectorConstants+CONST_EXP2(SB)
#define C_EXP3 ·vectorConstants+CONST_EXP3(SB)
#define C_EXP4 ·vectorConstants+CONST_EXP4(SB)
#define C_EXP5 ·vectorConstants+CONST_EXP5(SB)
#define C_EXP6 ·vectorConstants+CONST_EXP6(SB)
#define C_NLOG2E ·vectorConstants+CONST_NLOG2E(SB)
#define C_EXPLN2 ·vectorConstants+CONST_EXPLN2(SB)
#define C_EXPHIGH ·vectorConstants+CONST_EXPHIGH(SB)
#define C_SIGN ·vectorConstants+CONST_SIGN(SB)
#define C_EXPLOW ·vectorConstants+CONST_EXPLOW(SB)
#define C_HALF ·vectorConstants+CONST_HALF(SB)
#define C_ULP ·vectorConstants+CONST_ULP(SB)
#define C_SQRTHALF ·vectorConstants+CONST_SQRTHALF(SB)
#define C_NONE ·vectorConstants+CONST_NONE(SB)
#define C_LOG0 ·vectorConstants+CONST_LOG0(SB)
#define C_LOG1 ·vectorConstants+CONST_LOG1(SB)
#define C_LOG2 ·vectorConstants+CONST_LOG2(SB)
#define C_LOG3 ·vectorConstants+CONST_LOG3(SB)
#define C_LN2 ·vectorConstants+CONST_LN2(SB)
#define C_NTWO ·vectorConstants+CONST_NTWO(SB)
#define C_EIGHTH ·vectorConstants+CONST_EIGHTH(SB)
#define C_QUARTERMASK ·vectorConstants+CONST_QUARTERMASK(SB)
#define C_QUARTER ·vectorConstants+CONST_QUARTER(SB)
#define C_SIN0 ·vectorConstants+CONST_SIN0(SB)
#define C_SIN1 ·vectorConstants+CONST_SIN1(SB)
#define C_SIN2 ·vectorConstants+CONST_SIN2(SB)
#define C_SIN3 ·vectorConstants+CONST_SIN3(SB)
#define C_COS0 ·vectorConstants+CONST_COS0(SB)
#define C_COS1 ·vectorConstants+CONST_COS1(SB)
#define C_COS2 ·vectorConstants+CONST_COS2(SB)
#define C_COS3 ·vectorConstants+CONST_COS3(SB)
#define C_QUARTERTURN ·vectorConstants+CONST_QUARTERTURN(SB)

#include "vec_amd64.h"

#define PUT(v, m) VMOVUPS v, m
#define NORM_AHEAD PREFETCHT0 4096(DI)(DX*4)
#define NORMDX_ROWS EACHROW(NORMDX_STEP(LOAD, PUT, NORM_LINEAR), NORMDX_STEP(LOADM, STOREM, NORM_LINEAR), NORMDX_NEXT)
#include "vec_maps_amd64.h"

// The same, writing past the caches.
#undef PUT
#define PUT(v, m) VMOVNTPS v, m
#undef NORM_AHEAD
#define NORM_AHEAD PREFETCHT1 (AX)(DX*4)
#undef NORMDX_ROWS
#define NORMDX_ROWS WHOLEROWS(NORMDX_STEP(LOAD, PUT, NORM_LINEAR))
#undef SILU_SYM
#define SILU_SYM ·siluPastAVX2
#undef SCALE_SYM
#define SCALE_SYM ·scalePastAVX2
#undef CLAMP_SYM
#define CLAMP_SYM ·clampPastAVX2
#undef ADD_SYM
#define ADD_SYM ·addPastAVX2
#undef MUL_SYM
#define MUL_SYM ·mulPastAVX2
#undef ADDSCALED_SYM
#define ADDSCALED_SYM ·addScaledPastAVX2
#undef COMBINE_SYM
#define COMBINE_SYM ·combinePastAVX2
#undef DIFFERENCE_SYM
#define DIFFERENCE_SYM ·differencePastAVX2
#undef SILUGRAD_SYM
#define SILUGRAD_SYM ·siluGradPastAVX2
#undef CLAMPGRAD_SYM
#define CLAMPGRAD_SYM ·clampGradPastAVX2
#undef DROPOUT_SYM
#define DROPOUT_SYM ·dropoutPastAVX2
#undef UPDATE_SYM
#define UPDATE_SYM ·updatePastAVX2
#undef POSTERIOR_SYM
#define POSTERIOR_SYM ·posteriorPastAVX2
#undef NORM_SYM
#define NORM_SYM ·normPastAVX2
#undef NORMSILU_SYM
#define NORMSILU_SYM ·normSiLUPastAVX2
#undef NORMDX_SYM
#define NORMDX_SYM ·normDxPastAVX2
#include "vec_maps_amd64.h"
