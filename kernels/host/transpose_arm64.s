// Transposition of strips of eight columns: eight rows of the source become eight values of each row of the result.

#include "textflag.h"
#include "neon_arm64.h"

// Rows a to d of a block of 4x4 to its columns e to h, clobbering V24..V27.
#define BLOCK4(a, b, c, d, e, f, g, h) \
	TRN1(b, a, V24); \
	TRN2(b, a, V25); \
	TRN1(d, c, V26); \
	TRN2(d, c, V27); \
	TRN1D(V26, V24, e); \
	TRN1D(V27, V25, f); \
	TRN2D(V26, V24, g); \
	TRN2D(V27, V25, h)

#define STORE(a, b) \
	FSTPQ (a, b), (R0); \
	ADD   R2, R0

// func transpose8NEON(dst, src unsafe.Pointer, dstPitch, srcPitch, blocks int)
TEXT ·transpose8NEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R4
	MOVD dstPitch+16(FP), R2
	MOVD srcPitch+24(FP), R3
	MOVD blocks+32(FP), R1
	ADD  R3, R4, R5
	ADD  R3, R5, R6
	ADD  R3, R6, R7
	ADD  R3, R7, R8
	ADD  R3, R8, R9
	ADD  R3, R9, R10
	ADD  R3, R10, R11
block:
	FLDPQ.P 32(R4), (F0, F1)
	FLDPQ.P 32(R5), (F2, F3)
	FLDPQ.P 32(R6), (F4, F5)
	FLDPQ.P 32(R7), (F6, F7)
	FLDPQ.P 32(R8), (F8, F9)
	FLDPQ.P 32(R9), (F10, F11)
	FLDPQ.P 32(R10), (F12, F13)
	FLDPQ.P 32(R11), (F14, F15)
	BLOCK4(V0, V2, V4, V6, V16, V17, V18, V19)
	BLOCK4(V8, V10, V12, V14, V20, V21, V22, V23)
	STORE(F16, F20)
	STORE(F17, F21)
	STORE(F18, F22)
	STORE(F19, F23)
	BLOCK4(V1, V3, V5, V7, V16, V17, V18, V19)
	BLOCK4(V9, V11, V13, V15, V20, V21, V22, V23)
	STORE(F16, F20)
	STORE(F17, F21)
	STORE(F18, F22)
	STORE(F19, F23)
	SUBS $1, R1
	BNE  block
	RET
