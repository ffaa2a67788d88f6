package host

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBlocksFillTheTilesOfTheKernels(t *testing.T) {
	twelve := [3]int{12, 4, 1}
	for _, c := range []struct {
		name         string
		n, h, w      int
		cut          cutting
		images, rows int
	}{
		{"images of 9: two waste half as much of their tiles", 8, 3, 3, cutting{100, twelve, 1, 4}, 2, 3},
		{"images of 16: a tile and a small one each", 8, 4, 4, cutting{100, twelve, 1, 4}, 1, 4},
		{"images of 49: two make four blocks for four threads", 8, 7, 7, cutting{100, twelve, 2, 4}, 2, 7},
		{"the same in larger blocks: as many", 8, 7, 7, cutting{200, twelve, 2, 4}, 2, 7},
		{"pixels: whole tiles, twice as many blocks as threads", 1568, 1, 1, cutting{256, twelve, 6, 4}, 204, 1},
		{"fewer pixels than a tile", 8, 1, 1, cutting{256, twelve, 6, 4}, 8, 1},
		{"a large image: a quarter for each thread", 1, 32, 32, cutting{256, twelve, 6, 4}, 1, 8},
		{"rows longer than a block", 1, 3, 1000, cutting{256, twelve, 6, 4}, 1, 1},
		{"one thread: the fewest blocks", 24, 2, 2, cutting{48, twelve, 6, 1}, 12, 2},
		{"sums over pixels: the largest blocks that four threads can share", 8, 4, 4, cutting{100, [3]int{1, 1, 1}, 2, 4}, 2, 4},
	} {
		images, rows := c.cut.choose(c.n, c.h, c.w)
		assert.Equal(t, [2]int{c.images, c.rows}, [2]int{images, rows}, c.name)
	}
}

func TestBlocksAreNoLargerThanAllowed(t *testing.T) {
	for n := 1; n < 20; n++ {
		for h := 1; h < 20; h++ {
			for _, w := range []int{1, 7, 30} {
				c := cutting{most: 48, rows: [3]int{12, 4, 1}, besides: 6, threads: 4}
				images, rows := c.choose(n, h, w)
				assert.True(t, images*rows*w <= c.most && (images == 1 || rows == h), "%d images of %dx%d: blocks of %d images, %d rows", n, h, w, images, rows)
				assert.True(t, 1 <= images && images <= n && 1 <= rows && rows <= h)
			}
		}
	}
}
