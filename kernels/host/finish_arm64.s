// finish: stores a tile of sums with what is added to it.

#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"

// One vector, or one float, of a row.
#define ADD_THREE(MOVE, bytes) \
	MOVE bytes(R10), F0; \
	MOVE bytes(R11), F1; \
	MOVE bytes(R12), F2; \
	FADD(V1, V0, V0); \
	FADD(V2, V0, V0); \
	MOVE F0, bytes(R9)

// func finishNEON(args *finishArgs)
TEXT ·finishNEON(SB), NOSPLIT, $0-8
	MOVD args+0(FP), R0
	MOVD finishArgs_y(R0), R1
	MOVD finishArgs_yStride(R0), R2
	MOVD finishArgs_t(R0), R3
	MOVD finishArgs_tStride(R0), R4
	MOVD finishArgs_add(R0), R5
	MOVD finishArgs_res(R0), R6
	MOVD finishArgs_rStride(R0), R7
	MOVD finishArgs_rows(R0), R8
	MOVD finishArgs_cols(R0), R0
row:
	MOVD R1, R9
	MOVD R3, R10
	MOVD R5, R11
	MOVD R6, R12
	SUBS $4, R0, R13
	BLT  rest
four:
	ADD_THREE(FMOVQ.P, 16)
	SUBS $4, R13
	BGE  four
rest:
	ADDS $4, R13
	BEQ  next
one:
	ADD_THREE(FMOVS.P, 4)
	SUBS $1, R13
	BNE  one
next:
	ADD  R2, R1
	ADD  R4, R3
	ADD  R7, R6
	SUBS $1, R8
	BNE  row
	RET
