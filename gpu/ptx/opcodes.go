package ptx

import "strings"

// spec says what an opcode looks like. Operand patterns, one word each ("?" at the end: may be absent):
//
//	d s     destination, source of the instruction's first type     d1 s1   of its second type
//	dw sw   of twice the first type's width                         u       source, 32-bit integer
//	pd ps   predicate destination (d|q allowed), predicate source   m       address
//	dx sx   register at least as wide as the type (ld, st, cvt)     dv sv   the same, or a vector of them
//	i       integer constant                                        l       label
//	any     not checked here
type spec struct {
	args  string
	types string // allowed first types; empty: the opcode has none
	mods  string // other modifiers
	sm    int    // least compute capability
	isa   Version
}

const (
	intTypes   = "u16 s16 u32 s32 u64 s64"
	wordTypes  = "u32 s32 u64 s64"
	bitTypes   = "b16 b32 b64"
	halfTypes  = "f16 f16x2 bf16 bf16x2"
	floatTypes = "f32 f64"
	memTypes   = "b8 u8 s8 b16 u16 s16 b32 u32 s32 b64 u64 s64 f32 f64"
	spaceMods  = "global shared shared::cta local const param"
	cacheMods  = "ca cg cs lu cv wb wt nc L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate " +
		"L2::64B L2::128B L2::256B L2::cache_hint L2::evict_last L2::evict_first L2::evict_normal"
	scopeMods = "weak volatile relaxed acquire release acq_rel sc cta gpu sys cluster"
	roundMods = "rn rz rm rp"
	cmpMods   = "eq ne lt le gt ge lo ls hi hs equ neu ltu leu gtu geu num nan"
)

var isa60, isa65, isa70 = Version{6, 0}, Version{6, 5}, Version{7, 0}

// opcodes is every opcode the verifier knows.
var opcodes = map[string]spec{
	"add": {args: "d s s", types: intTypes + " " + floatTypes + " " + halfTypes, mods: roundMods + " ftz sat"},
	"sub": {args: "d s s", types: intTypes + " " + floatTypes + " " + halfTypes, mods: roundMods + " ftz sat"},
	"mul": {args: "any any any", types: intTypes + " " + floatTypes + " " + halfTypes, mods: roundMods + " ftz sat lo hi wide"},
	"mad": {args: "any any any any", types: intTypes + " " + floatTypes, mods: roundMods + " ftz sat lo hi wide"},
	"fma": {args: "d s s s", types: floatTypes + " " + halfTypes, mods: roundMods + " ftz sat relu"},
	"div": {args: "d s s", types: intTypes + " " + floatTypes, mods: roundMods + " approx full ftz"},
	"rem": {args: "d s s", types: intTypes},
	"neg": {args: "d s", types: "s16 s32 s64 " + floatTypes + " " + halfTypes, mods: "ftz"},
	"abs": {args: "d s", types: "s16 s32 s64 " + floatTypes + " " + halfTypes, mods: "ftz"},
	"min": {args: "d s s", types: intTypes + " " + floatTypes + " " + halfTypes, mods: "ftz NaN"},
	"max": {args: "d s s", types: intTypes + " " + floatTypes + " " + halfTypes, mods: "ftz NaN"},
	"sad": {args: "d s s s", types: intTypes},

	"rcp":   {args: "d s", types: floatTypes, mods: roundMods + " approx ftz"},
	"sqrt":  {args: "d s", types: floatTypes, mods: roundMods + " approx ftz"},
	"rsqrt": {args: "d s", types: floatTypes, mods: "approx ftz"},
	"sin":   {args: "d s", types: "f32", mods: "approx ftz"},
	"cos":   {args: "d s", types: "f32", mods: "approx ftz"},
	"lg2":   {args: "d s", types: "f32", mods: "approx ftz"},
	"ex2":   {args: "d s", types: "f32", mods: "approx ftz"},
	"tanh":  {args: "d s", types: "f32", mods: "approx", sm: 75, isa: isa70},

	"testp":    {args: "pd s", types: floatTypes, mods: "finite infinite number notanumber normal subnormal"},
	"copysign": {args: "d s s", types: floatTypes},

	"and":   {args: "d s s", types: "pred " + bitTypes},
	"or":    {args: "d s s", types: "pred " + bitTypes},
	"xor":   {args: "d s s", types: "pred " + bitTypes},
	"not":   {args: "d s", types: "pred " + bitTypes},
	"cnot":  {args: "d s", types: bitTypes},
	"shl":   {args: "d s u", types: bitTypes},
	"shr":   {args: "d s u", types: bitTypes + " " + intTypes},
	"shf":   {args: "d s s u", types: "b32", mods: "l r clamp wrap"},
	"lop3":  {args: "d s s s i", types: "b32", mods: "or and"},
	"prmt":  {args: "d s s s", types: "b32", mods: "f4e b4e rc8 ecl ecr rc16"},
	"bfe":   {args: "d s u u", types: wordTypes},
	"bfi":   {args: "d s s u u", types: "b32 b64"},
	"popc":  {args: "any s", types: "b32 b64"},
	"clz":   {args: "any s", types: "b32 b64"},
	"bfind": {args: "any s", types: wordTypes, mods: "shiftamt"},
	"brev":  {args: "d s", types: "b32 b64"},

	"setp": {args: "pd s s ps?", types: bitTypes + " " + intTypes + " " + floatTypes, mods: cmpMods + " and or xor ftz"},
	"set":  {args: "d s1 s1 ps?", types: "u32 s32 f32", mods: cmpMods + " and or xor ftz"},
	"selp": {args: "d s s ps", types: bitTypes + " " + intTypes + " " + floatTypes},
	"slct": {args: "d s s s1", types: bitTypes + " " + intTypes + " " + floatTypes, mods: "ftz"},

	"mov":      {args: "any any", types: "pred " + bitTypes + " " + intTypes + " " + floatTypes},
	"cvta":     {args: "d any", types: "u64", mods: spaceMods + " to"},
	"cvt":      {args: "any any any?", types: memTypes + " tf32 " + halfTypes, mods: roundMods + " rna rni rzi rmi rpi ftz sat relu"},
	"isspacep": {args: "pd any", mods: spaceMods},

	"ld":       {args: "dv m", types: memTypes, mods: spaceMods + " " + cacheMods + " " + scopeMods + " v2 v4"},
	"ldu":      {args: "dv m", types: memTypes, mods: "global v2 v4"},
	"st":       {args: "m sv", types: memTypes, mods: spaceMods + " " + cacheMods + " " + scopeMods + " v2 v4"},
	"prefetch": {args: "m", mods: "global local L1 L2"},
	"atom": {args: "d m s s?", types: "b32 b64 u32 s32 u64 s64 f32 f64",
		mods: "global shared shared::cta add min max and or xor exch cas inc dec " + scopeMods},
	"red":     {args: "m s", types: "b32 b64 u32 s32 u64 s64 f32 f64", mods: "global shared shared::cta add min max and or xor inc dec " + scopeMods},
	"membar":  {args: "", mods: "cta gl sys"},
	"fence":   {args: "", mods: scopeMods + " proxy async"},
	"cp":      {args: "any? any? any? any?", mods: "async ca cg shared shared::cta global commit_group wait_group wait_all L2::64B L2::128B L2::256B", sm: 80, isa: isa70},
	"bar":     {args: "u u?", mods: "sync warp cta"},
	"barrier": {args: "u u?", mods: "sync aligned cta"},

	"shfl":       {args: "any u u u u", types: "b32", mods: "sync up down bfly idx", isa: isa60},
	"vote":       {args: "any ps u", types: "pred b32", mods: "sync all any uni ballot", isa: isa60},
	"activemask": {args: "d", types: "b32"},
	"match":      {args: "any any u", types: "b32 b64", mods: "sync any all", sm: 70, isa: isa60},
	"elect":      {args: "any u", mods: "sync", sm: 90},
	"ldmatrix":   {args: "any m", types: "b16", mods: "sync aligned m8n8 x1 x2 x4 trans shared shared::cta", sm: 75, isa: isa65},
	"mma": {args: "any any any any", types: "f32 f16", mods: "sync aligned row col m16n8k4 m16n8k8 m16n8k16 tf32 bf16 f16",
		sm: 75, isa: isa65},

	"bra":  {args: "l", mods: "uni"},
	"call": {args: "any any? any?", mods: "uni"},
	"ret":  {args: "", mods: "uni"},
	"exit": {args: ""},
	"trap": {args: ""},
}

func contains(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}
