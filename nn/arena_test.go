package nn

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"emdiff/kernels"
)

func TestArenaSpansNeverOverlapAndAllComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	set, _ := newDrySet()
	a := arena{set: set}
	for range 5 {
		var live []span
		for range 2000 {
			if len(live) > 0 && rng.IntN(2) == 0 {
				i := rng.IntN(len(live))
				a.release(live[i])
				live = append(live[:i], live[i+1:]...)
				continue
			}
			n := 1 + rng.IntN(5000)
			b, s := a.alloc(n)
			assert.Equal(t, n, b.Len())
			assert.Zero(t, s.off%(kernels.SliceAlign/4))
			for _, o := range live {
				if o.chunk == s.chunk && s.off < o.off+o.n && o.off < s.off+s.n {
					t.Fatalf("%+v overlaps %+v", s.piece, o.piece)
				}
			}
			live = append(live, s)
		}
		for _, s := range live {
			a.release(s)
		}
		assert.Zero(t, a.live)
		for _, c := range a.chunks {
			assert.Equal(t, []piece{{0, c.buf.Len()}}, c.free, "free ranges join again")
		}
		a.reset()
		assert.Len(t, a.chunks, 1)
	}
}
