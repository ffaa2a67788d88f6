package nn

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// configKey is the metadata entry that holds the network's configuration as JSON.
const configKey = "emdiff.unet"

// WriteWeights writes one slot (Weights or EMA) as a safetensors file that diffusers loads: its names, PyTorch's layouts.
// The configuration goes into the metadata, with whatever the caller adds.
func (u *UNet) WriteWeights(w io.Writer, slot Slot, metadata map[string]string) error {
	return u.write(w, metadata, []section{{"", slot}})
}

// WriteState writes everything that training needs to continue bit for bit: weights, moments and moving average. Counters
// such as the step belong in metadata.
func (u *UNet) WriteState(w io.Writer, metadata map[string]string) error {
	return u.write(w, metadata, stateSections)
}

// ReadWeights sets the weights from a file written by WriteWeights or by diffusers (older names of the attention layers
// included), restarts the moving average from them and clears the moments. On an error nothing has changed.
func (u *UNet) ReadWeights(f *Safetensors) error {
	if err := u.read(f, []section{{"", Weights}}); err != nil {
		return err
	}
	u.Params.ResetOptimizer()
	return nil
}

// ReadState is the inverse of WriteState. On an error nothing has changed.
func (u *UNet) ReadState(f *Safetensors) error { return u.read(f, stateSections) }

// StoredConfig returns the configuration in the metadata of a file of ours.
func StoredConfig(f *Safetensors) (UNetConfig, error) {
	var c UNetConfig
	text, ok := f.Metadata[configKey]
	if !ok {
		return c, fmt.Errorf("the file's metadata has no %s: give the network's configuration, for example diffusers' config.json", configKey)
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("the file's metadata %s is not a configuration: %w", configKey, err)
	}
	return c, c.Validate()
}

// section is a slot in a file, its names behind a prefix.
type section struct {
	prefix string
	slot   Slot
}

var stateSections = []section{{"weights.", Weights}, {"moment1.", Moment1}, {"moment2.", Moment2}, {"ema.", EMA}}

func (u *UNet) write(w io.Writer, metadata map[string]string, sections []section) error {
	config, err := json.Marshal(u.Config)
	if err != nil {
		return err
	}
	all := map[string]string{"format": "pt", configKey: string(config)} // diffusers insists on a format
	maps.Copy(all, metadata)
	var tensors []TensorSource
	for _, s := range sections {
		for _, e := range u.Params.Entries() {
			tensors = append(tensors, TensorSource{
				Entry:  Entry{s.prefix + e.Name, e.Shape},
				Values: func() ([]float32, error) { return u.Params.Download(s.slot, e.Name) },
			})
		}
	}
	return WriteSafetensors(w, tensors, all)
}

// read checks the whole file, values included, before it changes anything.
func (u *UNet) read(f *Safetensors, sections []section) error {
	stored := make(map[string]StoredTensor, len(f.Tensors))
	for _, t := range f.Tensors {
		stored[currentName(t.Name)] = t
	}
	type load struct {
		StoredTensor
		section
		entry string
	}
	var loads []load
	for _, s := range sections {
		for _, e := range u.Params.Entries() {
			name := s.prefix + e.Name
			t, ok := stored[name]
			if !ok {
				return fmt.Errorf("tensor %s is missing: the file belongs to another network", name)
			}
			if !slices.Equal(t.Shape, e.Shape) {
				return fmt.Errorf("tensor %s has shape %v, the network needs %v: the file belongs to another network", t.Name, t.Shape, e.Shape)
			}
			loads = append(loads, load{t, s, e.Name})
			delete(stored, name)
		}
	}
	if len(stored) > 0 {
		return fmt.Errorf("tensor %s is not part of the network: the file belongs to another one", stored[slices.Min(slices.Collect(maps.Keys(stored)))].Name)
	}
	for _, l := range loads {
		values, err := f.Read(l.StoredTensor)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 }); i >= 0 {
			return fmt.Errorf("tensor %s holds %g at position %d: the file is damaged, give another", l.Name, math.Float32frombits(math.Float32bits(values[i])), i)
		}
	}
	for _, l := range loads {
		values, err := f.Read(l.StoredTensor)
		if err != nil {
			return err
		}
		if err := u.Params.Upload(l.slot, l.entry, values); err != nil {
			return err
		}
	}
	return nil
}

// oldNames are what diffusers called the attention layers before 0.15.
var oldNames = strings.NewReplacer(".query.", ".to_q.", ".key.", ".to_k.", ".value.", ".to_v.", ".proj_attn.", ".to_out.0.")

func currentName(name string) string {
	if strings.Contains(name, "attentions.") {
		return oldNames.Replace(name)
	}
	return name
}
