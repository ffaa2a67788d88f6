package kerneltest

import (
	"hash/fnv"
	"math/rand/v2"
)

// dice turns bytes into small choices: the bytes of a fuzzer, or of a seeded generator. When they run out every throw
// is the lowest.
type dice struct{ next func() byte }

func bytesDice(b []byte) *dice {
	return &dice{func() byte {
		if len(b) == 0 {
			return 0
		}
		first := b[0]
		b = b[1:]
		return first
	}}
}

func seededDice(name string) *dice {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 0))
	return &dice{func() byte { return byte(r.Uint32()) }}
}

// between returns a number in [lo, hi].
func (d *dice) between(lo, hi int) int { return lo + int(d.next())%(hi-lo+1) }

// upTo returns a number in [0, n].
func (d *dice) upTo(n int) int { return d.between(0, n) }

// yes is true for one byte in two.
func (d *dice) yes() bool { return d.next()&1 == 1 }

// stride returns 0 (contiguous) or c and some more.
func (d *dice) stride(c int) int {
	if d.yes() {
		return 0
	}
	return c + d.upTo(9)
}
