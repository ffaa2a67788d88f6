package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stats appends records to a statistics file: one JSON object per line, of which the first two
// members are "event" and "time". A record is on disk when Append returns. A record counts once
// its newline is written, so a line that a crash cut short is as if it had never been begun.
type Stats struct {
	path    string
	f       *os.File
	records int
}

// OpenStats opens the statistics file at path for appending, and makes it if it is missing. A line
// that a crash cut short is removed.
func OpenStats(path string) (*Stats, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened: %w: check that its folder may be written", path, cause(err))
	}
	records, ends, err := readRecords(path)
	if err == nil {
		err = f.Truncate(endOf(ends, len(records)))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Stats{path: path, f: f, records: len(records)}, nil
}

// Records is the number of records in the file: what a checkpoint keeps for TruncateStats.
func (s *Stats) Records() int { return s.records }

// Append writes one record with the current time. fields may hold anything that JSON can, and
// float64 and float32 values that it cannot (NaN and the infinities), which become the strings
// "NaN", "+Inf" and "-Inf"; Record.Float reads them back. Its keys "event" and "time" are reserved.
func (s *Stats) Append(event string, fields map[string]any) error {
	var line bytes.Buffer
	line.WriteByte('{')
	member := func(key string, value any) error {
		if line.Len() > 1 {
			line.WriteByte(',')
		}
		name, _ := json.Marshal(key) // of a string: cannot fail
		text, err := json.Marshal(speakable(value))
		if err != nil {
			return fmt.Errorf("%s: event %q cannot be recorded: its field %q: %w", s.path, event, key, err)
		}
		line.Write(name)
		line.WriteByte(':')
		line.Write(text)
		return nil
	}
	err := errors.Join(member("event", event), member("time", time.Now().UTC().Format(time.RFC3339Nano)))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key == "event" || key == "time" {
			return fmt.Errorf("%s: event %q cannot be recorded: its field %q has a reserved name", s.path, event, key)
		}
		err = errors.Join(err, member(key, fields[key]))
	}
	if err != nil {
		return err
	}
	line.WriteString("}\n")
	_, err = s.f.Write(line.Bytes())
	if err == nil {
		err = s.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w: check the space left on its disk", s.path, cause(err))
	}
	s.records++
	return nil
}

// Close closes the file.
func (s *Stats) Close() error { return s.f.Close() }

// speakable turns the floats that JSON lacks into strings.
func speakable(value any) any {
	var v float64
	switch x := value.(type) {
	case float64:
		v = x
	case float32:
		v = float64(x)
	default:
		return value
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return value
}

// Record is one line of a statistics file.
type Record struct {
	Event  string
	Time   time.Time
	Fields map[string]any // without "event" and "time"; numbers are float64
}

// Float is the number in a field, also where it is one that JSON lacks. It is false where there is
// none.
func (r Record) Float(key string) (float64, bool) {
	switch v := r.Fields[key].(type) {
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && (math.IsNaN(f) || math.IsInf(f, 0))
	}
	return 0, false
}

// ReadStats reads the records of the statistics file at path, without the line that a crash, or a
// writer at work, has left unfinished at its end. Any other line that is no record is an error with
// its number. A missing file has no records.
func ReadStats(path string) ([]Record, error) {
	records, _, err := readRecords(path)
	return records, err
}

// TruncateStats keeps the first keep records of the file at path: what had been recorded when the
// checkpoint was made from which a run goes on. Fewer records than that are an error, for then the
// file does not belong to the checkpoint.
func TruncateStats(path string, keep int) error {
	records, ends, err := readRecords(path)
	if err != nil {
		return err
	}
	if keep < 0 || keep > len(records) {
		return fmt.Errorf("%s holds %d records, and the checkpoint was made after %d: restore the file that belongs to it", path, len(records), keep)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err == nil {
		err = errors.Join(f.Truncate(endOf(ends, keep)), f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("%s cannot be shortened: %w: check that it may be written", path, cause(err))
	}
	return nil
}

// readRecords reads the whole records of a statistics file and the offset at which each ends.
func readRecords(path string) (records []Record, ends []int64, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be read: %w: check that it is a file of statistics", path, cause(err))
	}
	for at := 0; at < len(text); {
		n := bytes.IndexByte(text[at:], '\n') + 1
		if n == 0 {
			break // cut short
		}
		record, err := parseRecord(text[at : at+n])
		if err != nil {
			if at+n == len(text) {
				break // a crash can leave a last block that was sized but never filled
			}
			return nil, nil, fmt.Errorf("%s: line %d is no record (%w): restore the file or delete that line", path, len(records)+1, err)
		}
		at += n
		records = append(records, record)
		ends = append(ends, int64(at))
	}
	return records, ends, nil
}

// endOf is the offset after the first n records.
func endOf(ends []int64, n int) int64 {
	if n == 0 {
		return 0
	}
	return ends[n-1]
}

func parseRecord(line []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(line, &r.Fields); err != nil {
		return Record{}, err
	}
	event, ok := r.Fields["event"].(string)
	stamp, _ := r.Fields["time"].(string)
	when, err := time.Parse(time.RFC3339Nano, stamp)
	if !ok || err != nil {
		return Record{}, errors.New(`it needs an "event" and a "time"`)
	}
	delete(r.Fields, "event")
	delete(r.Fields, "time")
	r.Event, r.Time = event, when
	return r, nil
}

// fields lists the members of a struct under their JSON names.
func fields(v any) map[string]any {
	m := map[string]any{}
	value := reflect.ValueOf(v)
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		m[name] = value.Field(i).Interface()
	}
	return m
}
