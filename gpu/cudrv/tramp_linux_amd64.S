//go:build cuda

// One definition per driver symbol: a jump through its slot of emdiff_cuda_table. r10 and r11 are untouched, all arguments pass as
// they are, on the stack too.

	.text
	.set slot, 0
	.macro trampoline name
	.globl \name
	.type \name, @function
	.balign 8
\name:
	jmp *(emdiff_cuda_table + 8 * slot)(%rip)
	.size \name, . - \name
	.set slot, slot + 1
	.endm

#define SYMBOL(name) trampoline name
#include "symbols.h"

	.section .note.GNU-stack, "", @progbits
