package host

// Blocks of convolutions have at most blockPixels pixels: few enough for what they need of x and a panel of weights to stay in the
// second-level cache.
const blockPixels = 256

// nominalThreads share the blocks for which cuts are chosen: the true number must not matter, as gradients are added up by
// blocks. Those of small layers are few, then; more threads find work in the larger ones.
const nominalThreads = 4

// cutting chooses blocks of output pixels: several whole images or some rows of one, which threads do in the least time. Time
// is counted in pixels: blocks are computed by tiles of rows[0] pixels and one of less for the rest.
type cutting struct {
	most    int    // pixels of a block, if a row is not longer
	rows    [3]int // of the kernels, most first
	besides int    // what a block takes whatever its size: a pass over the weights, or over the sums
	threads int
}

// What blocks take besides, in pixels.
const (
	passOfWeights = 6
	passOfSums    = 2
)

// byPixel are the rows of kernels that work on any number of pixels: the outer ones.
var byPixel = [3]int{1, 1, 1}

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

// block is the time of a block of n pixels. Half of what a tile takes is the same for every kernel, as it reads the same weights.
func (c cutting) block(n int) int {
	time := n/c.rows[0]*c.rows[0] + c.besides
	if rest := n % c.rows[0]; rest > c.rows[1] {
		time += c.rows[0]
	} else if rest > c.rows[2] {
		time += (c.rows[0] + c.rows[1]) / 2
	} else if rest > 0 {
		time += (c.rows[0] + c.rows[2]) / 2
	}
	return time
}
