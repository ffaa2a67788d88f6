package nn

import "fmt"

// resBlock is diffusers' ResnetBlock2D: norm, SiLU, conv, time, norm, SiLU, dropout, conv, plus the input. Bias, time bias
// and residual ride on the convolutions.
type resBlock struct {
	norm1, norm2 *GroupNorm
	conv1, conv2 *Conv2D
	time         *Linear
	shortcut     *Conv2D // 1x1, where the channels change; else nil
	scaleShift   bool
	dropout      float32
	layer        int // number among the dropout layers
}

func (u *UNet) resBlock(b *Builder, name string, cin, cout int) *resBlock {
	c := u.Config
	r := &resBlock{scaleShift: c.ScaleShift, dropout: float32(c.Dropout), layer: u.dropouts}
	u.dropouts++
	r.norm1 = b.GroupNorm(name+".norm1", cin, c.NormGroups, float32(c.NormEps), true)
	r.conv1 = b.Conv2D(name+".conv1", cin, cout, 3)
	timeOut := cout
	if c.ScaleShift {
		timeOut *= 2
	}
	r.time = b.Linear(u.timeDim(), timeOut, name+".time_emb_proj")
	r.norm2 = b.GroupNorm(name+".norm2", cout, c.NormGroups, float32(c.NormEps), true)
	r.conv2 = b.Conv2D(name+".conv2", cout, cout, 3)
	u.last(r.conv2.Weight, r.conv2.Bias)
	if cin != cout {
		r.shortcut = b.Conv2D(name+".conv_shortcut", cin, cout, 1)
	}
	return r
}

// forward reads x and the activated time embedding, and writes into or a new tensor.
func (r *resBlock) forward(t *Tape, x, emb, into *Tensor) *Tensor {
	time := t.Linear(emb, r.time, Epilogue{})
	var imageBias, scaleShift *Tensor
	if r.scaleShift {
		scaleShift = time
	} else {
		imageBias = time
	}
	h := t.GroupNorm(x, r.norm1, nil)
	h1 := t.Conv(h, r.conv1, Epilogue{ImageBias: imageBias})
	t.Release(h)
	h = t.GroupNorm(h1, r.norm2, scaleShift)
	t.Release(h1, time)
	residual := x
	if r.shortcut != nil {
		into = t.Conv(x, r.shortcut, Epilogue{Into: into})
		residual = into
	}
	y := t.Conv(t.Dropout(h, r.dropout, r.layer), r.conv2, Epilogue{Residual: residual, Into: into})
	t.Release(h)
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

// forward writes into or a new tensor. x is released where memory may be.
func (a *attention) forward(t *Tape, x, into *Tensor) *Tensor {
	h := x
	if a.norm != nil {
		h = t.GroupNorm(x, a.norm, nil)
	}
	qkv := t.Linear(h, a.qkv, Epilogue{})
	if h != x {
		t.Release(h)
	}
	t.enter(a.name)
	o := t.Attention(qkv, a.c, a.heads)
	t.Release(qkv)
	y := t.Linear(o, a.out, Epilogue{Residual: x, Into: into})
	t.Release(o, x)
	return y
}

// stage is a residual block with the attention that may follow it.
type stage struct {
	res  *resBlock
	attn *attention // or nil
}

func (u *UNet) stage(b *Builder, block string, i, cin, cout int, attn bool) stage {
	s := stage{res: u.resBlock(b, fmt.Sprintf("%s.resnets.%d", block, i), cin, cout)}
	if attn {
		s.attn = u.attention(b, fmt.Sprintf("%s.attentions.%d", block, i), cout, true)
	}
	return s
}

func (s stage) forward(t *Tape, x, emb, into *Tensor) *Tensor {
	if s.attn == nil {
		return s.res.forward(t, x, emb, into)
	}
	return s.attn.forward(t, s.res.forward(t, x, emb, nil), into)
}
