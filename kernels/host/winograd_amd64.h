// Bodies of the Winograd transforms, for vectors of WIDTH bytes in registers V0 to V15: the files that include this define
// them for their level.
//
// Ladder (3x3 convolutions, AVX-512, two cores, share of PeakFMA in FLOPs of the direct convolution; Zen 4):
//	forward, 16 x 32x32, 128 -> 128     direct 0.94, F(2x2, 3x3) 1.88
//	forward, 64 x 14x14, 64 -> 64       direct 0.92, F(2x2, 3x3) 1.64
//	weights, 16 x 32x32, 128 -> 128     direct 0.88, F(2x2, 3x3) 1.6
//	weights, 64 x 14x14, 64 -> 64       direct 0.81, F(2x2, 3x3) 1.5
// A transform is bound by its loads and stores, all to the nearest caches; nothing is spilled with 16 registers. The
// transforms take 5 to 10 % of a convolution of 32 to 64 channels, 3 % of one of 256. No gain (within 3 %): blocks of
// tiles of half or twice the size, all 16 products of a panel before a transform for shallow layers, too. Weight gradients
// without partial sums, from tiles that are all transformed to memory first: 0.8 times as fast in a network of 36 M
// parameters, whatever single layers did.

// Element j of row i of B^T d is a sum or difference of two rows of d.
#define DIFFERENCES(p, q) \
	VMOVUPS (p), V0; \
	VMOVUPS (p)(R14*1), V1; \
	VMOVUPS (p)(R14*2), V2; \
	VMOVUPS (p)(R13*1), V3; \
	VSUBPS (q), V0, V0; \
	VSUBPS (q)(R14*1), V1, V1; \
	VSUBPS (q)(R14*2), V2, V2; \
	VSUBPS (q)(R13*1), V3, V3

#define SUMS(p, q) \
	VMOVUPS (p), V0; \
	VMOVUPS (p)(R14*1), V1; \
	VMOVUPS (p)(R14*2), V2; \
	VMOVUPS (p)(R13*1), V3; \
	VADDPS (q), V0, V0; \
	VADDPS (q)(R14*1), V1, V1; \
	VADDPS (q)(R14*2), V2, V2; \
	VADDPS (q)(R13*1), V3, V3

// One row of 4 results at AX, BX bytes apart (DX = 3 BX).
#define STORE4(a, b, c, d) \
	VMOVUPS a, (AX); \
	VMOVUPS b, (AX)(BX*1); \
	VMOVUPS c, (AX)(BX*2); \
	VMOVUPS d, (AX)(DX*1); \
	LEAQ (AX)(BX*4), AX

#define INPUT_ROW \
	VSUBPS V2, V0, V4; \
	VADDPS V2, V1, V5; \
	VSUBPS V1, V2, V6; \
	VSUBPS V1, V3, V7; \
	STORE4(V4, V5, V6, V7)

#define WINOGRAD_INPUT \
	MOVQ args+0(FP), DI; \
	MOVQ winogradInputArgs_offsets(DI), SI; \
	MOVQ winogradInputArgs_dst(DI), R8; \
	MOVQ winogradInputArgs_pix(DI), R14; \
	LEAQ (R14)(R14*2), R13; \
	MOVQ winogradInputArgs_xiPitch(DI), BX; \
	LEAQ (BX)(BX*2), DX; \
	MOVQ winogradInputArgs_tiles(DI), R15; \
tile: \
	MOVQ winogradInputArgs_src(DI), R9; \
	MOVQ winogradInputArgs_row(DI), CX; \
	ADDQ (SI), R9; \
	ADDQ $8, SI; \
	LEAQ (R9)(CX*1), R10; \
	LEAQ (R10)(CX*1), R11; \
	LEAQ (R11)(CX*1), R12; \
	MOVQ winogradInputArgs_n(DI), CX; \
vector: \
	MOVQ R8, AX; \
	DIFFERENCES(R9, R11); \
	INPUT_ROW; \
	SUMS(R10, R11); \
	INPUT_ROW; \
	DIFFERENCES(R11, R10); \
	INPUT_ROW; \
	DIFFERENCES(R12, R10); \
	INPUT_ROW; \
	ADDQ $WIDTH, R8; \
	ADDQ $WIDTH, R9; \
	ADDQ $WIDTH, R10; \
	ADDQ $WIDTH, R11; \
	ADDQ $WIDTH, R12; \
	SUBQ $WIDTH, CX; \
	JNZ  vector; \
	SUBQ winogradInputArgs_n(DI), R8; \
	ADDQ winogradInputArgs_tilePitch(DI), R8; \
	DECQ R15; \
	JNZ  tile; \
	VZEROUPPER; \
	RET

// SI walks over the tiles, CX from col to R11 over the columns, R12 is the tile's M (or its column of the moment, AX).
#define OUTPUT_SETUP \
	MOVQ args+0(FP), DI; \
	MOVQ winogradOutputArgs_m(DI), R12; \
	MOVQ winogradOutputArgs_xiPitch(DI), BX; \
	LEAQ (BX)(BX*2), DX; \
	MOVQ winogradOutputArgs_tiles(DI), SI; \
	MOVQ winogradOutputArgs_count(DI), R15; \
	MOVQ winogradOutputArgs_col(DI), R11; \
	ADDQ winogradOutputArgs_n(DI), R11

#define OUTPUT_NEXT \
	ADDQ $WIDTH, CX; \
	CMPQ CX, R11; \
	JLT  vector; \
	ADDQ winogradOutputArgs_tilePitch(DI), R12; \
	ADDQ $winogradTile__size, SI; \
	DECQ R15; \
	JNZ  tile; \
	VZEROUPPER; \
	RET

// Column j of A^T M: element 0 to top, element 1 to bottom. R8 is 4 BX, R9 is 12 BX.
#define OUTPUT_COLUMN(top, bottom) \
	VMOVUPS (AX)(R8*1), V8; \
	VMOVUPS (AX)(R8*2), V9; \
	VADDPS V9, V8, top; \
	VSUBPS V9, V8, bottom; \
	VADDPS (AX), top, top; \
	VADDPS (AX)(R9*1), bottom, bottom; \
	ADDQ BX, AX

// The two pixels of a row of results.
#define OUTPUT_ROW(u0, u1, u2, u3, left, right) \
	VADDPS u2, u1, V8; \
	VSUBPS u2, u1, V9; \
	VADDPS u0, V8, V8; \
	VADDPS u3, V9, V9; \
	VADDPS V10, V8, V8; \
	VADDPS V10, V9, V9; \
	MOVQ winogradTile_res+left(SI), R13; \
	VADDPS (R13)(CX*1), V8, V8; \
	MOVQ winogradTile_res+right(SI), R13; \
	VADDPS (R13)(CX*1), V9, V9; \
	MOVQ winogradTile_y+left(SI), R13; \
	VMOVUPS V8, (R13)(CX*1); \
	MOVQ winogradTile_y+right(SI), R13; \
	VMOVUPS V9, (R13)(CX*1)

#define WINOGRAD_OUTPUT \
	OUTPUT_SETUP; \
	LEAQ (BX*4), R8; \
	LEAQ (R8)(R8*2), R9; \
	MOVQ winogradOutputArgs_bias(DI), R10; \
tile: \
	MOVQ winogradOutputArgs_col(DI), CX; \
	MOVQ winogradTile_add(SI), R14; \
vector: \
	MOVQ CX, AX; \
	SUBQ winogradOutputArgs_col(DI), AX; \
	ADDQ R12, AX; \
	OUTPUT_COLUMN(V0, V4); \
	OUTPUT_COLUMN(V1, V5); \
	OUTPUT_COLUMN(V2, V6); \
	OUTPUT_COLUMN(V3, V7); \
	VMOVUPS (R10)(CX*1), V10; \
	VADDPS (R14)(CX*1), V10, V10; \
	OUTPUT_ROW(V0, V1, V2, V3, 0, 8); \
	OUTPUT_ROW(V4, V5, V6, V7, 16, 24); \
	OUTPUT_NEXT

// A row of A y A^T from the two pixels of a row of A y.
#define OUTPUT_GRAD_ROW(left, right) \
	VADDPS right, left, V8; \
	VSUBPS right, left, V9; \
	STORE4(left, V8, V9, right)

#define WINOGRAD_OUTPUT_GRAD \
	OUTPUT_SETUP; \
tile: \
	MOVQ winogradOutputArgs_col(DI), CX; \
	MOVQ winogradTile_y(SI), R8; \
	MOVQ winogradTile_y+8(SI), R9; \
	MOVQ winogradTile_y+16(SI), R10; \
	MOVQ winogradTile_y+24(SI), R13; \
vector: \
	MOVQ CX, AX; \
	SUBQ winogradOutputArgs_col(DI), AX; \
	ADDQ R12, AX; \
	VMOVUPS (R8)(CX*1), V0; \
	VMOVUPS (R9)(CX*1), V1; \
	VMOVUPS (R10)(CX*1), V2; \
	VMOVUPS (R13)(CX*1), V3; \
	VADDPS V2, V0, V4; \
	VADDPS V3, V1, V5; \
	VSUBPS V2, V0, V6; \
	VSUBPS V3, V1, V7; \
	OUTPUT_GRAD_ROW(V0, V1); \
	OUTPUT_GRAD_ROW(V4, V5); \
	OUTPUT_GRAD_ROW(V6, V7); \
	OUTPUT_GRAD_ROW(V2, V3); \
	OUTPUT_NEXT

#define WEIGHTS_SETUP \
	MOVQ args+0(FP), DI; \
	MOVQ winogradWeightArgs_g(DI), SI; \
	MOVQ winogradWeightArgs_gPitch(DI), R8; \
	LEAQ (R8)(R8*2), R9; \
	MOVQ winogradWeightArgs_u(DI), R12; \
	MOVQ winogradWeightArgs_uPitch(DI), BX; \
	LEAQ (BX)(BX*2), DX; \
	MOVQ winogradWeightArgs_n(DI), CX

#define WEIGHTS_NEXT \
	ADDQ $WIDTH, SI; \
	ADDQ $WIDTH, R12; \
	SUBQ $WIDTH, CX; \
	JNZ  vector; \
	VZEROUPPER; \
	RET

// (a, b, c) to (a, (a+c+b)/2, (a+c-b)/2, c): what is not there already goes to sum and difference. V15 holds 1/2.
#define HALVES(a, b, c, sum, difference) \
	VADDPS c, a, difference; \
	VADDPS b, difference, sum; \
	VSUBPS b, difference, difference; \
	VMULPS V15, sum, sum; \
	VMULPS V15, difference, difference

// Column c of g at AX becomes the four elements of a column of G g; rows of g are R9 bytes apart.
#define WEIGHTS_COLUMN(h0, h1, h2, h3) \
	VMOVUPS (AX), h0; \
	VMOVUPS (AX)(R9*1), V12; \
	VMOVUPS (AX)(R9*2), h3; \
	HALVES(h0, V12, h3, h1, h2); \
	ADDQ R8, AX

#define WEIGHTS_ROW(h0, h1, h2) \
	HALVES(h0, h1, h2, V12, V13); \
	STORE4(h0, V12, V13, h2)

#define WINOGRAD_WEIGHTS \
	WEIGHTS_SETUP; \
	BROADCAST_HALF; \
vector: \
	MOVQ SI, AX; \
	WEIGHTS_COLUMN(V0, V3, V6, V9); \
	WEIGHTS_COLUMN(V1, V4, V7, V10); \
	WEIGHTS_COLUMN(V2, V5, V8, V11); \
	MOVQ R12, AX; \
	WEIGHTS_ROW(V0, V1, V2); \
	WEIGHTS_ROW(V3, V4, V5); \
	WEIGHTS_ROW(V6, V7, V8); \
	WEIGHTS_ROW(V9, V10, V11); \
	WEIGHTS_NEXT

// (a, b, c, d) to (a + (b+c)/2, (b-c)/2, (b+c)/2 + d), in q0, q1 and q2.
#define UNHALVE(a, b, c, d, q0, q1, q2) \
	VADDPS c, b, q2; \
	VSUBPS c, b, q1; \
	VMULPS V15, q2, q2; \
	VMULPS V15, q1, q1; \
	VADDPS a, q2, q0; \
	VADDPS d, q2, q2

// Column j of U at AX; its rows are R10 = 4 BX bytes apart, R11 = 12 BX.
#define WEIGHTS_GRAD_COLUMN(q0, q1, q2) \
	VMOVUPS (AX)(R10*1), V12; \
	VMOVUPS (AX)(R10*2), V13; \
	UNHALVE((AX), V12, V13, (AX)(R11*1), q0, q1, q2); \
	ADDQ BX, AX

#define WEIGHTS_GRAD_ROW(a, b, c, d) \
	UNHALVE(a, b, c, d, V12, V13, V14); \
	VMOVUPS V12, (AX); \
	VMOVUPS V13, (AX)(R8*1); \
	VMOVUPS V14, (AX)(R8*2); \
	ADDQ R9, AX

#define WINOGRAD_WEIGHTS_GRAD \
	WEIGHTS_SETUP; \
	LEAQ (BX*4), R10; \
	LEAQ (R10)(R10*2), R11; \
	BROADCAST_HALF; \
vector: \
	MOVQ R12, AX; \
	WEIGHTS_GRAD_COLUMN(V0, V4, V8); \
	WEIGHTS_GRAD_COLUMN(V1, V5, V9); \
	WEIGHTS_GRAD_COLUMN(V2, V6, V10); \
	WEIGHTS_GRAD_COLUMN(V3, V7, V11); \
	MOVQ SI, AX; \
	WEIGHTS_GRAD_ROW(V0, V1, V2, V3); \
	WEIGHTS_GRAD_ROW(V4, V5, V6, V7); \
	WEIGHTS_GRAD_ROW(V8, V9, V10, V11); \
	WEIGHTS_NEXT
