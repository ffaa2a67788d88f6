package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

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
	// Keep is how many checkpoints remain: the newest alone (1), or those of the ends of the last Keep rounds beside it.
	// 0 is as many as the run kept so far, 1 in a new run.
	Keep int
	// Round makes Resume go on from the checkpoint kept at the end of that round instead of the newest one.
	Round *int
	// SaveEvery is the longest time between checkpoints within a phase; 0 saves as often as the phase can be left. It does
	// not change results.
	SaveEvery time.Duration

	Set      kernels.Set
	Device   Device
	Log      io.Writer // tables and messages
	Progress Progress
}

// Train learns a prior, from the start or from a checkpoint, and leaves everything in the run folder. When ctx ends it
// saves, says how to continue, and returns ErrInterrupted.
func Train(ctx context.Context, o TrainOptions) error {
	if err := o.checkKeep(); err != nil {
		return err
	}
	if o.SaveEvery < 0 {
		return fmt.Errorf("--save-every %v must not be negative (0 = as often as possible)", o.SaveEvery)
	}
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
	estimated, err := settings.fill(images)
	if err != nil {
		return err
	}
	if err := settings.Validate(images.Camera); err != nil {
		return err
	}
	if err := settings.checkMemory(o.Set, images.Train.Len()); err != nil {
		return err
	}

	// What cannot be built leaves no folder, and what cannot be restored leaves it as it was.
	store, r := &checkpoint{}, &reporter{log: o.Log, progress: o.Progress, images: images, settings: settings}
	em, err := learn.NewEM(o.Set, settings.Config, images, store, r)
	if err != nil {
		return err
	}
	defer em.Close()
	em.SaveEvery = o.SaveEvery
	if folder == nil {
		if folder, err = create(o.Out, o.Name, settings); err != nil {
			return err
		}
	}
	defer folder.Unlock()
	manifest, err := o.manifest(folder, whole, images, settings)
	if err != nil {
		if o.Resume == "" {
			folder.discard()
		}
		return err
	}

	store.folder = folder
	saved, resumed, err := store.begin(o)
	if err != nil {
		return err
	}
	if resumed {
		if _, err := em.Resume(); err != nil {
			return fmt.Errorf("%s: %w: restore the folder from a copy, or start a new run", folder.Path("state"), err)
		}
		if err := store.settle(saved); err != nil {
			return err
		}
	}
	if err := TruncateStats(folder.Path("stats.jsonl"), saved.Records); err != nil {
		return err
	}
	stats, err := OpenStats(folder.Path("stats.jsonl"))
	if err != nil {
		return err
	}
	defer stats.Close()
	store.stats, r.folder, r.stats, r.em = stats, folder, stats, em
	if resumed {
		if o.Round != nil {
			if err := r.wentBack(); err != nil {
				return err
			}
		}
	} else if err := stats.Append("start", map[string]any{"folder": folder.Dir, "level": manifest.Device.Level, "seed": settings.Seed}); err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "run folder  %s\ndevice      %s\n", folder.Dir, manifest.Device.Why)
	r.begin(whole, estimated)
	err = em.Run(ctx)
	r.endTask()
	if errors.Is(err, learn.ErrInterrupted) {
		fmt.Fprintf(o.Log, "\nStopped in round %d (%s) after %d steps; everything is saved. Continue with\n\n    emdiff-train --resume %s\n",
			em.State.Round, em.State.Phase, em.State.Position, folder.Dir)
	}
	return err
}

// create makes and locks a new run folder with its settings, or none.
func create(root, slug string, settings Settings) (*Folder, error) {
	text, err := settings.TOML()
	if err != nil {
		return nil, err
	}
	folder, err := Create(root, slug)
	if err != nil {
		return nil, err
	}
	if err = folder.Lock(); err == nil {
		err = WriteFile(folder.Path("config.toml"), func(w io.Writer) error { _, err := w.Write(text); return err })
	}
	if err != nil {
		folder.discard()
		return nil, err
	}
	return folder, nil
}

// reopen opens and locks the folder of a run that is to continue, and reads its settings. Those come first, so that a
// folder that is none of a run is left as it is.
func reopen(path string) (*Folder, Settings, error) {
	folder, err := Open(path)
	if err != nil {
		return nil, Settings{}, err
	}
	settings, err := readSettings(folder.Path("config.toml"))
	if err != nil {
		return nil, Settings{}, err
	}
	return folder, settings, folder.Lock()
}

// readSettings reads the settings that a run was started with.
func readSettings(path string) (s Settings, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("%s does not exist: give the folder of a run, or, if the run was stopped before it began, start a new run", path)
	}
	if err != nil {
		return s, fmt.Errorf("%s cannot be read: %w: check its permissions", path, cause(err))
	}
	return s, decode(path, text, &s)
}

// manifest writes the manifest of a new run, or checks that of a continued one.
func (o TrainOptions) manifest(folder *Folder, whole *data.Set, images learn.Images, s Settings) (Manifest, error) {
	path := folder.Path("manifest.json")
	now := NewManifest(whole, o.Device, s.Seed)
	now.Data.Camera = cameraHash(images)
	if o.Resume == "" {
		return now, now.Write(path)
	}
	then, err := ReadManifest(path)
	if err != nil {
		return then, err
	}
	if then.Data.Camera != now.Data.Camera {
		return then, fmt.Errorf("the masks, kernel or clean images that go with %s are not those the run began with: restore them, or start a new run", now.Data.Source)
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
