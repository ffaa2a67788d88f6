package nn

import (
	"hash/fnv"
	"math"

	"emdiff/kernels"
)

// InitStream is the random stream of Params.Init.
const InitStream = 0x6e6effff

// Init sets the weights as PyTorch does by default: weights and biases of convolutions and linear layers are
// U(-1/sqrt(fanIn), 1/sqrt(fanIn)) (kaiming_uniform with a = sqrt 5), norms are 1 and 0. The draws depend on the seed and
// on the entry's name and position alone, so they are the same on every device. The other slots are left as they are.
func (p *Params) Init(seed uint64) {
	for _, w := range p.list {
		matrix := make([]float32, w.Rows*w.Cols)
		for i, e := range w.Entries {
			draw := w.initial(seed, e.Name)
			w.visit(i, func(file, memory int) { matrix[memory] = draw(file) })
		}
		p.set.Upload(w.buffers[Weights], matrix)
	}
	p.Touch(Weights)
}

// initial returns the initial value of an entry as a function of the position in it.
func (w *Param) initial(seed uint64, name string) func(i int) float32 {
	switch w.kind {
	case normScale:
		return func(int) float32 { return 1 }
	case normShift:
		return func(int) float32 { return 0 }
	}
	id := fnv.New32a()
	id.Write([]byte(name))
	image, r := id.Sum32(), kernels.Random{Seed: seed, Stream: InitStream}
	bound := float32(1 / math.Sqrt(float64(w.fanIn)))
	var block [4]float32
	return func(i int) float32 { // positions come in order
		if i%4 == 0 {
			block = kernels.UniformBlock(r, image, uint32(i/4))
		}
		return float32(2*block[i%4]-1) * bound
	}
}
