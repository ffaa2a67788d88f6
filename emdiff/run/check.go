package run

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"emdiff/emdiff/learn"
	"emdiff/kernels"
	"emdiff/nn"
)

const (
	// maxCount bounds every integer among the settings: more is a slip of the keyboard, and sums with it overflow.
	maxCount = math.MaxInt32
	// maxSteps bounds the settings that become tables of noise levels.
	maxSteps = 1 << 20
)

// Validate returns one sentence about the first setting that cannot be. What no number may be is checked here, for all of
// them at once; what each one means is for learn.Config to know.
func (s Settings) Validate(camera learn.Camera) error {
	if err := checkNumbers("", reflect.ValueOf(s)); err != nil {
		return err
	}
	for _, table := range []struct {
		key   string
		steps int
	}{{"prior.sample_steps", s.Prior.SampleSteps}, {"prior.schedule_steps", s.Prior.ScheduleSteps}, {"estep.steps", s.EStep.Steps}, {"estep.inner", s.EStep.Inner}} {
		if table.steps > maxSteps {
			return fmt.Errorf("%s = %d is too large: at most %d", table.key, table.steps, maxSteps)
		}
	}
	if err := s.Config.Validate(camera); err != nil {
		return err
	}
	if e := s.EStep; strings.HasPrefix(e.Sampler, "pmc-") && !(e.StepSize > 0 && e.SigmaMax > e.SigmaMin) {
		return fmt.Errorf("estep.step_size = %g, estep.sigma_max = %g: %s needs a positive step size and sigma_max above sigma_min = %g",
			e.StepSize, e.SigmaMax, e.Sampler, e.SigmaMin)
	}
	return nil
}

// checkNumbers visits the numbers in v, which users know by key.
func checkNumbers(key string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if err := checkNumbers(join(key, v.Type().Field(i).Tag.Get("toml")), v.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := checkNumbers(fmt.Sprintf("%s[%d]", key, i), v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%s = %g must be a finite number", key, f)
		}
	case reflect.Int:
		if n := v.Int(); n > maxCount {
			return fmt.Errorf("%s = %d is too large: at most %d", key, n, maxCount)
		}
	}
	return nil
}

// join puts a name behind the key of its table; an embedded struct has none of its own.
func join(key, name string) string {
	if key == "" || name == "" {
		return key + name
	}
	return key + "." + name
}

// checkMemory refuses settings whose network needs more memory than the machine has; images are those of an E-step.
func (s Settings) checkMemory(set kernels.Set, images int) error {
	one, err := s.Network.Cost(1)
	if err != nil {
		return err
	}
	single := s.Config
	single.Train.Batch = 1 // in proportion, and no count overflows
	m, err := single.Memory(s.Network.ImageSize, s.Network.ImageSize, s.Network.InChannels, 1)
	if err != nil {
		return err
	}
	draw := func(n int) float64 { return float64(one.ParamBytes) + float64(n)*float64(one.InferenceBytes) }
	for _, need := range []struct {
		what  string
		bytes float64
	}{
		{fmt.Sprintf("network.block_out_channels = %v", s.Network.Channels), float64(one.ParamBytes)},
		{fmt.Sprintf("train.batch = %d", s.Train.Batch), float64(m.Params()) + float64(s.Train.Batch)*float64(m.Activations+m.Batch)},
		{fmt.Sprintf("estep.batch = %d", s.EStep.Batch), draw(min(s.EStep.Batch, images))},
		{fmt.Sprintf("eval.generated = %d", s.Eval.Generated), draw(s.Eval.Generated)},
	} {
		if err := fits(set, need.what, need.bytes); err != nil {
			return err
		}
	}
	return nil
}

// checkPriorMemory does the same for a network that only draws.
func checkPriorMemory(set kernels.Set, c nn.UNetConfig) error {
	one, err := c.Cost(1)
	if err != nil {
		return err
	}
	return fits(set, "its network", float64(one.ParamBytes+one.InferenceBytes))
}

// fits refuses what takes more memory than the machine has, when that is the memory that set uses: left alone, it would
// end in a trace of the runtime, or with other programs killed.
func fits(set kernels.Set, what string, bytes float64) error {
	const giga = 1 << 30
	has := float64(memoryBytes())
	if has == 0 || bytes <= has || !strings.HasPrefix(set.Name(), "host/") {
		return nil
	}
	return fmt.Errorf("%s takes about %.0f GiB and this machine has %.0f: choose less", what, math.Ceil(bytes/giga), has/giga)
}
