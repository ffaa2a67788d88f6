// Multiply-adds on registers alone: the ceiling that the micro-kernels are measured against.

#include "textflag.h"
#include "neon_arm64.h"

#define ZERO6(a, b, c, d, e, f) \
	ZERO(a); \
	ZERO(b); \
	ZERO(c); \
	ZERO(d); \
	ZERO(e); \
	ZERO(f)

#define FMA6(a, b, c, d, e, f) \
	FMLA(V24, V25, a); \
	FMLA(V24, V25, b); \
	FMLA(V24, V25, c); \
	FMLA(V24, V25, d); \
	FMLA(V24, V25, e); \
	FMLA(V24, V25, f)

// func peakNEON(n int)
TEXT ·peakNEON(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
	ZERO(V24)
	ZERO(V25)
	ZERO6(V0, V1, V2, V3, V4, V5)
	ZERO6(V6, V7, V8, V9, V10, V11)
	ZERO6(V12, V13, V14, V15, V16, V17)
	ZERO6(V18, V19, V20, V21, V22, V23)
loop:
	FMA6(V0, V1, V2, V3, V4, V5)
	FMA6(V6, V7, V8, V9, V10, V11)
	FMA6(V12, V13, V14, V15, V16, V17)
	FMA6(V18, V19, V20, V21, V22, V23)
	SUBS $1, R0
	BNE  loop
	RET
