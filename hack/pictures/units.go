package main

import (
	"math"
	"strconv"
)

// scale is a name for so many of a unit.
type scale struct {
	factor float64
	suffix string
}

// scales of the units that the dashboards use, ascending.
var scales = map[string][]scale{
	"none":        {{1, ""}},
	"short":       {{1, ""}, {1e3, " K"}, {1e6, " Mil"}},
	"percentunit": {{0.01, " %"}},
	"bytes":       {{1, " B"}, {1 << 10, " KiB"}, {1 << 20, " MiB"}, {1 << 30, " GiB"}},
	"s":           {{1e-6, " µs"}, {1e-3, " ms"}, {1, " s"}, {60, " min"}, {3600, " h"}, {86400, " days"}, {86400 * 365.25, " years"}},
	"ops":         {{1e-3, " mops/s"}, {1, " ops/s"}, {1e3, " kops/s"}},
	"reqps":       {{1e-3, " mreq/s"}, {1, " req/s"}, {1e3, " kreq/s"}},
}

// scaleOf returns the scale in which a value is best read. What is not known to this program is shown with its unit's name.
func scaleOf(unit string, value float64) scale {
	known := scales[unit]
	if known == nil {
		return scale{1, " " + unit}
	}
	found := known[0]
	if value == 0 && len(known) > 1 {
		for _, s := range known {
			if s.factor == 1 {
				found = s
			}
		}
	}
	for _, s := range known {
		if math.Abs(value) >= s.factor {
			found = s
		}
	}
	return found
}

// format writes a value with its unit and three digits.
func format(unit string, value float64) string {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return "–"
	}
	s := scaleOf(unit, value)
	return digits(value/s.factor) + s.suffix
}

func digits(value float64) string {
	decimals := 3
	for magnitude := math.Abs(value); magnitude >= 1 && decimals > 0; magnitude /= 10 {
		decimals--
	}
	power := math.Pow10(decimals)
	return strconv.FormatFloat(math.Round(value*power)/power, 'f', -1, 64)
}

// ticks are round places on an axis from zero, or from the lowest value, to at least the highest one, with their names.
func ticks(unit string, low, high float64) (places []float64, names []string) {
	low = math.Min(0, low)
	if high <= low {
		high = low + 1
	}
	s := scaleOf(unit, math.Max(high, -low))
	step := nice((high-low)/s.factor/4) * s.factor
	for i := math.Floor(low / step); ; i++ {
		place := i * step
		places, names = append(places, place), append(names, digits(place/s.factor)+s.suffix)
		if place >= high-step*1e-9 {
			return places, names
		}
	}
}

// nice is the next of 1, 2, 2.5 and 5 times a power of ten.
func nice(value float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(value)))
	for _, factor := range []float64{1, 2, 2.5, 5} {
		if value <= factor*power*(1+1e-9) {
			return factor * power
		}
	}
	return 10 * power
}
