// Outer kernels for AVX-512; matrixKernels.outer says what they compute.
//
// Ladder (weight gradients of 3x3 convolutions of small U-Nets, one core, share of PeakFMA in CPU time):
//	1 outer1x8Portable     0.03
//	2 tile of 12x32        0.64-0.75   neighbouring channels of x are broadcast, a row of dy feeds all of them
//	3 one copy of x for all panels, half the partial sums, added by vectors: 0.72-0.83
// The kernel alone reaches 0.94 with all data in the first cache, 0.87 with pixels 512 bytes apart and 0.75 with 2 KiB:
// deep x is what remains. Tiles of 8 rows reach 0.80, of 4 rows 0.68. No gain: blocks of 128 pixels instead of 256.

#include "textflag.h"
#include "go_asm.h"

// One row of a wide and of a narrow tile: broadcast a[r], multiply-add with the row of b in Z24 and Z25.
#define WIDE(off, c0, c1) \
	VBROADCASTSS off(DI), Z26; \
	VFMADD231PS Z24, Z26, c0; \
	VFMADD231PS Z25, Z26, c1

#define NARROW(off, c0) \
	VBROADCASTSS off(DI), Z26; \
	VFMADD231PS Z24, Z26, c0

#define WIDE1 \
	WIDE(0, Z0, Z1)

#define NARROW1 \
	NARROW(0, Z0)

#define WIDE4 \
	WIDE1; \
	WIDE(4, Z2, Z3); \
	WIDE(8, Z4, Z5); \
	WIDE(12, Z6, Z7)

#define NARROW4 \
	NARROW1; \
	NARROW(4, Z1); \
	NARROW(8, Z2); \
	NARROW(12, Z3)

#define WIDE8 \
	WIDE4; \
	WIDE(16, Z8, Z9); \
	WIDE(20, Z10, Z11); \
	WIDE(24, Z12, Z13); \
	WIDE(28, Z14, Z15)

#define NARROW8 \
	NARROW4; \
	NARROW(16, Z4); \
	NARROW(20, Z5); \
	NARROW(24, Z6); \
	NARROW(28, Z7)

#define WIDE12 \
	WIDE8; \
	WIDE(32, Z16, Z17); \
	WIDE(36, Z18, Z19); \
	WIDE(40, Z20, Z21); \
	WIDE(44, Z22, Z23)

#define NARROW12 \
	NARROW8; \
	NARROW(32, Z8); \
	NARROW(36, Z9); \
	NARROW(40, Z10); \
	NARROW(44, Z11)

#define SETUP \
	MOVQ args+0(FP), AX; \
	MOVQ outerArgs_a(AX), BX; \
	MOVQ outerArgs_count(AX), CX; \
	MOVQ outerArgs_b(AX), DX; \
	MOVQ outerArgs_offsets(AX), SI; \
	MOVQ outerArgs_from(AX), R8; \
	MOVQ outerArgs_fromStride(AX), R10; \
	MOVQ outerArgs_cStride(AX), R9; \
	MOVQ outerArgs_c(AX), AX

// The loop over products.
#define LOOP_WIDE(STEP) \
loop: \
	MOVQ (SI), DI; \
	ADDQ BX, DI; \
	VMOVUPS (DX), Z24; \
	VMOVUPS 64(DX), Z25; \
	STEP; \
	ADDQ $128, DX; \
	ADDQ $8, SI; \
	DECQ CX; \
	JNZ  loop

#define LOOP_NARROW(STEP) \
loop: \
	MOVQ (SI), DI; \
	ADDQ BX, DI; \
	VMOVUPS (DX), Z24; \
	STEP; \
	ADDQ $64, DX; \
	ADDQ $8, SI; \
	DECQ CX; \
	JNZ  loop

#define LOAD_WIDE(c0, c1) \
	VMOVUPS (R8), c0; \
	VMOVUPS 64(R8), c1; \
	ADDQ R10, R8

#define LOAD_NARROW(c0) \
	VMOVUPS (R8), c0; \
	ADDQ R10, R8

#define STORE_WIDE(c0, c1) \
	VMOVUPS c0, (AX); \
	VMOVUPS c1, 64(AX); \
	ADDQ R9, AX

#define STORE_NARROW(c0) \
	VMOVUPS c0, (AX); \
	ADDQ R9, AX

// func outer12x32AVX512(args *outerArgs)
TEXT ·outer12x32AVX512(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(Z0, Z1)
	LOAD_WIDE(Z2, Z3)
	LOAD_WIDE(Z4, Z5)
	LOAD_WIDE(Z6, Z7)
	LOAD_WIDE(Z8, Z9)
	LOAD_WIDE(Z10, Z11)
	LOAD_WIDE(Z12, Z13)
	LOAD_WIDE(Z14, Z15)
	LOAD_WIDE(Z16, Z17)
	LOAD_WIDE(Z18, Z19)
	LOAD_WIDE(Z20, Z21)
	LOAD_WIDE(Z22, Z23)
	LOOP_WIDE(WIDE12)
	STORE_WIDE(Z0, Z1)
	STORE_WIDE(Z2, Z3)
	STORE_WIDE(Z4, Z5)
	STORE_WIDE(Z6, Z7)
	STORE_WIDE(Z8, Z9)
	STORE_WIDE(Z10, Z11)
	STORE_WIDE(Z12, Z13)
	STORE_WIDE(Z14, Z15)
	STORE_WIDE(Z16, Z17)
	STORE_WIDE(Z18, Z19)
	STORE_WIDE(Z20, Z21)
	STORE_WIDE(Z22, Z23)
	VZEROUPPER
	RET

// func outer12x16AVX512(args *outerArgs)
TEXT ·outer12x16AVX512(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(Z0)
	LOAD_NARROW(Z1)
	LOAD_NARROW(Z2)
	LOAD_NARROW(Z3)
	LOAD_NARROW(Z4)
	LOAD_NARROW(Z5)
	LOAD_NARROW(Z6)
	LOAD_NARROW(Z7)
	LOAD_NARROW(Z8)
	LOAD_NARROW(Z9)
	LOAD_NARROW(Z10)
	LOAD_NARROW(Z11)
	LOOP_NARROW(NARROW12)
	STORE_NARROW(Z0)
	STORE_NARROW(Z1)
	STORE_NARROW(Z2)
	STORE_NARROW(Z3)
	STORE_NARROW(Z4)
	STORE_NARROW(Z5)
	STORE_NARROW(Z6)
	STORE_NARROW(Z7)
	STORE_NARROW(Z8)
	STORE_NARROW(Z9)
	STORE_NARROW(Z10)
	STORE_NARROW(Z11)
	VZEROUPPER
	RET

// func outer8x32AVX512(args *outerArgs)
TEXT ·outer8x32AVX512(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(Z0, Z1)
	LOAD_WIDE(Z2, Z3)
	LOAD_WIDE(Z4, Z5)
	LOAD_WIDE(Z6, Z7)
	LOAD_WIDE(Z8, Z9)
	LOAD_WIDE(Z10, Z11)
	LOAD_WIDE(Z12, Z13)
	LOAD_WIDE(Z14, Z15)
	LOOP_WIDE(WIDE8)
	STORE_WIDE(Z0, Z1)
	STORE_WIDE(Z2, Z3)
	STORE_WIDE(Z4, Z5)
	STORE_WIDE(Z6, Z7)
	STORE_WIDE(Z8, Z9)
	STORE_WIDE(Z10, Z11)
	STORE_WIDE(Z12, Z13)
	STORE_WIDE(Z14, Z15)
	VZEROUPPER
	RET

// func outer8x16AVX512(args *outerArgs)
TEXT ·outer8x16AVX512(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(Z0)
	LOAD_NARROW(Z1)
	LOAD_NARROW(Z2)
	LOAD_NARROW(Z3)
	LOAD_NARROW(Z4)
	LOAD_NARROW(Z5)
	LOAD_NARROW(Z6)
	LOAD_NARROW(Z7)
	LOOP_NARROW(NARROW8)
	STORE_NARROW(Z0)
	STORE_NARROW(Z1)
	STORE_NARROW(Z2)
	STORE_NARROW(Z3)
	STORE_NARROW(Z4)
	STORE_NARROW(Z5)
	STORE_NARROW(Z6)
	STORE_NARROW(Z7)
	VZEROUPPER
	RET

// func outer4x32AVX512(args *outerArgs)
TEXT ·outer4x32AVX512(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(Z0, Z1)
	LOAD_WIDE(Z2, Z3)
	LOAD_WIDE(Z4, Z5)
	LOAD_WIDE(Z6, Z7)
	LOOP_WIDE(WIDE4)
	STORE_WIDE(Z0, Z1)
	STORE_WIDE(Z2, Z3)
	STORE_WIDE(Z4, Z5)
	STORE_WIDE(Z6, Z7)
	VZEROUPPER
	RET

// func outer4x16AVX512(args *outerArgs)
TEXT ·outer4x16AVX512(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(Z0)
	LOAD_NARROW(Z1)
	LOAD_NARROW(Z2)
	LOAD_NARROW(Z3)
	LOOP_NARROW(NARROW4)
	STORE_NARROW(Z0)
	STORE_NARROW(Z1)
	STORE_NARROW(Z2)
	STORE_NARROW(Z3)
	VZEROUPPER
	RET

// func outer1x32AVX512(args *outerArgs)
TEXT ·outer1x32AVX512(SB), NOSPLIT, $0-8
	SETUP
	LOAD_WIDE(Z0, Z1)
	LOOP_WIDE(WIDE1)
	STORE_WIDE(Z0, Z1)
	VZEROUPPER
	RET

// func outer1x16AVX512(args *outerArgs)
TEXT ·outer1x16AVX512(SB), NOSPLIT, $0-8
	SETUP
	LOAD_NARROW(Z0)
	LOOP_NARROW(NARROW1)
	STORE_NARROW(Z0)
	VZEROUPPER
	RET
