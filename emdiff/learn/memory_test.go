package learn

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/emdiff/diffusion"
	"emdiff/kernels"
	"emdiff/nn"
)

// balance counts the bytes that a Set has handed out.
type balance struct {
	kernels.Set
	live, peak int64
}

func (s *balance) Alloc(d kernels.DType, n int) kernels.Buffer {
	s.live += int64(d.Size() * n)
	s.peak = max(s.peak, s.live)
	return s.Set.Alloc(d, n)
}

func (s *balance) Free(b kernels.Buffer) {
	s.live -= int64(b.DType().Size() * b.Len())
	s.Set.Free(b)
}

func TestTrainingAndDrawingTakeTheMemoryThatWasPlanned(t *testing.T) {
	const draws = 5
	for _, sampler := range []string{"reverse-sde", "dps"} {
		for _, checkpoint := range []string{"", "none", "norms", "blocks"} {
			set := &balance{Set: openHost(t, 1)}
			c := tiny()
			c.EStep.Sampler, c.EStep.Batch, c.Train.Checkpoint = sampler, 16, checkpoint
			images := blobs("train", 36, 8, 8, 2)
			m, err := c.Memory(8, 8, 1, draws)
			require.NoError(t, err)

			net, err := nn.NewUNet(set, c.Network)
			require.NoError(t, err)
			net.Init(1)
			assert.Equal(t, m.Params(), set.live)

			x := set.Set.Alloc(kernels.F32, len(images.Pixels)) // the images are not the network's
			set.Upload(x, images.Pixels)
			loss := diffusion.NewLoss(set, net, c.Prior.Precond(), c.Task.Sigma, 8, 8, 1)
			loss.Checkpoint = c.Train.checkpoint()
			batch := newBatcher(set, c.Train.Batch, 1, images.Len(), images.ImageLen())
			for step := range 3 {
				clean, noisy := batch.take(step, x, x)
				loss.Gradients(clean, noisy, batch.n, kernels.Random{Step: uint32(step)})
				c.Train.adam().Step(net.Params, step+1, 0.9)
			}
			assert.Equal(t, m.Training(), set.peak, "training %s", checkpoint)
			loss.Close()
			batch.close()
			assert.Equal(t, m.Params(), set.live)

			set.peak = 0
			prior := diffusion.NewNetwork(set, net, c.Prior.Precond(), 8, 8, 1)
			y := set.Set.Alloc(kernels.F32, len(images.Pixels))
			for _, n := range []int{draws, 2, draws} {
				prior.Denoise(y, x, n, 0.5)
				if sampler == "dps" {
					for range 2 {
						vjp := prior.Linearize(y, x, n, 0.5)
						vjp(y, x)
						vjp(y, x)
					}
				}
			}
			assert.Equal(t, m.Sampling(), set.peak, sampler)
			prior.Close()
			net.Close()
			assert.Zero(t, set.live)
		}
	}
}

func TestARunWithCheckpointsEndsAsOneWithout(t *testing.T) {
	end := func(checkpoint string) map[string][]byte {
		c := tiny()
		c.EM.Rounds, c.EM.ResetRounds, c.Train.Checkpoint = 1, 0, checkpoint
		store := &memoryStore{}
		em, err := NewEM(openHost(t, 1), c, tinyImages(), store, &recorder{})
		require.NoError(t, err)
		defer em.Close()
		require.NoError(t, em.Run(t.Context()))
		return store.files
	}
	want := end("none")
	assert.NotEmpty(t, want)
	for _, checkpoint := range []string{"", "norms", "blocks"} {
		assert.Equal(t, want, end(checkpoint), checkpoint)
	}
}
