package nn

import "fmt"

// resBlock is diffusers' ResnetBlock2D: norm, SiLU, conv, time, norm, SiLU, dropout, conv, plus the input. Bias, time bias
// and residual ride on the convolutions.
type resBlock struct {
	first, second normConv
	time          *Linear
	shortcut      *Conv2D // 1x1, where the channels change; else nil
}

// normConv is a norm with SiLU, dropout and a convolution.
type normConv struct {
	norm       *GroupNorm
	conv       *Conv2D
	scaleShift bool // what the block is conditioned on scales and shifts the norm, instead of adding to the convolution
	dropout    float32
	layer      int // number among the dropout layers
}

// forward conditions on a.cond, or nil, and adds a.residual.
func (b *normConv) forward(t *Tape, a args, into *Tensor) *Tensor {
	var scaleShift *Tensor
	e := Epilogue{Residual: a.residual, Into: into}
	if b.scaleShift {
		scaleShift = a.cond
	} else {
		e.ImageBias = a.cond
	}
	h := t.GroupNorm(a.x, b.norm, scaleShift)
	y := t.Conv(t.Dropout(h, b.dropout, b.layer), b.conv, e)
	t.Release(h)
	return y
}

func (u *UNet) resBlock(b *Builder, name string, cin, cout int) *resBlock {
	c := u.Config
	r := &resBlock{}
	norm := func(name string, c int) *GroupNorm {
		return b.GroupNorm(name, c, u.Config.NormGroups, float32(u.Config.NormEps), true)
	}
	r.first.norm = norm(name+".norm1", cin)
	r.first.conv = b.Conv2D(name+".conv1", cin, cout, 3)
	timeOut := cout
	if c.ScaleShift {
		timeOut *= 2
	}
	r.time = b.Linear(u.timeDim(), timeOut, name+".time_emb_proj")
	r.second = normConv{scaleShift: c.ScaleShift, dropout: float32(c.Dropout), layer: u.dropouts}
	u.dropouts++
	r.second.norm = norm(name+".norm2", cout)
	r.second.conv = b.Conv2D(name+".conv2", cout, cout, 3)
	u.last(r.second.conv.Weight, r.second.conv.Bias)
	if cin != cout {
		r.shortcut = b.Conv2D(name+".conv_shortcut", cin, cout, 1)
	}
	return r
}

// forward reads a.x and, in a.cond, the activated time embedding.
func (r *resBlock) forward(t *Tape, a args, into *Tensor) *Tensor {
	time := t.Linear(a.cond, r.time, Epilogue{})
	first, second := args{x: a.x, cond: time}, args{residual: a.x}
	if r.second.scaleShift {
		first.cond, second.cond = nil, time
	}
	again := t.Checkpoint == CheckpointNorms
	second.x = t.run(&r.first, first, nil, again)
	if !r.second.scaleShift {
		t.Release(time)
	}
	if r.shortcut != nil {
		into = t.Conv(a.x, r.shortcut, Epilogue{Into: into})
		second.residual = into
	}
	y := t.run(&r.second, second, into, again)
	t.Release(second.x, time)
	return y
}

// attention is diffusers' Attention over pixels: norm, query, key and value in one product, heads, projection, plus the input.
type attention struct {
	norm  *GroupNorm // nil in the middle of a scale-shift network
	name  string
	qkv   *Linear
	out   *Linear
	c     int
	heads int
}

func (u *UNet) attention(b *Builder, name string, c int, norm bool) *attention {
	a := &attention{name: name, c: c, heads: u.Config.heads(c)}
	if norm {
		a.norm = b.GroupNorm(name+".group_norm", c, u.Config.NormGroups, float32(u.Config.NormEps), false)
	}
	a.qkv = b.Linear(c, c, name+".to_q", name+".to_k", name+".to_v")
	a.out = b.Linear(c, c, name+".to_out.0")
	u.last(a.out.Weight, a.out.Bias)
	return a
}

// forward writes into or a new tensor. a.x is released where memory may be.
func (a *attention) forward(t *Tape, in args, into *Tensor) *Tensor {
	h := in.x
	if a.norm != nil {
		h = t.GroupNorm(in.x, a.norm, nil)
	}
	qkv := t.Linear(h, a.qkv, Epilogue{})
	if h != in.x {
		t.Release(h)
	}
	t.enter(a.name)
	o := t.Attention(qkv, a.c, a.heads)
	t.Release(qkv)
	y := t.Linear(o, a.out, Epilogue{Residual: in.x, Into: into})
	t.Release(o, in.x)
	return y
}

// stage is a residual block with the attention that may follow it.
type stage struct {
	res  *resBlock
	attn *attention // or nil
}

func (u *UNet) stage(b *Builder, block string, i, cin, cout int, attn bool) *stage {
	s := &stage{res: u.resBlock(b, fmt.Sprintf("%s.resnets.%d", block, i), cin, cout)}
	if attn {
		s.attn = u.attention(b, fmt.Sprintf("%s.attentions.%d", block, i), cout, true)
	}
	return s
}

func (s *stage) forward(t *Tape, a args, into *Tensor) *Tensor {
	if s.attn == nil {
		return s.res.forward(t, a, into)
	}
	return s.attn.forward(t, args{x: s.res.forward(t, a, nil)}, into)
}

// enlarge doubles the size, the end of a level of the decoder.
type enlarge struct{ conv *Conv2D }

func (l *enlarge) forward(t *Tape, a args, into *Tensor) *Tensor {
	t.enter(l.conv.Weight.layer())
	large := t.Upsample(a.x)
	y := t.Conv(large, l.conv, Epilogue{Into: into})
	t.Release(large)
	return y
}
