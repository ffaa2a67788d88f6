package run

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
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

// DataSettings chooses the images; all but Path and Limit are those of data.OpenOptions.
type DataSettings struct {
	Path       string `toml:"path"`  // file or folder; empty = the embedded Fashion-MNIST images
	Limit      int    `toml:"limit"` // measurements to learn from; 0 = all that are not held out or clean
	Part       string `toml:"part"`
	Crop       int    `toml:"crop"`
	Size       int    `toml:"size"`
	Channels   int    `toml:"channels"`
	Grey       bool   `toml:"grey"`
	Background string `toml:"background"`
	Range      string `toml:"range"`
	Layout     string `toml:"layout"`
	Array      string `toml:"array"`
}

// open reads the images.
func (d DataSettings) open() (*data.Set, error) {
	o := data.OpenOptions{Part: d.Part, Crop: d.Crop, Size: d.Size, Channels: d.Channels, Grey: d.Grey, Background: d.Background,
		Range: d.Range, Layout: d.Layout, Array: d.Array}
	if d.Path == "" {
		return o.Embedded()
	}
	return o.Open(d.Path)
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
	var s Settings
	text, err := presetFiles.ReadFile(path.Join("presets", preset+".toml"))
	if err != nil {
		return s, fmt.Errorf("preset %q does not exist: choose one of %s", preset, strings.Join(Presets(), ", "))
	}
	if err := decode("preset "+preset, text, &s); err != nil {
		return s, err
	}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return s, fmt.Errorf("cannot read the configuration: %w", err)
		}
		if err := decode(file, text, &s); err != nil {
			return s, err
		}
	}
	for _, kv := range sets {
		if err := s.Set(kv); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Set applies one "key=value" override, the key dotted as in "train.lr=1e-3". Text values need no quotes.
func (s *Settings) Set(kv string) error {
	key, value, ok := strings.Cut(kv, "=")
	if !ok || key == "" {
		return fmt.Errorf("--set %s: want key=value, for example train.lr=1e-3", kv)
	}
	from := "--set " + kv
	err := decode(from, []byte(key+" = "+value), s)
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		return decode(from, fmt.Appendf(nil, "%s = %q", key, value), s)
	}
	return err
}

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
		return fmt.Errorf("%s: there is no setting %q", from, strings.Join(missing.Errors[0].Key(), "."))
	case errors.As(err, &syntax):
		row, col := syntax.Position()
		return fmt.Errorf("%s: line %d, column %d: %w", from, row, col, syntax)
	}
	return fmt.Errorf("%s: %w", from, err)
}
