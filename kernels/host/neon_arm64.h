// NEON arithmetic that Go's assembler cannot name, by its encoding (Arm ARM, section C7.2). Registers are numbers here: the
// names V0..V31 stand for them, and loads and stores, which the assembler does know, call the same registers F0..F31.
// Operands come in the order of the assembler, sources first: FSUB(m, n, d) is d = n - m, FDIV(m, n, d) is d = n / m.
// neon_encoding_test.go holds every macro to the word that another assembler made from the instruction named beside it.

#define V0 0
#define V1 1
#define V2 2
#define V3 3
#define V4 4
#define V5 5
#define V6 6
#define V7 7
#define V8 8
#define V9 9
#define V10 10
#define V11 11
#define V12 12
#define V13 13
#define V14 14
#define V15 15
#define V16 16
#define V17 17
#define V18 18
#define V19 19
#define V20 20
#define V21 21
#define V22 22
#define V23 23
#define V24 24
#define V25 25
#define V26 26
#define V27 27
#define V28 28
#define V29 29
#define V30 30
#define V31 31

// Multiply-add: d += n*m; d -= n*m; d += n*m[i], one element of m for all lanes of n.
#define FMLA(m, n, d) WORD $(0x4E20CC00 | (m)<<16 | (n)<<5 | (d))                                     // fmla d.4s, n.4s, m.4s
#define FMLS(m, n, d) WORD $(0x4EA0CC00 | (m)<<16 | (n)<<5 | (d))                                     // fmls d.4s, n.4s, m.4s
#define FMLAE(m, i, n, d) WORD $(0x4F801000 | ((i)&1)<<21 | (m)<<16 | ((i)>>1)<<11 | (n)<<5 | (d)) // fmla d.4s, n.4s, m.s[i]

// Arithmetic of four floats. FMAX and FMIN are NaN where a source is.
#define FADD(m, n, d) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d)) // fadd d.4s, n.4s, m.4s
#define FSUB(m, n, d) WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d)) // fsub d.4s, n.4s, m.4s
#define FMUL(m, n, d) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d)) // fmul d.4s, n.4s, m.4s
#define FDIV(m, n, d) WORD $(0x6E20FC00 | (m)<<16 | (n)<<5 | (d)) // fdiv d.4s, n.4s, m.4s
#define FMAX(m, n, d) WORD $(0x4E20F400 | (m)<<16 | (n)<<5 | (d)) // fmax d.4s, n.4s, m.4s
#define FMIN(m, n, d) WORD $(0x4EA0F400 | (m)<<16 | (n)<<5 | (d)) // fmin d.4s, n.4s, m.4s
#define FNEG(n, d) WORD $(0x6EA0F800 | (n)<<5 | (d))              // fneg d.4s, n.4s
#define FSQRT(n, d) WORD $(0x6EA1F800 | (n)<<5 | (d))             // fsqrt d.4s, n.4s
#define FRINTN(n, d) WORD $(0x4E218800 | (n)<<5 | (d))            // frintn d.4s, n.4s
#define FCVTZS(n, d) WORD $(0x4EA1B800 | (n)<<5 | (d))            // fcvtzs d.4s, n.4s
#define SCVTF(n, d) WORD $(0x4E21D800 | (n)<<5 | (d))             // scvtf d.4s, n.4s
#define FCMGE(m, n, d) WORD $(0x6E20E400 | (m)<<16 | (n)<<5 | (d)) // fcmge d.4s, n.4s, m.4s

// Across the lanes: d = (n0+n1, n2+n3, m0+m1, m2+m3); d0 = n0+n1; d0 = the largest of n.
#define FADDP(m, n, d) WORD $(0x6E20D400 | (m)<<16 | (n)<<5 | (d)) // faddp d.4s, n.4s, m.4s
#define FADDPS(n, d) WORD $(0x7E30D800 | (n)<<5 | (d))             // faddp sd, n.2s
#define FMAXV(n, d) WORD $(0x6E30F800 | (n)<<5 | (d))              // fmaxv sd, n.4s

// Doubles: the low and the high two floats widened; d += n*m; sums.
#define FCVTL(n, d) WORD $(0x0E617800 | (n)<<5 | (d))               // fcvtl d.2d, n.2s
#define FCVTL2(n, d) WORD $(0x4E617800 | (n)<<5 | (d))              // fcvtl2 d.2d, n.4s
#define FMLAD(m, n, d) WORD $(0x4E60CC00 | (m)<<16 | (n)<<5 | (d)) // fmla d.2d, n.2d, m.2d
#define FADDD2(m, n, d) WORD $(0x4E60D400 | (m)<<16 | (n)<<5 | (d)) // fadd d.2d, n.2d, m.2d
#define FADDPD(n, d) WORD $(0x7E70D800 | (n)<<5 | (d))              // faddp dd, n.2d

// Bits and integers. BIT takes the bits of n where m is set and leaves the others of d.
#define AND16(m, n, d) WORD $(0x4E201C00 | (m)<<16 | (n)<<5 | (d))  // and d.16b, n.16b, m.16b
#define EOR16(m, n, d) WORD $(0x6E201C00 | (m)<<16 | (n)<<5 | (d))  // eor d.16b, n.16b, m.16b
#define BIT16(m, n, d) WORD $(0x6EA01C00 | (m)<<16 | (n)<<5 | (d))  // bit d.16b, n.16b, m.16b
#define MOV16(n, d) WORD $(0x4EA01C00 | (n)<<16 | (n)<<5 | (d))     // mov d.16b, n.16b
#define ZERO(d) WORD $(0x4F000400 | (d))                            // movi d.4s, #0
#define DUP(i, n, d) WORD $(0x4E040400 | (i)<<19 | (n)<<5 | (d))    // dup d.4s, n.s[i]
#define ADD4(m, n, d) WORD $(0x4EA08400 | (m)<<16 | (n)<<5 | (d))   // add d.4s, n.4s, m.4s
#define SUB4(m, n, d) WORD $(0x6EA08400 | (m)<<16 | (n)<<5 | (d))   // sub d.4s, n.4s, m.4s
#define SHL4(s, n, d) WORD $(0x4F005400 | (32+(s))<<16 | (n)<<5 | (d))  // shl d.4s, n.4s, #s
#define USHR4(s, n, d) WORD $(0x6F000400 | (64-(s))<<16 | (n)<<5 | (d)) // ushr d.4s, n.4s, #s
#define SSHR4(s, n, d) WORD $(0x4F000400 | (64-(s))<<16 | (n)<<5 | (d)) // sshr d.4s, n.4s, #s
#define UMULL(m, n, d) WORD $(0x2EA0C000 | (m)<<16 | (n)<<5 | (d))  // umull d.2d, n.2s, m.2s
#define UMULL2(m, n, d) WORD $(0x6EA0C000 | (m)<<16 | (n)<<5 | (d)) // umull2 d.2d, n.4s, m.4s
#define UZP1(m, n, d) WORD $(0x4E801800 | (m)<<16 | (n)<<5 | (d))   // uzp1 d.4s, n.4s, m.4s
#define UZP2(m, n, d) WORD $(0x4E805800 | (m)<<16 | (n)<<5 | (d))   // uzp2 d.4s, n.4s, m.4s
#define TRN1(m, n, d) WORD $(0x4E802800 | (m)<<16 | (n)<<5 | (d))   // trn1 d.4s, n.4s, m.4s
#define TRN2(m, n, d) WORD $(0x4E806800 | (m)<<16 | (n)<<5 | (d))   // trn2 d.4s, n.4s, m.4s
#define TRN1D(m, n, d) WORD $(0x4EC02800 | (m)<<16 | (n)<<5 | (d))  // trn1 d.2d, n.2d, m.2d
#define TRN2D(m, n, d) WORD $(0x4EC06800 | (m)<<16 | (n)<<5 | (d))  // trn2 d.2d, n.2d, m.2d

// Memory at general register r, which moves on: one float to all lanes of t; t..t+2 or t..t+3 interleaved; a vector, after
// which r moves on by register s. General registers are numbers, too.
#define LD1R4(r, t) WORD $(0x4DDFC800 | (r)<<5 | (t)) // ld1r {t.4s}, [r], #4
#define ST3P(t, r) WORD $(0x4C9F4800 | (r)<<5 | (t))  // st3 {t.4s..t+2.4s}, [r], #48
#define ST4P(t, r) WORD $(0x4C9F0800 | (r)<<5 | (t))  // st4 {t.4s..t+3.4s}, [r], #64
#define LD1P(r, s, t) WORD $(0x4CC07800 | (s)<<16 | (r)<<5 | (t)) // ld1 {t.4s}, [r], s
#define ST1P(t, r, s) WORD $(0x4C807800 | (s)<<16 | (r)<<5 | (t)) // st1 {t.4s}, [r], s
