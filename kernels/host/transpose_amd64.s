// Transposition of strips of eight columns: eight rows of the source become eight values of each row of the result.
//
// Ladder (packing 256 x 32 weights of an input gradient): one value at a time 1.0, blocks of 8x8 in registers 0.1-0.15.

#include "textflag.h"

// The 8x8 block at SI (rows R8 bytes apart, R9 = 3 R8) to DI (rows R10 bytes apart, R11 = 3 R10).
#define BLOCK8 \
	LEAQ (SI)(R8*4), AX; \
	VMOVUPS (SI), Y0; \
	VMOVUPS (SI)(R8*1), Y1; \
	VMOVUPS (SI)(R8*2), Y2; \
	VMOVUPS (SI)(R9*1), Y3; \
	VMOVUPS (AX), Y4; \
	VMOVUPS (AX)(R8*1), Y5; \
	VMOVUPS (AX)(R8*2), Y6; \
	VMOVUPS (AX)(R9*1), Y7; \
	VUNPCKLPS Y1, Y0, Y8; \
	VUNPCKHPS Y1, Y0, Y9; \
	VUNPCKLPS Y3, Y2, Y10; \
	VUNPCKHPS Y3, Y2, Y11; \
	VUNPCKLPS Y5, Y4, Y12; \
	VUNPCKHPS Y5, Y4, Y13; \
	VUNPCKLPS Y7, Y6, Y14; \
	VUNPCKHPS Y7, Y6, Y15; \
	VUNPCKLPD Y10, Y8, Y0; \
	VUNPCKHPD Y10, Y8, Y1; \
	VUNPCKLPD Y11, Y9, Y2; \
	VUNPCKHPD Y11, Y9, Y3; \
	VUNPCKLPD Y14, Y12, Y4; \
	VUNPCKHPD Y14, Y12, Y5; \
	VUNPCKLPD Y15, Y13, Y6; \
	VUNPCKHPD Y15, Y13, Y7; \
	VPERM2F128 $0x20, Y4, Y0, Y8; \
	VPERM2F128 $0x20, Y5, Y1, Y9; \
	VPERM2F128 $0x20, Y6, Y2, Y10; \
	VPERM2F128 $0x20, Y7, Y3, Y11; \
	VPERM2F128 $0x31, Y4, Y0, Y12; \
	VPERM2F128 $0x31, Y5, Y1, Y13; \
	VPERM2F128 $0x31, Y6, Y2, Y14; \
	VPERM2F128 $0x31, Y7, Y3, Y15; \
	LEAQ (DI)(R10*4), AX; \
	VMOVUPS Y8, (DI); \
	VMOVUPS Y9, (DI)(R10*1); \
	VMOVUPS Y10, (DI)(R10*2); \
	VMOVUPS Y11, (DI)(R11*1); \
	VMOVUPS Y12, (AX); \
	VMOVUPS Y13, (AX)(R10*1); \
	VMOVUPS Y14, (AX)(R10*2); \
	VMOVUPS Y15, (AX)(R11*1)

// func transpose8AVX2(dst, src unsafe.Pointer, dstPitch, srcPitch, blocks int)
TEXT ·transpose8AVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ dstPitch+16(FP), R10
	MOVQ srcPitch+24(FP), R8
	MOVQ blocks+32(FP), CX
	LEAQ (R8)(R8*2), R9
	LEAQ (R10)(R10*2), R11
block:
	BLOCK8
	ADDQ $32, SI
	LEAQ (DI)(R10*8), DI
	DECQ CX
	JNZ  block
	VZEROUPPER
	RET
