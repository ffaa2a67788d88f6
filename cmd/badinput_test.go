package cmd_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bad is one mistake and what the command must say of it: which file, flag or key, and what to do.
type bad struct {
	name string
	make func(t *testing.T, dir string) // puts files into the folder in which the command runs
	args []string
	want string
}

// refused runs a command in a folder where out and grid.png do not exist, and asserts that it says one sentence, with a
// failing exit code and nothing else, and makes neither.
func refused(t *testing.T, dir, name, want string, args ...string) {
	t.Helper()
	o := command(t, dir, name, args...)
	assert.Contains(t, []int{1, 2}, o.code)
	assert.Contains(t, o.stderr, want)
	assert.True(t, strings.HasPrefix(o.stderr, name+": "), o.stderr)
	assert.Equal(t, 1, strings.Count(o.stderr, "\n"), o.stderr)
	assert.NotContains(t, o.stderr, "panic")
	assert.Empty(t, o.stdout)
	assert.NoDirExists(t, filepath.Join(dir, "out"))
	assert.NoFileExists(t, filepath.Join(dir, "grid.png"))
}

// set is a mistaken setting.
func set(value, want string, more ...string) bad {
	args := []string{"--set", value}
	for _, m := range more {
		args = append(args, "--set", m)
	}
	return bad{"--set " + value, nil, args, want}
}

// config is a mistaken file of settings.
func config(name, text, want string) bad {
	return bad{name, func(t *testing.T, dir string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.toml"), []byte(text), 0o666))
	}, []string{"--config", "mine.toml"}, want}
}

// pictures puts twenty grey pictures into the folder "set" of dir, of which change makes one something else.
func pictures(change func(i int) image.Image) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, "set"), 0o777))
		for i := range 20 {
			var b bytes.Buffer
			picture := change(i)
			if picture == nil {
				picture = image.NewGray(image.Rect(0, 0, 8, 8))
			}
			require.NoError(t, png.Encode(&b, picture))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "set", fmt.Sprintf("%02d.png", i)), b.Bytes(), 0o666))
		}
	}
}

func TestBadInputOfTrainingIsOneSentence(t *testing.T) {
	plain := func(int) image.Image { return nil }
	for _, c := range []bad{
		{"a CIFAR-10 file cut short", func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "set"), 0o777))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "set", "data_batch_1.bin"), make([]byte, 5*3073-100), 0o666))
		}, []string{"--data", "set"}, "data_batch_1.bin: has 15265 bytes, not a positive multiple of CIFAR-10's 3073 per image: fetch"},
		{"an empty folder", func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "set"), 0o777))
		}, []string{"--data", "set"}, "set: holds no files: give a folder"},
		{"a corrupt PNG in the middle", func(t *testing.T, dir string) {
			pictures(plain)(t, dir)
			path := filepath.Join(dir, "set", "10.png")
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, text[:len(text)/2], 0o666))
		}, []string{"--data", "set"}, "10.png: the file ends inside its png data: save it again from its source"},
		{"mixed sizes", pictures(func(i int) image.Image {
			if i != 7 {
				return nil
			}
			return image.NewGray(image.Rect(0, 0, 8, 16))
		}), []string{"--data", "set", "--set", "data.size=0"}, "07.png: is 8 pixels wide and 16 high, while"},
		{"16-bit colour for grey", pictures(func(int) image.Image {
			picture := image.NewNRGBA64(image.Rect(0, 0, 8, 8))
			for i := range picture.Pix {
				picture.Pix[i] = byte(7 * i)
			}
			for i := 6; i < len(picture.Pix); i += 8 {
				picture.Pix[i], picture.Pix[i+1] = 255, 255 // opaque
			}
			return picture
		}), []string{"--data", "set", "--channels", "1"}, "00.png: is a 16-bit colour image where grey is expected: give grey images, or ask with --grey"},
		{"a missing data file", nil, []string{"--data", "none.idx"}, "none.idx"},
		{"too few images", nil, []string{"--set", "init.clean=48"}, "images holds 48 images: eval.held_out = 4 must be positive, init.clean = 48 not negative, and some must be left to learn from"},

		config("malformed TOML", "[train\nlr = 1", "mine.toml: line 1, column 7: toml: expected ']' to close table name"),
		config("no TOML at all", "\xff\xfe\x00", "mine.toml: line 1, column 1"),
		config("an unknown key", "[train]\nspeed = 1", `mine.toml: there is no setting "train.speed": check its spelling`),
		config("a wrong type", "[train]\nlr = \"fast\"", "mine.toml: train.lr must be a number"),
		config("NaN", "[train]\nema = nan", "train.ema = NaN must be a finite number"),
		{"a folder for --config", nil, []string{"--config", "."}, "--config . cannot be read: is a directory: give a TOML file"},

		set("train.lr", `--set "train.lr": want key=value, for example`),
		set("=3", `--set "=3": want key=value`),
		set("[train]=1", "want key=value"),
		set("train.lr=1\nfoo=2", `--set "train.lr=1\nfoo=2": want key=value`),
		set("train.speed=3", `there is no setting "train.speed": check its spelling`),
		set("task.sigma=-1", "task.sigma = -1: the noise level must lie in [0, 10]"),
		set("task.sigma=nan", "task.sigma = NaN must be a finite number: it says how much noise to simulate"),
		set("task.sigma=inf", "task.sigma = +Inf must be a finite number"),
		set("task.masked=1.5", "task.masked = 1.5: the hidden fraction must lie between 0 and 1", "task.name=inpaint"),
		set("task.blur_size=4", "task.blur_size = 4, task.blur_std = 1: the size must be odd", "task.name=deblur", "task.blur_std=1"),
		set("task.blur_size=4000001", "4000001 taps reflects more than a 8x8 image has: choose at most 15", "task.name=deblur", "task.blur_std=1"),
		set("task.name=haze", `task.name = "haze" is unknown: use denoise`),
		set("train.batch=0", "train.batch = 0 must be positive"),
		set("train.batch=2000000000", "train.batch = 2000000000 takes about"),
		set("train.batch=9e99", "train.batch must be an integer"),
		set("train.lr=nan", "train.lr = NaN must be a finite number"),
		set("train.weight_decay=nan", "train.weight_decay = NaN must be a finite number"),
		set("train.clip_norm=inf", "train.clip_norm = +Inf must be a finite number"),
		set("train.checkpoint=all", `train.checkpoint = "all" is unknown: use none, norms or blocks`),
		set("train.ambient=3", "train.ambient must be true or false"),
		set("prior.noise_mean=nan", "prior.noise_mean = NaN must be a finite number"),
		set("prior.sigma_max=inf", "prior.sigma_max = +Inf must be a finite number"),
		set("prior.sampler=euler", `prior.sampler = "euler" is unknown: use heun`),
		set("prior.sample_steps=2000000000", "prior.sample_steps = 2000000000 is too large: at most"),
		set("estep.sampler=gibbs", `estep.sampler = "gibbs" is unknown: use reverse-sde`),
		set("estep.step_size=-1", "estep.step_size = -1, estep.sigma_max = 1: pmc-pnp needs a positive step size"),
		set("estep.batch=9223372036854775807", "estep.batch = 9223372036854775807 is too large: at most"),
		set("eval.generated=2000000000", "eval.generated = 2000000000 takes about"),
		set("em.rounds=1.5", "em.rounds must be an integer"),
		set("em.rounds=-1", "em.rounds = -1"),
		set("seed=-1", "seed must be an integer that is not negative"),
		set("network.block_out_channels=8", "network.block_out_channels must be a list of integers"),
		set("network.block_out_channels=[65536, 65536]", "network.block_out_channels = [65536 65536] takes about"),
		set("network.block_out_channels=[1000000000, 8]", "block_out_channels[0] = 1000000000 must be at most 65536"),
		set("network.layers_per_block=100000000", "layers_per_block = 100000000 must lie in 1 to 64"),
		set("data.size=1000000", "--size 1000000: is not within 0 to 16384: give another"),
		set("data.limit=-1", "data.limit = -1 must not be negative"),

		{"an unknown preset", nil, []string{"--preset", "slow"}, `preset "slow" does not exist: choose one of`},
		{"an unknown device", nil, []string{"--device", "tpu"}, "--device tpu is unknown: use auto"},
		{"negative threads", nil, []string{"--threads=-1"}, "--threads"},
		{"an unknown flag", nil, []string{"--fast"}, "unknown flag --fast"},
		{"a negative time", nil, []string{"--save-every=-1s"}, "--save-every -1s must not be negative"},
		{"no time", nil, []string{"--save-every", "often"}, "--save-every: expected duration"},
		{"an unwritable output", nil, []string{"--out", "images.npy/runs"}, "images.npy/runs cannot hold run folders: not a directory: give another folder"},
		{"a file as output", nil, []string{"--out", "images.npy"}, "images.npy cannot hold run folders: not a directory: give another folder"},
		{"a file to resume", nil, []string{"--resume", "images.npy"}, "images.npy is a file: give the run folder"},
		{"nothing to resume", nil, []string{"--resume", "none"}, "run folder none cannot be opened: no such file or directory: check the path"},
		{"no run to resume", nil, []string{"--resume", "."}, "config.toml does not exist: give the folder of a run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeImages(t, filepath.Join(dir, "images.npy"), 48, 8, 8)
			if c.make != nil {
				c.make(t, dir)
			}
			refused(t, dir, "emdiff-train", c.want, append([]string{"--preset", "emu-tiny", "--data", "images.npy", "--device", "host", "--out", "out"}, c.args...)...)
		})
	}
}

// damaged changes a copy of the weights of the undisturbed run.
func damaged(change func(s *stored)) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		s := openStored(t, filepath.Join(undisturbed(), "weights.safetensors"))
		change(s)
		s.write(t, filepath.Join(dir, "damaged.safetensors"))
	}
}

// stored is a safetensors file whose parts can be damaged.
type stored struct {
	header map[string]any
	data   []byte
}

func openStored(t *testing.T, path string) *stored {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	length := binary.LittleEndian.Uint64(text)
	s := &stored{data: text[8+length:]}
	require.NoError(t, json.Unmarshal(text[8:8+length], &s.header))
	return s
}

func (s *stored) write(t *testing.T, path string) {
	t.Helper()
	header, err := json.Marshal(s.header)
	require.NoError(t, err)
	text := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	require.NoError(t, os.WriteFile(path, append(append(text, header...), s.data...), 0o666))
}

func (s *stored) metadata() map[string]any { return s.header["__metadata__"].(map[string]any) }

// nan makes the third value of the file no number.
func (s *stored) nan() {
	binary.LittleEndian.PutUint32(s.data[8:], math.Float32bits(float32(math.NaN())))
}

func TestBadInputOfSamplingIsOneSentence(t *testing.T) {
	workplace(t)
	run := undisturbed()
	from := func(args ...string) []string { return append([]string{run, "--out", "out"}, args...) }
	weights := []string{"damaged.safetensors", "--out", "out", "--grid", "grid.png"}
	for _, c := range []bad{
		{"NaN in weights", damaged((*stored).nan), weights,
			"damaged.safetensors: tensor conv_in.weight holds NaN at position 2: the file is damaged, give another"},
		{"weights of the wrong shape", damaged(func(s *stored) {
			s.header["conv_in.weight"].(map[string]any)["shape"] = []int{1, 8, 3, 3}
		}), weights, "damaged.safetensors: tensor conv_in.weight has shape [1 8 3 3], the network needs [8 1 3 3]: the file belongs to another network"},
		{"weights of another architecture", damaged(func(s *stored) {
			text := s.metadata()["emdiff.unet"].(string)
			s.metadata()["emdiff.unet"] = strings.Replace(text, `"layers_per_block":1`, `"layers_per_block":2`, 1)
		}), weights, "is missing: the file belongs to another network"},
		{"an impossible architecture", damaged(func(s *stored) {
			text := s.metadata()["emdiff.unet"].(string)
			s.metadata()["emdiff.unet"] = strings.Replace(text, `[8,16]`, `[65536,65536]`, 1)
		}), weights, "damaged.safetensors: its network takes about"},
		{"an impossible size", damaged(func(s *stored) { s.metadata()["emdiff_size"] = "8000000x8000000" }), weights,
			`damaged.safetensors: its metadata has emdiff_size = "8000000x8000000", which is no size: write the file anew`},
		{"no settings", damaged(func(s *stored) { delete(s.metadata(), "emdiff_settings") }), weights,
			"damaged.safetensors: the file has no settings in its metadata: give the weights.safetensors of a run folder"},
		{"settings of another program", damaged(func(s *stored) { s.metadata()["emdiff_settings"] = "fast = true" }), weights,
			`damaged.safetensors: its settings: there is no setting "fast"`},
		{"weights cut short", damaged(func(s *stored) { s.data = s.data[:1000] }), weights, "it is cut short or damaged, give another"},
		{"no weights at all", func(t *testing.T, dir string) {
			writeImages(t, filepath.Join(dir, "damaged.safetensors"), 48, 8, 8)
		}, weights, "not a safetensors file, or cut short, give another"},
		{"an empty folder", nil, []string{".", "--out", "out"}, ". holds no weights.safetensors: give a run folder whose first round is done"},
		{"nothing", nil, []string{"none", "--out", "out"}, "none cannot be opened: no such file or directory: give a run folder"},

		{"an unknown sampler", nil, from("--sampler", "euler"), "--sampler euler: generation method \"euler\" is unknown: use ddpm, ddim or heun"},
		{"an unknown device", nil, from("--device", "tpu"), "--device tpu is unknown: use auto"},
		{"no images", nil, from("--count", "0"), "--count 0 must be positive"},
		{"too many images", nil, from("--count", "1000000000000"), "--count 1000000000000 is too large: at most"},
		{"more images than memory", nil, from("--count", "2147483647"), "--count 2147483647 takes about"},
		{"no number", nil, from("--count", "few"), "--count: expected"},
		{"too many steps", nil, from("--steps", "1000000000000"), "--steps 1000000000000 is too large: at most"},
		{"no batch", nil, from("--batch", "0"), "--batch 0 must be positive"},
		{"an unwritable grid", nil, from("--grid", "none/grid.png"), "--grid none/grid.png: its folder does not exist: make it first"},
		{"an unwritable output", func(t *testing.T, dir string) { writeImages(t, filepath.Join(dir, "file"), 1, 8, 8) },
			[]string{run, "--out", "file/out"}, "--out file/out cannot be a folder of images: not a directory: give a folder"},
		{"nowhere to write", nil, []string{run}, "give --out or --grid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.make != nil {
				c.make(t, dir)
			}
			refused(t, dir, "emdiff-sample", c.want, append([]string{"--device", "host"}, c.args...)...)
		})
	}
}

// TestARunFolderThatCannotContinueIsLeftAsItIs damages copies of the undisturbed run, one file at a time.
func TestARunFolderThatCannotContinueIsLeftAsItIs(t *testing.T) {
	workplace(t)
	array := filepath.Join("state", "weights-002-end.safetensors")
	replace := func(name, old, new string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Contains(t, string(text), old)
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o666))
		}
	}
	remove := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, name))) }
	}
	inArray := func(change func(s *stored)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			s := openStored(t, filepath.Join(dir, array))
			change(s)
			s.write(t, filepath.Join(dir, array))
		}
	}
	const anew = "start a new run"
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   []string
	}{
		{"NaN in the state", inArray((*stored).nan), []string{"state: checkpoint weights-002-end.safetensors: tensor weights.conv_in.weight holds NaN", anew}},
		{"a state cut short", inArray(func(s *stored) { s.data = s.data[:1000] }), []string{"checkpoint weights-002-end.safetensors", "cut short", anew}},
		{"a state of another architecture", replace("config.toml", "[8, 16]", "[8, 8]"), []string{"checkpoint weights-002-end.safetensors", "has shape", anew}},
		{"a lost state", remove(array), []string{"the checkpoint is incomplete", "weights-002-end.safetensors", anew}},
		{"a damaged state.json", replace("state/state.json", "}", "{"), []string{"state.json is damaged", anew}},
		{"an impossible state.json", replace("state/state.json", `"phase": "done"`, `"phase": "m-step"`), []string{"checkpoint is incomplete", anew}},
		{"an older format", replace("manifest.json", `"format": 1`, `"format": 0`), []string{"manifest.json is no manifest of a run (it has no format version)", anew}},
		{"a newer format", replace("manifest.json", `"format": 1`, `"format": 2`), []string{"manifest.json has format 2 and this program knows 1: use the newer program", anew}},
		{"a damaged manifest", replace("manifest.json", "{", ""), []string{"manifest.json is no manifest of a run", anew}},
		{"a lost manifest", remove("manifest.json"), []string{"manifest.json does not exist: give the folder of a run", anew}},
		{"lost settings", remove("config.toml"), []string{"config.toml does not exist: give the folder of a run", anew}},
		{"settings of another program", replace("config.toml", "seed", "speed"), []string{`config.toml: there is no setting "speed": check its spelling`}},
		{"lost statistics", remove("stats.jsonl"), []string{"stats.jsonl holds 0 records, and the checkpoint was made after", "restore the file"}},
		{"damaged statistics", replace("stats.jsonl", "}\n", "\n"), []string{"stats.jsonl: line 1 is no record", "restore the file or delete that line"}},
		{"other images", replace("manifest.json", `"sha256": "`, `"sha256": "0`), []string{"the images in", "are not those the run began with: restore them, or start a new run"}},
		{"another level", replace("manifest.json", `"level": "host/`, `"level": "host/other-`), []string{"add --other-level to continue all the same"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := workplace(t)
			home := filepath.Join(dir, "home")
			folder := filepath.Join(home, "runs", "00001-emu-tiny")
			require.NoError(t, os.CopyFS(folder, os.DirFS(undisturbed())))
			c.damage(t, folder)
			before := raw(t, folder)
			for _, want := range c.want {
				refused(t, home, "emdiff-train", want, resumed(filepath.Join("runs", "00001-emu-tiny"))...)
			}
			require.Equal(t, before, raw(t, folder), "the folder was changed")
		})
	}
}

// raw maps the name of every file below dir, locks excepted, to its bytes.
func raw(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	deeper, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	for _, path := range append(files, deeper...) {
		if info, err := os.Stat(path); err == nil && !info.IsDir() && filepath.Base(path) != "lock" {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			all[path] = string(text)
		}
	}
	return all
}

func TestARunFolderInUseIsRefusedAndNotDisturbed(t *testing.T) {
	dir := workplace(t)
	home := filepath.Join(dir, "home")
	require.NoError(t, os.Mkdir(home, 0o777))
	first := exec.Command(program("emdiff-train"), append(second, "--set", "init.steps=100000000")...)
	first.Dir = home
	require.NoError(t, first.Start())
	defer func() {
		first.Process.Kill()
		first.Wait()
	}()
	folder := filepath.Join("runs", "00001-emu-tiny")
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(home, folder, "state", "state.json"))
		return err == nil
	}, time.Minute, time.Millisecond)
	refused(t, home, "emdiff-train", fmt.Sprintf("run folder %s is in use by process %d", folder, first.Process.Pid), resumed(folder)...)
	before, err := os.ReadFile(filepath.Join(home, folder, "stats.jsonl"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(home, folder, "stats.jsonl"))
		return err == nil && len(text) > len(before)
	}, time.Minute, time.Millisecond, "the first process does not go on")
}
