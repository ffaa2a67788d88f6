package kernels

import (
	"context"
	"reflect"
	"runtime/pprof"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listener has no ops, and keeps the labels that it is told.
type listener struct {
	Set
	told []context.Context
}

func (l *listener) SetLabels(ctx context.Context) { l.told = append(l.told, ctx) }

func label1(ctx context.Context, key string) string {
	value, _ := pprof.Label(ctx, key)
	return value
}

func TestEveryOpIsLabelledWithItsName(t *testing.T) {
	unlabelled := map[string]bool{"Name": true, "Supports": true, "Alloc": true, "Free": true, "Close": true}
	for m := range reflect.TypeFor[Set]().Methods() {
		if unlabelled[m.Name] {
			continue
		}
		inner := &listener{}
		s := Labelled(inner)
		SetLayer(s, "conv_in")
		inner.told = nil
		method := reflect.ValueOf(s).MethodByName(m.Name)
		args := make([]reflect.Value, m.Type.NumIn())
		for i := range args {
			args[i] = reflect.Zero(m.Type.In(i))
		}
		require.Panics(t, func() { method.Call(args) }, "the op itself is missing")
		require.Len(t, inner.told, 2, m.Name)
		assert.Equal(t, []string{"conv_in", m.Name}, []string{label1(inner.told[0], "layer"), label1(inner.told[0], "op")})
		assert.Equal(t, []string{"conv_in", ""}, []string{label1(inner.told[1], "layer"), label1(inner.told[1], "op")}, "after %s", m.Name)
	}
}

func TestLabelsAreMadeOnce(t *testing.T) {
	inner := &listener{}
	s := Labelled(inner).(*labelled)
	for range 2 {
		SetLayer(s, "a")
		s.begin("Add").end()
		SetLayer(s, "")
	}
	require.Len(t, inner.told, 8)
	for i, ctx := range inner.told[:4] {
		assert.Same(t, ctx, inner.told[i+4])
	}
	inner.told = make([]context.Context, 0, 1000)
	assert.Zero(t, testing.AllocsPerRun(100, func() { s.begin("Add").end() }))
}

func TestWithoutLabelsALayerCostsNothing(t *testing.T) {
	s := Checked(&listener{})
	assert.Zero(t, testing.AllocsPerRun(100, func() { SetLayer(s, "conv_in") }))
	assert.Same(t, Unwrap(s), Unwrap(Labelled(s)))
	assert.Same(t, Unwrap(s), Unwrap(Labelled(Unwrap(s))))
}
