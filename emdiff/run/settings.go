package run

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"emdiff/emdiff/data"
	"emdiff/emdiff/learn"
)

//go:embed presets/*.toml
var presetFiles embed.FS

// Settings is everything a run is made from: the data and the learning configuration. A resolved copy is kept in the
// run folder as config.toml.
type Settings struct {
	Data DataSettings `toml:"data"`
	learn.Config
}

// DataSettings chooses the images: clean ones whose measurements are simulated (Path), or the user's measurements, with what
// is known of their camera. From Shuffle on they are data.OpenOptions.
type DataSettings struct {
	Path         string `toml:"path"`         // file or folder of clean images; empty = the embedded Fashion-MNIST images
	Expect       string `toml:"expect"`       // the data set that a preset is for: it must be given with Path
	Images       int    `toml:"images"`       // how many that has, for the estimates of a dry run without it
	Measurements string `toml:"measurements"` // file or folder of measurements, in place of Path
	Masks        string `toml:"masks"`        // which pixels were measured: data.OpenMasks
	Kernel       string `toml:"kernel"`       // point-spread function of the camera: data.OpenKernel
	Clean        string `toml:"clean"`        // file or folder of clean images, if the user has any, beside Measurements
	Patch        int    `toml:"patch"`        // learn from squares of so many pixels, cut out of larger images; 0 = whole images
	Limit        int    `toml:"limit"`        // measurements to learn from; 0 = all that are not held out or clean
	Shuffle      bool   `toml:"shuffle"`      // take the images for limit from everywhere, by seed, instead of the first ones
	Part         string `toml:"part"`
	Crop         int    `toml:"crop"`
	Size         int    `toml:"size"`
	Channels     int    `toml:"channels"`
	Grey         bool   `toml:"grey"`
	Background   string `toml:"background"`
	Range        string `toml:"range"`
	Layout       string `toml:"layout"`
	Array        string `toml:"array"`
}

// measured reports whether the images are measurements of which nobody knows the truth.
func (d DataSettings) measured() bool { return d.Measurements != "" }

// options are those of reading images.
func (d DataSettings) options() data.OpenOptions {
	return data.OpenOptions{Part: d.Part, Crop: d.Crop, Size: d.Size, Channels: d.Channels, Grey: d.Grey, Background: d.Background,
		Range: d.Range, Layout: d.Layout, Array: d.Array}
}

// open reads the measurements or the clean images to measure; of a limited number only as many as are needed.
func (s Settings) open() (*data.Set, error) {
	d := s.Data
	o := d.options()
	o.Shuffle, o.Seed = d.Shuffle, s.Seed
	if d.Limit > 0 && d.Patch == 0 {
		o.Limit = d.Limit + s.Eval.HeldOut + s.Init.Clean
	}
	switch {
	case d.measured():
		return o.Open(d.Measurements)
	case d.Path != "":
		return o.Open(d.Path)
	case d.Expect != "":
		return nil, fmt.Errorf("these settings are for %s: say with --data where it is, or choose a preset that needs no data, like quick", d.Expect)
	}
	return o.Embedded()
}

// validate refuses settings that contradict each other.
func (d DataSettings) validate() error {
	switch {
	case d.measured() && d.Path != "":
		return fmt.Errorf("--data %s and --measurements %s: give clean images to measure, or measurements, not both", d.Path, d.Measurements)
	case !d.measured() && d.Masks != "":
		return fmt.Errorf("--masks %s belongs to --measurements; for simulated masks set task.name=inpaint and task.masked", d.Masks)
	case !d.measured() && d.Clean != "":
		return fmt.Errorf("--clean %s belongs to --measurements; of --data, init.clean images are kept clean", d.Clean)
	case d.Masks != "" && d.Kernel != "":
		return fmt.Errorf("--masks %s and --kernel %s: a camera that both blurs and hides is not supported, give one", d.Masks, d.Kernel)
	case d.measured() && d.Patch > 0 && d.Kernel != "":
		return fmt.Errorf("--patch %d with --kernel %s: a patch lacks what the blur brought in from beyond its border: give images of one size without --patch", d.Patch, d.Kernel)
	case d.Patch < 0:
		return fmt.Errorf("--patch %d must not be negative (0 = whole images)", d.Patch)
	case d.Limit < 0:
		return fmt.Errorf("data.limit = %d must not be negative (0 = all images)", d.Limit)
	}
	return nil
}

// Presets lists the names of the built-in settings.
func Presets() []string {
	entries, err := fs.ReadDir(presetFiles, "presets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".toml")
	}
	sort.Strings(names)
	return names
}

// Resolve builds settings from a preset, then a TOML file (may be ""), then key=value pairs, each overriding the one
// before. Unknown keys are errors that name where they stand.
func Resolve(preset, file string, sets []string) (Settings, error) {
	s, err := Preset(preset)
	if err != nil {
		return s, err
	}
	return s, s.Override(file, sets)
}

// Preset returns built-in settings.
func Preset(name string) (Settings, error) {
	var s Settings
	text, err := presetFiles.ReadFile(path.Join("presets", name+".toml"))
	if err != nil {
		return s, fmt.Errorf("preset %q does not exist: choose one of %s", name, strings.Join(Presets(), ", "))
	}
	return s, decode("preset "+name, text, &s)
}

// Override applies a TOML file (may be "") and then key=value pairs.
func (s *Settings) Override(file string, sets []string) error {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--config %s cannot be read: %w: give a TOML file", file, cause(err))
		}
		if err := decode(file, text, s); err != nil {
			return err
		}
	}
	for _, kv := range sets {
		if err := s.Set(kv); err != nil {
			return err
		}
	}
	return nil
}

// Set applies one "key=value" override, the key dotted as in "train.lr=1e-3". Text values need no quotes.
func (s *Settings) Set(kv string) error {
	key, value, ok := strings.Cut(kv, "=")
	if !ok || !settingName.MatchString(key) || strings.ContainsAny(value, "\r\n") {
		return fmt.Errorf("--set %q: want key=value, for example train.lr=1e-3", kv)
	}
	from := "--set " + kv
	err := decode(from, []byte(key+" = "+value), s)
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		return decode(from, fmt.Appendf(nil, "%s = %q", key, value), s)
	}
	return err
}

// settingName matches the names of settings, and misspelt ones, but no TOML of another kind.
var settingName = regexp.MustCompile(`^[\w.-]+$`)

// TOML is the resolved settings as a file that Resolve reads back.
func (s Settings) TOML() ([]byte, error) {
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(s)
	return b.Bytes(), err
}

// decode reads strict TOML over s and turns the library's errors into one sentence.
func decode(from string, text []byte, s *Settings) error {
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(s)
	var missing *toml.StrictMissingError
	var syntax *toml.DecodeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return fmt.Errorf("%s: there is no setting %q: check its spelling", from, strings.Join(missing.Errors[0].Key(), "."))
	case errors.As(err, &syntax):
		if m := wrongType.FindStringSubmatch(syntax.Error()); m != nil {
			return reworded{fmt.Sprintf("%s: %s must be %s", from, strings.Join(syntax.Key(), "."), typeName(m[1])), syntax}
		}
		row, col := syntax.Position()
		return fmt.Errorf("%s: line %d, column %d: %w", from, row, col, syntax)
	}
	return fmt.Errorf("%s: %w", from, err)
}

// wrongType matches what the library says of a value that has another type than its setting.
var wrongType = regexp.MustCompile(`(?:into struct field \S+ of type |into a Go value of type )(\S+)$`)

// typeName is what users call a Go type of Settings.
func typeName(of string) string {
	switch of {
	case "int":
		return "an integer"
	case "uint64":
		return "an integer that is not negative"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "string":
		return "a text in quotes"
	case "[]int":
		return "a list of integers, such as [8, 16]"
	case "[]bool":
		return "a list of true and false"
	}
	return "a table of settings"
}

// reworded is an error in words of ours.
type reworded struct {
	words string
	error
}

func (r reworded) Error() string { return r.words }
func (r reworded) Unwrap() error { return r.error }
