package nn

import (
	"strings"

	"emdiff/kernels"
)

// enter names the layer that the next ops belong to, forward and in reverse, for profilers (see kernels.Labelled). Ops
// without parameters of their own belong to the layer before them unless the network says otherwise.
func (t *Tape) enter(layer string) {
	t.layer = layer
	kernels.SetLayer(t.set, layer)
}

// layer is the name of the layer in diffusers' state dict; the query, key and value products of an attention are one, to_q.
func (w *Param) layer() string {
	name := w.Entries[0].Name
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	return name
}
