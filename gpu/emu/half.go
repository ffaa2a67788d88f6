package emu

// halfALU returns an instruction on 16-bit floats: exact in float64, rounded once. Pairs work on both halves of a register.
func halfALU(op string, f smallFloat, pair, modified bool) alu {
	if modified {
		return alu{}
	}
	round := func(x float64) uint32 { return f.encode(x, toNearest) }
	switch op {
	case "neg":
		return halfUnary(pair, func(a uint32) uint32 { return a ^ 0x8000 })
	case "abs":
		return halfUnary(pair, func(a uint32) uint32 { return a &^ 0x8000 })
	case "add":
		return halfBinary(pair, func(a, b uint32) uint32 { x, y := f.decode(a), f.decode(b); return round(oddSum(x, y, x+y)) })
	case "sub":
		return halfBinary(pair, func(a, b uint32) uint32 { x, y := f.decode(a), -f.decode(b); return round(oddSum(x, y, x+y)) })
	case "mul":
		return halfBinary(pair, func(a, b uint32) uint32 { return round(f.decode(a) * f.decode(b)) })
	case "min", "max":
		isMax := op == "max"
		return halfBinary(pair, func(a, b uint32) uint32 {
			return round(f64(minMax(bits64(f.decode(a)), bits64(f.decode(b)), isMax, false, 64)))
		})
	case "fma":
		return alu{tern32: each3(func(a, b, c uint32) uint32 {
			one := func(a, b, c uint32) uint32 {
				p, z := f.decode(a&0xFFFF)*f.decode(b&0xFFFF), f.decode(c&0xFFFF)
				return round(oddSum(p, z, p+z))
			}
			if !pair {
				return one(a, b, c)
			}
			return one(a, b, c) | one(a>>16, b>>16, c>>16)<<16
		})}
	}
	return alu{}
}

func halfUnary(pair bool, one func(a uint32) uint32) alu {
	return alu{un32: each1(func(a uint32) uint32 {
		if !pair {
			return one(a & 0xFFFF)
		}
		return one(a&0xFFFF) | one(a>>16)<<16
	})}
}

func halfBinary(pair bool, one func(a, b uint32) uint32) alu {
	return alu{bin32: each2(func(a, b uint32) uint32 {
		if !pair {
			return one(a&0xFFFF, b&0xFFFF)
		}
		return one(a&0xFFFF, b&0xFFFF) | one(a>>16, b>>16)<<16
	})}
}
