package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"emdiff/emdiff/data"
	"emdiff/emdiff/learn"
	"emdiff/kernels"
)

// ErrInterrupted is returned by Train when its context ended; the run is saved and can be continued.
var ErrInterrupted = learn.ErrInterrupted

// TrainOptions are what a training command is given.
type TrainOptions struct {
	Settings Settings
	Name     string // of the settings, for the folder's name: the preset
	Out      string // folder that holds run folders
	Resume   string // run folder to continue; Settings, Name and Out are then not used
	// OtherLevel lets a run continue on another level of the kernels than it began on; the result is then not
	// bit-identical to an uninterrupted run.
	OtherLevel bool

	Set      kernels.Set
	Device   Device
	Log      io.Writer // tables and messages
	Progress Progress
}

// Train learns a prior, from the start or from a checkpoint, and leaves everything in the run folder. When ctx ends it
// saves, says how to continue, and returns ErrInterrupted.
func Train(ctx context.Context, o TrainOptions) error {
	settings := o.Settings
	var folder *Folder
	var err error
	if o.Resume != "" {
		if folder, settings, err = reopen(o.Resume); err != nil {
			return err
		}
	}
	whole, images, err := loadImages(settings)
	if err != nil {
		return err
	}
	settings.fill(whole)
	if err := settings.Validate(); err != nil {
		return err
	}
	if folder == nil {
		if folder, err = create(o.Out, o.Name, settings); err != nil {
			return err
		}
	}
	defer folder.Unlock()
	manifest, err := o.manifest(folder, whole, settings)
	if err != nil {
		return err
	}

	store := checkpoint{folder: folder}
	saved, resumed, err := store.read()
	if err != nil {
		return err
	}
	if err := TruncateStats(folder.Path("stats.jsonl"), saved.Records); err != nil {
		return err
	}
	stats, err := OpenStats(folder.Path("stats.jsonl"))
	if err != nil {
		return err
	}
	defer stats.Close()
	store.stats = stats

	r := &reporter{folder: folder, stats: stats, log: o.Log, progress: o.Progress, images: images, settings: settings}
	em, err := learn.NewEM(o.Set, settings.Config, images, store, r)
	if err != nil {
		return err
	}
	defer em.Close()
	r.em = em
	if resumed {
		if _, err := em.Resume(); err != nil {
			return err
		}
	} else if err := stats.Append("start", map[string]any{"folder": folder.Dir, "level": manifest.Device.Level, "seed": settings.Seed}); err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "run folder  %s\ndevice      %s\n", folder.Dir, manifest.Device.Why)
	r.begin(whole)
	err = em.Run(ctx)
	r.endTask()
	if errors.Is(err, learn.ErrInterrupted) {
		fmt.Fprintf(o.Log, "\nStopped in round %d (%s) after %d steps; everything is saved. Continue with\n\n    emdiff-train --resume %s\n",
			em.State.Round, em.State.Phase, em.State.Position, folder.Dir)
	}
	return err
}

// create makes and locks a new run folder with its settings.
func create(root, slug string, settings Settings) (*Folder, error) {
	folder, err := Create(root, slug)
	if err != nil {
		return nil, err
	}
	if err := folder.Lock(); err != nil {
		return nil, err
	}
	text, err := settings.TOML()
	if err != nil {
		return nil, err
	}
	return folder, WriteFile(folder.Path("config.toml"), func(w io.Writer) error { _, err := w.Write(text); return err })
}

// reopen opens and locks the folder of a run that is to continue, and reads its settings.
func reopen(path string) (*Folder, Settings, error) {
	folder, err := Open(path)
	if err != nil {
		return nil, Settings{}, err
	}
	if err := folder.Lock(); err != nil {
		return nil, Settings{}, err
	}
	settings, err := readSettings(folder.Path("config.toml"))
	return folder, settings, err
}

// readSettings reads the settings that a run was started with.
func readSettings(path string) (s Settings, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("the run cannot be continued without its settings: %w", err)
	}
	return s, decode(path, text, &s)
}

// fill derives from the images what the settings leave open: the network's channels and size.
func (s *Settings) fill(images *data.Set) {
	s.Network.InChannels, s.Network.OutChannels, s.Network.ImageSize = images.C, images.C, images.H
}

// manifest writes the manifest of a new run, or checks that of a continued one.
func (o TrainOptions) manifest(folder *Folder, whole *data.Set, s Settings) (Manifest, error) {
	path := folder.Path("manifest.json")
	now := NewManifest(whole, o.Device, s.Seed)
	if o.Resume == "" {
		return now, now.Write(path)
	}
	then, err := ReadManifest(path)
	if err != nil {
		return then, err
	}
	if then.Data.SHA256 != now.Data.SHA256 {
		return then, fmt.Errorf("the images in %s are not those the run began with: restore them, or start a new run", now.Data.Source)
	}
	if then.Device.Level != now.Device.Level && !o.OtherLevel {
		return then, fmt.Errorf("the run began on %s and this is %s, which rounds differently: add --other-level to continue all the same", then.Device.Level, now.Device.Level)
	}
	if then.Device.Tuning != now.Device.Tuning && !o.OtherLevel {
		return then, fmt.Errorf("the run began with %s and this is %s: set EMDIFF_CUDA_TUNING as it was then, or add --other-level to continue all the same", tuning(then.Device), tuning(now.Device))
	}
	then.Device = now.Device
	return then, nil
}

// tuning names the table of kernel variants in a message.
func tuning(d Device) string {
	if d.Tuning == "" {
		return "no tuning table"
	}
	return fmt.Sprintf("tuning table %.12s", d.Tuning)
}
