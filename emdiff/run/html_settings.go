package run

import (
	"slices"
	"strings"
)

// section is one table of the settings.
type section struct {
	Name     string
	Settings []setting
}

type setting struct {
	Key, Value string
	Changed    bool   // from the preset,
	Preset     string // which has this
}

// describeSettings lists all settings of a run. One whose folder is named after a preset is compared with that preset;
// else preset is empty.
func describeSettings(s Settings, folder string) (sections []section, preset string, err error) {
	if sections, err = settingsOf(s); err != nil {
		return nil, "", err
	}
	_, preset, _ = strings.Cut(folder, "-")
	if !slices.Contains(Presets(), preset) {
		return sections, "", nil
	}
	original, err := Resolve(preset, "", nil)
	if err != nil {
		return nil, "", err
	}
	n := &original.Network // the images decide these, not the user
	n.InChannels, n.OutChannels, n.ImageSize = s.Network.InChannels, s.Network.OutChannels, s.Network.ImageSize
	plain, err := settingsOf(original)
	if err != nil {
		return nil, "", err
	}
	for i := range sections {
		for j := range sections[i].Settings {
			mine, theirs := &sections[i].Settings[j], plain[i].Settings[j]
			if mine.Value != theirs.Value {
				mine.Changed, mine.Preset = true, theirs.Value
			}
		}
	}
	return sections, preset, nil
}

// settingsOf takes settings apart as their TOML has them: all keys, in their order, values as --set takes them.
func settingsOf(s Settings) (sections []section, err error) {
	text, err := s.TOML()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, " = ")
		switch {
		case strings.HasPrefix(line, "["):
			sections = append(sections, section{Name: strings.Trim(line, "[]")})
		case ok && len(sections) == 0:
			sections = append(sections, section{Name: "run"})
			fallthrough
		case ok:
			last := &sections[len(sections)-1]
			last.Settings = append(last.Settings, setting{Key: key, Value: strings.Trim(value, "'")})
		}
	}
	return sections, nil
}
