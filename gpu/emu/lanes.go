package emu

const warpSize = 32

// lanes32 and lanes64 are one register of a warp. 8- and 16-bit values live in the low bits of a lanes32; what is above them is
// undefined, every reader truncates.
type (
	lanes32 = [warpSize]uint32
	lanes64 = [warpSize]uint64
)

// lane is what a register of one thread is held in.
type lane interface{ uint32 | uint64 }

// integer is what an instruction's type makes of it.
type integer interface {
	uint8 | uint16 | uint32 | uint64 | int8 | int16 | int32 | int64
}

// merge copies the lanes of m from src to dst.
func merge[L lane](dst, src *[warpSize]L, m uint32) {
	for i := range dst {
		if m>>i&1 != 0 {
			dst[i] = src[i]
		}
	}
}

// each1, each2 and each3 lift a function of one thread to a warp, for instructions too rare to deserve a loop of their own.
func each1[D, A lane](f func(A) D) func(d *[warpSize]D, a *[warpSize]A) {
	return func(d *[warpSize]D, a *[warpSize]A) {
		for i := range d {
			d[i] = f(a[i])
		}
	}
}

func each2[D, A, B lane](f func(A, B) D) func(d *[warpSize]D, a *[warpSize]A, b *[warpSize]B) {
	return func(d *[warpSize]D, a *[warpSize]A, b *[warpSize]B) {
		for i := range d {
			d[i] = f(a[i], b[i])
		}
	}
}

func each3[L lane](f func(a, b, c L) L) func(d, a, b, c *[warpSize]L) {
	return func(d, a, b, c *[warpSize]L) {
		for i := range d {
			d[i] = f(a[i], b[i], c[i])
		}
	}
}
