// Package ptx reads NVIDIA's PTX assembly: a lexer, a parser to a small typed tree, and a verifier.
//
// Parse accepts the language that compilers emit for kernels (directives, registers, shared, global, local and constant variables,
// labels, guarded instructions, vectors, scopes of inline assembly). Verify then checks what an assembler would: known opcodes,
// operand counts and types against register types, .version and .target, labels. Every error names line and opcode.
//
// May import: nothing of this module.
package ptx
