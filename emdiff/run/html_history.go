package run

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// measure says how one number of a record is shown.
type measure struct {
	Key, Title, Unit, Note string
	format                 string
}

// measures are the numbers that the page knows, in the order of its columns. Records may lack some and have others.
var measures = []measure{
	{"images", "images", "", "the prior was trained on in this round", "%.0f"},
	{"steps", "steps", "", "of the optimiser in this round", "%.0f"},
	{"loss", "loss", "", "mean training loss of the round", "%.4f"},
	{"psnr_measurements", "PSNR y", "dB", "of the measurements themselves, against the clean images", "%.2f"},
	{"psnr_tikhonov", "PSNR linear", "dB", "linear baseline: Tikhonov-regularised inverse of the measurements, at the best of several strengths", "%.2f"},
	{"psnr_draw", "PSNR x|y", "dB", "of single posterior draws, against the clean images", "%.2f"},
	{"ssim_draw", "SSIM x|y", "", "structural similarity of single posterior draws, 1 is identical", "%.3f"},
	{"misfit_draw", "misfit", "", "of single draws to held-out measurements, 1 is the measurements' own noise", "%.3f"},
	{"misfit_train", "misfit E-step", "", "of the E-step's draws to the measurements learned from", "%.3f"},
	{"loglik_measurements", "log density", "nat", "log density of held-out measurements per measured value, under a Gaussian with the moments of the images that were trained on", "%.4f"},
	{"spread_draw", "spread", "", "posterior standard deviation, on images in [-1, 1]", "%.4f"},
	{"psnr_init_prior", "PSNR of single draws, first prior", "dB", "the prior that EM starts from", "%.2f"},
	{"psnr_final", "PSNR of single draws, learned prior", "dB", "one posterior draw of each held-out image", "%.2f"},
	{"psnr_final_mean", "PSNR of means of draws, learned prior", "dB", "posterior means, estimated by averaging draws", "%.2f"},
	{"ssim_final", "SSIM of single draws, learned prior", "", "structural similarity, 1 is identical", "%.3f"},
	{"ssim_final_mean", "SSIM of means of draws, learned prior", "", "structural similarity, 1 is identical", "%.3f"},
	{"misfit_final", "misfit of single draws, learned prior", "", "to held-out measurements, 1 is their own noise", "%.3f"},
	{"spread_final", "spread of draws, learned prior", "", "posterior standard deviation, on images in [-1, 1]", "%.4f"},
	{"draws", "draws", "", "averaged for each held-out image", "%.0f"},
}

// measuresOf lists the numbers of some records: known ones first, then others under their own names.
func measuresOf(records []Record) (found []measure) {
	has := map[string]bool{}
	for _, r := range records {
		for key := range r.Fields {
			if _, ok := r.Float(key); ok {
				has[key] = true
			}
		}
	}
	delete(has, "round")
	delete(has, "seconds")
	for _, m := range measures {
		if has[m.Key] {
			found = append(found, m)
			delete(has, m.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(has)) {
		found = append(found, measure{Key: key, Title: key, format: "%.4g"})
	}
	return found
}

// of is the number in a record as text.
func (m measure) of(r Record) string {
	v, ok := r.Float(m.Key)
	if !ok || m.Key == "misfit_train" && v == 0 { // round 0 has no E-step
		return "–"
	}
	return strings.Replace(fmt.Sprintf(m.format, v), "-", "−", 1)
}

// history is what the statistics of a run tell.
type history struct {
	losses []Record
	rounds []Record
	done   *Record
}

func historyOf(records []Record) (h history) {
	for i, r := range records {
		switch r.Event {
		case "loss":
			h.losses = append(h.losses, r)
		case "round":
			h.rounds = append(h.rounds, r)
		case "done":
			h.done = &records[i]
		}
	}
	return h
}

// last is the record of the latest round; an empty one before there is any.
func (h history) last() Record {
	if len(h.rounds) == 0 {
		return Record{}
	}
	return h.rounds[len(h.rounds)-1]
}

// noTruth reports that rounds were scored without clean images to compare to.
func (h history) noTruth() bool {
	_, known := h.last().Float("psnr_draw")
	return len(h.rounds) > 0 && !known
}

// learned says from what the prior was learned.
func (h history) learned(m Manifest, s Settings) string {
	start := fmt.Sprintf("%d clean images", s.Init.Clean)
	if s.Init.Clean == 0 {
		start = "a Gaussian fitted to the measurements"
	}
	text := fmt.Sprintf("A diffusion prior of the images of %s (%d×%d×%d), learned from %s", m.Data.Name, m.Data.Height, m.Data.Width, m.Data.Channels, start)
	if em := len(h.rounds) - 1; em > 0 {
		images, _ := h.last().Float("images")
		word := "rounds"
		if em == 1 {
			word = "round"
		}
		text += fmt.Sprintf(" and, in %d %s of EM, from measurements alone: %.0f in the latest", em, word, images)
	}
	return text + fmt.Sprintf(". Task: %s.", describeTask(s.Task, s.Data.Masks, s.Data.Kernel))
}

// scored says how good the prior is.
func (h history) scored() string {
	if h.done != nil {
		single, ok := h.done.Float("psnr_final")
		first, _ := h.done.Float("psnr_init_prior")
		mean, _ := h.done.Float("psnr_final_mean")
		draws, _ := h.done.Float("draws")
		measured, _ := h.done.Float("psnr_measurements")
		if ok {
			return fmt.Sprintf("Single posterior draws of held-out images reach %.2f dB PSNR, %s dB against the first prior; means of %.0f draws reach %.2f dB, %s dB against the measurements.",
				single, signed(single-first), draws, mean, signed(mean-measured))
		}
	}
	if draw, ok := h.last().Float("psnr_draw"); ok {
		measured, _ := h.last().Float("psnr_measurements")
		return fmt.Sprintf("After round %d single posterior draws of held-out images reach %.2f dB PSNR, %s dB against the measurements.", len(h.rounds)-1, draw, signed(draw-measured))
	}
	if misfit, ok := h.last().Float("misfit_draw"); ok {
		return fmt.Sprintf("After round %d posterior draws have a data misfit of %.3f on held-out measurements; 1 is the measurements' own noise.", len(h.rounds)-1, misfit)
	}
	return ""
}

func signed(v float64) string { return strings.Replace(fmt.Sprintf("%+.2f", v), "-", "−", 1) }

// tiles are the scores worth reading first: of the end, or of the latest round.
func (h history) tiles() (tiles []tile) {
	add := func(r Record, key, title, note string) {
		if v, ok := r.Float(key); ok {
			for _, m := range measures {
				if m.Key == key {
					tiles = append(tiles, tile{strings.Replace(fmt.Sprintf(m.format, v), "-", "−", 1), m.Unit, title, note})
				}
			}
		}
	}
	last := h.last()
	add(last, "psnr_measurements", "measurements", "PSNR as measured")
	add(last, "psnr_tikhonov", "linear baseline", "PSNR without a learned prior")
	if h.done != nil {
		add(*h.done, "psnr_init_prior", "first prior", "PSNR of single draws before EM")
		add(*h.done, "psnr_final", "learned prior", "PSNR of single draws")
		add(*h.done, "psnr_final_mean", "learned prior, means", "PSNR of averaged draws")
	} else {
		add(last, "psnr_draw", "posterior draws", "PSNR after the latest round")
	}
	add(last, "misfit_draw", "data misfit", "of draws, 1 = noise alone")
	add(last, "loglik_measurements", "log density", "per measured value")
	if h.noTruth() {
		add(last, "spread_draw", "spread", "posterior standard deviation")
	}
	return tiles
}

// table is the table of rounds.
type table struct {
	Columns []measure
	Rows    []tableRow
}

type tableRow struct {
	Name  string
	Cells []string
	Fresh string // whether the round began from fresh weights, where it is known
}

func (h history) table() (t table) {
	t.Columns = measuresOf(h.rounds)
	for i, r := range h.rounds {
		row := tableRow{Name: roundName(r, i)}
		for _, m := range t.Columns {
			row.Cells = append(row.Cells, m.of(r))
		}
		if reset, ok := r.Fields["reset"].(bool); ok {
			row.Fresh = "tuned"
			if reset || i == 0 {
				row.Fresh = "fresh"
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func roundName(r Record, i int) string {
	if k, ok := r.Float("round"); ok {
		i = int(k)
	}
	return fmt.Sprint(i)
}

// final is one line of the scores of the end.
type final struct {
	measure
	Value string
}

func (h history) finals() (list []final) {
	if h.done == nil {
		return nil
	}
	for _, m := range measuresOf([]Record{*h.done}) {
		if m.Key == "psnr_measurements" {
			m.Title = "PSNR of the measurements"
		}
		list = append(list, final{m, m.of(*h.done)})
	}
	return list
}

// timing is where the time of a run went.
type timing struct {
	Total  string
	Phases []slice // over the whole run
	Rounds []roundTime
}

// slice is one phase's part of a bar.
type slice struct {
	Kind    string // of its colour
	Title   string
	Time    string
	Percent string // of the total
	Width   string // of the bar
}

type roundTime struct {
	Name, Total string
	Slices      []slice
}

// phases are the parts of a round as its record names them.
var phases = []struct{ key, title string }{{"e_step", "E-step"}, {"m_step", "M-step"}, {"evaluate", "evaluation"}}

// timing sums the phases of the rounds; what the end took beyond them is the final evaluation.
func (h history) timing() (t timing) {
	sums := make([]float64, len(phases)+1)
	longest, total := 0.0, 0.0
	seconds := make([][]float64, len(h.rounds))
	for i, r := range h.rounds {
		spent, _ := r.Fields["seconds"].(map[string]any)
		whole := 0.0
		for j, p := range phases {
			v, _ := spent[p.key].(float64)
			seconds[i] = append(seconds[i], v)
			sums[j] += v
			whole += v
		}
		longest = max(longest, whole)
		total += whole
	}
	if h.done != nil {
		if all, ok := h.done.Float("seconds"); ok && all > total {
			sums[len(phases)] = all - total
			total = all
		}
	}
	t.Total = spell(total)
	part := func(j int, v, of, bar float64) slice {
		title := "final evaluation"
		if j < len(phases) {
			title = phases[j].title
		}
		return slice{fmt.Sprintf("c%d", j), title, spell(v), fmt.Sprintf("%.0f %%", share(v, of)), fmt.Sprintf("%.2f%%", share(v, bar))}
	}
	for j, v := range sums {
		if v > 0 {
			t.Phases = append(t.Phases, part(j, v, total, total))
		}
	}
	for i, row := range seconds {
		r := roundTime{Name: roundName(h.rounds[i], i)}
		whole := 0.0
		for j, v := range row {
			whole += v
			r.Slices = append(r.Slices, part(j, v, total, longest))
		}
		r.Total = spell(whole)
		t.Rounds = append(t.Rounds, r)
	}
	return t
}

// share is a part of a whole in per cent.
func share(part, whole float64) float64 {
	if whole == 0 || math.IsNaN(part/whole) {
		return 0
	}
	return 100 * part / whole
}
