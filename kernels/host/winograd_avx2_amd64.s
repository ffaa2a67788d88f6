// Winograd transforms for AVX2; winogradKernels says what they compute.

#include "textflag.h"
#include "go_asm.h"

#define WIDTH 32
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

#define BROADCAST_HALF \
	MOVL $0x3f000000, AX; \
	MOVQ AX, X15; \
	VBROADCASTSS X15, V15

#include "winograd_amd64.h"

// func winogradInputAVX2(args *winogradInputArgs)
TEXT ·winogradInputAVX2(SB), NOSPLIT, $0-8
	WINOGRAD_INPUT

// func winogradOutputAVX2(args *winogradOutputArgs)
TEXT ·winogradOutputAVX2(SB), NOSPLIT, $0-8
	WINOGRAD_OUTPUT

// func winogradOutputGradAVX2(args *winogradOutputArgs)
TEXT ·winogradOutputGradAVX2(SB), NOSPLIT, $0-8
	WINOGRAD_OUTPUT_GRAD

// func winogradWeightsAVX2(args *winogradWeightArgs)
TEXT ·winogradWeightsAVX2(SB), NOSPLIT, $0-8
	WINOGRAD_WEIGHTS

// func winogradWeightsGradAVX2(args *winogradWeightArgs)
TEXT ·winogradWeightsGradAVX2(SB), NOSPLIT, $0-8
	WINOGRAD_WEIGHTS_GRAD
