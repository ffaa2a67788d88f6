package nn

import (
	"fmt"

	"emdiff/kernels"
)

// UNet is diffusers' UNet2DModel: an encoder and a decoder of residual blocks with skip connections, conditioned on time.
type UNet struct {
	Config UNetConfig
	Params *Params

	convIn       *Conv2D
	out          normConv
	time1, time2 *Linear
	down, up     []level
	mid          [2]*resBlock
	midAttn      *attention
	skips        []skip
	dropouts     int
	lasts        []*Param // the layers that ZeroInit clears
	joins        []*Join  // of the forward pass
}

// level is one resolution of the encoder or decoder. shrink or enlarge changes to the next one; both are nil at the end.
type level struct {
	stages  []*stage
	shrink  *Conv2D
	enlarge *enlarge
}

// skip is one skip connection: its channels, and the channels it is joined behind in the decoder.
type skip struct{ c, before int }

// NewUNet builds the network with zeroed parameters on a Set; call Params.Init or read weights.
func NewUNet(set kernels.Set, cfg UNetConfig) (*UNet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u := &UNet{Config: cfg}
	b := &Builder{}
	u.build(b)
	u.Params = b.Params(set)
	return u, nil
}

// Close frees the parameters.
func (u *UNet) Close() { u.Params.Close() }

// Init draws fresh weights (see Params.Init), clears the optimiser and restarts the moving average.
func (u *UNet) Init(seed uint64) {
	u.Params.Init(seed)
	if u.Config.ZeroInit {
		for _, w := range u.lasts {
			u.Params.set.Fill(w.buffers[Weights], 0, kernels.Elementwise{Len: w.Rows * w.Cols})
		}
	}
	u.Params.ResetOptimizer()
}

func (u *UNet) timeDim() int { return 4 * u.Config.Channels[0] }

func (u *UNet) last(w ...*Param) { u.lasts = append(u.lasts, w...) }

// build creates the layers in the order of diffusers' state dict.
func (u *UNet) build(b *Builder) {
	c := u.Config
	r2 := c.unshuffle() * c.unshuffle()
	channels := c.Channels
	levels := len(channels)

	u.convIn = b.Conv2D("conv_in", c.InChannels*r2, channels[0], 3)
	u.time1 = b.Linear(channels[0], u.timeDim(), "time_embedding.linear_1")
	u.time2 = b.Linear(u.timeDim(), u.timeDim(), "time_embedding.linear_2")

	h := channels[0]
	u.skips = append(u.skips, skip{c: h})
	for i, out := range channels {
		block := fmt.Sprintf("down_blocks.%d", i)
		var l level
		for j := range c.LayersPerBlock {
			l.stages = append(l.stages, u.stage(b, block, j, h, out, c.Attention[i]))
			h = out
			u.skips = append(u.skips, skip{c: h})
		}
		if i < levels-1 {
			l.shrink = b.Downsample(block+".downsamplers.0.conv", h, c.DownsamplePadding)
			u.skips = append(u.skips, skip{c: h})
		}
		u.down = append(u.down, l)
	}

	u.mid[0] = u.resBlock(b, "mid_block.resnets.0", h, h)
	if c.MidAttention {
		u.midAttn = u.attention(b, "mid_block.attentions.0", h, !c.ScaleShift)
	}
	u.mid[1] = u.resBlock(b, "mid_block.resnets.1", h, h)

	next := len(u.skips) - 1
	for i := range levels {
		block := fmt.Sprintf("up_blocks.%d", i)
		at := levels - 1 - i
		var l level
		for j := range c.LayersPerBlock + 1 {
			s := &u.skips[next]
			next--
			s.before = h
			l.stages = append(l.stages, u.stage(b, block, j, h+s.c, channels[at], c.Attention[at]))
			h = channels[at]
		}
		if at > 0 {
			l.enlarge = &enlarge{b.Conv2D(block+".upsamplers.0.conv", h, h, 3)}
		}
		u.up = append(u.up, l)
	}

	u.out.norm = b.GroupNorm("conv_norm_out", h, c.NormGroups, float32(c.NormEps), true)
	u.out.conv = b.Conv2D("conv_out", h, c.OutChannels*r2, 3)
	u.last(u.out.conv.Weight, u.out.conv.Bias)
}

// Forward runs the network on images x [N,H,W,InChannels] at times t [N,1,1,1] (a diffusion step or any function of the
// noise level; fractions are fine) and returns [N,H,W,OutChannels]. Image n of the output depends on image n of x and t
// only. A size that does not fit CheckSize panics.
func (u *UNet) Forward(t *Tape, x, time *Tensor) *Tensor {
	mustMatch("UNet.Forward", "x", x, x.N, x.H, x.W, u.Config.InChannels)
	mustMatch("UNet.Forward", "t", time, x.N, 1, 1, 1)
	if err := u.Config.CheckSize(x.H, x.W); err != nil {
		panic(&kernels.ShapeError{Op: "UNet.Forward", Arg: "x", Got: x.String(), Want: err.Error()})
	}
	t.follow(u, x.N, x.H, x.W)
	emb := u.embed(t, time)
	if r := u.Config.unshuffle(); r > 1 {
		t.enter("unshuffle")
		x = t.PixelUnshuffle(x, r)
	}
	blocks := t.Checkpoint == CheckpointBlocks

	joins := u.joins[:0]
	join := func(h, w int) *Tensor { // where the next skip connection is written
		s := u.skips[len(joins)]
		j := t.NewJoin(x.N, h, w, s.before, s.c)
		joins = append(joins, j)
		return j.Right
	}
	stem := x
	x = t.Conv(stem, u.convIn, Epilogue{Into: join(x.H, x.W)})
	if u.Config.unshuffle() > 1 {
		t.Release(stem)
	}
	for _, l := range u.down {
		for _, s := range l.stages {
			x = t.run(s, args{x: x, cond: emb}, join(x.H, x.W), blocks)
		}
		if l.shrink != nil {
			x = t.Conv(x, l.shrink, Epilogue{Into: join(x.H/2, x.W/2)})
		}
	}
	u.joins = joins

	left := func() *Tensor { // where the decoder's next block expects its input
		if len(joins) == 0 {
			return nil
		}
		return joins[len(joins)-1].Left
	}
	x = t.run(u.mid[0], args{x: x, cond: emb}, nil, blocks)
	if u.midAttn != nil {
		x = t.run(u.midAttn, args{x: x}, nil, blocks)
	}
	mid := x
	t.run(u.mid[1], args{x: mid, cond: emb}, left(), blocks)
	t.Release(mid)
	for _, l := range u.up {
		for i, s := range l.stages {
			t.enter("concat")
			whole := t.Concat(joins[len(joins)-1])
			joins = joins[:len(joins)-1]
			into := left()
			if i == len(l.stages)-1 && l.enlarge != nil {
				into = nil
			}
			x = t.run(s, args{x: whole, cond: emb}, into, blocks)
			t.Release(whole)
		}
		if l.enlarge != nil {
			small := x
			x = t.run(l.enlarge, args{x: small}, left(), t.Checkpoint != CheckpointNone)
			t.Release(small)
		}
	}

	y := t.run(&u.out, args{x: x}, nil, t.Checkpoint != CheckpointNone)
	t.Release(x, emb)
	if r := u.Config.unshuffle(); r > 1 {
		t.enter("shuffle")
		small := y
		y = t.PixelShuffle(small, r)
		t.Release(small)
	}
	t.enter("")
	return y
}

// embed returns SiLU of the time embedding, which is all that the residual blocks use.
func (u *UNet) embed(t *Tape, time *Tensor) *Tensor {
	t.enter("time_embedding")
	e := t.TimeEmbedding(time, u.Config.timeEmbedding(time.N))
	h := t.Linear(e, u.time1, Epilogue{})
	a := t.SiLU(h)
	t.Release(e, h)
	h = t.Linear(a, u.time2, Epilogue{})
	emb := t.SiLU(h)
	t.Release(a, h)
	return emb
}
