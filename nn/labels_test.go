package nn

import (
	"context"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
)

// listening is a Set that computes nothing and counts the ops of each layer by the labels it is told.
type listening struct {
	drySet
	ops map[string]int // "layer op"
}

func (l *listening) SetLabels(ctx context.Context) {
	layer, _ := pprof.Label(ctx, "layer")
	if op, ok := pprof.Label(ctx, "op"); ok {
		l.ops[strings.TrimSpace(layer+" "+op)]++
	}
}

func (l *listening) GradNorm(_, _ buf, p kernels.GradNorm)       { l.count(p.Cost()) }
func (l *listening) AdamW(_, _, _, _, _, _ buf, p kernels.AdamW) { l.count(p.Cost()) }

func (l *listening) take() map[string]int {
	ops := l.ops
	l.ops = map[string]int{}
	return ops
}

func TestAProfileReadsLikeTheNetwork(t *testing.T) {
	l := &listening{ops: map[string]int{}}
	set := kernels.Labelled(kernels.Checked(l))
	u, err := NewUNet(set, small())
	require.NoError(t, err)
	l.take()
	tape := NewTape(set, Training)
	x := tape.NewTensor(2, 8, 8, 1)
	y := u.Forward(tape, x, tape.NewTensor(2, 1, 1, 1))
	forward := l.take()
	tape.Backward(y, y)
	backward := l.take()

	for _, w := range u.Params.list {
		name, kind := w.layer(), "Conv2D"
		switch {
		case strings.Contains(name, "norm"):
			kind = "GroupNorm"
		case w.Entries[0].Shape[0] == w.Entries[0].Len():
			continue // a bias, whose layer has a weight too
		case len(w.Entries[0].Shape) == 2:
			kind = "Linear"
		}
		assert.Equal(t, 1, forward[name+" "+kind], name)
		if kind == "GroupNorm" {
			assert.Equal(t, 1, backward[name+" GroupNormGrad"], name)
			continue
		}
		assert.Equal(t, 1, backward[name+" "+kind+"WeightGrad"], name)
		if name != "conv_in" && name != "time_embedding.linear_1" { // whose inputs need no gradient
			assert.Equal(t, 1, backward[name+" "+kind+"InputGrad"], name)
		}
	}
	for op, pass := range map[string]map[string]int{
		"unshuffle PixelUnshuffle": forward, "shuffle PixelShuffle": forward, "shuffle PixelUnshuffle": backward,
		"mid_block.attentions.0 Attention": forward, "mid_block.attentions.0 AttentionGrad": backward,
		"down_blocks.0.attentions.0 AttentionGrad": backward, "time_embedding TimeEmbedding": forward,
		"time_embedding.linear_1 SiLUGrad": backward, "concat CopyChannels": forward,
		"up_blocks.0.upsamplers.0.conv Upsample2x": forward, "up_blocks.0.upsamplers.0.conv Upsample2xGrad": backward,
		"down_blocks.0.resnets.0.norm2 Dropout": forward,
	} {
		assert.Positive(t, pass[op], op)
	}
	for op := range backward {
		assert.Contains(t, op, " ", "%s has no layer", op)
	}
	DefaultAdamW().Step(u.Params, 1, 0.9)
	set.Fill(y.Buf, 0, kernels.Elementwise{Len: 1})
	assert.Equal(t, map[string]int{"optimizer GradNorm": 1, "optimizer AdamW": 1, "Fill": 1}, l.take())
}
