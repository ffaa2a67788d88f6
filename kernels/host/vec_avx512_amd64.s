//go:build amd64

#include "textflag.h"

// AVX-512 F, BW, DQ and VL: 16 lanes. Constants live in Z16..Z31; the mask is K1.
#define LANES 16
#define BYTES 64
#define V0 Z0
#define V1 Z1
#define V2 Z2
#define V3 Z3
#define V4 Z4
#define V5 Z5
#define V6 Z6
#define V7 Z7
#define V8 Z8
#define V9 Z9
#define V10 Z10
#define V11 Z11
#define V12 Z12
#define V13 Z13
#define V14 Z14
#define V15 Z15
#define SILU_SYM ·siluAVX512
#define WEIGH_SYM ·weighAVX512
#define DSCORES_SYM ·dscoresAVX512
#define MAXIMUM_SYM ·maximumAVX512
#define SCALE_SYM ·scaleAVX512
#define TRIPLE_SYM ·tripleAVX512
#define STREAM_SYM ·streamAVX512
#define CLAMP_SYM ·clampAVX512
#define ADD_SYM ·addAVX512
#define MUL_SYM ·mulAVX512
#define ADDSCALED_SYM ·addScaledAVX512
#define COMBINE_SYM ·combineAVX512
#define DIFFERENCE_SYM ·differenceAVX512
#define SILUGRAD_SYM ·siluGradAVX512
#define CLAMPGRAD_SYM ·clampGradAVX512
#define DROPOUT_SYM ·dropoutAVX512
#define POSTERIOR_SYM ·posteriorAVX512
#define ADAM_SYM ·adamAVX512
#define FIR_SYM ·firAVX512
#define DOT_SYM ·dotAVX512
#define DISTANCE_SYM ·distanceAVX512
#define SUM_SYM ·sumAVX512
#define SQUARES_SYM ·squaresAVX512
#define SUMROWS_SYM ·sumRowsAVX512
#define MOMENTS_SYM ·momentsAVX512
#define NORM_SYM ·normAVX512
#define NORMSILU_SYM ·normSiLUAVX512
#define NORMSUMS_SYM ·normSumsAVX512
#define NORMSUMSSILU_SYM ·normSumsSiLUAVX512
#define NORMKEEPSILU_SYM ·normKeepSiLUAVX512
#define NORMDX_SYM ·normDxAVX512
#define NORMDXSILU_SYM ·normDxSiLUAVX512
#define UNIFORMS_SYM ·uniformsAVX512
#define NORMALS_SYM ·normalsAVX512
#define UPDATE_SYM ·updateAVX512

#define SETMASK(n, t) \
	MOVL $0xffff, t; \
	BZHIL n, t, t;   \
	KMOVW t, K1
#define LOADM(m, v) VMOVUPS.Z m, K1, v
#define STOREM(v, m) VMOVUPS v, K1, m

#define VXORI VPXORD
#define VANDI VPANDD

// v clamped from below to w, and from above to t. NaN stays: MAXPS returns its last source when either is NaN.
#define CLAMPLOW(v, limit, w, t) VMAXPS v, limit, w
#define CLAMPHIGH(v, limit, t) VMINPS v, limit, t

#define KEEPMASK(v) VMOVAPS.Z v, K1, v

#define ROUND(n) VRNDSCALEPS $8, n, n
#define SCALE2(p, n, t) VSCALEFPS n, p, t

// From -89 down the exponential is infinite. A reciprocal estimate with a correction in place of the division costs more.
#define SILUEND(x, t, u) VDIVPS t, x, x

#define KEEPINSIDE \
	VCMPPS $29, V8, V1, K2;     \
	VCMPPS $18, V9, V1, K2, K3; \
	VMOVUPS.Z V0, K3, V0
#define KEEPGE \
	VCMPPS $29, V8, V1, K2; \
	VMOVUPS.Z V0, K2, V0

// FOLD adds the lanes of V0 in a fixed tree.
#define FOLD \
	VEXTRACTF64X4 $1, Z0, Y1; \
	VADDPS Y1, Y0, Y0;        \
	VEXTRACTF128 $1, Y0, X1;  \
	VADDPS X1, X0, X0;        \
	VPERMILPS $0x4e, X0, X1;  \
	VADDPS X1, X0, X0;        \
	VPERMILPS $0xb1, X0, X1;  \
	VADDSS X1, X0, X0
#define FOLDMAX \
	VEXTRACTF64X4 $1, Z0, Y1; \
	VMAXPS Y1, Y0, Y0;        \
	VEXTRACTF128 $1, Y0, X1;  \
	VMAXPS X1, X0, X0;        \
	VPERMILPS $0x4e, X0, X1;  \
	VMAXPS X1, X0, X0;        \
	VPERMILPS $0xb1, X0, X1;  \
	VMAXSS X1, X0, X0
#define FOLD64 \
	VEXTRACTF64X4 $1, Z0, Y1; \
	VADDPD Y1, Y0, Y0;        \
	VEXTRACTF128 $1, Y0, X1;  \
	VADDPD X1, X0, X0;        \
	VPERMILPD $1, X0, X1;     \
	VADDSD X1, X0, X0

#define XOR3KEY(key, c, d) VPTERNLOGD.BCST $0x96, key(R8), c, d
// INTERLEAVE puts the odd words of a over those of b.
#define INTERLEAVE(a, b) VMOVDQA32 a, K2, b
// SWAP gives v = c where the sign of m is set, else s; c = s where it is set, else c.
#define SWAP(m, s, c, v) \
	VPMOVD2M m, K3;          \
	VBLENDMPS c, s, K3, v;   \
	VMOVAPS s, K3, c
#define CONST_BLOCKS CONST_BLOCKS8
#define CONST_THIRDS CONST_THIRDS16
#define CONST_STEP CONST_STEP8

#define C_ONE Z16
#define C_NLOG2E Z17
#define C_EXPLN2 Z18
#define C_EXP2 Z19
#define C_EXP3 Z20
#define C_EXP4 Z21
#define C_EXP5 Z22
#define C_EXP6 Z23
#define C_EXPLOW Z24
#define C_EXPHIGH Z25
#define C_SILULOW Z26
#define LOADCONSTANTS \
	VMOVUPS ·vectorConstants+CONST_ONE(SB), C_ONE; \
	VMOVUPS ·vectorConstants+CONST_NLOG2E(SB), C_NLOG2E; \
	VMOVUPS ·vectorConstants+CONST_EXPLN2(SB), C_EXPLN2; \
	VMOVUPS ·vectorConstants+CONST_EXP2(SB), C_EXP2; \
	VMOVUPS ·vectorConstants+CONST_EXP3(SB), C_EXP3; \
	VMOVUPS ·vectorConstants+CONST_EXP4(SB), C_EXP4; \
	VMOVUPS ·vectorConstants+CONST_EXP5(SB), C_EXP5; \
	VMOVUPS ·vectorConstants+CONST_EXP6(SB), C_EXP6; \
	VMOVUPS ·vectorConstants+CONST_EXPLOW(SB), C_EXPLOW; \
	VMOVUPS ·vectorConstants+CONST_EXPHIGH(SB), C_EXPHIGH; \
	VMOVUPS ·vectorConstants+CONST_SILULOW(SB), C_SILULOW

// The generators of random numbers need other constants; those used once per block stay in memory.
#define C_HALF Z17
#define C_ULP Z18
#define C_SQRTHALF ·vectorConstants+CONST_SQRTHALF(SB)
#define C_NONE Z19
#define C_LOG0 Z20
#define C_LOG1 Z21
#define C_LOG2 Z22
#define C_LOG3 Z23
#define C_LN2 ·vectorConstants+CONST_LN2(SB)
#define C_NTWO ·vectorConstants+CONST_NTWO(SB)
#define C_EIGHTH ·vectorConstants+CONST_EIGHTH(SB)
#define C_QUARTERMASK ·vectorConstants+CONST_QUARTERMASK(SB)
#define C_QUARTER ·vectorConstants+CONST_QUARTER(SB)
#define C_SIN0 Z24
#define C_SIN1 Z26
#define C_SIN2 Z27
#define C_SIN3 Z28
#define C_COS0 Z29
#define C_COS1 Z30
#define C_COS2 Z31
#define C_COS3 ·vectorConstants+CONST_COS3(SB)
#define C_SIGN Z25
#define C_QUARTERTURN ·vectorConstants+CONST_QUARTERTURN(SB)
#define LOADNORMAL \
	VMOVUPS ·vectorConstants+CONST_ONE(SB), C_ONE; \
	VMOVUPS ·vectorConstants+CONST_SIGN(SB), C_SIGN; \
	VMOVUPS ·vectorConstants+CONST_HALF(SB), C_HALF; \
	VMOVUPS ·vectorConstants+CONST_ULP(SB), C_ULP; \
	VMOVUPS ·vectorConstants+CONST_NONE(SB), C_NONE; \
	VMOVUPS ·vectorConstants+CONST_LOG0(SB), C_LOG0; \
	VMOVUPS ·vectorConstants+CONST_LOG1(SB), C_LOG1; \
	VMOVUPS ·vectorConstants+CONST_LOG2(SB), C_LOG2; \
	VMOVUPS ·vectorConstants+CONST_LOG3(SB), C_LOG3; \
	VMOVUPS ·vectorConstants+CONST_SIN0(SB), C_SIN0; \
	VMOVUPS ·vectorConstants+CONST_SIN1(SB), C_SIN1; \
	VMOVUPS ·vectorConstants+CONST_SIN2(SB), C_SIN2; \
	VMOVUPS ·vectorConstants+CONST_SIN3(SB), C_SIN3; \
	VMOVUPS ·vectorConstants+CONST_COS0(SB), C_COS0; \
	VMOVUPS ·vectorConstants+CONST_COS1(SB), C_COS1; \
	VMOVUPS ·vectorConstants+CONST_COS2(SB), C_COS2; \
	MOVL $0xaaaa, AX; \
	KMOVW AX, K2

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
#define SILU_SYM ·siluPastAVX512
#undef SCALE_SYM
#define SCALE_SYM ·scalePastAVX512
#undef CLAMP_SYM
#define CLAMP_SYM ·clampPastAVX512
#undef ADD_SYM
#define ADD_SYM ·addPastAVX512
#undef MUL_SYM
#define MUL_SYM ·mulPastAVX512
#undef ADDSCALED_SYM
#define ADDSCALED_SYM ·addScaledPastAVX512
#undef COMBINE_SYM
#define COMBINE_SYM ·combinePastAVX512
#undef DIFFERENCE_SYM
#define DIFFERENCE_SYM ·differencePastAVX512
#undef SILUGRAD_SYM
#define SILUGRAD_SYM ·siluGradPastAVX512
#undef CLAMPGRAD_SYM
#define CLAMPGRAD_SYM ·clampGradPastAVX512
#undef DROPOUT_SYM
#define DROPOUT_SYM ·dropoutPastAVX512
#undef UPDATE_SYM
#define UPDATE_SYM ·updatePastAVX512
#undef POSTERIOR_SYM
#define POSTERIOR_SYM ·posteriorPastAVX512
#undef NORM_SYM
#define NORM_SYM ·normPastAVX512
#undef NORMSILU_SYM
#define NORMSILU_SYM ·normSiLUPastAVX512
#undef NORMDX_SYM
#define NORMDX_SYM ·normDxPastAVX512
#include "vec_maps_amd64.h"
