package learn

import (
	"emdiff/kernels"
)

// batcher cuts shuffled epochs into training batches: step s takes the images at places s*n .. s*n+n-1 of an endless
// sequence of permutations, so any step can be reached directly.
type batcher struct {
	set              kernels.Set
	n, count, length int
	seed             uint64
	epoch            int
	order            []int
	ids              kernels.Buffer
	clean, measured  kernels.Buffer
}

func newBatcher(set kernels.Set, n int, seed uint64, count, length int) *batcher {
	return &batcher{set: set, n: n, count: count, length: length, seed: seed, epoch: -1,
		ids: set.Alloc(kernels.I32, n), clean: set.Alloc(kernels.F32, n*length), measured: set.Alloc(kernels.F32, n*length)}
}

// batcherBytes is what a batcher takes from the Set.
func batcherBytes(n, length int) int64 { return 4 * int64(n+2*n*length) }

// take gathers the batch of a step from images and, when given, from measured.
func (b *batcher) take(step int, images, measured kernels.Buffer) (clean, noisy kernels.Buffer) {
	ids := make([]int32, b.n)
	for i := range ids {
		place := step*b.n + i
		ids[i] = int32(b.permutation(place / b.count)[place%b.count])
	}
	b.set.UploadInts(b.ids, ids)
	p := kernels.PerImage{N: b.n, Len: b.length}
	b.set.Gather(b.clean, images, b.ids, b.count, p)
	if measured == nil {
		return b.clean, nil
	}
	b.set.Gather(b.measured, measured, b.ids, b.count, p)
	return b.clean, b.measured
}

// permutation returns the order of an epoch.
func (b *batcher) permutation(epoch int) []int {
	if epoch != b.epoch {
		b.order = permutation(b.count, kernels.Random{Seed: b.seed, Stream: streamBatches, Step: uint32(epoch)})
		b.epoch = epoch
	}
	return b.order
}

func (b *batcher) close() {
	b.set.Free(b.ids)
	b.set.Free(b.clean)
	b.set.Free(b.measured)
}

// permutation shuffles 0..n-1 (Fisher-Yates).
func permutation(n int, r kernels.Random) []int {
	order := sequence(0, n)
	var words [4]uint32
	for i := range n {
		if i%4 == 0 {
			words = kernels.Philox(r, 0, uint32(i/4))
		}
		j := i + int(uint64(words[i%4])*uint64(n-i)>>32)
		order[i], order[j] = order[j], order[i]
	}
	return order
}
