package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

var residentLines = regexp.MustCompile(`(?m)^(VmRSS|VmHWM):\s+(\d+) kB$`)

// residentMB returns the resident set of this process, in MiB: now, and the largest so far.
func residentMB() (now, peak float64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, fmt.Errorf("memory is compared on Linux only: %w", err)
	}
	for _, m := range residentLines.FindAllStringSubmatch(string(text), -1) {
		kb, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return 0, 0, err
		}
		if m[1] == "VmRSS" {
			now = kb / 1024
		} else {
			peak = kb / 1024
		}
	}
	return now, peak, nil
}
