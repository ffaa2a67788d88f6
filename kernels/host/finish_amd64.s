// finish: stores a tile of sums with what is added to it.

#include "textflag.h"
#include "go_asm.h"

#define SETUP \
	MOVQ args+0(FP), AX; \
	MOVQ finishArgs_y(AX), DI; \
	MOVQ finishArgs_yStride(AX), R8; \
	MOVQ finishArgs_t(AX), SI; \
	MOVQ finishArgs_tStride(AX), R9; \
	MOVQ finishArgs_add(AX), DX; \
	MOVQ finishArgs_res(AX), BX; \
	MOVQ finishArgs_rStride(AX), R10; \
	MOVQ finishArgs_rows(AX), R11; \
	MOVQ finishArgs_cols(AX), R12

#define NEXT_ROW \
	ADDQ R8, DI; \
	ADDQ R9, SI; \
	ADDQ R10, BX; \
	DECQ R11; \
	JNZ  row

// func finishAVX512(args *finishArgs)
TEXT ·finishAVX512(SB), NOSPLIT, $0-8
	SETUP
	// Masks of the first 16 and of the next 16 columns.
	MOVQ $1, AX
	MOVQ R12, CX
	SHLQ CX, AX
	DECQ AX
	KMOVW AX, K1
	SHRQ $16, AX
	KMOVW AX, K2
	VMOVUPS.Z (DX), K1, Z2
	VMOVUPS.Z 64(DX), K2, Z3
row:
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z 64(SI), K2, Z1
	VADDPS Z2, Z0, Z0
	VADDPS Z3, Z1, Z1
	VMOVUPS.Z (BX), K1, Z4
	VMOVUPS.Z 64(BX), K2, Z5
	VADDPS Z4, Z0, Z0
	VADDPS Z5, Z1, Z1
	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z1, K2, 64(DI)
	NEXT_ROW
	VZEROUPPER
	RET

// func finishAVX2(args *finishArgs)
TEXT ·finishAVX2(SB), NOSPLIT, $0-8
	SETUP
row:
	XORQ CX, CX
	MOVQ R12, R13
eight:
	CMPQ R13, $8
	JLT one
	VMOVUPS (SI)(CX*4), Y0
	VADDPS (DX)(CX*4), Y0, Y0
	VADDPS (BX)(CX*4), Y0, Y0
	VMOVUPS Y0, (DI)(CX*4)
	ADDQ $8, CX
	SUBQ $8, R13
	JMP eight
one:
	TESTQ R13, R13
	JZ next
	VMOVSS (SI)(CX*4), X0
	VADDSS (DX)(CX*4), X0, X0
	VADDSS (BX)(CX*4), X0, X0
	VMOVSS X0, (DI)(CX*4)
	INCQ CX
	DECQ R13
	JMP one
next:
	NEXT_ROW
	VZEROUPPER
	RET
