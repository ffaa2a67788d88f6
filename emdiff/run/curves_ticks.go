package run

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// linearTicks are round numbers 1, 2 or 5 times a power of ten apart, about six of them.
type linearTicks struct{}

// Ticks implements plot.Ticker.
func (linearTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	rough := (high - low) / 6
	power := math.Floor(math.Log10(rough))
	step := math.Pow(10, power)
	for _, factor := range []float64{2, 5, 10} {
		if step < rough {
			step = factor * math.Pow(10, power)
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	for k := math.Ceil(low / step); k*step <= high; k++ {
		v := k*step + 0 // + 0 turns -0 into 0
		ticks = append(ticks, plot.Tick{Value: v, Label: tickLabel(v, decimals)})
	}
	return ticks
}

// tickLabel writes out numbers of ordinary size and uses an exponent for others.
func tickLabel(v float64, decimals int) string {
	if decimals > 4 || math.Abs(v) >= 1e7 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// logTicks are the powers of ten, with 2 and 5 between them where the range has few; a range of
// less than fourfold has linearTicks.
type logTicks struct{}

// Ticks implements plot.Ticker; low must be positive.
func (logTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	if high < 4*low {
		return linearTicks{}.Ticks(low, high)
	}
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	stride := math.Ceil((last - first) / 8)
	for power := first; power <= last; power += stride {
		for factor := 1.0; factor < 10; factor++ {
			v := factor * math.Pow(10, power)
			if v < low || v > high || factor > 1 && stride > 1 {
				continue
			}
			tick := plot.Tick{Value: v}
			if factor == 1 || high < 100*low && (factor == 2 || factor == 5) {
				tick.Label = strconv.FormatFloat(v, 'g', 3, 64)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}
