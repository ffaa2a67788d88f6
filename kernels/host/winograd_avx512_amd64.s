// Winograd transforms for AVX-512; winogradKernels says what they compute.

#include "textflag.h"
#include "go_asm.h"

#define WIDTH 64
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

#define BROADCAST_HALF \
	MOVL $0x3f000000, AX; \
	MOVQ AX, X15; \
	VBROADCASTSS X15, V15

#include "winograd_amd64.h"

// func winogradInputAVX512(args *winogradInputArgs)
TEXT ·winogradInputAVX512(SB), NOSPLIT, $0-8
	WINOGRAD_INPUT

// func winogradOutputAVX512(args *winogradOutputArgs)
TEXT ·winogradOutputAVX512(SB), NOSPLIT, $0-8
	WINOGRAD_OUTPUT

// func winogradOutputGradAVX512(args *winogradOutputArgs)
TEXT ·winogradOutputGradAVX512(SB), NOSPLIT, $0-8
	WINOGRAD_OUTPUT_GRAD

// func winogradWeightsAVX512(args *winogradWeightArgs)
TEXT ·winogradWeightsAVX512(SB), NOSPLIT, $0-8
	WINOGRAD_WEIGHTS

// func winogradWeightsGradAVX512(args *winogradWeightArgs)
TEXT ·winogradWeightsGradAVX512(SB), NOSPLIT, $0-8
	WINOGRAD_WEIGHTS_GRAD
