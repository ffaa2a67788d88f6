package diffusion

import (
	"emdiff/kernels"
	"emdiff/nn"
)

// Network is the denoiser made of a U-Net and its preconditioning, with the averaged (EMA) weights and without dropout.
type Network struct {
	UNet    *nn.UNet
	Precond Precond

	set       kernels.Set
	infer     *nn.Tape
	linear    *nn.Tape
	h, w, c   int
	in, cot   kernels.Buffer // network input; scaled cotangent
	noise     kernels.Buffer // noise conditioning, one per image
	size, num int            // capacity of the buffers in values and in images
}

// NewNetwork wraps a U-Net for images of h x w x c values.
func NewNetwork(set kernels.Set, u *nn.UNet, p Precond, h, w, c int) *Network {
	n := &Network{UNet: u, Precond: p, set: set, h: h, w: w, c: c, infer: nn.NewTape(set, nn.Inference), linear: nn.NewTape(set, nn.Differentiate)}
	n.infer.UseEMA, n.linear.UseEMA, n.linear.Frozen = true, true, true
	return n
}

// Shape returns height, width and channels of an image.
func (d *Network) Shape() (h, w, c int) { return d.h, d.w, d.c }

// Denoise computes dst = D(x, sigma).
func (d *Network) Denoise(dst, x kernels.Buffer, n int, sigma float64) {
	d.infer.Reset()
	f, _ := d.forward(d.infer, x, n, sigma)
	d.combine(dst, x, f, n, sigma)
}

// Linearize computes dst = D(x, sigma) and returns its vector-Jacobian product: with J_F that of the network,
// J^T v = Skip v + In Out J_F^T v.
func (d *Network) Linearize(dst, x kernels.Buffer, n int, sigma float64) func(g, v kernels.Buffer) {
	d.linear.Reset()
	f, in := d.forward(d.linear, x, n, sigma)
	d.combine(dst, x, f, n, sigma)
	c := d.Precond.At(sigma)
	return func(g, v kernels.Buffer) {
		p := kernels.Update{N: n, Len: d.h * d.w * d.c, A: float32(c.In * c.Out)}
		d.set.Update(d.cot, v, nil, nil, nil, nil, p)
		back := d.linear.VJP(f, nn.Wrap(d.cot, n, d.h, d.w, d.c), in)
		p.A, p.B = float32(c.Skip), 1
		d.set.Update(g, v, back.Buf, nil, nil, nil, p)
		d.linear.Release(back)
	}
}

// forward returns F(In x, Noise) and the network's input.
func (d *Network) forward(tape *nn.Tape, x kernels.Buffer, n int, sigma float64) (f, in *nn.Tensor) {
	d.reserve(n)
	c := d.Precond.At(sigma)
	d.set.Fill(d.noise, float32(c.Noise), kernels.Elementwise{Len: n})
	d.set.Update(d.in, x, nil, nil, nil, nil, kernels.Update{N: n, Len: d.h * d.w * d.c, A: float32(c.In)})
	in = nn.Wrap(d.in, n, d.h, d.w, d.c)
	return d.UNet.Forward(tape, in, nn.WrapVector(d.noise, n)), in
}

// combine computes D = Skip x + Out F.
func (d *Network) combine(dst, x kernels.Buffer, f *nn.Tensor, n int, sigma float64) {
	c := d.Precond.At(sigma)
	d.set.Update(dst, x, f.Buf, nil, nil, nil, kernels.Update{N: n, Len: d.h * d.w * d.c, A: float32(c.Skip), B: float32(c.Out)})
}

func (d *Network) reserve(n int) {
	if n <= d.num {
		return
	}
	d.free()
	d.num, d.size = n, n*d.h*d.w*d.c
	d.in, d.cot = d.set.Alloc(kernels.F32, d.size), d.set.Alloc(kernels.F32, d.size)
	d.noise = d.set.Alloc(kernels.F32, n)
}

func (d *Network) free() {
	if d.num == 0 {
		return
	}
	for _, b := range []kernels.Buffer{d.in, d.cot, d.noise} {
		d.set.Free(b)
	}
	d.num = 0
}

// NetworkMemory is what a Network takes to denoise n images of h x w x c values, and to differentiate: the tape, and the
// batch around it.
func NetworkMemory(net nn.UNetConfig, mode nn.Mode, n, h, w, c int) (tape nn.Memory, batch int64, err error) {
	tape, err = net.Memory(n, h, w, nn.MemoryOptions{Mode: mode, Frozen: mode == nn.Differentiate})
	return tape, 4 * int64(2*n*h*w*c+n), err
}

// Close frees the workspace, which the next call takes again; the U-Net stays.
func (d *Network) Close() {
	d.free()
	d.infer.Close()
	d.linear.Close()
}
