package host

// Blocks of convolutions have at most blockPixels pixels: few enough for what they need of x and a panel of weights to stay in the
// second-level cache.
const blockPixels = 256

// nominalThreads share the blocks for which cuts are chosen: the true number must not matter, as gradients are added up by
// blocks. Those of small layers are few, then; more threads find work in the larger ones.
const nominalThreads = 4

// cutting chooses blocks of output pixels: several whole images or some rows of one, which threads do in the least time. Time
// is counted in pixels.
type cutting struct {
	most    int    // pixels of a block, if a row is not longer
	rows    [3]int // of the kernels, most first: whole tiles of a block have rows[0] pixels
	besides int    // what a block takes whatever its size
	threads int
}

// What blocks take besides, in pixels: bringing the weights to the first cache, which Winograd's blocks do for every pass over
// some of their tiles while the weights are few, or adding to the sums in memory.
const (
	passOfWeights = 6
	passOfTiles   = 1
	passOfSums    = 2
)

// products cuts for the panel kernels.
func (m *matrixKernels) products(most, besides int) cutting {
	return cutting{most: most, rows: m.panelRows, besides: besides, threads: nominalThreads}
}

// sums cuts for the outer kernels, which work on any number of pixels.
func sums(most int) cutting {
	return cutting{most: most, rows: [3]int{1, 1, 1}, besides: passOfSums, threads: nominalThreads}
}

// choose returns how many whole images or, of one image, how many rows a block of n images of h x w pixels has.
func (c cutting) choose(n, h, w int) (images, rows int) {
	least := 0.0
	consider := func(i, r int, time float64) {
		if images == 0 || time < least {
			images, rows, least = i, r, time
		}
	}
	for r := 1; r < h && (r == 1 || r*w <= c.most); r++ {
		strips := (h + r - 1) / r
		consider(1, r, c.time(n*strips, n*(strips-1)*c.block(r*w)+n*c.block((h-(strips-1)*r)*w)))
	}
	step := max(1, min(n, c.rows[0]/(h*w)))
	for i := step; i <= n && (h == 1 && i == step || i*h*w <= c.most); i += step {
		blocks := (n + i - 1) / i
		consider(i, h, c.time(blocks, (blocks-1)*c.block(i*h*w)+c.block((n-(blocks-1)*i)*h*w)))
	}
	return images, rows
}

// time is that of so many blocks that take total together.
func (c cutting) time(blocks, total int) float64 {
	rounds := (blocks + c.threads - 1) / c.threads
	return float64(rounds*total) / float64(blocks)
}

// block is the time of a block of n pixels. What is left over after the whole tiles goes to the smallest kernel that holds it: a
// small tile takes little more than its rows.
func (c cutting) block(n int) int {
	time := n/c.rows[0]*c.rows[0] + c.besides
	switch rest := n % c.rows[0]; {
	case rest > c.rows[1]:
		time += c.rows[0]
	case rest > c.rows[2]:
		time += c.rows[1] + 1
	case rest > 0:
		time += c.rows[2] + 1
	}
	return time
}
