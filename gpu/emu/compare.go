package emu

import "emdiff/gpu/ptx"

// compareInt returns a comparison of type T as a mask of lanes, or nil.
func compareInt[L lane, T integer](op string) func(a, b *[warpSize]L) uint32 {
	switch op {
	case "eq":
		return func(a, b *[warpSize]L) (m uint32) {
			for i := range a {
				if T(a[i]) == T(b[i]) {
					m |= 1 << i
				}
			}
			return m
		}
	case "lt", "lo":
		return func(a, b *[warpSize]L) (m uint32) {
			for i := range a {
				if T(a[i]) < T(b[i]) {
					m |= 1 << i
				}
			}
			return m
		}
	case "le", "ls":
		return func(a, b *[warpSize]L) (m uint32) {
			for i := range a {
				if T(a[i]) <= T(b[i]) {
					m |= 1 << i
				}
			}
			return m
		}
	}
	var inverse func(a, b *[warpSize]L) uint32
	switch op {
	case "ne":
		inverse = compareInt[L, T]("eq")
	case "ge", "hs":
		inverse = compareInt[L, T]("lt")
	case "gt", "hi":
		inverse = compareInt[L, T]("le")
	default:
		return nil
	}
	return func(a, b *[warpSize]L) uint32 { return ^inverse(a, b) }
}

// relations are the float comparisons: what less, equal, greater and unordered give.
var relations = map[string][4]bool{
	"eq": {false, true, false, false}, "ne": {true, false, true, false},
	"lt": {true, false, false, false}, "le": {true, true, false, false},
	"gt": {false, false, true, false}, "ge": {false, true, true, false},
	"equ": {false, true, false, true}, "neu": {true, false, true, true},
	"ltu": {true, false, false, true}, "leu": {true, true, false, true},
	"gtu": {false, false, true, true}, "geu": {false, true, true, true},
	"num": {true, true, true, false}, "nan": {false, false, false, true},
}

// compareFloat returns a comparison of floats that value reads from lanes, or nil.
func compareFloat[L lane](op string, value func(L) float64) func(a, b *[warpSize]L) uint32 {
	rel, ok := relations[op]
	if !ok {
		return nil
	}
	return func(a, b *[warpSize]L) (m uint32) {
		for i := range a {
			k := 3
			switch x, y := value(a[i]), value(b[i]); {
			case x < y:
				k = 0
			case x == y:
				k = 1
			case x > y:
				k = 2
			}
			if rel[k] {
				m |= 1 << i
			}
		}
		return m
	}
}

// compare32 and compare64 return the comparison op of type t, or nil.
func compare32(op string, t ptx.Type, ftz bool) func(a, b *lanes32) uint32 {
	switch t {
	case ptx.U16, ptx.B16:
		return compareInt[uint32, uint16](op)
	case ptx.S16:
		return compareInt[uint32, int16](op)
	case ptx.U32, ptx.B32:
		return compareInt[uint32, uint32](op)
	case ptx.S32:
		return compareInt[uint32, int32](op)
	case ptx.F32:
		if ftz {
			return compareFloat(op, func(b uint32) float64 { return float64(f32(flush(b))) })
		}
		return compareFloat(op, func(b uint32) float64 { return float64(f32(b)) })
	}
	return nil
}

func compare64(op string, t ptx.Type) func(a, b *lanes64) uint32 {
	switch t {
	case ptx.U64, ptx.B64:
		return compareInt[uint64, uint64](op)
	case ptx.S64:
		return compareInt[uint64, int64](op)
	case ptx.F64:
		return compareFloat(op, f64)
	}
	return nil
}

// combine joins a comparison with a predicate.
var combine = map[string]func(cmp, p uint32) uint32{
	"and": func(cmp, p uint32) uint32 { return cmp & p },
	"or":  func(cmp, p uint32) uint32 { return cmp | p },
	"xor": func(cmp, p uint32) uint32 { return cmp ^ p },
}
