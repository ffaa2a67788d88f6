#include "textflag.h"

// func fmaAVX2(d, a, b, c *lanes32)
//
// d = a*b + c in 32 lanes, rounded once by the hardware's fused multiply-add; every NaN becomes 0x7FFFFFFF as on the GPU.
TEXT ·fmaAVX2(SB), NOSPLIT, $0-32
	MOVQ d+0(FP), DI
	MOVQ a+8(FP), AX
	MOVQ b+16(FP), BX
	MOVQ c+24(FP), CX
	VPCMPEQD Y7, Y7, Y7
	VPSRLD $1, Y7, Y7 // 0x7FFFFFFF

#define GROUP(offset) \
	VMOVUPS offset(AX), Y0 \
	VMOVUPS offset(CX), Y1 \
	VFMADD231PS offset(BX), Y0, Y1 \
	VCMPPS $3, Y1, Y1, Y2 \
	VBLENDVPS Y2, Y7, Y1, Y1 \
	VMOVUPS Y1, offset(DI)

	GROUP(0)
	GROUP(32)
	GROUP(64)
	GROUP(96)
	VZEROUPPER
	RET
